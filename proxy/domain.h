/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DOMAIN_H
#define SEALPOST_DOMAIN_H

/* A mail address's domain in the one form by which it is asked about. */

#include "smtp.h"

#include <stdbool.h>

enum {
	DOMAIN_TEXT = 256, /* octets of a domain, its NUL included */
};

/*
 * Lower case, A-labels (IDNA 2008), without one trailing dot; an address literal keeps
 * its brackets. An empty domain ("postmaster", "<>") stays empty. False for what is no
 * domain.
 */
bool domain_normalise(struct span domain, char text[DOMAIN_TEXT]);

#endif
