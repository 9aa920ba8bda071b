/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "stamp.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t mix(uint64_t hash, const void *octets, size_t length)
{
	for (const uint8_t *at = octets; length > 0; at++, length--)
		hash = (hash ^ *at) * 0x100000001b3u;
	return hash;
}

/* Nothing of what is not there. */
static uint64_t file_stamp(int at, const char *name)
{
	struct stat s;
	uint64_t hash = mix(0xcbf29ce484222325u, name, strlen(name));
	if (fstatat(at, name, &s, 0) != 0)
		return hash;
	hash = mix(hash, &s.st_ino, sizeof(s.st_ino));
	hash = mix(hash, &s.st_size, sizeof(s.st_size));
	hash = mix(hash, &s.st_mtim, sizeof(s.st_mtim));
	/* A change of owner or mode may close a file, or open it. */
	return mix(hash, &s.st_ctim, sizeof(s.st_ctim));
}

/* In whatever order the directory has them: a sum. */
uint64_t stamp_take(const char *path, const struct directory *directory)
{
	uint64_t sum = 0;
	DIR *dir = path[0] != '\0' ? opendir(path) : NULL;
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (directory_takes(entry->d_name))
			sum += file_stamp(dirfd(dir), entry->d_name);
	if (dir)
		closedir(dir);
	const struct policyfile *file;
	for (unsigned i = 0; (file = directory_file(directory, i)); i++) {
		if (file->outbound_ca)
			sum += file_stamp(AT_FDCWD, file->outbound_ca);
		if (file->inbound_ca)
			sum += file_stamp(AT_FDCWD, file->inbound_ca);
	}
	return sum;
}

uint64_t stamp_beginning(const struct settings *settings)
{
	bool system = strcmp(settings->resolver, "system") == 0;
	return file_stamp(AT_FDCWD, system ? "/etc/resolv.conf" : "") +
	       file_stamp(AT_FDCWD, settings->trust_anchor) +
	       file_stamp(AT_FDCWD, settings->ca);
}
