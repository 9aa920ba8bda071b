/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_PROBE_H
#define SEALPOST_PROBE_H

#include "status.h"

#include <stdbool.h>

/*
 * `sealpost probe`: goes where mail for "DOMAIN" or "USER@DOMAIN" would go under this
 * configuration, or to the one host "HOST:PORT", as far as the envelope and no further,
 * and says what it found: in words, or in JSON. An exit status (status.h): FINE where
 * mail would flow, NO where it would not.
 */
enum status probe_run(const char *config_path, const char *target, bool json);

#endif
