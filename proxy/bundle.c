/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Packed, a bundle is a head and then, for each entry, a head, its name and its octets.
 * Not by stdio: its buffers would keep what was read.
 */

#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT32_C(0x5370b001)

enum {
	NAME = 4096, /* octets of a name or path */
};

/* What a file looks like from outside. */
struct look {
	uint64_t device, inode, size;
	int64_t seconds, nanoseconds;
};

struct entry {
	char *name;
	uint8_t *at;
	size_t length;
	bool file, exposed;
	struct look look; /* of a file, when it was read */
};

struct bundle {
	bool unpacked; /* reads no file */
	unsigned count;
	struct entry entries[BUNDLE_ENTRIES];
};

struct bundle *bundle_new(void)
{
	return calloc(1, sizeof(struct bundle));
}

static void entry_clear(struct entry *e)
{
	if (e->at)
		explicit_bzero(e->at, e->length);
	free(e->at);
	free(e->name);
	*e = (struct entry){ .name = NULL };
}

void bundle_free(struct bundle *bundle)
{
	if (!bundle)
		return;
	for (unsigned i = 0; i < bundle->count; i++)
		entry_clear(&bundle->entries[i]);
	free(bundle);
}

/* ---- entries ---- */

/* Its index, or their number where there is none. */
static unsigned find(const struct bundle *bundle, const char *name)
{
	unsigned i = 0;

	while (i < bundle->count && strcmp(bundle->entries[i].name, name) != 0)
		i++;
	return i;
}

bool bundle_find(
	const struct bundle *bundle, const char *name, struct bundle_octets *octets)
{
	unsigned i = find(bundle, name);

	if (i == bundle->count)
		return false;
	const struct entry *e = &bundle->entries[i];

	*octets = (struct bundle_octets){ e->at, e->length, e->exposed };
	return true;
}

/* Takes the entry over, in the place of the one of that name; clears it on failure. */
static bool keep(struct bundle *bundle, struct entry *e)
{
	unsigned i = e->name ? find(bundle, e->name) : BUNDLE_ENTRIES;

	if (i == BUNDLE_ENTRIES) {
		errno = e->name ? ENOSPC : ENOMEM;
		entry_clear(e);
		return false;
	}
	if (i == bundle->count)
		bundle->count++;
	entry_clear(&bundle->entries[i]);
	bundle->entries[i] = *e;
	return true;
}

/* Room for that many octets and the NUL behind them. */
static uint8_t *make_room(size_t length)
{
	uint8_t *at = malloc(length + 1);

	if (at)
		at[length] = '\0';
	return at;
}

bool bundle_put(struct bundle *bundle, const char *name, const void *at, size_t length)
{
	struct entry e = { .at = make_room(length), .length = length };

	if (!e.at)
		return false;
	memcpy(e.at, at, length);
	e.name = strdup(name);
	return keep(bundle, &e);
}

bool bundle_carry(struct bundle *bundle, const struct bundle *from)
{
	for (unsigned i = 0; i < from->count; i++) {
		const struct entry *e = &from->entries[i];

		if (!e->file && !bundle_put(bundle, e->name, e->at, e->length))
			return false;
	}
	return true;
}

/* ---- files ---- */

static struct look look_of(const struct stat *st)
{
	return (struct look){ st->st_dev, st->st_ino, (uint64_t)st->st_size,
		st->st_ctim.tv_sec, st->st_ctim.tv_nsec };
}

/* Whether it is one to be read; else errno. */
static bool is_fit(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		errno = EISDIR;
	else if (!S_ISREG(st->st_mode))
		errno = ENOTSUP;
	else if (st->st_size > BUNDLE_FILE_MAX)
		errno = EFBIG;
	else
		return true;
	return false;
}

/* As many octets as it had; EBUSY where it has become shorter. */
static bool fill(int fd, uint8_t *at, size_t length)
{
	while (length > 0) {
		ssize_t n = read(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EBUSY;
		if (n <= 0)
			return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

static bool take_file(struct entry *e, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !is_fit(&st))
		return false;
	e->look = look_of(&st);
	e->exposed = (st.st_mode & (S_IRWXO | S_IWGRP)) != 0;
	e->length = (size_t)st.st_size;
	e->at = make_room(e->length);
	return e->at && fill(fd, e->at, e->length);
}

static bool read_file(struct entry *e, const char *path)
{
	/* not to wait where it is a fifo */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return false;
	bool fine = take_file(e, fd);
	int error = errno;

	close(fd);
	if (!fine)
		entry_clear(e);
	errno = error;
	return fine;
}

static const char *why(int error)
{
	switch (error) {
	case ENOTSUP: return "not a regular file";
	case ENOSPC: return "too many files";
	case EBUSY: return "it is being written";
	default: return strerror(error);
	}
}

/* Where it is the rights that are missing, it matters whose. */
static void tell(const char *path, int error, char reason[BUNDLE_REASON])
{
	const struct passwd *user = error == EACCES ? getpwuid(geteuid()) : NULL;

	if (user)
		snprintf(reason, BUNDLE_REASON,
			"%s: cannot be read: Permission denied: user %s may not read it",
			path, user->pw_name);
	else
		snprintf(reason, BUNDLE_REASON, "%s: cannot be read: %s", path,
			why(error));
}

/* Reads `path` as the entry `name`. */
static bool add_file(struct bundle *bundle, const char *name, const char *path, bool file,
	char reason[BUNDLE_REASON])
{
	struct entry e = { .file = file };

	if (bundle->unpacked)
		errno = ENOENT;
	else if (read_file(&e, path)) {
		e.name = strdup(name);
		if (keep(bundle, &e))
			return true;
	}
	int error = errno;

	tell(path, error, reason);
	errno = error;
	return false;
}

bool bundle_read(struct bundle *bundle, const char *path, struct bundle_octets *octets,
	char reason[BUNDLE_REASON])
{
	return bundle_find(bundle, path, octets) ||
	       (add_file(bundle, path, path, true, reason) &&
		       bundle_find(bundle, path, octets));
}

bool bundle_read_as(struct bundle *bundle, const char *name, const char *path,
	char reason[BUNDLE_REASON])
{
	return add_file(bundle, name, path, false, reason);
}

/* ---- whether files were touched ---- */

/* FNV-1a. */
static uint64_t mix(uint64_t stamp, uint64_t value)
{
	for (unsigned i = 0; i < sizeof(value); i++, value >>= 8)
		stamp = (stamp ^ (value & 0xff)) * UINT64_C(0x100000001b3);
	return stamp;
}

static uint64_t mix_look(uint64_t stamp, const struct look *look)
{
	const uint64_t values[] = { look->device, look->inode, look->size,
		(uint64_t)look->seconds, (uint64_t)look->nanoseconds };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		stamp = mix(stamp, values[i]);
	return stamp;
}

static uint64_t stamp(const struct bundle *bundle, bool now)
{
	uint64_t stamp = UINT64_C(0xcbf29ce484222325);
	struct stat st;

	for (unsigned i = 0; i < bundle->count; i++) {
		const struct entry *e = &bundle->entries[i];
		struct look look = e->look;

		if (!e->file)
			continue;
		if (now)
			look = stat(e->name, &st) == 0 ? look_of(&st)
						       : (struct look){ .size = 0 };
		stamp = mix_look(stamp, &look);
	}
	return stamp;
}

uint64_t bundle_stamp(const struct bundle *bundle)
{
	return stamp(bundle, true);
}

uint64_t bundle_stamp_read(const struct bundle *bundle)
{
	return stamp(bundle, false);
}

/* ---- packed ---- */

struct head {
	uint32_t magic, count;
};

struct entry_head {
	uint32_t name, length; /* octets of the two that follow */
	uint32_t exposed;
};

static bool write_all(int fd, const void *from, size_t length)
{
	const uint8_t *at = from;

	while (length > 0) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

static bool write_entry(int fd, const struct entry *e)
{
	const struct entry_head head = { (uint32_t)strlen(e->name), (uint32_t)e->length,
		e->exposed };

	return write_all(fd, &head, sizeof(head)) && write_all(fd, e->name, head.name) &&
	       write_all(fd, e->at, e->length);
}

static bool write_bundle(int fd, const struct bundle *bundle)
{
	const struct head head = { MAGIC, bundle->count };
	bool fine = write_all(fd, &head, sizeof(head));

	for (unsigned i = 0; i < bundle->count && fine; i++)
		fine = write_entry(fd, &bundle->entries[i]);
	return fine;
}

int bundle_pack(const struct bundle *bundle)
{
	int fd = memfd_create("sealpost bundle", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (write_bundle(fd, bundle) &&
		fcntl(fd, F_ADD_SEALS,
			F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

/* What is packed, up to where it is read; the offset of the descriptor is others', too.
 */
struct packed {
	int fd;
	uint64_t at, size;
};

static bool take(struct packed *packed, void *to, size_t length)
{
	uint8_t *at = to;

	if (length > packed->size - packed->at) {
		errno = EINVAL;
		return false;
	}
	while (length > 0) {
		ssize_t n = pread(packed->fd, at, length, (off_t)packed->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EINVAL;
		if (n <= 0)
			return false;
		at += n;
		length -= (size_t)n;
		packed->at += (uint64_t)n;
	}
	return true;
}

/* In memory of their own; NULL with errno. */
static void *take_octets(struct packed *packed, size_t length)
{
	if (length > packed->size - packed->at) {
		errno = EINVAL; /* before there is memory for it */
		return NULL;
	}
	uint8_t *at = make_room(length);

	if (at && take(packed, at, length))
		return at;
	int error = errno;

	free(at);
	errno = error;
	return NULL;
}

static bool take_entry(struct packed *packed, struct bundle *bundle)
{
	struct entry e = { .name = NULL };
	struct entry_head head;

	if (!take(packed, &head, sizeof(head)))
		return false;
	if (head.name > NAME || head.length > BUNDLE_FILE_MAX || head.exposed > 1) {
		errno = EINVAL;
		return false;
	}
	e.name = take_octets(packed, head.name);
	if (e.name)
		e.at = take_octets(packed, head.length);
	if (!e.at) {
		free(e.name);
		return false;
	}
	e.exposed = head.exposed;
	e.length = head.length;
	if (strlen(e.name) == head.name && find(bundle, e.name) == bundle->count)
		return keep(bundle, &e);
	entry_clear(&e);
	errno = EINVAL;
	return false;
}

static bool take_bundle(struct packed *packed, struct bundle *bundle)
{
	struct head head;

	if (!take(packed, &head, sizeof(head)))
		return false;
	bool known = head.magic == MAGIC && head.count <= BUNDLE_ENTRIES;

	for (uint32_t i = 0; known && i < head.count; i++) {
		if (!take_entry(packed, bundle))
			return false;
	}
	if (known && packed->at == packed->size)
		return true;
	errno = EINVAL;
	return false;
}

struct bundle *bundle_unpack(int fd)
{
	struct packed packed = { .fd = fd };
	struct stat st;

	if (fstat(fd, &st) != 0)
		return NULL;
	packed.size = (uint64_t)st.st_size;
	struct bundle *bundle = bundle_new();

	if (!bundle)
		return NULL;
	bundle->unpacked = true;
	if (take_bundle(&packed, bundle))
		return bundle;
	int error = errno;

	bundle_free(bundle);
	errno = error;
	return NULL;
}
