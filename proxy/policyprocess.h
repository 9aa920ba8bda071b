/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICYPROCESS_H
#define SEALPOST_POLICYPROCESS_H

/* What the policy process is given, and what it does before it serves. */

#include "config.h"
#include "message.h"

#include <stdbool.h>

/*
 * [policy] as it is to have it; `before`: as it has it by now, or NULL. False where
 * something is too long.
 */
bool policyprocess_settings(const struct config *config, const struct settings *before,
	struct settings *settings);

/* What main() runs where the process was started as `sealpost policy-process`. */
int policyprocess_run(void);

#endif
