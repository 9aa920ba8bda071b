/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_PRIVILEGES_H
#define SEALPOST_PRIVILEGES_H

/* What the process may do beyond any other: as little as its configuration needs. */

#include "config.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Call once sockets are bound and keys are read, before the first untrusted octet.
 * Started as root the process becomes `user`; either way it keeps no capability but those
 * that the configuration needs, can gain none back, and cannot be traced or dumped. False
 * with a reason, one line: then the process must end.
 */
bool privileges_drop(const struct config *config, char *reason, size_t size);

#endif
