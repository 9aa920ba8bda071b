/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_BUNDLE_H
#define SEALPOST_BUNDLE_H

/*
 * All that a configuration consists of: its own text, and each file that it names
 * (certificates, keys, credentials, CAs), as octets. The supervisor fills one by reading:
 * whatever it has looked at to find that all is well is in it, and nothing else. Packed,
 * it goes to workers, which open no path; so they have the very octets that were found to
 * be good, whatever becomes of the files.
 *
 * It holds keys: its memory is wiped when it is freed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BUNDLE_REASON = 512,	    /* octets of a reason, its NUL included */
	BUNDLE_FILE_MAX = 16 << 20, /* octets of one file */
	BUNDLE_ENTRIES = 256,
};

struct bundle;

/* An empty one, which reads files when they are asked for. NULL without memory. */
struct bundle *bundle_new(void);

/*
 * The same for what is packed in `fd`, which stays the caller's: it never reads a file.
 * NULL with errno: the descriptor holds no bundle, or no memory.
 */
struct bundle *bundle_unpack(int fd);

void bundle_free(struct bundle *bundle); /* NULL is allowed */

/* Octets with a NUL behind them that does not count; the bundle's. */
struct bundle_octets {
	const uint8_t *at;
	size_t length;
	bool exposed; /* a file that others can read, or change as its group can */
};

/*
 * The octets of the file `path`, a regular one, read at the first time it is asked for;
 * relative paths are as good as ever. False with errno and a reason, "path: cannot be
 * read: …".
 */
bool bundle_read(struct bundle *bundle, const char *path, struct bundle_octets *octets,
	char reason[BUNDLE_REASON]);

/*
 * The same, but read now, and what is read is no file thereafter, only what `name` stands
 * for: what becomes of the file does not matter any more.
 */
bool bundle_read_as(struct bundle *bundle, const char *name, const char *path,
	char reason[BUNDLE_REASON]);

/*
 * What is no file, under a name that no path has ("host mail.lab"): puts it in, copied,
 * in the place of what was there. False without memory.
 */
bool bundle_put(struct bundle *bundle, const char *name, const void *at, size_t length);

/* Puts in all that `from` has and that is no file. False without memory. */
bool bundle_carry(struct bundle *bundle, const struct bundle *from);

/* Whether `name` or path is in it already. */
bool bundle_find(
	const struct bundle *bundle, const char *name, struct bundle_octets *octets);

/* A sealed memory file, close-on-exec. -1 with errno. */
int bundle_pack(const struct bundle *bundle);

/*
 * What the files look like now (inode, size, time of change): another number when one of
 * them was touched, has come or gone. No file is read. The second: what they looked like
 * when they were read.
 */
uint64_t bundle_stamp(const struct bundle *bundle);
uint64_t bundle_stamp_read(const struct bundle *bundle);

#endif
