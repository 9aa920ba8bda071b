/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SUPERVISOR_H
#define SEALPOST_SUPERVISOR_H

/*
 * `sealpost serve` once the configuration is known to be good: it binds the sockets,
 * starts workers and the policy process and starts them again, reads the configuration
 * anew, and stops them all. It sees no octet of mail, and asks no network anything but
 * the addresses of backends that are configured by name.
 */

#include "bundle.h"
#include "config.h"

#include <stdbool.h>

enum { SUPERVISOR_REASON = 600 };

/*
 * Runs until it is told to stop. `bundle` holds `config` and all that was read to verify
 * it; `told` are the warnings that this was worth, which have been told, a line each, or
 * NULL. All three are taken over. `ready`, if not NULL, is called once when all workers
 * serve. False with a reason where that never came to be.
 */
bool supervise(struct bundle *bundle, struct config *config, char *told,
	void (*ready)(void *context), void *context, char reason[SUPERVISOR_REASON]);

#endif
