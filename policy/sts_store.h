/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STS_STORE_H
#define SEALPOST_STS_STORE_H

/*
 * MTA-STS policies on disk: DIRECTORY/mta-sts/DOMAIN, a file each (sts_text_write()). A
 * file is there whole or not at all, whatever happens while it is written, and however
 * many processes write.
 */

#include "requirement.h"

#include <stdbool.h>
#include <stddef.h>

struct sts_store;

/*
 * `writes`: it is ours, and DIRECTORY/mta-sts is made where it is missing. NULL with a
 * reason; one that is not there to be read (!writes) is one with no reason ("").
 */
struct sts_store *sts_store_open(
	const char *directory, bool writes, char *reason, size_t size);
void sts_store_close(struct sts_store *store); /* NULL is allowed */

struct sts_found {
	const char *domain;
	const char *fault; /* why its file is passed over, or NULL */
	const struct sts *sts;
	const char *text; /* the file */
	size_t length;
};

/* Calls `each` for every file there; clears away what a killed process left behind. */
void sts_store_load(struct sts_store *store,
	void (*each)(const struct sts_found *found, void *context), void *context);

/* False with errno: what was there before is still there. */
bool sts_store_write(
	struct sts_store *store, const char *domain, const char *text, size_t length);

/* Unless another process has put something else in place of this text. */
void sts_store_remove(
	struct sts_store *store, const char *domain, const char *text, size_t length);

#endif
