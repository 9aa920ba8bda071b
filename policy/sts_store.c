/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sts_store.h"

#include "dns_data.h"
#include "sts_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No domain begins with a dot. Behind it stands the number of the process. */
static const char new_prefix[] = ".new.";

struct sts_store {
	int fd; /* of the directory */
	uid_t owner;
	bool writes;
	char new_name[32];
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
	snprintf(store->new_name, sizeof(store->new_name), "%s%ld", new_prefix,
		(long)getpid());
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

/* Half of a file, of a process that is no more. */
static bool is_left_behind(const char *name)
{
	size_t length = sizeof(new_prefix) - 1;
	if (strncmp(name, new_prefix, length) != 0)
		return false;
	long pid = strtol(name + length, NULL, 10);
	return pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
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
		else if (store->writes && is_left_behind(entry->d_name))
			unlinkat(store->fd, entry->d_name, 0);
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

static bool write_new(struct sts_store *store, const char *text, size_t length)
{
	unlinkat(store->fd, store->new_name, 0);
	int fd = openat(store->fd, store->new_name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	bool fine = write_all(fd, text, length) && fsync(fd) == 0;
	int error = errno;
	if (close(fd) != 0 && fine) {
		fine = false;
		error = errno;
	}
	errno = error;
	return fine;
}

bool sts_store_write(
	struct sts_store *store, const char *domain, const char *text, size_t length)
{
	if (write_new(store, text, length) &&
		renameat(store->fd, store->new_name, store->fd, domain) == 0)
		return true;
	int error = errno;
	unlinkat(store->fd, store->new_name, 0);
	errno = error;
	return false;
}

void sts_store_remove(struct sts_store *store, const char *domain)
{
	if (store->writes)
		unlinkat(store->fd, domain, 0);
}
