/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SERVE_H
#define SEALPOST_SERVE_H

#include "config.h"

#include <stdbool.h>

enum {
	SERVE_REASON = 512, /* octets of a reason, its NUL included */
};

/*
 * `sealpost serve`: reads the configuration, binds, loads keys, drops privileges and
 * serves until SIGTERM or SIGINT. Returns an enum status: FINE ended when told, NO faults
 * in the configuration, CANNOT run.
 */
int serve_run(const char *config_path);

/*
 * The same for a configuration at hand, whose backends are addresses. `ready` (NULL:
 * none) is called once: clients can connect, keys are read, privileges are dropped. False
 * with a reason where it never came so far.
 */
bool serve_config(const struct config *config, void (*ready)(void *context),
	void *context, char reason[SERVE_REASON]);

#endif
