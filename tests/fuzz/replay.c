/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Stands in for libFuzzer: gives a fuzz target every input of its corpus once, as TAP.
 * The corpus of replay_NAME is $srcdir/tests/corpus/NAME unless directories are named.
 */

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATH_SIZE = 4096 };

static bool replay_file(const char *path)
{
	struct stat status;
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	bool done = false;

	if (!file || fstat(fileno(file), &status) != 0)
		goto out;
	/* An array of its very size, so that a sanitizer sees one octet too many. */
	size_t size = (size_t)status.st_size;
	data = malloc(size > 0 ? size : 1);
	if (!data || fread(data, 1, size, file) != size)
		goto out;
	LLVMFuzzerTestOneInput(data, size);
	done = true;
out:
	if (!done)
		printf("# cannot read %s: %s\n", path, strerror(errno));
	free(data);
	if (file)
		fclose(file);
	return done;
}

/* Returns how many inputs were replayed, or -1. */
static int replay_directory(const char *path)
{
	DIR *directory = opendir(path);
	int count = 0;

	if (!directory) {
		printf("# cannot open %s: %s\n", path, strerror(errno));
		return -1;
	}
	for (struct dirent *entry; count >= 0 && (entry = readdir(directory));) {
		char name[PATH_SIZE];
		int length = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		if (length < 0 || (size_t)length >= sizeof(name) || !replay_file(name))
			count = -1;
		else
			count++;
	}
	closedir(directory);
	return count;
}

static bool report(int number, const char *path)
{
	int count = replay_directory(path);

	printf("%sok %d - %s: %d inputs\n", count > 0 ? "" : "not ", number, path, count);
	return count > 0;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	const char *name = strstr(argv[0], "replay_");
	char path[PATH_SIZE];
	bool fine = true;

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			fine = report(i, argv[i]) && fine;
		printf("1..%d\n", argc - 1);
	} else if (name) {
		snprintf(path, sizeof(path), "%s/tests/corpus/%s", srcdir ? srcdir : ".",
			name + strlen("replay_"));
		/* Said first: a crash must show as a missing result. */
		printf("1..1\n");
		fflush(stdout);
		fine = report(1, path);
	} else {
		fprintf(stderr, "replay: which corpus?\n");
		return 2;
	}
	return fine ? 0 : 1;
}
