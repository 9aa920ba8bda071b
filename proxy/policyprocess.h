/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICYPROCESS_H
#define SEALPOST_POLICYPROCESS_H

/* What the policy process is given, and what it does before it serves. */

#include "config.h"
#include "message.h"

#include <stdbool.h>

/*
 * Whether there is to be one: for mail that goes out, and because policy files may say
 * something of those who come in, too.
 */
bool policyprocess_needed(const struct config *config);

/* [policy] as it is to have it. False where something is too long. */
bool policyprocess_settings(const struct config *config, struct settings *settings);

/* What main() runs where the process was started as `sealpost policy-process`. */
int policyprocess_run(void);

#endif
