/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_FALLBACK_H
#define SEALPOST_FALLBACK_H

/*
 * Hosts whose TLS has failed under `may`: for half an hour they are spoken to in clear at
 * once, where that is allowed. A host is an address and the name by which it was asked
 * for: whoever gives an address of others a name of his own takes nothing from them. A
 * table of fixed size; a newer host takes the place of an older one. Pure.
 */

#include "address.h"
#include "requirement.h"

#include <stdbool.h>

enum {
	FALLBACK_ENTRIES = 512,
	FALLBACK_SECONDS = 30 * 60,
};

struct fallback {
	struct {
		struct address address;
		char name[REQUIREMENT_NAME];
		double until; /* 0: unused */
	} entries[FALLBACK_ENTRIES];
};

/* `now`: seconds of any steady clock. The port is ignored. */
void fallback_note(
	struct fallback *f, const struct address *address, const char *name, double now);
bool fallback_known(const struct fallback *f, const struct address *address,
	const char *name, double now);

#endif
