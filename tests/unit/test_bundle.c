/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* The tests run in a directory of their own, where the files are "f" and "g". */
static int world_make(void **state)
{
	static char name[] = "/tmp/sealpost-bundle-XXXXXX";

	*state = name;
	return mkdtemp(name) != NULL && chdir(name) == 0 ? 0 : -1;
}

static int world_remove(void **state)
{
	unlink("f");
	unlink("g");
	return rmdir(*state);
}

static void file_write(const char *name, const char *text, mode_t mode)
{
	FILE *out = fopen(name, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(name, mode), 0);
}

static void assert_has(const struct bundle *bundle, const char *name, const char *text)
{
	struct bundle_octets octets;

	assert_true(bundle_find(bundle, name, &octets));
	assert_int_equal(octets.length, strlen(text));
	assert_string_equal((const char *)octets.at, text);
}

static void read_fine(struct bundle *bundle, const char *path)
{
	struct bundle_octets octets;
	char reason[BUNDLE_REASON] = "";

	assert_true(bundle_read(bundle, path, &octets, reason));
	assert_string_equal(reason, "");
}

/* A file is read once. */
static void test_read(void **state)
{
	struct bundle *bundle = bundle_new();
	struct bundle_octets octets;

	(void)state;
	assert_false(bundle_find(bundle, "f", &octets));
	file_write("f", "one", 0600);
	file_write("g", "", 0600);
	read_fine(bundle, "f");
	read_fine(bundle, "g");
	file_write("f", "two", 0600);
	read_fine(bundle, "f");
	assert_has(bundle, "f", "one");
	assert_has(bundle, "g", "");
	bundle_free(bundle);
}

static void assert_unreadable(const char *path, int error, const char *expected)
{
	struct bundle *bundle = bundle_new();
	struct bundle_octets octets;
	char reason[BUNDLE_REASON];

	assert_false(bundle_read(bundle, path, &octets, reason));
	assert_int_equal(errno, error);
	assert_string_equal(reason, expected);
	assert_false(bundle_find(bundle, path, &octets));
	bundle_free(bundle);
}

static void test_unreadable(void **state)
{
	(void)state;
	unlink("f");
	assert_unreadable("f", ENOENT, "f: cannot be read: No such file or directory");
	assert_unreadable("/", EISDIR, "/: cannot be read: Is a directory");
	assert_int_equal(mkfifo("f", 0600), 0);
	assert_unreadable("f", ENOTSUP, "f: cannot be read: not a regular file");
	unlink("f");
	file_write("f", "", 0600);
	assert_int_equal(truncate("f", BUNDLE_FILE_MAX + 1), 0);
	assert_unreadable("f", EFBIG, "f: cannot be read: File too large");
}

static void test_exposed(void **state)
{
	static const struct {
		mode_t mode;
		bool exposed;
	} cases[] = {
		{ 0600, false },
		{ 0640, false },
		{ 0660, true },
		{ 0604, true },
		{ 0602, true },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bundle *bundle = bundle_new();
		struct bundle_octets octets;

		file_write("f", "x", cases[i].mode);
		read_fine(bundle, "f");
		assert_true(bundle_find(bundle, "f", &octets));
		assert_int_equal(octets.exposed, cases[i].exposed);
		bundle_free(bundle);
	}
}

static void test_put(void **state)
{
	struct bundle *bundle = bundle_new();
	char name[16];

	(void)state;
	assert_true(bundle_put(bundle, "host a", "1", 1));
	assert_true(bundle_put(bundle, "host a", "22", 2));
	assert_has(bundle, "host a", "22");
	for (unsigned i = 1; i < BUNDLE_ENTRIES; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_true(bundle_put(bundle, name, "x", 1));
	}
	assert_false(bundle_put(bundle, "one more", "x", 1));
	assert_true(bundle_put(bundle, "host a", "3", 1));
	assert_has(bundle, "host a", "3");
	bundle_free(bundle);
}

/* What is no file goes over to the next, which reads the files anew. */
static void test_carry(void **state)
{
	struct bundle *old = bundle_new(), *new = bundle_new();
	struct bundle_octets octets;
	char reason[BUNDLE_REASON];

	(void)state;
	file_write("f", "one", 0600);
	file_write("g", "text", 0600);
	read_fine(old, "f");
	assert_true(bundle_put(old, "ticket key", "k", 1));
	assert_true(bundle_read_as(old, "configuration", "g", reason));
	file_write("f", "two", 0600);
	assert_true(bundle_carry(new, old));
	assert_has(new, "ticket key", "k");
	assert_has(new, "configuration", "text");
	assert_false(bundle_find(new, "f", &octets));
	read_fine(new, "f");
	assert_has(new, "f", "two");
	bundle_free(old);
	bundle_free(new);
}

static void test_stamp(void **state)
{
	struct bundle *bundle = bundle_new();
	char reason[BUNDLE_REASON];

	(void)state;
	file_write("f", "one", 0600);
	file_write("g", "one", 0600);
	read_fine(bundle, "f");
	assert_true(bundle_put(bundle, "host a", "1", 1));
	assert_true(bundle_read_as(bundle, "configuration", "g", reason));
	uint64_t read = bundle_stamp_read(bundle);

	assert_true(bundle_stamp(bundle) == read);
	unlink("g");
	assert_true(bundle_stamp(bundle) == read);
	/* as long, and at the same time: it is another file */
	file_write("g", "two", 0600);
	assert_int_equal(rename("g", "f"), 0);
	uint64_t renamed = bundle_stamp(bundle);

	assert_true(renamed != read);
	unlink("f");
	uint64_t gone = bundle_stamp(bundle);

	assert_true(gone != read && gone != renamed);
	assert_true(bundle_stamp_read(bundle) == read);
	bundle_free(bundle);
}

/* ---- packed ---- */

static void test_pack(void **state)
{
	struct bundle *bundle = bundle_new();
	struct bundle_octets octets;
	char reason[BUNDLE_REASON];

	(void)state;
	file_write("f", "key", 0644);
	file_write("g", "", 0600);
	read_fine(bundle, "f");
	read_fine(bundle, "g");
	assert_true(bundle_put(bundle, "host a", "10.0.0.1", 8));
	int fd = bundle_pack(bundle);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	bundle_free(bundle);
	bundle = bundle_unpack(fd);
	assert_non_null(bundle);
	assert_has(bundle, "f", "key");
	assert_has(bundle, "g", "");
	assert_has(bundle, "host a", "10.0.0.1");
	assert_true(bundle_read(bundle, "f", &octets, reason));
	assert_true(octets.exposed);
	assert_false(bundle_read(bundle, "/etc/passwd", &octets, reason));
	assert_string_equal(
		reason, "/etc/passwd: cannot be read: No such file or directory");
	bundle_free(bundle);
	/* the next worker has the same descriptor */
	bundle = bundle_unpack(fd);
	assert_non_null(bundle);
	bundle_free(bundle);
	close(fd);
}

static void assert_nonsense(const void *octets, size_t size)
{
	int fd = memfd_create("nonsense", MFD_CLOEXEC);

	assert_int_equal(write(fd, octets, size), size);
	errno = 0;
	assert_null(bundle_unpack(fd));
	assert_int_equal(errno, EINVAL);
	close(fd);
}

/* Every part of one, one octet too many, and each number of a head put wrong. */
static void test_nonsense(void **state)
{
	struct bundle *bundle = bundle_new();
	uint8_t octets[64];
	ssize_t size;

	(void)state;
	assert_true(bundle_put(bundle, "a", "1", 1));
	assert_true(bundle_put(bundle, "b", "2", 1));
	int fd = bundle_pack(bundle);

	memset(octets, 0, sizeof(octets));
	size = pread(fd, octets, sizeof(octets), 0);
	assert_int_equal(size, 8 + 2 * (12 + 2));
	for (ssize_t part = 0; part < size; part++)
		assert_nonsense(octets, (size_t)part);
	assert_nonsense(octets, (size_t)size + 1);
	for (unsigned at = 0; at < 20; at += 4) {
		uint8_t wrong[sizeof(octets)];

		memcpy(wrong, octets, sizeof(wrong));
		memset(wrong + at, 0xff, 4);
		assert_nonsense(wrong, (size_t)size);
	}
	octets[8 + 12 + 2 + 12] = 'a'; /* a second one of that name */
	assert_nonsense(octets, (size_t)size);
	octets[8 + 12 + 2 + 12] = '\0';
	assert_nonsense(octets, (size_t)size);
	close(fd);
	assert_null(bundle_unpack(fd));
	assert_int_equal(errno, EBADF);
	bundle_free(bundle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_exposed),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_carry),
		cmocka_unit_test(test_stamp),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests_name("bundle", tests, world_make, world_remove);
}
