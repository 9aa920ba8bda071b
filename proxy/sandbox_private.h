/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SANDBOX_PRIVATE_H
#define SEALPOST_SANDBOX_PRIVATE_H

#include "sandbox.h"

/* A sanitizer's runtime reads maps, starts threads and traces when it reports. */
#ifdef WITH_SANITIZER
#define SANDBOX_FILTERS 0
#else
#define SANDBOX_FILTERS 1
#endif

/* Landlock, as sandbox_policy() says. */
bool sandbox_confine(
	const struct sandbox_paths *paths, bool *confined, char *reason, size_t size);

#endif
