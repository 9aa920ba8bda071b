/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Which file speaks for a domain, and what it says. */

#include "directory.h"

#include "directory_private.h"

#include <stdlib.h>
#include <string.h>

static int domain_compare(const void *domain, const void *entry)
{
	return strcmp(domain, ((const struct entry *)entry)->domain);
}

struct entry *directory_entry(const struct set *set, const char *domain)
{
	if (set->count == 0)
		return NULL;
	return bsearch(
		domain, set->entries, set->count, sizeof(struct entry), domain_compare);
}

void directory_line(char *to, size_t size, const char *from)
{
	size_t i;

	for (i = 0; i < size - 1 && from[i] != '\0' && from[i] != '\n'; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

/* Whether it decides, be it that it is broken. `below`: asked for a name below its own.
 */
static bool entry_decides(
	const struct entry *entry, enum direction direction, int64_t now, bool below)
{
	if (!entry)
		return false;
	const struct policyfile *file = entry->version.file;

	if (!file)
		return !below || entry->subdomains;
	if ((below && !file->subdomains) || (file->expires != 0 && now >= file->expires))
		return false;
	return direction == DIRECTION_INBOUND ? file->has_inbound : file->has_outbound;
}

/* NULL above a name of one label. What is above an address is nobody's: it ends in ]. */
static const char *name_above(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : NULL;
}

const struct entry *directory_decider(const struct set *set, enum direction direction,
	const char *domain, int64_t now, bool below)
{
	char literal[REQUIREMENT_NAME];
	const char *name = policyfile_literal(domain, literal) ? literal : domain;

	for (; name; below = true) {
		const struct entry *entry = directory_entry(set, name);

		if (entry_decides(entry, direction, now, below))
			return entry;
		name = name_above(name);
	}
	const struct entry *entry = directory_entry(set, "default");

	return entry_decides(entry, direction, now, false) ? entry : NULL;
}

static bool peer_fill(
	const struct policyfile *file, enum direction direction, struct peer *peer)
{
	bool inbound = direction == DIRECTION_INBOUND;
	const struct demand *demand = inbound ? &file->inbound : &file->outbound;

	snprintf(peer->where, sizeof(peer->where), "%s:%u", file->path,
		inbound ? file->inbound_line : file->outbound_line);
	peer->demand = *demand;
	if (!demand->ca)
		return true;
	peer->demand.ca = malloc(demand->ca_length);
	if (!peer->demand.ca) {
		peer->demand.ca_length = 0;
		return false;
	}
	memcpy(peer->demand.ca, demand->ca, demand->ca_length);
	return true;
}

static void peer_close(const char *where, const char *fault, struct peer *peer)
{
	peer->status = PEER_BROKEN;
	snprintf(peer->where, sizeof(peer->where), "%s", where);
	int used = snprintf(peer->text, sizeof(peer->text),
		"the policy for %s cannot be read: ",
		peer->domain[0] != '\0' ? peer->domain : "<>");

	directory_line(peer->text + used, sizeof(peer->text) - (size_t)used, fault);
}

/* default.policy speaks of those whom nobody has named; a relay was chosen by its name.
 */
static bool is_own(const struct entry *entry)
{
	return strcmp(entry->domain, "default") != 0;
}

/* All our mail goes there, and perhaps our password: it must be who it is said to be. */
static void demand_of_relay(struct peer *peer)
{
	peer->demand.level = LEVEL_ENCRYPT;
	if (peer->domain[0] == '[')
		return; /* an address proves nothing */
	peer->demand.level = LEVEL_VERIFY;
	peer->demand.match_count = 1;
	snprintf(peer->demand.match[0], sizeof(peer->demand.match[0]), "mx");
}

bool directory_find(const struct directory *directory, enum direction direction,
	const char *domain, int64_t now, struct peer *peer, int64_t *until)
{
	const struct entry *entry = NULL;

	peer->status = PEER_FINE;
	peer->generation = directory->generation;
	peer->text[0] = '\0';
	peer->demand = demand_default;
	*until = INT64_MAX;
	snprintf(peer->where, sizeof(peer->where), "default");
	snprintf(peer->domain, sizeof(peer->domain), "%s", domain);
	if (directory->closed[0] != '\0') {
		peer_close(directory->path, directory->closed, peer);
		return true;
	}
	entry = directory_decider(&directory->set, direction, domain, now, false);
	if (direction == DIRECTION_HOST && (!entry || !is_own(entry))) {
		demand_of_relay(peer);
		return true;
	}
	if (!entry)
		return true;
	const struct policyfile *file = entry->version.file;

	if (file && file->expires != 0)
		*until = file->expires;
	if (file)
		return peer_fill(file, direction, peer);
	peer_close(entry->domain, entry->fault, peer);
	return true;
}
