/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SIGHT_H
#define SEALPOST_SIGHT_H

/* What the policy process sees of the file system, where it can be confined. Pure. */

#include "message.h"

#include <stdbool.h>

enum { SIGHT_READ = 24, SIGHT_WRITE = 2 }; /* the NULL at the end included */

struct sight {
	const char *read[SIGHT_READ];	/* files and directories; some may be "" */
	const char *write[SIGHT_WRITE]; /* directories whose files come and go */
};

/* By these settings, into which it points. */
void sight_of(const struct settings *settings, struct sight *sight);

/*
 * Whether the policy process sees the file `ca` that a policy file in `directory` names:
 * it lies in that directory, or where the system's CAs lie.
 */
bool sight_shows_ca(const char *directory, const char *ca);

#endif
