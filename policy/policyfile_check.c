/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What only the whole file shows. A key that would not count is a fault: whoever wrote it
 * believes in a protection that is not there.
 */

#include "policyfile_private.h"

#include <string.h>

#define LEVEL(level) (1u << LEVEL_##level)

enum {
	LEVELS_OF_NAMES = LEVEL(VERIFY) | LEVEL(SECURE),
	LEVELS_OF_TLS = (1 << LEVELS) - 1 - LEVEL(NONE),
	LEVELS_OF_LITERALS =
		LEVEL(NONE) | LEVEL(MAY) | LEVEL(ENCRYPT) | LEVEL(FINGERPRINT),
};

static bool level_in(unsigned levels, const struct demand *demand)
{
	return (levels & 1u << demand->level) != 0;
}

/* Each key under a level that does not look at it. */
static void check_idle(
	struct reader *reader, enum section section, const struct demand *demand)
{
	static const struct {
		enum key_id key;
		unsigned levels; /* under which it counts */
		const char *why;
	} rules[] = {
		{ KEY_MATCH, LEVELS_OF_NAMES,
			"looks at no names: is tls = verify meant?" },
		{ KEY_CA, LEVELS_OF_NAMES, "asks no CA: is tls = verify meant?" },
		{ KEY_FINGERPRINT, LEVEL(FINGERPRINT),
			"looks at no fingerprint: is tls = fingerprint meant?" },
		{ KEY_PROTOCOLS, LEVELS_OF_TLS, "does without TLS: leave it out" },
		{ KEY_IDENTITY, LEVELS_OF_TLS, "does without TLS: leave it out" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		unsigned line = reader->seen[section][rules[i].key];

		if (line > 0 && !level_in(rules[i].levels, demand))
			inifile_fault(&reader->ini, line,
				"%s does not count: tls = %s %s",
				policyfile_keys[rules[i].key].name,
				level_name(demand->level), rules[i].why);
	}
}

static void check_level(
	struct reader *reader, enum section section, const struct demand *demand)
{
	const unsigned *seen = reader->seen[section];

	if (demand->level == LEVEL_FINGERPRINT && seen[KEY_FINGERPRINT] == 0)
		inifile_fault(&reader->ini, seen[KEY_TLS],
			"tls = fingerprint, and there is no fingerprint: write "
			"fingerprint = sha256/spki:... below it");
	if (level_in(LEVEL(DANE) | LEVEL(DANE_ONLY), demand) && !demand->dane)
		inifile_fault(&reader->ini, seen[KEY_DANE],
			"dane = no, and tls = %s asks for DANE: leave one of them out",
			level_name(demand->level));
	if (demand->level == LEVEL_MAY && demand->protocols == PROTOCOLS_TLS_1_3)
		inifile_fault(&reader->ini, seen[KEY_PROTOCOLS],
			"protocols = tls1.3 under tls = may would send in clear to a "
			"peer that has TLS 1.2 alone: is tls = encrypt meant?");
}

/* An address has no name to look for, no MX hosts and no DNS to publish a policy in. */
static void check_literal(
	struct reader *reader, enum section section, const struct demand *demand)
{
	static const enum key_id keys[] = { KEY_MX, KEY_DANE, KEY_MTA_STS };

	if (!level_in(LEVELS_OF_LITERALS, demand))
		inifile_fault(&reader->ini, reader->seen[section][KEY_TLS],
			"tls = %s: an address has no name to be verified; is tls = "
			"fingerprint meant?",
			level_name(demand->level));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		unsigned line = reader->seen[section][keys[i]];

		if (line > 0)
			inifile_fault(&reader->ini, line,
				"%s means nothing for an address: leave it out",
				policyfile_keys[keys[i]].name);
	}
}

static bool is_literal(const struct reader *reader)
{
	return reader->file->domain[0] == '[';
}

static void check_demand(
	struct reader *reader, enum section section, const struct demand *demand)
{
	if (reader->seen[section][KEY_TLS] == 0)
		inifile_fault(&reader->ini, reader->section_lines[section],
			"this [%s] lacks its tls: write tls = may or another level",
			policyfile_section_names[section]);
	if (!reader->level_known[section])
		return; /* what else is wrong depends on it */
	check_idle(reader, section, demand);
	check_level(reader, section, demand);
	if (is_literal(reader))
		check_literal(reader, section, demand);
}

static void check_subdomains(struct reader *reader)
{
	unsigned line = reader->seen[SECTION_FILE][KEY_SUBDOMAINS];

	if (line == 0)
		return;
	if (is_literal(reader))
		inifile_fault(&reader->ini, line,
			"subdomains: there are no names below an address");
	else if (strcmp(reader->file->domain, "default") == 0)
		inifile_fault(&reader->ini, line,
			"subdomains: default.policy speaks for every name already");
}

void policyfile_check(struct reader *reader)
{
	const struct policyfile *file = reader->file;

	/* with other faults, the section may be there and be misspelt */
	if (!file->has_outbound && !file->has_inbound && reader->ini.fault_count == 0)
		inifile_fault(&reader->ini, 0,
			"demands nothing: write [outbound] or [inbound], and a tls = "
			"below it");
	if (file->has_outbound)
		check_demand(reader, SECTION_OUTBOUND, &file->outbound);
	if (file->has_inbound)
		check_demand(reader, SECTION_INBOUND, &file->inbound);
	check_subdomains(reader);
}

/* ---- what was not written ---- */

static void match_complete(struct demand *demand, const char *verify, const char *secure)
{
	const char *match = demand->level == LEVEL_VERIFY   ? verify
			    : demand->level == LEVEL_SECURE ? secure
							    : NULL;

	if (!match || demand->match_count > 0)
		return;
	snprintf(demand->match[0], sizeof(demand->match[0]), "%s", match);
	demand->match_count = 1;
}

void policyfile_complete(struct policyfile *file)
{
	match_complete(&file->outbound, "mx", "domain");
	match_complete(&file->inbound, "domain", "domain");
}
