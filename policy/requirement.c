/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "requirement.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const level_names[] = {
	[LEVEL_NONE] = "none",
	[LEVEL_MAY] = "may",
	[LEVEL_ENCRYPT] = "encrypt",
	[LEVEL_DANE] = "dane",
	[LEVEL_DANE_ONLY] = "dane-only",
	[LEVEL_VERIFY] = "verify",
	[LEVEL_SECURE] = "secure",
	[LEVEL_FINGERPRINT] = "fingerprint",
};
static_assert(
	sizeof(level_names) / sizeof(*level_names) == LEVELS, "a name for every level");

const char *level_name(enum level level)
{
	return level_names[level];
}

bool level_find(const char *name, enum level *level)
{
	for (enum level l = 0; l < LEVELS; l++)
		if (strcmp(level_names[l], name) == 0) {
			*level = l;
			return true;
		}
	return false;
}

static const char *const sts_mode_names[] = {
	[STS_NONE] = "none",
	[STS_TESTING] = "testing",
	[STS_ENFORCE] = "enforce",
};
static_assert(sizeof(sts_mode_names) / sizeof(*sts_mode_names) == STS_MODES,
	"a name for every mode");

const char *sts_mode_name(enum sts_mode mode)
{
	return sts_mode_names[mode];
}

void peer_clear(struct peer *peer)
{
	free(peer->demand.ca);
	free(peer->tlsa_octets);
	peer->demand.ca = peer->tlsa_octets = NULL;
}

void peer_free(struct peer *peer)
{
	if (peer)
		peer_clear(peer);
	free(peer);
}
