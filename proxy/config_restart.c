/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What has changed that only a restart can change. */

#include "config_schema.h"

#include <string.h>

struct comparison {
	const struct config *old, *fresh;
	char *reason;
};

/* Two sections of a kind, one of each configuration: the same service, or the only one.
 */
struct sections {
	void *old, *fresh;
	unsigned at; /* the place of the latter */
};

static bool differs(const struct comparison *c, unsigned line, const char *what)
{
	if (line > 0)
		snprintf(c->reason, CONFIG_REASON, "%s:%u: %s: only a restart changes it",
			c->fresh->path, line, what);
	else
		snprintf(c->reason, CONFIG_REASON, "%s: %s: only a restart changes it",
			c->fresh->path, what);
	return true;
}

/* ---- values ---- */

static bool texts_equal(const struct config_key *key, const struct sections *s)
{
	const char *old, *fresh;

	memcpy(&old, config_place(key, s->old), sizeof(old));
	memcpy(&fresh, config_place(key, s->fresh), sizeof(fresh));
	return old == fresh || (old && fresh && strcmp(old, fresh) == 0);
}

static bool addresses_equal(const struct config_key *key, const struct sections *s)
{
	const struct address *old = config_place(key, s->old);
	const struct address *fresh = config_place(key, s->fresh);
	unsigned count = *config_count(key, s->old);
	bool equal = *config_count(key, s->fresh) == count;

	for (unsigned i = 0; equal && i < count; i++)
		equal = address_same_host(&old[i], &fresh[i]) &&
			old[i].port == fresh[i].port;
	return equal;
}

/* Of types that no such key has, only the octets in their place are compared. */
static bool values_equal(const struct config_key *key, const struct sections *s)
{
	switch (key->type) {
	case TYPE_WORD_TEXT:
	case TYPE_DOMAIN:
	case TYPE_RESOLVER:
	case TYPE_TEXT: return texts_equal(key, s);
	case TYPE_LISTEN: return addresses_equal(key, s);
	default:
		return memcmp(config_place(key, s->old), config_place(key, s->fresh),
			       key->width) == 0;
	}
}

/* ---- sections ---- */

static const char *own_name(const struct config_section_kind *kind, const void *section)
{
	return *(char *const *)((const char *)section + kind->own_name);
}

static unsigned own_line(const struct comparison *c, const struct config_key *key,
	const struct sections *s)
{
	const struct config_section_kind *kind = &config_sections[key->section];
	unsigned line = config_key_line(c->fresh, key, s->at);

	if (line > 0)
		return line;
	/* it is there no more: where it would stand */
	return kind->what ? *(const unsigned *)((const char *)s->fresh + kind->own_line)
			  : c->fresh->lines->sections[key->section];
}

/* Whether what is in such a section can be changed by a restart alone. */
static bool is_fixed(enum config_section section)
{
	for (size_t k = 0; k < CONFIG_KEYS; k++) {
		if (config_keys[k].section == section && config_keys[k].restart)
			return true;
	}
	return false;
}

static bool keys_differ(
	const struct comparison *c, enum config_section section, const struct sections *s)
{
	for (size_t k = 0; k < CONFIG_KEYS; k++) {
		const struct config_key *key = &config_keys[k];

		if (key->section == section && key->restart && !values_equal(key, s))
			return differs(c, own_line(c, key, s), key->name);
	}
	return false;
}

/* The section of that name, or NULL. */
static void *section_named(
	const struct config *config, enum config_section section, const char *name)
{
	const struct config_section_kind *kind = &config_sections[section];

	for (unsigned i = 0; i < config_section_count(config, section); i++) {
		void *at = config_section_at(config, section, i);

		if (strcmp(own_name(kind, at), name) == 0)
			return at;
	}
	return NULL;
}

static bool section_differs(const struct comparison *c, enum config_section section,
	const void *present, unsigned line)
{
	const struct config_section_kind *kind = &config_sections[section];
	char header[CONFIG_TEXT];

	snprintf(header, sizeof(header), "[%s %s]", kind->name, own_name(kind, present));
	return differs(c, line, header);
}

/* Services come and go with their sockets. */
static bool services_differ(const struct comparison *c, enum config_section section)
{
	const struct config_section_kind *kind = &config_sections[section];

	for (unsigned i = 0; i < config_section_count(c->fresh, section); i++) {
		struct sections s = { .fresh = config_section_at(c->fresh, section, i),
			.at = i };

		s.old = section_named(c->old, section, own_name(kind, s.fresh));
		if (!s.old)
			return section_differs(c, section, s.fresh,
				*(const unsigned *)((const char *)s.fresh +
						    kind->own_line));
		if (keys_differ(c, section, &s))
			return true;
	}
	for (unsigned i = 0; i < config_section_count(c->old, section); i++) {
		const void *old = config_section_at(c->old, section, i);

		if (!section_named(c->fresh, section, own_name(kind, old)))
			return section_differs(c, section, old, 0);
	}
	return false;
}

bool config_restart_needed(
	const struct config *old, const struct config *fresh, char reason[CONFIG_REASON])
{
	const struct comparison c = { old, fresh, reason };

	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		const struct sections only = { config_section_at(old, s, 0),
			config_section_at(fresh, s, 0), 0 };

		if (is_fixed(s) && (!config_sections[s].what ? keys_differ(&c, s, &only)
							     : services_differ(&c, s)))
			return true;
	}
	return false;
}
