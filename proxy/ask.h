/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_ASK_H
#define SEALPOST_ASK_H

#include "status.h"

/*
 * `sealpost policy`: prints what is demanded of the mail of each domain under this
 * configuration, and why. An exit status (status.h).
 */
enum status ask_run(const char *config_path, char *const *domains, unsigned count);

#endif
