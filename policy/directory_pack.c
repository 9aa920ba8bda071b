/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The last good versions as octets, so that they outlive the process: a mark, the path,
 * the number of files, and of each its domain, its text and its CAs. A number has four
 * octets, the highest first; a string is its length and its octets. What is read was
 * written by a process that is no more, perhaps because it had been taken over: nothing
 * in it is believed that the directory could not have held.
 */

#include "directory.h"

#include "directory_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PACK_FILES = 20000,
	PACK_OCTETS = 64 << 20,
	PACK_PATH = 4096,
	SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL,
};

static const char mark[] = "sealpost policy files 1\n";
static const char suffix[] = ".policy";

/* ---- writing ---- */

static void put_number(FILE *out, size_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		fputc((int)(number >> shift & 0xff), out);
}

static void put(FILE *out, const void *octets, size_t length)
{
	put_number(out, length);
	if (length > 0)
		fwrite(octets, 1, length, out);
}

bool directory_write(const struct directory *directory, FILE *out)
{
	const struct set *set = &directory->set;

	fputs(mark, out);
	put(out, directory->path, strlen(directory->path));
	put_number(out, set->file_count);
	for (size_t i = 0; i < set->count; i++) {
		const struct version *version = &set->entries[i].version;
		const struct policyfile *file = version->file;

		if (!file)
			continue;
		put(out, file->domain, strlen(file->domain));
		put(out, version->text, version->length);
		put(out, file->outbound.ca, file->outbound.ca_length);
		put(out, file->inbound.ca, file->inbound.ca_length);
	}
	if (set->file_count > PACK_FILES || ftello(out) > PACK_OCTETS)
		errno = EFBIG;
	else if (fflush(out) == 0 && !ferror(out))
		return true;
	return false;
}

static bool write_file(const struct directory *directory, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *out = copy >= 0 ? fdopen(copy, "w") : NULL;

	if (!out) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	bool fine = directory_write(directory, out);
	int error = errno;

	fclose(out);
	errno = error;
	return fine;
}

int directory_pack(const struct directory *directory)
{
	if (directory->path[0] == '\0' || directory->closed[0] != '\0') {
		errno = ENOENT;
		return -1;
	}
	int fd = memfd_create("sealpost policy files", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (write_file(directory, fd) && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

/* ---- reading ---- */

/* Gives nothing any more once it has failed. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static const uint8_t *take_octets(struct cursor *cursor, size_t length)
{
	const uint8_t *octets = cursor->at;

	cursor->failed |= length > cursor->left;
	if (cursor->failed)
		return NULL;
	cursor->at += length;
	cursor->left -= length;
	return octets;
}

static size_t take_number(struct cursor *cursor, size_t most)
{
	const uint8_t *octets = take_octets(cursor, 4);
	size_t number = 0;

	for (int i = 0; octets && i < 4; i++)
		number = number << 8 | octets[i];
	cursor->failed |= number > most;
	return cursor->failed ? 0 : number;
}

static const uint8_t *take(struct cursor *cursor, size_t most, size_t *length)
{
	*length = take_number(cursor, most);
	return take_octets(cursor, *length);
}

static bool take_mark(struct cursor *cursor)
{
	const uint8_t *octets = take_octets(cursor, sizeof(mark) - 1);

	return octets && memcmp(octets, mark, sizeof(mark) - 1) == 0;
}

static bool take_path(struct cursor *cursor, const char *path)
{
	size_t length;
	const uint8_t *octets = take(cursor, PACK_PATH, &length);

	return octets && length == strlen(path) && memcmp(octets, path, length) == 0;
}

/* As the name of a file would have it. */
static bool take_domain(struct cursor *cursor, char domain[REQUIREMENT_NAME])
{
	char name[REQUIREMENT_NAME + sizeof(suffix)];
	size_t length;
	const uint8_t *octets = take(cursor, REQUIREMENT_NAME - 1, &length);

	if (!octets || memchr(octets, '\0', length))
		return false;
	memcpy(name, octets, length);
	memcpy(name + length, suffix, sizeof(suffix));
	return policyfile_domain(name, domain);
}

static bool take_entry(
	struct cursor *cursor, const char *path, FILE *faults, struct entry *entry)
{
	struct packed_version packed;

	if (!take_domain(cursor, entry->domain))
		return false;
	packed.text = (const char *)take(cursor, REQUIREMENT_CA, &packed.length);
	packed.outbound_ca = take(cursor, REQUIREMENT_CA, &packed.outbound_ca_length);
	packed.inbound_ca = take(cursor, REQUIREMENT_CA, &packed.inbound_ca_length);
	if (cursor->failed || packed.length == 0 ||
		!version_unpack(path, entry->domain, &packed, faults, &entry->version))
		return false;
	const struct policyfile *file = entry->version.file;

	entry->subdomains = file->subdomains;
	entry->expired = file->expires != 0 && time(NULL) >= file->expires;
	return true;
}

/* In the order in which they are looked for, and none twice. */
static bool take_entries(struct cursor *cursor, const char *path, struct set *set)
{
	size_t count = take_number(cursor, PACK_FILES), length;
	char *text = NULL; /* nobody could mend it */
	FILE *faults = open_memstream(&text, &length);
	bool fine = faults && !cursor->failed && set_reserve(set, count);

	while (fine && set->count < count) {
		struct entry *entry = &set->entries[set->count];

		fine = take_entry(cursor, path, faults, entry) &&
		       (set->count == 0 || strcmp(entry[-1].domain, entry->domain) < 0);
		set->count++;
	}
	if (faults)
		fclose(faults);
	free(text);
	return fine && cursor->left == 0;
}

const char *directory_unpack(
	struct directory *directory, const uint8_t *octets, size_t length)
{
	struct cursor cursor = { .at = octets, .left = length };
	struct set set = { .count = 0 };

	if (!take_mark(&cursor))
		return "that is no set of policy files";
	if (!take_path(&cursor, directory->path))
		return "it is of another directory";
	if (!take_entries(&cursor, directory->path, &set)) {
		set_free(&set);
		return "there is a fault in it";
	}
	set_complete(&set);
	set_free(&directory->set);
	directory->set = set;
	return NULL;
}

static bool read_whole(int fd, uint8_t *octets, size_t length)
{
	for (size_t at = 0; at < length;) {
		ssize_t n = pread(fd, octets + at, length - at, (off_t)at);

		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	return true;
}

const char *directory_take(struct directory *directory, int packed)
{
	struct stat st;

	/* only a memory file has seals: we cannot be kept waiting for it */
	if (fcntl(packed, F_GET_SEALS) < 0 || fstat(packed, &st) != 0 ||
		st.st_size > PACK_OCTETS)
		return "that is no sealed memory";
	uint8_t *octets = malloc((size_t)st.st_size + 1);

	if (!octets)
		return "out of memory";
	const char *why =
		read_whole(packed, octets, (size_t)st.st_size)
			? directory_unpack(directory, octets, (size_t)st.st_size)
			: "it cannot be read";

	free(octets);
	return why;
}
