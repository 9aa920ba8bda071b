/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_FIREWALL_H
#define SEALPOST_FIREWALL_H

/*
 * What the kernel has to do beside Sealpost: rules for nft(8), and for packets that they
 * mark a rule and a route of ip(8). All of it follows from sealpost.conf alone: no name
 * is looked up, and no network need be up.
 */

#include "config.h"
#include "status.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

/* What stays on this machine bears it: a free choice. */
#define FIREWALL_MARK "0x19"

/* Whether the configuration asks for rules at all. */
bool firewall_needed(const struct config *config);

/* Whether packets of that family are marked, and want the rule and the route. */
bool firewall_marks(const struct config *config, sa_family_t family);

/*
 * Writes the rules as one transaction for `nft -f`, in the place of those that were
 * loaded before; where none is needed, they are only removed.
 */
void firewall_write(const struct config *config, FILE *to);

/*
 * Prints to `faults`, as "path:line: message", why rules cannot be written. True where
 * they can.
 */
bool firewall_verify(const struct config *config, FILE *faults);

/* `sealpost firewall`; `what` is up, down or print. */
enum status firewall_run(const char *config_path, const char *what);

#endif
