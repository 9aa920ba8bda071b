/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CONFIG_SCHEMA_H
#define SEALPOST_CONFIG_SCHEMA_H

/*
 * What the files config*.c share: the schema table (config_schema.c), the parsers of
 * values (config_value.c, config_address.c), the state of a reading (config.c), what each
 * line does to it (config_section.c) and the checks that need the whole file
 * (config_cross.c). Everybody else includes config.h.
 */

#include "config.h"
#include "inifile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONFIG_KEYS = 66,
	CONFIG_TEXT = 512,	  /* octets that the description of a fault may need */
	CONFIG_SECTION_ROOM = 16, /* sections of a kind */
	CONFIG_NAME_MAX = 32,	  /* octets of the NAME of [inbound NAME] */
};

enum config_section {
	SECTION_SERVER,
	SECTION_TLS,
	SECTION_LIMITS,
	SECTION_POLICY,
	SECTION_INBOUND,
	SECTION_OUTBOUND,
	SECTION_IDENTITY,
	CONFIG_SECTIONS,
	SECTION_NONE,	 /* before the first header */
	SECTION_UNKNOWN, /* its header was a fault: its keys are passed over */
};

/*
 * A kind of section. Where `what` is set there may be several, [name NAME], and each is
 * an element of an array in struct config, with a name and a line of its own; else its
 * keys are members of struct config.
 */
struct config_section_kind {
	const char *name;
	const char *what;	   /* "service": no two of these share a NAME */
	bool named;		   /* there is no [name] without a NAME */
	size_t array, size, count; /* offsets of array and number; octets of an element */
	size_t own_name, own_line; /* offsets in an element */
};

enum config_type {
	TYPE_WORD,	  /* one of `words`, kept as its index in an enum */
	TYPE_WORD_TEXT,	  /* one of `words`, kept as text */
	TYPE_NUMBER,	  /* decimal */
	TYPE_NUMBER_AUTO, /* or the word auto, kept as 0 */
	TYPE_TIME,	  /* seconds; or with s, m, h */
	TYPE_SIZE,	  /* octets; or with K, M, G for 1024 of the smaller one */
	TYPE_DOMAIN,
	TYPE_TEXT,
	TYPE_ROUTE,
	TYPE_SOURCE,
	TYPE_RESOLVER,
	TYPE_CERTIFICATE, /* begins a pair; from here on a key may be repeated */
	TYPE_KEY,	  /* ends a pair */
	TYPE_STUB,
	TYPE_LISTEN, /* from here on several values stand in a line, too */
	TYPE_BACKEND,
	TYPE_NETWORK,
	TYPE_INTERFACE,
	TYPE_MECHANISM,
	TYPE_KEYWORD,
	CONFIG_TYPES
};

struct config_key {
	enum config_section section;
	const char *name;
	enum config_type type;
	size_t offset;	    /* of its place in what config_section_at() returns */
	size_t width;	    /* of that place: numbers are unsigned or uint64_t */
	size_t count;	    /* lists: offset of the number of values, an unsigned */
	uint64_t low, high; /* numbers, times and sizes: the range, both ends allowed */
	const char *const *words; /* the last is NULL */
	const char *fallback;	  /* the default as it would be written; NULL: none */
	bool mandatory;
	bool restart; /* a reload cannot change it */
};

extern const struct config_key config_keys[CONFIG_KEYS];
extern const struct config_section_kind config_sections[CONFIG_SECTIONS];

/* How many sections of the kind there are: 1 where there cannot be several. */
unsigned config_section_count(const struct config *config, enum config_section section);

/* Where the keys of the i-th one are kept. */
void *config_section_at(
	const struct config *config, enum config_section section, unsigned i);

/* The key of that name in the section, or NULL. */
const struct config_key *config_key_find(enum config_section section, const char *name);

/* Where the key stands first in the i-th section of its kind, 0: it does not. */
unsigned config_key_line(
	const struct config *config, const struct config_key *key, unsigned i);

/* The key of the section, or the section, that `name` was probably meant for, or NULL. */
const char *config_key_nearest(enum config_section section, const char *name);
const struct config_section_kind *config_section_nearest(const char *name);

enum config_value_status {
	VALUE_OK,
	VALUE_BAD,     /* not of the type, or out of range */
	VALUE_FULL,    /* one value more than there is room for */
	VALUE_NO_PAIR, /* a key without a certificate before it */
	VALUE_NO_KEY,  /* a certificate, and the one before it has no key yet */
	VALUE_NO_MEMORY,
};

/* Sets the key, kept in `base` (see config_section_at()), to a value; adds to a list. */
enum config_value_status config_value_set(
	const struct config_key *key, void *base, const char *value);

/* What would have been right, as the end of a sentence: "not a number from 1 to 9". */
const char *config_value_wanted(const struct config_key *key,
	enum config_value_status status, char text[CONFIG_TEXT]);

/* A parser of values; those of config_address.c, and what they share with the others. */
typedef enum config_value_status config_setter(
	const struct config_key *key, void *base, const char *value);

config_setter config_set_text, config_set_listen, config_set_backend, config_set_network,
	config_set_interface, config_set_route, config_set_source, config_set_resolver,
	config_set_stub;

/* Where the key is kept; of a list: the number of values, the first free place or NULL.
 */
void *config_place(const struct config_key *key, void *base);
unsigned *config_count(const struct config_key *key, void *base);
void *config_element(const struct config_key *key, void *base, size_t size);

/* The index of the word, or -1. */
int config_word_find(const char *const *words, const char *value);

/* Where what was read stands. */
struct config_lines {
	/* Where each section began, 0: it has not. Of several each keeps its own line. */
	unsigned sections[CONFIG_SECTIONS];
	/* Line of a key's first value in the n-th section of its kind, 0: none. */
	unsigned keys[CONFIG_SECTION_ROOM][CONFIG_KEYS];
};

/* One reading of a file. */
struct config_reader {
	struct inifile ini;
	struct config *config;
	enum config_section section;
	unsigned nth; /* of several sections of this kind, from 0 */
};

/* What each item of the file does; faults are told. An empty header is one already. */
void config_section_begin(struct config_reader *reader, const char *header);
void config_key_set(struct config_reader *reader, const char *name, const char *value);

/* Gives the i-th section of the kind its defaults. */
void config_defaults_set(
	struct config_reader *reader, enum config_section section, unsigned i);

/* What only the whole file shows: keys that are missing or contradict each other. */
void config_cross_check(struct config_reader *reader);

#endif
