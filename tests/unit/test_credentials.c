/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* The tests run in a directory of their own, where the file is "f". */
static int world_make(void **state)
{
	static char name[] = "/tmp/sealpost-credentials-XXXXXX";

	*state = name;
	return mkdtemp(name) != NULL && chdir(name) == 0 ? 0 : -1;
}

static int world_remove(void **state)
{
	unlink("f");
	return rmdir(*state);
}

static void file_write(const char *octets, size_t size, mode_t mode)
{
	unlink("f");
	FILE *out = fopen("f", "w");

	assert_non_null(out);
	assert_int_equal(fwrite(octets, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod("f", mode), 0);
}

/* From a bundle of its own: what is in one is not read again. */
static bool read_from(const char *path, struct credentials *c, char reason[BUNDLE_REASON])
{
	struct bundle *bundle = bundle_new();

	assert_non_null(bundle);
	bool fine = credentials_read(bundle, path, c, reason);

	bundle_free(bundle);
	return fine;
}

static void assert_refused(const char *octets, size_t size, const char *reason)
{
	static const struct credentials none;
	struct credentials c;
	char told[BUNDLE_REASON];

	memset(&c, 'x', sizeof(c));
	file_write(octets, size, 0600);
	assert_false(read_from("f", &c, told));
	assert_string_equal(told, reason);
	assert_memory_equal(&c, &none, sizeof(c));
}

static void test_read(void **state)
{
	static const struct {
		const char *text, *user, *password;
	} cases[] = {
		{ "user = u\npassword = p\n", "u", "p" },
		{ "password=p\nuser=u", "u", "p" },
		{ "# of the provider\r\n\r\n\tuser\t=  me@example.com \r\n"
		  "; and\r\npassword = p\r\n",
			"me@example.com", "p" },
		{ "user = a b\npassword = # ; = p ; q\n", "a b", "# ; = p ; q" },
		{ "user = \303\244\npassword = \"p\"\n", "\303\244", "\"p\"" },
	};
	struct credentials c;
	char reason[BUNDLE_REASON];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		file_write(cases[i].text, strlen(cases[i].text), 0640);
		assert_true(read_from("f", &c, reason));
		assert_string_equal(c.user, cases[i].user);
		assert_string_equal(c.password, cases[i].password);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{ "", "f: no user = ... in it" },
		{ "user = u\n", "f: no password = ... in it" },
		{ "# x\npasword = secret\n",
			"f:2: unknown key: there are user and password" },
		{ "user = u\nsecret\n", "f:2: neither user = ... nor password = ..." },
		{ "user = u\nuser = v\n", "f:2: written a second time" },
		{ "user =  \n", "f:1: no value behind the =" },
		{ "user = a\033b\n", "f:1: a control character" },
		{ "user = u\rpassword = p\n", "f:1: a control character" },
		{ "[credentials]\n", "f:1: neither user = ... nor password = ..." },
	};
	static const char nul[] = "user = a\0b\npassword = p\n";

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].reason);
	assert_refused(nul, sizeof(nul) - 1, "f:1: a control character");
}

static void test_sizes(void **state)
{
	char text[4200], x[4200], reason[BUNDLE_REASON];
	struct credentials c;

	(void)state;
	memset(x, 'x', sizeof(x));
	file_write(text,
		(size_t)snprintf(
			text, sizeof(text), "user = %.255s\npassword = %.255s\n", x, x),
		0600);
	assert_true(read_from("f", &c, reason));
	assert_int_equal(strlen(c.user), 255);
	assert_int_equal(strlen(c.password), 255);
	assert_refused(text, (size_t)snprintf(text, sizeof(text), "user = %.256s\n", x),
		"f:1: longer than 255 octets");
	file_write(text,
		(size_t)snprintf(
			text, sizeof(text), "user = u\npassword = p\n#%.4073s", x),
		0600);
	assert_true(read_from("f", &c, reason));
	assert_refused(text,
		(size_t)snprintf(
			text, sizeof(text), "user = u\npassword = p\n#%.4074s", x),
		"f: longer than 4096 octets");
}

static void test_whose(void **state)
{
	static const mode_t modes[] = { 0604, 0602, 0620, 0666 };
	static const char text[] = "user = u\npassword = p\n";
	struct credentials c;
	char reason[BUNDLE_REASON];

	(void)state;
	for (size_t i = 0; i < LENGTH(modes); i++) {
		file_write(text, strlen(text), modes[i]);
		assert_false(read_from("f", &c, reason));
		assert_string_equal(reason, "f: others can read or change it: chmod 640");
	}
	unlink("f");
	assert_false(read_from("f", &c, reason));
	assert_string_equal(reason, "f: cannot be read: No such file or directory");
	assert_false(read_from("/", &c, reason));
	assert_string_equal(reason, "/: cannot be read: Is a directory");
	assert_int_equal(mkfifo("f", 0600), 0);
	assert_false(read_from("f", &c, reason));
	assert_string_equal(reason, "f: cannot be read: not a regular file");
}

static void test_wipe(void **state)
{
	static const struct credentials none;
	struct credentials c = { "u", "p" };

	(void)state;
	credentials_wipe(&c);
	assert_memory_equal(&c, &none, sizeof(c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests_name(
		"credentials", tests, world_make, world_remove);
}
