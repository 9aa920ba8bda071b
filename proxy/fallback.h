/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_FALLBACK_H
#define SEALPOST_FALLBACK_H

/*
 * Hosts whose TLS has failed under `may`: for half an hour they are spoken to in clear at
 * once, where that is allowed. A table of fixed size; a newer address takes the place of
 * an older one. Pure.
 */

#include "address.h"

#include <stdbool.h>

enum {
	FALLBACK_ENTRIES = 512,
	FALLBACK_SECONDS = 30 * 60,
};

struct fallback {
	struct {
		struct address address;
		double until; /* 0: unused */
	} entries[FALLBACK_ENTRIES];
};

/* `now`: seconds of any steady clock. The port is ignored. */
void fallback_note(struct fallback *f, const struct address *address, double now);
bool fallback_known(const struct fallback *f, const struct address *address, double now);

#endif
