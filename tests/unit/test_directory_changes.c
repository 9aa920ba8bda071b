/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What is told of an edit, and what outlives the process. */

#include "directory_world.h"

#include "directory_private.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static void read_told(struct world *world, const char *told)
{
	world_read(world);
	assert_string_equal(world->faults, told);
}

/* ---- what is weaker ---- */

static void test_edits(void **state)
{
	struct world *world = *state;

	file_write("default.policy", "[outbound]\ntls = none\n");
	file_write("a.lab.policy", "[outbound]\ntls = secure\n[inbound]\ntls = verify\n");
	read_told(world, ""); /* there was nothing to compare it with */
	file_write("a.lab.policy", "[outbound]\ntls = may\n[inbound]\ntls = encrypt\n");
	read_told(world,
		"D/a.lab.policy: warning: [outbound] is weaker than before: tls = secure "
		"is now may\n"
		"D/a.lab.policy: warning: [inbound] is weaker than before: tls = verify "
		"is now encrypt\n");
	assert_int_equal(directory_faults(world->directory), 0);
	read_told(world, "");
	file_write("a.lab.policy", "[outbound]\ntls = secure\n[inbound]\ntls = verify\n");
	read_told(world, "");
	file_write("a.lab.policy",
		"[outbound]\ntls = secure\nmatch = .b.lab\n[inbound]\ntls = verify\n");
	read_told(world, "D/a.lab.policy: warning: [outbound] is weaker than before: "
			 "match now takes .b.lab\n");
	file_write(
		"a.lab.policy", "[outbound]\ntls = dane-only\n[inbound]\ntls = verify\n");
	read_told(world, "D/a.lab.policy: warning: [outbound] is other than before: "
			 "tls = secure is now dane-only\n");
}

static void test_files_come_and_go(void **state)
{
	struct world *world = *state;

	file_write("default.policy", "[outbound]\ntls = encrypt\n");
	file_write(
		"a.lab.policy", "[outbound]\ntls = secure\n[inbound]\ntls = encrypt\n");
	read_told(world, "");
	unlink("a.lab.policy");
	read_told(world,
		"D/a.lab.policy: warning: [outbound] is weaker than before, as "
		"default.policy decides now: tls = secure is now encrypt\n"
		"D/a.lab.policy: warning: [inbound] is weaker than before, as no file "
		"decides now: tls = encrypt is now may\n");
	file_write("a.lab.policy", "[outbound]\ntls = none\n");
	read_told(world, "D/a.lab.policy: warning: [outbound] is weaker than before, as "
			 "a.lab.policy decides now: tls = encrypt is now none\n");
	/* one that is stronger, above another */
	file_write("lab.policy", "subdomains = yes\n[inbound]\ntls = verify\n");
	read_told(world, "");
	unlink("lab.policy");
	read_told(world,
		"D/lab.policy: warning: [inbound] is weaker than before, as no file "
		"decides now: tls = verify is now may\n"
		"D/lab.policy: warning: [inbound] for names below is weaker than before, "
		"as no file decides now: tls = verify is now may\n");
	/* one comes, and another goes */
	file_write("z.lab.policy", "[outbound]\ntls = verify\n");
	read_told(world, "");
	unlink("z.lab.policy");
	file_write("b.lab.policy", "[outbound]\ntls = encrypt\n");
	read_told(world, "D/z.lab.policy: warning: [outbound] is weaker than before, as "
			 "default.policy decides now: tls = verify is now encrypt\n");
	/* of all who have no file, once */
	file_write("default.policy", "[outbound]\ntls = may\n");
	read_told(world, "D/default.policy: warning: [outbound] is weaker than before: "
			 "tls = encrypt is now may\n");
	unlink("default.policy");
	read_told(world, "");
}

static void test_names_below(void **state)
{
	struct world *world = *state;

	file_write("a.lab.policy", "subdomains = yes\n[outbound]\ntls = secure\n");
	read_told(world, "");
	file_write("a.lab.policy", "[outbound]\ntls = secure\n");
	read_told(world,
		"D/a.lab.policy: warning: [outbound] for names below is weaker "
		"than before, as no file decides now: tls = secure is now may\n");
	file_write("a.lab.policy", "subdomains = yes\n[outbound]\ntls = encrypt\n");
	read_told(world, "D/a.lab.policy: warning: [outbound] is weaker than before: "
			 "tls = secure is now encrypt\n");
	/* with its own domain, once */
	file_write("a.lab.policy", "subdomains = yes\n[outbound]\ntls = may\n");
	read_told(world, "D/a.lab.policy: warning: [outbound] is weaker than before: "
			 "tls = encrypt is now may\n");
	file_write("[192.0.2.1].policy", "[outbound]\ntls = encrypt\n");
	read_told(world, "");
	unlink("[192.0.2.1].policy");
	read_told(world, "D/[192.0.2.1].policy: warning: [outbound] is weaker than "
			 "before, as no file decides now: tls = encrypt is now may\n");
}

static void test_expiry(void **state)
{
	static const char text[] = "expires = 2026-03-01\n[outbound]\ntls = secure\n";
	struct world *world = *state;

	file_write("a.lab.policy", text);
	world_read(world);
	/* it was read on its last day */
	world->directory->read_at = 1772323200 + 24 * 60 * 60 - 1;
	world_read(world);
	assert_non_null(strstr(world->faults,
		"D/a.lab.policy: warning: [outbound] is weaker than before, as no file "
		"decides now: tls = secure is now may\n"));
	world_read(world);
	assert_null(strstr(world->faults, "than before"));
	/* a date alone weakens nothing */
	file_write("a.lab.policy", "[outbound]\ntls = secure\n");
	read_told(world, "");
	file_write("a.lab.policy", "expires = 2999-01-01\n[outbound]\ntls = secure\n");
	read_told(world, "");
}

/* Broken files let nothing through, and keep what was in force. */
static void test_broken_files(void **state)
{
	struct world *world = *state;

	file_write("default.policy", "[outbound]\ntls = may\n");
	file_write("a.lab.policy", "[outbound]\ntls = secure\n");
	file_write("b.lab.policy", "[outbound]\n");
	world_read(world);
	file_write("a.lab.policy", "[outbound]\ntls = non\n");
	file_write("b.lab.policy", "[outbound]\ntls = none\n");
	world_read(world);
	assert_null(strstr(world->faults, "than before"));
	file_write("a.lab.policy", "[outbound]\ntls = none\n");
	read_told(world, "D/a.lab.policy: warning: [outbound] is weaker than before: "
			 "tls = secure is now none\n");
	unlink("a.lab.policy");
	file_write("default.policy", "[outbound]\n");
	world_read(world);
	assert_null(strstr(world->faults, "than before"));
}

/* ---- what outlives the process ---- */

static void test_restart(void **state)
{
	struct world *world = *state;

	file_write("default.policy", "[outbound]\ntls = encrypt\n");
	file_write("a.lab.policy",
		"subdomains = yes\n[outbound]\ntls = verify\nca = ca.pem\n");
	file_write("b.lab.policy", "[outbound]\ntls = secure\n");
	file_write("c.lab.policy", "[outbound]\ntls = secure\n");
	file_write("never.lab.policy", "[outbound]\ntls = non\n");
	file_write("ca.pem", PEM);
	world_read(world);
	unlink("ca.pem");
	unlink("b.lab.policy");
	file_write("c.lab.policy", "[outbound]\ntls = may\n");
	file_write("default.policy", "[outbound]\n");
	world_restart(world);
	assert_non_null(strstr(world->faults,
		"D/a.lab.policy:4: ca = ca.pem: No such file or directory\n"
		"D/a.lab.policy: warning: the version before it stays in force\n"));
	assert_non_null(strstr(world->faults,
		"D/default.policy: warning: the version before it stays in force\n"));
	assert_non_null(strstr(world->faults,
		"D/never.lab.policy: warning: mail of never.lab is answered 451"));
	assert_non_null(strstr(world->faults,
		"D/b.lab.policy: warning: [outbound] is weaker than before, as "
		"default.policy decides now: tls = secure is now encrypt\n"));
	assert_non_null(strstr(world->faults,
		"D/c.lab.policy: warning: [outbound] is weaker than before: tls = secure "
		"is now may\n"));
	assert_found(
		world, DIRECTION_OUTBOUND, "x.a.lab", LEVEL_VERIFY, "D/a.lab.policy:3");
	assert_found(
		world, DIRECTION_OUTBOUND, "b.lab", LEVEL_ENCRYPT, "D/default.policy:2");
	assert_found(world, DIRECTION_OUTBOUND, "c.lab", LEVEL_MAY, "D/c.lab.policy:2");
	struct peer *peer = found(world, DIRECTION_OUTBOUND, "a.lab", WORLD_NOW);

	assert_int_equal(peer->demand.ca_length, sizeof(PEM)); /* a line end behind it */
	assert_memory_equal(peer->demand.ca, PEM, sizeof(PEM) - 1);
	peer_free(peer);
	/* and once more */
	world_restart(world);
	assert_found(
		world, DIRECTION_OUTBOUND, "x.a.lab", LEVEL_VERIFY, "D/a.lab.policy:3");
	assert_int_equal(directory_count(world->directory), 3);
	assert_int_equal(directory_broken(world->directory), 3);
}

/* Nobody can see what has become of the files: they count as they were. */
static void test_restart_without_directory(void **state)
{
	struct world *world = *state;

	file_write("a.lab.policy", "[outbound]\ntls = secure\n");
	world_read_fine(world);
	assert_int_equal(chmod(world->path, 0777), 0);
	world_restart(world);
	assert_non_null(strstr(world->faults, "the files read before stay in force\n"));
	assert_found(
		world, DIRECTION_OUTBOUND, "a.lab", LEVEL_SECURE, "D/a.lab.policy:2");
	assert_found(world, DIRECTION_OUTBOUND, "b.lab", LEVEL_MAY, "default");

	/* but if there were none, nobody knows what they are */
	assert_int_equal(chmod(world->path, 0755), 0);
	unlink("a.lab.policy");
	world_read(world);
	assert_int_equal(chmod(world->path, 0777), 0);
	world_restart(world);
	assert_non_null(strstr(world->faults, "all mail is answered 451"));
	errno = 0;
	assert_int_equal(directory_pack(world->directory), -1);
	assert_int_equal(errno, ENOENT);
}

static void test_packed_is_sealed(void **state)
{
	struct world *world = *state;

	file_write("a.lab.policy", "[outbound]\ntls = secure\n");
	world_read_fine(world);
	int packed = directory_pack(world->directory);

	assert_int_equal(fcntl(packed, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(packed, "x", 1), -1);
	assert_int_equal(ftruncate(packed, 0), -1);
	assert_int_equal(fcntl(packed, F_ADD_SEALS, 0), -1);
	/* its offset is everybody's */
	for (int i = 0; i < 2; i++) {
		lseek(packed, 7, SEEK_SET);
		world_restart_with(world, packed);
		assert_string_equal(world->faults, "");
	}
	close(packed);
}

/* ---- octets that nobody should have written ---- */

struct octets {
	char *at;
	size_t length;
};

static struct octets written(const struct world *world)
{
	struct octets octets;
	FILE *out = open_memstream(&octets.at, &octets.length);

	assert_non_null(out);
	assert_true(directory_write(world->directory, out));
	fclose(out);
	return octets;
}

/* From memory of that very size, so that a sanitizer sees one octet too many. */
static const char *unpacked(struct world *world, const char *at, size_t length)
{
	uint8_t *exactly = malloc(length > 0 ? length : 1);

	assert_non_null(exactly);
	memcpy(exactly, at, length);
	const char *why = directory_unpack(world->directory, exactly, length);

	free(exactly);
	return why;
}

/* All or nothing: the set is another one, or the one that was there. */
static void test_octets(void **state)
{
	struct world *world = *state;

	file_write("a.lab.policy", "[outbound]\ntls = verify\nca = "
				   "ca.pem\n[inbound]\ntls = verify\nca = ca.pem");
	file_write("b.lab.policy", "[outbound]\ntls = secure\n");
	file_write("ca.pem", PEM);
	world_read_fine(world);
	struct octets good = written(world);

	assert_null(unpacked(world, good.at, good.length));
	assert_int_equal(directory_count(world->directory), 2);
	for (size_t length = 0; length < good.length; length++) {
		assert_non_null(unpacked(world, good.at, length));
		assert_int_equal(directory_count(world->directory), 2);
	}
	good.at[good.length] = 'x'; /* in place of a stream's NUL */
	assert_string_equal(
		unpacked(world, good.at, good.length + 1), "there is a fault in it");
	for (size_t i = 0; i < good.length; i++) {
		good.at[i] ^= 0x80;
		/* a text may say this and that, but never of no domain at all */
		if (unpacked(world, good.at, good.length) == NULL)
			assert_in_range(directory_count(world->directory), 1, 2);
		good.at[i] ^= 0x80;
	}
	free(good.at);
	assert_found(
		world, DIRECTION_OUTBOUND, "b.lab", LEVEL_SECURE, "D/b.lab.policy:2");
}

/* `from`, which is there, becomes `to`, as long. */
static void refused(
	struct world *world, const char *from, const char *to, const char *why)
{
	struct octets octets = written(world);
	char *at = memmem(octets.at, octets.length, from, strlen(from));

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
	assert_string_equal(unpacked(world, octets.at, octets.length), why);
	free(octets.at);
}

static void test_lies(void **state)
{
	static const char fault[] = "there is a fault in it";
	struct world *world = *state;

	file_write("a.lab.policy", "[outbound]\ntls = verify\nca = ca.pem\n");
	file_write("b.lab.policy", "[outbound]\ntls = secure\n");
	file_write("ca.pem", PEM);
	world_read_fine(world);
	refused(world, "files 1", "files 2", "that is no set of policy files");
	refused(world, world->path, "/tmp/sealpost-policy-______",
		"it is of another directory");
	refused(world, "a.lab", "z.lab", fault); /* out of order */
	refused(world, "b.lab", "a.lab", fault); /* twice */
	refused(world, "a.lab", "../la", fault);
	refused(world, "a.lab", "A.lab", fault);
	refused(world, "a.lab", "a.la/", fault);
	refused(world, "tls = secure", "tls = secret", fault);
	refused(world, "ca = ca.pem", ";a = ca.pem", fault); /* a CA of nobody's */
	refused(world, "BEGIN CERT", "BEGIN CURT", fault);
	refused(world, "[outbound]\ntls = secure", ";outbound]\n;ls = secure", fault);
}

static void test_no_memory_file(void **state)
{
	struct world *world = *state;
	int ends[2], file = open("x", O_RDWR | O_CREAT, 0600);
	int memory = memfd_create("test", MFD_CLOEXEC);

	file_write("a.lab.policy", "[outbound]\ntls = may\n");
	world_read_fine(world);
	assert_int_equal(pipe(ends), 0);
	const int fds[] = { ends[0], file, 999 };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		world_restart_with(world, fds[i]);
		assert_string_equal(world->faults,
			"D: warning: what was in force before cannot be taken up: that "
			"is no sealed memory\n");
		assert_found(world, DIRECTION_OUTBOUND, "a.lab", LEVEL_MAY,
			"D/a.lab.policy:2");
	}
	world_restart_with(world, memory);
	assert_string_equal(world->faults,
		"D: warning: what was in force before cannot "
		"be taken up: that is no set of policy files\n");
	close(ends[0]);
	close(ends[1]);
	close(file);
	close(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_edits),
		IN_WORLD(test_files_come_and_go),
		IN_WORLD(test_names_below),
		IN_WORLD(test_expiry),
		IN_WORLD(test_broken_files),
		IN_WORLD(test_restart),
		IN_WORLD(test_restart_without_directory),
		IN_WORLD(test_packed_is_sealed),
		IN_WORLD(test_octets),
		IN_WORLD(test_lies),
		IN_WORLD(test_no_memory_file),
	};

	umask(022);
	return cmocka_run_group_tests_name("directory_changes", tests, NULL, NULL);
}
