/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CONFIG_SCHEMA_H
#define SEALPOST_CONFIG_SCHEMA_H

/*
 * What the files config*.c share: the schema table (config_schema.c), the parsers of
 * values (config_value.c), the state of a reading (config.c) and the checks that need the
 * whole file (config_cross.c). Everybody else includes config.h.
 */

#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	CONFIG_KEYS = 38,
	CONFIG_TEXT = 512, /* octets that the description of a fault may need */
};

enum config_section {
	SECTION_SERVER,
	SECTION_TLS,
	SECTION_LIMITS,
	SECTION_INBOUND,
	CONFIG_SECTIONS,
	SECTION_NONE,	 /* before the first header */
	SECTION_UNKNOWN, /* its header was a fault: its keys are passed over */
};

enum config_type {
	TYPE_WORD,	/* one of `words`, kept as its index in an enum */
	TYPE_WORD_TEXT, /* one of `words`, kept as text */
	TYPE_NUMBER,	/* decimal */
	TYPE_TIME,	/* seconds; or with s, m, h */
	TYPE_SIZE,	/* octets; or with K, M, G for 1024 of the smaller one */
	TYPE_DOMAIN,
	TYPE_TEXT,
	TYPE_CERTIFICATE, /* begins a pair; from here on a key may be repeated */
	TYPE_KEY,	  /* ends a pair */
	TYPE_LISTEN,	  /* from here on several values stand in a line, too */
	TYPE_BACKEND,
	TYPE_NETWORK,
	TYPE_MECHANISM,
	CONFIG_TYPES
};

struct config_key {
	enum config_section section;
	const char *name;
	enum config_type type;
	size_t offset; /* of its place in struct config or, [inbound], config_inbound */
	size_t width;  /* of that place: numbers are unsigned or uint64_t */
	uint64_t low, high; /* numbers, times and sizes: the range, both ends allowed */
	const char *const *words; /* the last is NULL */
	const char *fallback;	  /* the default as it would be written; NULL: none */
	bool mandatory;
	bool restart; /* a reload cannot change it */
};

extern const struct config_key config_keys[CONFIG_KEYS];
extern const char *const config_section_names[CONFIG_SECTIONS + 1];

/* The key of that name in the section, or NULL. */
const struct config_key *config_key_find(enum config_section section, const char *name);

/* The key of the section, or the section, that `name` was probably meant for, or NULL. */
const char *config_key_nearest(enum config_section section, const char *name);
const char *config_section_nearest(const char *name);

enum config_value_status {
	VALUE_OK,
	VALUE_BAD,     /* not of the type, or out of range */
	VALUE_FULL,    /* one value more than there is room for */
	VALUE_NO_PAIR, /* a key without a certificate before it */
	VALUE_NO_KEY,  /* a certificate, and the one before it has no key yet */
	VALUE_NO_MEMORY,
};

/* Sets the key in `base` (struct config or, for [inbound], config_inbound) to a value. */
enum config_value_status config_value_set(
	const struct config_key *key, void *base, const char *value);

/* What would have been right, as the end of a sentence: "not a number from 1 to 9". */
const char *config_value_wanted(const struct config_key *key,
	enum config_value_status status, char text[CONFIG_TEXT]);

/* Letters, digits and hyphens between dots, and no address (RFC 1123 §2.1). */
bool config_domain_valid(const char *name);

/* One reading of a file. */
struct config_reader {
	struct config *config;
	const char *path;
	FILE *to; /* the faults */
	unsigned fault_count;
	unsigned line; /* now being read, from 1 */
	enum config_section section;
	/* Where each section began, 0: it has not. [inbound NAME] keeps its own line. */
	unsigned section_lines[CONFIG_SECTIONS];
	/* Line of a key's first value, 0: none. Row 1 + i: inbound[i]; row 0: others. */
	unsigned seen[1 + CONFIG_INBOUND_MAX][CONFIG_KEYS];
};

/* Prints "path:line: message", without the line where it is 0, and counts. */
void config_fault(struct config_reader *reader, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What only the whole file shows: keys that are missing or contradict each other. */
void config_cross_check(struct config_reader *reader);

#endif
