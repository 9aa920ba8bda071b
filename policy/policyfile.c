/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Every section and key there is, and the reading of a file by them. A new key is a line
 * here, a member in requirement.h and a paragraph in sealpost.policy(5);
 * tests/unit/test_policyfile.c holds the page against this table.
 */

#include "policyfile_private.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const char *const policyfile_section_names[SECTIONS] = { NULL, "outbound", "inbound" };

static const char *const flag_words[] = { "no", "yes", NULL };
static const char *const failure_words[] = { "defer", "bounce", NULL };
static const char *const protocols_words[] = { [PROTOCOLS_TLS_1_2] = "tls1.2+",
	[PROTOCOLS_TLS_1_3] = "tls1.3",
	[PROTOCOLS_LEGACY] = "legacy",
	[PROTOCOLS_COUNT] = NULL };

static_assert(sizeof(bool) == sizeof(uint8_t), "words are kept in one octet");

#define OF_FILE	    .sections = 1 << SECTION_FILE
#define OF_OUTBOUND .sections = 1 << SECTION_OUTBOUND
#define OF_BOTH	    .sections = 1 << SECTION_OUTBOUND | 1 << SECTION_INBOUND
#define WORD(type, member, list)                                                         \
	.set = policyfile_set_word, .offset = offsetof(type, member), .words = list

const struct policyfile_key policyfile_keys[KEYS] = {
	[KEY_SUBDOMAINS] = { "subdomains", OF_FILE,
		WORD(struct policyfile, subdomains, flag_words) },
	[KEY_EXPIRES] = { "expires", OF_FILE, .set = policyfile_set_day },
	[KEY_NOTE] = { "note", OF_FILE, .set = policyfile_set_note },
	[KEY_TLS] = { "tls", OF_BOTH, .set = policyfile_set_level },
	[KEY_MATCH] = { "match", OF_BOTH, .set = policyfile_set_match, .list = true },
	[KEY_MX] = { "mx", OF_OUTBOUND, .set = policyfile_set_mx, .list = true },
	[KEY_FINGERPRINT] = { "fingerprint", OF_BOTH, .set = policyfile_set_fingerprint,
		.list = true },
	[KEY_CA] = { "ca", OF_BOTH, .set = policyfile_set_ca },
	[KEY_PROTOCOLS] = { "protocols", OF_OUTBOUND,
		WORD(struct demand, protocols, protocols_words) },
	[KEY_DANE] = { "dane", OF_OUTBOUND, WORD(struct demand, dane, flag_words) },
	[KEY_MTA_STS] = { "mta-sts", OF_OUTBOUND,
		WORD(struct demand, mta_sts, flag_words) },
	[KEY_ON_FAILURE] = { "on-failure", OF_OUTBOUND,
		WORD(struct demand, bounce, failure_words) },
	[KEY_IDENTITY] = { "identity", OF_OUTBOUND, .set = policyfile_set_identity },
};

const struct demand demand_default = {
	.level = LEVEL_MAY,
	.protocols = PROTOCOLS_TLS_1_2,
	.dane = true,
	.mta_sts = true,
};

struct demand *policyfile_demand(struct reader *reader)
{
	return reader->section == SECTION_INBOUND ? &reader->file->inbound
						  : &reader->file->outbound;
}

/* ---- sections ---- */

static void section_unknown(struct reader *reader)
{
	struct inifile *ini = &reader->ini;
	unsigned best = ~0u;
	const char *nearest = NULL;

	for (enum section s = SECTION_OUTBOUND; s < SECTIONS; s++) {
		if (inifile_nearer(ini->name, policyfile_section_names[s], &best))
			nearest = policyfile_section_names[s];
	}
	if (nearest)
		inifile_fault(ini, ini->line, "unknown section [%s]: is [%s] meant?",
			ini->name, nearest);
	else
		inifile_fault(ini, ini->line,
			"unknown section [%s]: there are [outbound] and [inbound]",
			ini->name);
}

static void section_begin(struct reader *reader)
{
	struct inifile *ini = &reader->ini;

	reader->section = SECTION_UNKNOWN;
	if (ini->name[0] == '\0')
		return; /* a fault already */
	for (enum section s = SECTION_OUTBOUND; s < SECTIONS; s++) {
		if (strcmp(policyfile_section_names[s], ini->name) != 0)
			continue;
		reader->section = s;
		if (reader->section_lines[s] > 0)
			inifile_fault(ini, ini->line,
				"[%s] again: it began on line %u; write its keys there",
				ini->name, reader->section_lines[s]);
		else
			reader->section_lines[s] = ini->line;
		return;
	}
	section_unknown(reader);
}

/* ---- keys ---- */

static const struct policyfile_key *key_find(unsigned sections, const char *name)
{
	for (size_t i = 0; i < KEYS; i++) {
		if ((policyfile_keys[i].sections & sections) != 0 &&
			strcmp(policyfile_keys[i].name, name) == 0)
			return &policyfile_keys[i];
	}
	return NULL;
}

static const struct policyfile_key *key_nearest(unsigned sections, const char *name)
{
	const struct policyfile_key *nearest = NULL;
	unsigned best = ~0u;

	for (size_t i = 0; i < KEYS; i++) {
		if ((policyfile_keys[i].sections & sections) != 0 &&
			inifile_nearer(name, policyfile_keys[i].name, &best))
			nearest = &policyfile_keys[i];
	}
	return nearest;
}

static void key_unknown(struct reader *reader)
{
	static const char *const homes[SECTIONS] = { "above [outbound] and [inbound]",
		"in [outbound]", "in [inbound]" };
	struct inifile *ini = &reader->ini;
	const struct policyfile_key *key = key_find(~0u, ini->name);
	const char *name = ini->name, *here = homes[reader->section];
	enum section home = SECTION_FILE;

	if (key) {
		while ((key->sections & 1u << home) == 0)
			home++;
		inifile_fault(ini, ini->line, "unknown key %s %s: it belongs %s", name,
			here, homes[home]);
		return;
	}
	key = key_nearest(1u << reader->section, name);
	if (key)
		inifile_fault(ini, ini->line, "unknown key %s %s: is %s meant?", name,
			here, key->name);
	else
		inifile_fault(ini, ini->line,
			"unknown key %s %s: see sealpost.policy(5) for those there are",
			name, here);
}

static void value_set(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	const char *wrong = key->set(reader, key, value);

	if (wrong)
		inifile_fault(&reader->ini, reader->ini.line, "%s = %s: %s", key->name,
			value, wrong);
}

static void key_set(struct reader *reader)
{
	struct inifile *ini = &reader->ini;
	const struct policyfile_key *key = key_find(1u << reader->section, ini->name);

	if (!key) {
		key_unknown(reader);
		return;
	}
	unsigned *seen = &reader->seen[reader->section][key - policyfile_keys];

	if (*seen > 0 && !key->list) {
		inifile_fault(ini, ini->line, "%s again: it stands on line %u already",
			key->name, *seen);
		return;
	}
	if (*seen == 0)
		*seen = ini->line;
	if (ini->value[0] == '\0')
		inifile_fault(ini, ini->line,
			"%s is empty: give it a value, or leave the line out", key->name);
	else if (key->list)
		for (char *value, *rest = ini->value;
			(value = strtok_r(rest, " \t", &rest));)
			value_set(reader, key, value);
	else
		value_set(reader, key, ini->value);
}

/* ---- the whole ---- */

static void items_read(struct reader *reader)
{
	for (;;) {
		switch (inifile_next(&reader->ini)) {
		case INIFILE_END: return;
		case INIFILE_SECTION: section_begin(reader); break;
		case INIFILE_KEY:
			if (reader->section != SECTION_UNKNOWN)
				key_set(reader);
			break;
		}
	}
}

static struct policyfile *file_new(const char *path, const char *domain)
{
	struct policyfile *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	snprintf(file->domain, sizeof(file->domain), "%s", domain);
	file->outbound = demand_default;
	file->inbound = demand_default;
	file->path = strdup(path);
	if (!file->path) {
		free(file);
		return NULL;
	}
	return file;
}

struct policyfile *policyfile_read(
	FILE *in, const char *path, const char *domain, FILE *faults, bool *subdomains)
{
	struct reader reader = {
		.ini = { .in = in, .path = path, .faults = faults },
		.file = file_new(path, domain),
		.section = SECTION_FILE,
	};
	struct policyfile *file = reader.file;

	*subdomains = false;
	if (!file) {
		inifile_fault(&reader.ini, 0, "out of memory");
		return NULL;
	}
	items_read(&reader);
	file->has_outbound = reader.section_lines[SECTION_OUTBOUND] > 0;
	file->has_inbound = reader.section_lines[SECTION_INBOUND] > 0;
	file->outbound_line = reader.seen[SECTION_OUTBOUND][KEY_TLS];
	file->inbound_line = reader.seen[SECTION_INBOUND][KEY_TLS];
	*subdomains = file->subdomains;
	policyfile_check(&reader);
	policyfile_complete(file);
	if (reader.ini.fault_count > 0) {
		policyfile_free(file);
		return NULL;
	}
	return file;
}

void policyfile_free(struct policyfile *file)
{
	if (!file)
		return;
	free(file->path);
	free(file->note);
	free(file->outbound_ca);
	free(file->inbound_ca);
	free(file->outbound.ca);
	free(file->inbound.ca);
	free(file);
}
