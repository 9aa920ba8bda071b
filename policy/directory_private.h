/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DIRECTORY_PRIVATE_H
#define SEALPOST_DIRECTORY_PRIVATE_H

/* What the files directory*.c share: single files (directory_file.c), what they make
 * together (directory.c), and which of them speaks for a domain (directory_find.c). */

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
	unsigned faults;
	char closed[REQUIREMENT_TEXT]; /* why it could never be read, or "" */
};

/* The file of that name, or NULL. */
struct entry *directory_entry(const struct directory *directory, const char *domain);

/* The first line of `from`, as it may stand in a reply of SMTP; `size` octets of room. */
void directory_line(char *to, size_t size, const char *from);

#endif
