/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sts_store.h"

#include "dns_data.h"
#include "sts_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A file that is being written: no domain begins with a dot. Behind it stand 16 digits
 * that nobody has had before; it is locked until it has its domain's name, which shows
 * other processes that it has not been left behind.
 */
static const char new_prefix[] = ".new.";

enum { NEW_DIGITS = 16, NEW_NAME = sizeof(new_prefix) + NEW_DIGITS };

struct sts_store {
	int fd; /* of the directory; locked where a file is put in a domain's place, or
		   found to be old and removed */
	uid_t owner;
	bool writes;
};

/* ---- its life ---- */

static struct sts_store *cannot(struct sts_store *store, char *reason, size_t size,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

static struct sts_store *cannot(
	struct sts_store *store, char *reason, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, size, format, arguments);
	va_end(arguments);
	sts_store_close(store);
	return NULL;
}

void sts_store_close(struct sts_store *store)
{
	if (store && store->fd >= 0)
		close(store->fd);
	free(store);
}

/* Whoever may write to it could have us believe anything. */
static const char *distrust(const struct sts_store *store, const struct stat *s)
{
	if ((s->st_mode & 022) != 0)
		return "others than its owner may write to it";
	if (store->writes && s->st_uid != geteuid())
		return "it belongs to somebody else";
	return NULL;
}

struct sts_store *sts_store_open(
	const char *directory, bool writes, char *reason, size_t size)
{
	struct sts_store *store = calloc(1, sizeof(*store));
	struct stat s;
	char path[4096 + sizeof("/mta-sts")];
	if (!store)
		return cannot(store, reason, size, "out of memory");
	store->writes = writes;
	snprintf(path, sizeof(path), "%s/mta-sts", directory);
	if (writes && mkdir(path, 0700) != 0 && errno != EEXIST) {
		store->fd = -1;
		return cannot(
			store, reason, size, "cannot make %s: %s", path, strerror(errno));
	}
	store->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (store->fd < 0 && errno == ENOENT)
		return cannot(store, reason, size, "%s", "");
	if (store->fd < 0 || fstat(store->fd, &s) != 0)
		return cannot(
			store, reason, size, "cannot read %s: %s", path, strerror(errno));
	if (distrust(store, &s))
		return cannot(store, reason, size, "%s: %s", path, distrust(store, &s));
	store->owner = s.st_uid;
	/* Whoever can open it can lock it for as long as he likes. */
	if (writes && (s.st_mode & 077) != 0)
		fchmod(store->fd, 0700);
	return store;
}

/* ---- reading ---- */

static const char *read_file(int fd, char text[STS_FILE], size_t *length)
{
	ssize_t n;
	*length = 0;
	while ((n = read(fd, text + *length, STS_FILE - *length)) > 0)
		*length += (size_t)n;
	if (n < 0)
		return strerror(errno);
	return *length < STS_FILE ? NULL : "it is too long";
}

static const char *open_file(struct sts_store *store, const char *name, int *fd)
{
	struct stat s;
	*fd = openat(store->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &s) != 0)
		return strerror(errno);
	if (!S_ISREG(s.st_mode))
		return "it is no file";
	if (s.st_uid != store->owner)
		return "it belongs to somebody else";
	return (s.st_mode & 022) == 0 ? NULL : "others than its owner may write to it";
}

static void load(struct sts_store *store, const char *name,
	void (*each)(const struct sts_found *, void *), void *context)
{
	struct sts sts;
	char text[STS_FILE];
	int fd;
	struct sts_found found = { .domain = name, .sts = &sts, .text = text };
	found.fault = open_file(store, name, &fd);
	if (!found.fault)
		found.fault = read_file(fd, text, &found.length);
	if (!found.fault &&
		!(dns_is_host(name) && sts_text_read(text, found.length, name, &sts)))
		found.fault = "it is damaged";
	if (fd >= 0)
		close(fd);
	each(&found, context);
}

/* Half of a file, of a process that is no more, if nobody has it locked. */
static void remove_left_behind(struct sts_store *store, const char *name)
{
	size_t length = sizeof(new_prefix) - 1;
	if (strncmp(name, new_prefix, length) != 0 ||
		strspn(name + length, "0123456789abcdef") != NEW_DIGITS ||
		name[NEW_NAME - 1] != '\0')
		return;
	int fd = openat(store->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(store->fd, name, 0);
	close(fd);
}

void sts_store_load(struct sts_store *store,
	void (*each)(const struct sts_found *found, void *context), void *context)
{
	int fd = dup(store->fd);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir && fd >= 0)
		close(fd);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_name[0] != '.')
			load(store, entry->d_name, each, context);
		else if (store->writes)
			remove_left_behind(store, entry->d_name);
	}
	if (dir)
		closedir(dir);
}

/* ---- writing ---- */

static bool write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		length -= (size_t)n;
	}
	return true;
}

/* A new file of that name, locked; -1 with errno. */
static int create(struct sts_store *store, char name[NEW_NAME])
{
	uint64_t number;
	struct stat s;
	for (;;) {
		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			return -1;
		snprintf(name, NEW_NAME, "%s%016" PRIx64, new_prefix, number);
		int fd = openat(store->fd, name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		/* Where nothing can be locked nothing is found to be left behind. */
		flock(fd, LOCK_EX);
		if (fstat(fd, &s) != 0 || s.st_nlink > 0)
			return fd;
		close(fd); /* somebody was quicker, and took it for that */
	}
}

/* In its domain's place at once, or never. */
static bool put(struct sts_store *store, const char *name, const char *domain)
{
	flock(store->fd, LOCK_EX);
	bool fine = renameat(store->fd, name, store->fd, domain) == 0;
	int error = errno;
	flock(store->fd, LOCK_UN);
	errno = error;
	return fine;
}

bool sts_store_write(
	struct sts_store *store, const char *domain, const char *text, size_t length)
{
	char name[NEW_NAME];
	int fd = create(store, name);
	if (fd < 0)
		return false;
	bool fine =
		write_all(fd, text, length) && fsync(fd) == 0 && put(store, name, domain);
	int error = errno;
	if (!fine)
		unlinkat(store->fd, name, 0);
	close(fd);
	errno = error;
	return fine;
}

void sts_store_remove(
	struct sts_store *store, const char *domain, const char *text, size_t length)
{
	char found[STS_FILE];
	size_t found_length;
	int fd;
	if (!store->writes)
		return;
	flock(store->fd, LOCK_EX);
	if (!open_file(store, domain, &fd) && !read_file(fd, found, &found_length) &&
		found_length == length && memcmp(found, text, length) == 0)
		unlinkat(store->fd, domain, 0);
	if (fd >= 0)
		close(fd);
	flock(store->fd, LOCK_UN);
}
