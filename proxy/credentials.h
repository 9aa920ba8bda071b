/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CREDENTIALS_H
#define SEALPOST_CREDENTIALS_H

/* The user and password that we show to a relay: `credentials` of [outbound]. */

#include "bundle.h"

#include <stdbool.h>

enum {
	CREDENTIALS_TEXT = 256, /* octets of a user or password, its NUL included */
};

struct credentials {
	char user[CREDENTIALS_TEXT];
	char password[CREDENTIALS_TEXT];
};

/*
 * Reads `path`: a line "user = …" and a line "password = …", beside them only empty lines
 * and comments (# or ; at the start of a line: elsewhere both belong to the value, from
 * which only blanks at its ends are dropped). At most 4 KiB, a file that its owner alone
 * can write, and nobody but he and the group read. False with a reason, one line that
 * begins with path or path:line and never has a value in it; nothing is left in `c` then.
 */
bool credentials_read(struct bundle *bundle, const char *path, struct credentials *c,
	char reason[BUNDLE_REASON]);

/* Forgets both, in a way that no compiler leaves out. */
void credentials_wipe(struct credentials *c);

#endif
