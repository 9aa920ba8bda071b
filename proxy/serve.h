/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SERVE_H
#define SEALPOST_SERVE_H

/*
 * `sealpost serve`: reads the configuration, binds, loads keys, drops privileges and
 * serves until SIGTERM or SIGINT. NULL path: the default. Returns what to exit with: 0
 * ended when told, 1 faults in the configuration, 3 cannot run.
 */
int serve_run(const char *config_path);

#endif
