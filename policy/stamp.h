/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STAMP_H
#define SEALPOST_STAMP_H

/* Whether policy files have been touched, told by a number that is another afterwards. */

#include "directory.h"

#include <stdint.h>

/*
 * Of the policy files in the directory at `path`, and of the CA files that those named
 * which were taken in: names, sizes, times.
 */
uint64_t stamp_take(const char *path, const struct directory *directory);

#endif
