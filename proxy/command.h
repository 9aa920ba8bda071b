/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_COMMAND_H
#define SEALPOST_COMMAND_H

/* How the commands of main() begin and end. */

#include "bundle.h"
#include "config.h"
#include "status.h"

/*
 * Reads the configuration into a new bundle; both are the caller's then. FINE; NO where
 * it has faults, CANNOT where it cannot be read: that was said, and there is neither.
 */
enum status command_open(
	const char *path, struct bundle **bundle, struct config **config);

/* `status`, once all that was printed is out; else CANNOT, and why. */
enum status command_printed(enum status status);

#endif
