/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICYFILE_PRIVATE_H
#define SEALPOST_POLICYFILE_PRIVATE_H

/*
 * What the files policyfile*.c share: the schema table and the reading (policyfile.c),
 * the values (policyfile_value.c), and what only the whole file shows
 * (policyfile_check.c).
 */

#include "inifile.h"
#include "policyfile.h"

enum section {
	SECTION_FILE, /* before the first header */
	SECTION_OUTBOUND,
	SECTION_INBOUND,
	SECTIONS,
	SECTION_UNKNOWN, /* its header was a fault: its keys are passed over */
};

enum key_id {
	KEY_SUBDOMAINS,
	KEY_EXPIRES,
	KEY_NOTE,
	KEY_TLS,
	KEY_MATCH,
	KEY_MX,
	KEY_FINGERPRINT,
	KEY_CA,
	KEY_PROTOCOLS,
	KEY_DANE,
	KEY_MTA_STS,
	KEY_ON_FAILURE,
	KEY_IDENTITY,
	KEYS
};

/* One reading of a file. */
struct reader {
	struct inifile ini;
	struct policyfile *file;
	enum section section;
	unsigned section_lines[SECTIONS]; /* where each began, 0: it has not */
	unsigned seen[SECTIONS][KEYS];	  /* line of a key's first value, 0: none */
	bool level_known[SECTIONS];
	char wanted[160]; /* room for a setter's answer */
};

struct policyfile_key {
	const char *name;
	unsigned sections; /* 1 << enum section of each that has it */
	bool list;	   /* may be repeated, and several values stand in a line */
	/* NULL; or why not, as the end of a sentence: "not a day such as 2027-01-31". */
	const char *(*set)(struct reader *reader, const struct policyfile_key *key,
		const char *value);
	size_t offset;		  /* set_word: in the file (SECTION_FILE) or its demand */
	const char *const *words; /* set_word: the last is NULL */
};

extern const struct policyfile_key policyfile_keys[KEYS];
extern const char *const policyfile_section_names[SECTIONS];

/* The demand of the section that is being read. */
struct demand *policyfile_demand(struct reader *reader);

const char *policyfile_set_word(
	struct reader *reader, const struct policyfile_key *key, const char *value);
const char *policyfile_set_day(
	struct reader *reader, const struct policyfile_key *key, const char *value);
const char *policyfile_set_note(
	struct reader *reader, const struct policyfile_key *key, const char *value);
const char *policyfile_set_level(
	struct reader *reader, const struct policyfile_key *key, const char *value);
const char *policyfile_set_match(
	struct reader *reader, const struct policyfile_key *key, const char *value);
const char *policyfile_set_mx(
	struct reader *reader, const struct policyfile_key *key, const char *value);
const char *policyfile_set_fingerprint(
	struct reader *reader, const struct policyfile_key *key, const char *value);
const char *policyfile_set_ca(
	struct reader *reader, const struct policyfile_key *key, const char *value);
const char *policyfile_set_identity(
	struct reader *reader, const struct policyfile_key *key, const char *value);

/* Keys that are missing or contradict each other. */
void policyfile_check(struct reader *reader);

/* What stands where nothing was written. Behind the check. */
void policyfile_complete(struct policyfile *file);

#endif
