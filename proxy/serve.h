/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SERVE_H
#define SEALPOST_SERVE_H

#include "status.h"

/*
 * `sealpost serve`: reads and verifies the configuration, and has the supervisor serve
 * until SIGTERM or SIGINT. FINE: ended when told; NO: faults in the configuration; CANNOT
 * run.
 */
enum status serve_run(const char *config_path);

#endif
