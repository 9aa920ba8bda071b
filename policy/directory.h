/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DIRECTORY_H
#define SEALPOST_DIRECTORY_H

/*
 * The policy directory: which file speaks for a domain. A file that cannot be read keeps
 * its last good version, loudly; where there is none it closes its own domain and no
 * other.
 */

#include "policyfile.h"

#include <sys/types.h>

struct directory;

/*
 * Reads every file; faults go to `faults` as "path:line: message". `owner` may own files
 * beside root (the user who runs `demo`); files that others can write are refused. NULL
 * without memory. A directory that cannot be opened is a fault, an empty one is worth a
 * warning. Where it could never be read, every domain is PEER_BROKEN. "" is none: no
 * file, no fault.
 * `packed`: what directory_pack() made in a process before us, whose last good versions
 * are ours then, or -1; stays the caller's.
 */
struct directory *directory_open(const char *path, uid_t owner, int packed, FILE *faults);

/*
 * The last good version of each file in a sealed memory file, close-on-exec. -1 with
 * errno; ENOENT: it could never be read, so that there are none.
 */
int directory_pack(const struct directory *directory);

/* Reads it again. True when anything changed: the generation is then another. */
bool directory_reload(struct directory *directory, FILE *faults);
void directory_close(struct directory *directory); /* NULL is allowed */

uint64_t directory_generation(const struct directory *directory);
unsigned directory_faults(const struct directory *directory); /* of the last reading */

/* Files that are not in force as they stood there then. */
unsigned directory_broken(const struct directory *directory);

/* Whether any file (default.policy included) demands something of clients that come in,
 * or needs their certificates. */
bool directory_demands_inbound(const struct directory *directory);
bool directory_needs_client_certificates(const struct directory *directory);

/*
 * Exact name, then the nearest ancestor with `subdomains = yes`, then default; a file
 * that has expired by `now` counts as absent. A relay (DIRECTION_HOST) falls under the
 * file of its name; without one its certificate must be verified for that name, and an
 * address must encrypt. Fills domain, status (PEER_FINE or PEER_BROKEN), where, text,
 * generation and demand; the CA is copied. `until` is when that ends of itself, seconds
 * since 1970. False without memory.
 */
bool directory_find(const struct directory *directory, enum direction direction,
	const char *domain, int64_t now, struct peer *peer, int64_t *until);

/* For `sealpost policy` and `check`: every file that was taken in. */
unsigned directory_count(const struct directory *directory);
const struct policyfile *directory_file(const struct directory *directory, unsigned i);

/* Whether a file of this name counts. */
bool directory_takes(const char *name);

/* For `check`: a note of each file whose name keeps it from being read, though whoever
 * wrote it may believe that it counts. */
void directory_others(const struct directory *directory, FILE *out);

#endif
