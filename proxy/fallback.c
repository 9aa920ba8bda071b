/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "fallback.h"

#include <stdio.h>
#include <string.h>

/* Where a host stands: nobody gains by a collision but the time of a handshake. */
static size_t place(const struct address *address, const char *name)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < sizeof(address->octets); i++)
		hash = (hash ^ address->octets[i]) * 16777619u;
	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash % FALLBACK_ENTRIES;
}

void fallback_note(
	struct fallback *f, const struct address *address, const char *name, double now)
{
	size_t i = place(address, name);
	f->entries[i].address = *address;
	snprintf(f->entries[i].name, sizeof(f->entries[i].name), "%s", name);
	f->entries[i].until = now + FALLBACK_SECONDS;
}

bool fallback_known(const struct fallback *f, const struct address *address,
	const char *name, double now)
{
	size_t i = place(address, name);
	return f->entries[i].until > now &&
	       address_same_host(&f->entries[i].address, address) &&
	       strcmp(f->entries[i].name, name) == 0;
}
