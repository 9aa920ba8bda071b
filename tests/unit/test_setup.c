/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "setup.h"

#include "check.h"

#include <malloc.h>
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

#define CONFIG                                                                           \
	"[server]\nhostname = mail.example.com\nuser = root\n"                           \
	"[tls]\ncertificate = a.pem\nkey = a.key\n"                                      \
	"[inbound]\nclient-address = xclient\nlisten = 127.0.0.1:2525\n"                 \
	"backend = localhost:26\n"                                                       \
	"[outbound]\nlisten = 127.0.0.1:2526\nbackends = 192.0.2.1\n"                    \
	"route = relay 192.0.2.9\ncredentials = c\n"                                     \
	"[policy]\nca = a.pem\n[identity us]\ncertificate = a.pem\nkey = a.key\n"

static const char *const files[] = { "a.pem", "a.key", "c", "f" };

static void file_write(const char *name, const char *text)
{
	FILE *out = fopen(name, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(name, 0600), 0);
}

static void remove_files(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
}

static bool make_files(void)
{
	char reason[TLS_REASON];

	file_write("f", CONFIG);
	file_write("c", "user = u\npassword = p\n");
	return tls_selfsign("a.example", "a.pem", "a.key", reason);
}

/* The tests run in a directory of their own. */
static int world_make(void **state)
{
	static char name[] = "/tmp/sealpost-setup-XXXXXX";

	*state = name;
	return mkdtemp(name) != NULL && chdir(name) == 0 && make_files() ? 0 : -1;
}

static int world_remove(void **state)
{
	remove_files();
	return rmdir(*state);
}

/* What the supervisor makes of the files, as a worker has it. */
static struct bundle *handed_over(void)
{
	struct bundle *bundle = bundle_new();

	assert_non_null(bundle);
	struct config *config = config_read(bundle, "f", stderr);

	assert_non_null(config);
	assert_true(config_verify(config, bundle, stderr));
	config_free(config);
	int fd = bundle_pack(bundle);

	assert_true(fd >= 0);
	bundle_free(bundle);
	bundle = bundle_unpack(fd);
	assert_non_null(bundle);
	close(fd);
	return bundle;
}

/* All is in the bundle: the files may be gone. */
static void test_all(void **state)
{
	struct bundle *bundle = handed_over();
	char reason[SETUP_REASON];

	(void)state;
	remove_files();
	struct setup *setup = setup_new(bundle, 7, true, NULL, reason);

	bundle_free(bundle);
	assert_true(make_files());
	assert_string_equal(reason, "");
	assert_non_null(setup);
	assert_int_equal(setup->generation, 7);
	assert_string_equal(setup->config->path, "f");
	assert_non_null(setup->server);
	assert_non_null(setup->client);
	const struct service *in = setup_service(setup, "inbound");
	const struct service *out = setup_service(setup, "outbound");

	assert_non_null(in);
	assert_non_null(out);
	assert_null(setup_service(setup, "other"));
	assert_ptr_equal(in->setup, setup);
	assert_ptr_equal(in->server, setup->server);
	assert_int_not_equal(in->inbound->backend[0].address.family, AF_UNSPEC);
	assert_int_equal(in->inbound->backend[0].address.port, 26);
	assert_string_equal(out->login.user, "dQ==");
	assert_ptr_equal(setup_hold(setup), setup);
	setup_release(setup);
	assert_int_equal(setup->holders, 1);
	setup_release(setup);
}

static void assert_refused(
	const struct bundle *whole, const char *without, const char *why)
{
	struct bundle *bundle = bundle_new();
	struct bundle_octets octets;
	char reason[SETUP_REASON];
	static const char *const names[] = { BUNDLE_CONFIG, BUNDLE_CONFIG_PATH, "a.pem",
		"a.key", "c", "host localhost" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], without) == 0)
			continue;
		assert_true(bundle_find(whole, names[i], &octets));
		assert_true(bundle_put(bundle, names[i], octets.at, octets.length));
	}
	int fd = bundle_pack(bundle);

	bundle_free(bundle);
	bundle = bundle_unpack(fd);
	close(fd);
	assert_null(setup_new(bundle, 1, true, NULL, reason));
	assert_string_equal(reason, why);
	bundle_free(bundle);
}

/* A worker opens no file, though it is there. */
static void test_lacking(void **state)
{
	struct bundle *bundle = handed_over();

	(void)state;
	assert_refused(bundle, BUNDLE_CONFIG, "no configuration is in the bundle");
	assert_refused(
		bundle, "a.key", "a.key: cannot be read: No such file or directory");
	assert_refused(bundle, "c", "c: cannot be read: No such file or directory");
	assert_refused(bundle, "host localhost", "backend = localhost was not looked up");
	bundle_free(bundle);
}

/* The CAs are there as long as one of those who share them. */
static void test_shared_cas(void **state)
{
	struct bundle *bundle = handed_over();
	char reason[SETUP_REASON];
	struct setup *before = setup_new(bundle, 1, true, NULL, reason);

	(void)state;
	assert_non_null(before);
	size_t used = mallinfo2().uordblks;
	struct setup *after = setup_new(bundle, 2, true, before, reason);

	assert_non_null(after);
#ifndef WITH_SANITIZER /* it has a memory of its own */
	size_t shared = mallinfo2().uordblks - used;
	struct setup *apart = setup_new(bundle, 3, true, NULL, reason);

	assert_non_null(apart);
	assert_true(mallinfo2().uordblks - used - shared > shared + 1000);
	setup_release(apart);
#else
	(void)used;
#endif
	setup_release(before);
	setup_release(after);
	bundle_free(bundle);
}

/* The first fault is the reason, however many there are. */
static void test_faulty(void **state)
{
	struct bundle *bundle = bundle_new();
	char text[4096] = "[server]\n", reason[SETUP_REASON];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		strcat(text, "nonsense = 1\n");
	assert_true(bundle_put(bundle, BUNDLE_CONFIG, text, strlen(text)));
	assert_true(bundle_put(bundle, BUNDLE_CONFIG_PATH, "f", 1));
	assert_null(setup_new(bundle, 1, false, NULL, reason));
	assert_string_equal(reason,
		"f:2: unknown key nonsense in [server]: see sealpost.conf(5) for those "
		"there are");
	bundle_free(bundle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_lacking),
		cmocka_unit_test(test_shared_cas),
		cmocka_unit_test(test_faulty),
	};

	return cmocka_run_group_tests_name("setup", tests, world_make, world_remove);
}
