/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Landlock, for which libc has no functions yet. */

#include "sandbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Younger than the headers of Debian 12. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#endif

static const uint64_t reading =
	LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE |
				LANDLOCK_ACCESS_FS_REMOVE_FILE |
				LANDLOCK_ACCESS_FS_MAKE_REG |
				LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_TRUNCATE;

/* All that the kernel can refuse; its first version had less. */
static uint64_t all_rights(int version)
{
	uint64_t rights = (UINT64_C(1) << 13) - 1;
	if (version >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return rights;
}

/* Who is not there needs no right. */
static bool allow(int ruleset, const char *path, uint64_t rights)
{
	struct stat status;
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
	bool directory = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
	const struct landlock_path_beneath_attr rule = {
		.allowed_access =
			directory ? rights : rights & LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = fd,
	};
	bool allowed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
			       &rule, 0) == 0;
	close(fd);
	return allowed;
}

static bool allow_all(int ruleset, const char *const *paths, uint64_t rights)
{
	bool fine = true;
	for (; paths && *paths && fine; paths++)
		fine = **paths == '\0' || allow(ruleset, *paths, rights);
	return fine;
}

bool sandbox_confine(
	const struct sandbox_paths *paths, bool *confined, char *reason, size_t size)
{
	*confined = !SANDBOX_FILTERS; /* it was not wanted */
	if (!SANDBOX_FILTERS)
		return true;
	long version = syscall(
		SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	*confined = version > 0;
	if (!*confined)
		return true;
	uint64_t rights = all_rights((int)version);
	const struct landlock_ruleset_attr attributes = { .handled_access_fs = rights };
	int ruleset = (int)syscall(
		SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
	bool fine = ruleset >= 0 && allow_all(ruleset, paths->read, rights & reading) &&
		    allow_all(ruleset, paths->write, rights & (reading | writing)) &&
		    syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	if (!fine)
		snprintf(reason, size, "cannot give up the file system (Landlock): %s",
			strerror(errno));
	if (ruleset >= 0)
		close(ruleset);
	return fine;
}
