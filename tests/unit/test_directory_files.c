/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "directory_world.h"
#include "sight.h"

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

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

enum { NOBODY = 65534 };

/* ---- CAs ---- */

static void test_ca(void **state)
{
	struct world *world = *state;

	file_write("a.example.policy",
		"[outbound]\ntls = verify\nca = a.pem\n[inbound]\ntls = verify\n");
	file_write("a.pem", PEM);
	world_read_fine(world);
	struct peer *outbound = found(world, DIRECTION_OUTBOUND, "a.example", WORLD_NOW);
	struct peer *inbound = found(world, DIRECTION_INBOUND, "a.example", WORLD_NOW);

	assert_non_null(outbound->demand.ca);
	assert_memory_equal(outbound->demand.ca, PEM, sizeof(PEM) - 1);
	assert_null(inbound->demand.ca);
	/* it is the peer's own */
	outbound->demand.ca[0] = 'x';
	peer_free(outbound);
	peer_free(inbound);
	outbound = found(world, DIRECTION_OUTBOUND, "a.example", WORLD_NOW);
	assert_int_equal(outbound->demand.ca[0], '-');
	peer_free(outbound);
}

static void test_ca_faults(void **state)
{
	struct world *world = *state;

	file_write("a.example.policy",
		"subdomains = yes\n[outbound]\ntls = verify\nca = nonexistent.pem\n"
		"[inbound]\ntls = verify\nca = b.pem\n");
	file_write("b.pem", "-----BEGIN PRIVATE KEY-----\n");
	file_write("c.example.policy", "[inbound]\ntls = verify\nca = c.pem\n");
	file_write("c.pem", PEM);
	assert_int_equal(chmod("c.pem", 0666), 0);
	world_read(world);
	assert_string_equal(world->faults,
		"D/a.example.policy:4: ca = nonexistent.pem: No such file or "
		"directory\n"
		"D/a.example.policy:7: ca = b.pem: there is no certificate in PEM form "
		"in it\n"
		"D/a.example.policy: warning: mail of a.example is answered 451 until "
		"this is mended\n"
		"D/c.example.policy:3: ca = c.pem: others than its owner can write it: "
		"chmod it go-w\n"
		"D/c.example.policy: warning: mail of c.example is answered 451 until "
		"this is mended\n");
	assert_int_equal(directory_faults(world->directory), 3);
	assert_broken(world, "x.a.example",
		"the policy for x.a.example cannot be read: D/a.example.policy:4: ca = "
		"nonexistent.pem: No such file or directory");
}

/* Wherever the process is confined or not: `check`, which is not, says the same. */
static void test_ca_out_of_sight(void **state)
{
	static const char *const names[] = { "/tmp/a.pem", "/etc/passwd",
		"/etc/ssl/certs", "/etc/ssl/certsx/a.pem", "../a.pem",
		"/etc/ssl/certs/../a.pem", "/etc/ssl/private/a.pem" };
	struct world *world = *state;
	char text[128], expected[512];

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(text, sizeof(text), "[outbound]\ntls = verify\nca = %s\n",
			names[i]);
		file_write("a.example.policy", text);
		world_read(world);
		snprintf(expected, sizeof(expected),
			"D/a.example.policy:3: ca = %s: the policy process sees no such "
			"place: put it beside the policy files\n",
			names[i]);
		assert_memory_equal(world->faults, expected, strlen(expected));
	}
}

/* Where distributions put keys, the supervisor may be let in: this process is not. */
static void test_keys_out_of_sight(void **state)
{
	static const char *const keys[] = { "/etc/ssl/private/a.key",
		"/etc/pki/tls/private/a.key", "/etc/sealpost/tls/a.key",
		"/etc/letsencrypt/live/a/privkey.pem" };
	static const struct settings settings = { .directory = "/etc/sealpost/policy.d",
		.cache = "/var/lib/sealpost",
		.ca = "system",
		.trust_anchor = "/usr/share/dns/root.key" };
	struct sight sight;

	(void)state;
	sight_of(&settings, &sight);
	for (unsigned k = 0; k < sizeof(keys) / sizeof(*keys); k++)
		for (unsigned i = 0; sight.read[i] != NULL; i++)
			assert_int_not_equal(
				strncmp(sight.read[i], keys[k], strlen(sight.read[i])),
				0);
}

/* ---- what is refused ---- */

static void refused(struct world *world, const char *why)
{
	char text[300];

	world_read(world);
	snprintf(text, sizeof(text),
		"D/a.example.policy: cannot be used: %s\n"
		"D/a.example.policy: warning: mail of a.example is answered 451 until "
		"this is mended\n",
		why);
	assert_string_equal(world->faults, text);
	snprintf(text, sizeof(text),
		"the policy for a.example cannot be read: D/a.example.policy: cannot be "
		"used: %s",
		why);
	assert_broken(world, "a.example", text);
}

static void test_unsafe_files(void **state)
{
	static const char name[] = "a.example.policy";
	static const char writable[] =
		"others than its owner can write it: chmod it go-w";
	struct world *world = *state;
	char *large = malloc(70000);

	assert_non_null(large);
	file_write("default.policy", "[outbound]\ntls = may\n");
	file_write(name, "[outbound]\ntls = verify\n");
	assert_int_equal(chmod(name, 0664), 0);
	refused(world, writable);
	assert_int_equal(chmod(name, 0646), 0);
	refused(world, writable);
	unlink(name);
	assert_int_equal(mkfifo(name, 0600), 0);
	refused(world, "it is no regular file");
	unlink(name);
	assert_int_equal(mkdir(name, 0700), 0);
	refused(world, "it is no regular file");
	rmdir(name);
	assert_int_equal(symlink("nowhere", name), 0);
	refused(world, "No such file or directory");

	/* what counts is the end of the link */
	file_write("nowhere", "[outbound]\ntls = verify\n");
	assert_true(world_read_fine(world));
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_VERIFY,
		"D/a.example.policy:2");
	unlink(name);
	world_read_fine(world);

	memset(large, '#', 70000);
	strcpy(large + 65536 - 25, "\n[outbound]\ntls = verify\n");
	file_write(name, large);
	refused(world, "it is longer than 64 KiB");
	file_write(name, large + 1);
	world_read_fine(world);
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_VERIFY,
		"D/a.example.policy:3");
	free(large);
}

/* As root we give the file away, else we say that we may not own it. */
static void test_owner(void **state)
{
	struct world *world = *state;
	char *said;
	size_t length;
	FILE *out = open_memstream(&said, &length);

	assert_non_null(out);
	file_write("a.example.policy", "[outbound]\ntls = verify\n");
	if (getuid() == 0)
		assert_int_equal(chown("a.example.policy", NOBODY, NOBODY), 0);
	struct directory *directory =
		directory_open(world->path, getuid() == 0 ? NOBODY - 1 : NOBODY, -1, out);

	fflush(out);
	assert_non_null(strstr(said, "it belongs to another user: chown it to root\n"));
	assert_int_equal(directory_faults(directory), 1);
	directory_close(directory);
	if (getuid() == 0) {
		directory = directory_open(world->path, NOBODY, -1, out);
		assert_int_equal(directory_faults(directory), 0);
		directory_close(directory);
	}
	fclose(out);
	free(said);
}

static void test_names(void **state)
{
	struct world *world = *state;
	static const char *const ignored[] = { "README", "a.example.policy~",
		"a.example.policy.new", ".a.example.policy", ".policy", "ca.pem" };

	file_write("default.policy", "[outbound]\ntls = may\n");
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		file_write(ignored[i], "nonsense\n");
	world_read_fine(world);
	file_write("A.example.policy", "[outbound]\ntls = may\n");
	file_write("a b.policy", "[outbound]\ntls = may\n");
	file_write("b\xC3\xA4nk.example.policy", "[outbound]\ntls = may\n");
	file_write("new\nline.policy", "[outbound]\ntls = may\n");
	world_read(world);
	assert_string_equal(world->faults,
		"D/A.example.policy: this name says not whose policy it is: write a "
		"domain in lower case, and an address as [192.0.2.1] or "
		"[IPv6:2001:db8::1]\n"
		"D/a b.policy: this name says not whose policy it is: no domain, no "
		"address in brackets, and not \"default\"\n"
		"D/b??nk.example.policy: this name says not whose policy it is: write an "
		"international domain as A-labels: xn--... (sealpost policy DOMAIN tells "
		"them)\n"
		"D/new: this name says not whose policy it is: no domain, no address in "
		"brackets, and not \"default\"\n");
	assert_int_equal(directory_faults(world->directory), 4);
	assert_int_equal(directory_count(world->directory), 1);
}

/* Who wrote them may believe that they count. */
static void test_other_names(void **state)
{
	struct world *world = *state;
	static const char *const names[] = { "README", ".a.example.policy", "ca.pem",
		"default.policy", "bank.example", "bank.example.policy.new" };
	char *said, expected[512];
	size_t length;
	FILE *out = open_memstream(&said, &length);

	assert_non_null(out);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		file_write(names[i], "[outbound]\ntls = may\n");
	assert_int_equal(mkdir("old.files", 0755), 0);
	assert_true(world_read_fine(world));
	directory_others(world->directory, out);
	fclose(out);
	snprintf(expected, sizeof(expected),
		"%s/bank.example: note: no policy file, for its name does not end in "
		".policy\n"
		"%s/bank.example.policy.new: note: no policy file, for its name does not "
		"end in .policy\n",
		world->path, world->path);
	assert_string_equal(said, expected);
	assert_int_equal(rmdir("old.files"), 0);
	free(said);
}

/* ---- the directory itself ---- */

static void test_no_directory(void **state)
{
	struct world *world = *state;

	assert_int_equal(chmod(world->path, 0777), 0);
	world_read(world);
	assert_string_equal(world->faults,
		"D: cannot be used: others than its owner can write it: chmod it go-w: "
		"all mail is answered 451 until this is mended\n");
	assert_int_equal(directory_faults(world->directory), 1);
	assert_broken(world, "a.example",
		"the policy for a.example cannot be read: D: others than its owner can "
		"write it: chmod it go-w");
	assert_true(directory_demands_inbound(world->directory));
	uint64_t generation = directory_generation(world->directory);

	assert_false(world_read(world));
	assert_int_equal(chmod(world->path, 0755), 0);
	file_write("a.example.policy", "[outbound]\ntls = encrypt\n");
	assert_true(world_read_fine(world));
	assert_int_not_equal(directory_generation(world->directory), generation);
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_ENCRYPT,
		"D/a.example.policy:2");
	assert_false(directory_demands_inbound(world->directory));

	/* once it was read, what was read stays */
	assert_int_equal(chmod(world->path, 0777), 0);
	assert_false(world_read(world));
	assert_string_equal(world->faults,
		"D: cannot be used: others than its owner can write it: chmod it go-w: "
		"the files read before stay in force\n");
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_ENCRYPT,
		"D/a.example.policy:2");
}

static void test_empty(void **state)
{
	struct world *world = *state;
	struct directory *none = directory_open("", 0, -1, stderr);

	world_read(world);
	assert_string_equal(world->faults,
		"D: warning: there is no policy file in it, and nothing is demanded of "
		"any domain: write default.policy\n");
	assert_int_equal(directory_faults(world->directory), 0);
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_MAY, "default");

	directory_close(world->directory);
	world->directory = none;
	assert_false(world_read_fine(world));
	assert_int_equal(directory_count(none), 0);
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_MAY, "default");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_ca),
		IN_WORLD(test_ca_faults),
		IN_WORLD(test_ca_out_of_sight),
		cmocka_unit_test(test_keys_out_of_sight),
		IN_WORLD(test_unsafe_files),
		IN_WORLD(test_owner),
		IN_WORLD(test_names),
		IN_WORLD(test_other_names),
		IN_WORLD(test_no_directory),
		IN_WORLD(test_empty),
	};

	umask(022);
	return cmocka_run_group_tests_name("directory_files", tests, NULL, NULL);
}
