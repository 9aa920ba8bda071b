/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DIRECTORY_PRIVATE_H
#define SEALPOST_DIRECTORY_PRIVATE_H

/* What the files directory*.c share: single files (directory_file.c), and what they make
 * together (directory.c). */

#include "policyfile.h"

#include <sys/types.h>

/* Where files are read from, and who may own them beside root. */
struct source {
	const char *path;
	uid_t owner;
	int fd;
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
bool version_read(const struct source *source, const char *domain, FILE *faults,
	struct version *version, bool *subdomains);
/* Whether both are there, and say the same. */
bool version_same(const struct version *a, const struct version *b);
void version_free(struct version *version);

#endif
