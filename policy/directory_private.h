/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DIRECTORY_PRIVATE_H
#define SEALPOST_DIRECTORY_PRIVATE_H

/* What the files directory*.c share: single files (directory_file.c), what they make
 * together (directory.c), which of them speaks for a domain (directory_find.c), what has
 * become weaker (directory_compare.c), and what outlives us (directory_pack.c). */

#include "policyfile.h"

#include <sys/types.h>

/* Where files are read from, and who may own them beside root. */
struct source {
	const char *path;
	uid_t owner;
	int fd;
	char denied[80]; /* the last that we were not allowed to open */
};

/* NULL, or why this directory must not be used. */
const char *source_open(struct source *source, const char *path, uid_t owner);
void source_close(struct source *source);

/* A policy file, and the octets that it was made from. */
struct version {
	struct policyfile *file; /* NULL: there is none */
	char *text;
	size_t length;
};

/*
 * Reads DOMAIN.policy, and the CAs that it names. Where that fails, the faults go to
 * `faults` and the version is empty. `subdomains` as in policyfile_read().
 */
bool version_read(struct source *source, const char *domain, FILE *faults,
	struct version *version, bool *subdomains);

/* Octets that a version was made from, as directory_pack.c has them; a length of 0 is no
 * CA. */
struct packed_version {
	const char *text;
	const uint8_t *outbound_ca, *inbound_ca;
	size_t length, outbound_ca_length, inbound_ca_length;
};

/* The version once more, by the same rules as when it was read from the directory at
 * `path`. */
bool version_unpack(const char *path, const char *domain,
	const struct packed_version *packed, FILE *faults, struct version *version);

/* Whether both are there, and say the same. */
bool version_same(const struct version *a, const struct version *b);
void version_free(struct version *version);

/* ---- all of them ---- */

/* A file name, and what is known of it. */
struct entry {
	char domain[REQUIREMENT_NAME];
	struct version version;	      /* the last good one */
	char fault[REQUIREMENT_TEXT]; /* why what is there now is no good, or "" */
	bool subdomains;	      /* of what is there now, as far as it is known */
	bool expired;		      /* by the time it was read */
	bool lent; /* the version: to the set that comes after this one */
};

/* By domain. */
struct set {
	struct entry *entries;
	size_t count;
	const struct policyfile **files; /* those of the entries that have one */
	unsigned file_count;
};

struct directory {
	char *path;
	uid_t owner;
	struct set set;
	uint64_t generation;
	int64_t read_at; /* seconds since 1970 */
	unsigned faults;
	char closed[REQUIREMENT_TEXT]; /* why it could never be read, or "" */
};

/* With room for so many entries. False without memory. */
bool set_reserve(struct set *set, size_t count);
/* Entries are there: their order, and their files. */
void set_complete(struct set *set);
void set_free(struct set *set);

/* Octets, as of directory_pack(): false where these cannot be. */
bool directory_write(const struct directory *directory, FILE *out);

/*
 * The set that they stand for, if it is of the directory's path. All or nothing: where
 * one file were missing, its domain would be left to what is demanded of others. NULL, or
 * why not.
 */
const char *directory_unpack(
	struct directory *directory, const uint8_t *octets, size_t length);

/* directory_unpack() of what directory_pack() made. */
const char *directory_take(struct directory *directory, int packed);

/* The file of that name, or NULL. */
struct entry *directory_entry(const struct set *set, const char *domain);

/* The one that decides for `domain`, or for a name below it that has no file nearer;
 * NULL: none does. */
const struct entry *directory_decider(const struct set *set, enum direction direction,
	const char *domain, int64_t now, bool below);

/* A line on `to` for each thing in which `after`, read at `now`, demands less of a domain
 * than what was in force, or something else. */
void directory_compare(const struct directory *directory, const struct set *after,
	int64_t now, FILE *to);

/* The first line of `from`, as it may stand in a reply of SMTP; `size` octets of room. */
void directory_line(char *to, size_t size, const char *from);

#endif
