/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STAMP_H
#define SEALPOST_STAMP_H

/* Whether files have been touched, told by a number that is another afterwards. */

#include "directory.h"
#include "message.h"

#include <stdint.h>

/*
 * Of the policy files in the directory at `path`, and of the CA files that those named
 * which were taken in: names, sizes, times.
 */
uint64_t stamp_take(const char *path, const struct directory *directory);

/* Of what the policy process reads as it begins, and never again: where the resolvers and
 * the root's keys stand, and the CAs of policy hosts. */
uint64_t stamp_beginning(const struct settings *settings);

#endif
