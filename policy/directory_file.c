/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Files are read whole, and what is parsed is what was read: so a file has changed when
 * its octets have, whatever its dates say. Symbolic links are followed; what counts is
 * who can write what is found at their end.
 */

#include "directory_private.h"
#include "sight.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FILE_MAX = REQUIREMENT_CA, /* octets, of a policy file as well */
};

static const char no_memory[] = "out of memory";

static_assert(FILE_MAX == 64 * 1024, "a message says so");

/* Whoever else could write it would decide what is demanded. */
static const char *owner_unfit(const struct source *source, const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != source->owner)
		return "it belongs to another user: chown it to root";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "others than its owner can write it: chmod it go-w";
	return NULL;
}

/* Where it is the rights that are missing, it matters whose. */
static const char *not_opened(struct source *source)
{
	if (errno != EACCES)
		return strerror(errno);
	const struct passwd *user = getpwuid(geteuid());

	snprintf(source->denied, sizeof(source->denied),
		"Permission denied: user %.32s may not read it",
		user ? user->pw_name : "(nameless)");
	return source->denied;
}

const char *source_open(struct source *source, const char *path, uid_t owner)
{
	struct stat st;
	const char *why;

	*source = (struct source){ .path = path, .owner = owner };
	source->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (source->fd < 0)
		return not_opened(source);
	if (fstat(source->fd, &st) != 0)
		why = strerror(errno);
	else
		why = owner_unfit(source, &st);
	if (why)
		source_close(source);
	return why;
}

void source_close(struct source *source)
{
	close(source->fd);
	source->fd = -1;
}

static const char *file_unfit(const struct source *source, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no regular file";
	return owner_unfit(source, &st);
}

/* With a line end put behind them, so that there is always something. */
static const char *octets_read(int fd, char text[FILE_MAX], size_t *length)
{
	*length = 0;
	while (*length < FILE_MAX) {
		ssize_t n = read(fd, text + *length, FILE_MAX - *length);

		if (n < 0 && errno != EINTR)
			return strerror(errno);
		if (n == 0) {
			text[(*length)++] = '\n';
			return NULL;
		}
		*length += n > 0 ? (size_t)n : 0;
	}
	return "it is longer than 64 KiB";
}

/* NULL, or why not. *text is the caller's to free. */
static const char *file_read(
	struct source *source, const char *name, char **text, size_t *length)
{
	char octets[FILE_MAX];
	/* a pipe must not hold us up */
	int fd = openat(source->fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	*text = NULL;
	if (fd < 0)
		return not_opened(source);
	const char *why = file_unfit(source, fd);

	if (!why)
		why = octets_read(fd, octets, length);
	close(fd);
	if (why)
		return why;
	*text = malloc(*length);
	if (!*text)
		return no_memory;
	memcpy(*text, octets, *length);
	return NULL;
}

static const char *ca_unfit(const char *text, size_t length)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";

	if (!memmem(text, length, begin, sizeof(begin) - 1))
		return "there is no certificate in PEM form in it";
	return NULL;
}

static bool ca_read(struct source *source, const struct policyfile *file, const char *ca,
	unsigned line, FILE *faults, struct demand *demand)
{
	char *text;
	size_t length;

	if (!ca)
		return true;
	if (!sight_shows_ca(source->path, ca)) {
		fprintf(faults,
			"%s:%u: ca = %s: the policy process sees no such place: put it "
			"beside the policy files\n",
			file->path, line, ca);
		return false;
	}
	const char *why = file_read(source, ca, &text, &length);

	if (!why)
		why = ca_unfit(text, length);
	if (why) {
		fprintf(faults, "%s:%u: ca = %s: %s\n", file->path, line, ca, why);
		free(text);
		return false;
	}
	demand->ca = (uint8_t *)text;
	demand->ca_length = length;
	return true;
}

/* Without its CAs. */
static struct policyfile *text_parse(const char *path, const char *domain, FILE *faults,
	const struct version *version, bool *subdomains)
{
	FILE *in = fmemopen(version->text, version->length, "r");

	if (!in) {
		fprintf(faults, "%s: cannot be read: %s\n", path, strerror(errno));
		return NULL;
	}
	struct policyfile *file = policyfile_read(in, path, domain, faults, subdomains);

	fclose(in);
	return file;
}

static bool cas_read(struct source *source, struct policyfile *file, FILE *faults)
{
	bool fine = ca_read(source, file, file->outbound_ca, file->outbound_ca_line,
		faults, &file->outbound);

	return ca_read(source, file, file->inbound_ca, file->inbound_ca_line, faults,
		       &file->inbound) &&
	       fine;
}

bool version_read(struct source *source, const char *domain, FILE *faults,
	struct version *version, bool *subdomains)
{
	char *path = NULL;
	const char *name, *why = no_memory;
	bool fine = false;

	*version = (struct version){ .file = NULL };
	*subdomains = false;
	if (asprintf(&path, "%s/%s.policy", source->path, domain) < 0) {
		fprintf(faults, "%s: %s.policy: %s\n", source->path, domain, no_memory);
		return false;
	}
	name = path + strlen(source->path) + 1;
	why = file_read(source, name, &version->text, &version->length);
	if (why)
		fprintf(faults, "%s: cannot be used: %s\n", path, why);
	else
		version->file = text_parse(path, domain, faults, version, subdomains);
	free(path);
	if (version->file)
		fine = cas_read(source, version->file, faults);
	if (!fine)
		version_free(version);
	return fine;
}

static bool ca_unpack(
	const char *ca, const uint8_t *octets, size_t length, struct demand *demand)
{
	if (!ca || length == 0)
		return !ca && length == 0;
	demand->ca = ca_unfit((const char *)octets, length) ? NULL : malloc(length);
	if (!demand->ca)
		return false;
	memcpy(demand->ca, octets, length);
	demand->ca_length = length;
	return true;
}

static bool cas_unpack(const struct packed_version *packed, struct policyfile *file)
{
	return ca_unpack(file->outbound_ca, packed->outbound_ca,
		       packed->outbound_ca_length, &file->outbound) &&
	       ca_unpack(file->inbound_ca, packed->inbound_ca, packed->inbound_ca_length,
		       &file->inbound);
}

bool version_unpack(const char *path, const char *domain,
	const struct packed_version *packed, FILE *faults, struct version *version)
{
	char *name = NULL;
	bool subdomains;

	*version = (struct version){ .text = malloc(packed->length + 1) };
	if (!version->text || asprintf(&name, "%s/%s.policy", path, domain) < 0) {
		version_free(version);
		return false;
	}
	memcpy(version->text, packed->text, packed->length);
	version->length = packed->length;
	version->file = text_parse(name, domain, faults, version, &subdomains);
	free(name);
	if (version->file && cas_unpack(packed, version->file))
		return true;
	version_free(version);
	return false;
}

static bool octets_same(const void *a, size_t a_length, const void *b, size_t b_length)
{
	return a_length == b_length && (a_length == 0 || memcmp(a, b, a_length) == 0);
}

static bool ca_same(const struct demand *a, const struct demand *b)
{
	return octets_same(a->ca, a->ca_length, b->ca, b->ca_length);
}

bool version_same(const struct version *a, const struct version *b)
{
	return a->file && b->file &&
	       octets_same(a->text, a->length, b->text, b->length) &&
	       ca_same(&a->file->outbound, &b->file->outbound) &&
	       ca_same(&a->file->inbound, &b->file->inbound);
}

void version_free(struct version *version)
{
	policyfile_free(version->file);
	free(version->text);
	*version = (struct version){ .file = NULL };
}
