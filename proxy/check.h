/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CHECK_H
#define SEALPOST_CHECK_H

/*
 * What a configuration is worth on this machine: `sealpost check`, and all that serve
 * takes up.
 */

#include "bundle.h"
#include "config.h"
#include "status.h"

#include <stdbool.h>
#include <stdio.h>

/*
 * Loads every certificate and key, looks the names of backends up (and writes what was
 * found to their `address`; this may take as long as the resolver does), and looks for
 * settings that cannot work or are dangerous. Prints "path:line: message" for a fault and
 * "path:line: warning: message" for what is only worth knowing. True without a fault:
 * then all that setup_new() needs is in the bundle. Also settles whether there is to be a
 * policy process, where that is not settled yet.
 */
bool config_verify(struct config *config, struct bundle *bundle, FILE *faults);

/* What a reload need not hear of: addresses and interfaces that this machine lacks, and
 * keys that others can read, as warnings, and what is only worth thinking over, as
 * "path:line: note: message". */
void config_notes(struct config *config, FILE *to);

/*
 * `sealpost check`: reads and verifies; faults and warnings go to stderr, and what else
 * the machine needs for `client-address = transparent` to stdout. FINE; NO where there
 * are faults; CANNOT where the file cannot be read.
 */
enum status check_run(const char *config_path);

#endif
