/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "directory_world.h"

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

/* ---- whose file ---- */

static void test_order(void **state)
{
	struct world *world = *state;

	file_write("default.policy", "[outbound]\ntls = encrypt\n");
	file_write("example.policy", "subdomains = yes\n[outbound]\ntls = verify\n");
	file_write("bank.example.policy",
		"subdomains = yes\n\n[outbound]\ntls = secure\n[inbound]\ntls = encrypt");
	file_write("a.bank.example.policy", "[outbound]\ntls = none\n");
	assert_true(world_read_fine(world));
	assert_found(
		world, DIRECTION_OUTBOUND, "example", LEVEL_VERIFY, "D/example.policy:3");
	assert_found(world, DIRECTION_OUTBOUND, "bank.example", LEVEL_SECURE,
		"D/bank.example.policy:4");
	assert_found(world, DIRECTION_OUTBOUND, "x.y.bank.example", LEVEL_SECURE,
		"D/bank.example.policy:4");
	assert_found(world, DIRECTION_OUTBOUND, "xbank.example", LEVEL_VERIFY,
		"D/example.policy:3");
	assert_found(world, DIRECTION_OUTBOUND, "a.bank.example", LEVEL_NONE,
		"D/a.bank.example.policy:2");
	/* without subdomains = yes it speaks for its own name alone */
	assert_found(world, DIRECTION_OUTBOUND, "x.a.bank.example", LEVEL_SECURE,
		"D/bank.example.policy:4");
	assert_found(world, DIRECTION_OUTBOUND, "elsewhere.net", LEVEL_ENCRYPT,
		"D/default.policy:2");
	assert_found(world, DIRECTION_OUTBOUND, "", LEVEL_ENCRYPT, "D/default.policy:2");
	/* a file that says nothing of a direction is passed over */
	assert_found(world, DIRECTION_INBOUND, "a.bank.example", LEVEL_ENCRYPT,
		"D/bank.example.policy:6");
	assert_found(world, DIRECTION_INBOUND, "example", LEVEL_MAY, "default");
	assert_found(world, DIRECTION_HOST, "bank.example", LEVEL_SECURE,
		"D/bank.example.policy:4");
	/* a relay was chosen by its name, and must bear it; an address cannot */
	assert_found(world, DIRECTION_HOST, "relay.net", LEVEL_VERIFY, "default");
	assert_found(world, DIRECTION_HOST, "[192.0.2.9]", LEVEL_ENCRYPT, "default");
}

static void test_demand_default(void **state)
{
	struct world *world = *state;

	file_write("a.example.policy", "[outbound]\ntls = none\n");
	world_read_fine(world);
	struct peer *peer = found(world, DIRECTION_OUTBOUND, "b.example", WORLD_NOW);

	assert_int_equal(peer->demand.level, LEVEL_MAY);
	assert_true(peer->demand.dane);
	assert_true(peer->demand.mta_sts);
	assert_null(peer->demand.ca);
	peer_free(peer);
}

static void test_literals(void **state)
{
	struct world *world = *state;

	file_write("[192.0.2.1].policy", "[outbound]\ntls = encrypt\n");
	file_write("[IPv6:2001:db8::1].policy", "[outbound]\ntls = none\n");
	world_read_fine(world);
	assert_found(world, DIRECTION_OUTBOUND, "[192.0.2.1]", LEVEL_ENCRYPT,
		"D/[192.0.2.1].policy:2");
	assert_found(world, DIRECTION_OUTBOUND, "[ipv6:2001:DB8:0::1]", LEVEL_NONE,
		"D/[IPv6:2001:db8::1].policy:2");
	assert_found(world, DIRECTION_OUTBOUND, "[192.0.2.2]", LEVEL_MAY, "default");
	assert_found(world, DIRECTION_OUTBOUND, "[tag:2.1]", LEVEL_MAY, "default");
	assert_found(world, DIRECTION_OUTBOUND, "192.0.2.1", LEVEL_MAY, "default");
}

static void test_expiry(void **state)
{
	struct world *world = *state;
	static const struct {
		int64_t now;
		enum level level;
	} cases[] = {
		{ 4102358400 - 1, LEVEL_NONE }, /* 2099-12-30T23:59:59Z */
		{ 4102444800 - 1, LEVEL_NONE }, /* 2099-12-31T23:59:59Z */
		{ 4102444800, LEVEL_ENCRYPT },	/* 2100-01-01 */
	};

	file_write("default.policy", "[outbound]\ntls = encrypt\n");
	file_write("a.example.policy", "expires = 2099-12-31\n[outbound]\ntls = none\n");
	world_read_fine(world);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct peer *peer =
			found(world, DIRECTION_OUTBOUND, "a.example", cases[i].now);

		assert_int_equal(peer->demand.level, cases[i].level);
		peer_free(peer);
	}
	file_write("a.example.policy", "expires = 2020-02-29\n[outbound]\ntls = none\n");
	assert_true(world_read(world));
	assert_string_equal(world->faults,
		"D/a.example.policy: warning: expired: its last day was 2020-02-29, and "
		"it counts as though it were not there\n");
	assert_int_equal(directory_faults(world->directory), 0);
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_ENCRYPT,
		"D/default.policy:2");
}

/* ---- broken files ---- */

static void test_broken(void **state)
{
	struct world *world = *state;

	file_write("default.policy", "[outbound]\ntls = may\n");
	file_write("a.example.policy", "[outbound]\ntls = verfy\nzzzz = 1\n");
	file_write("b.example.policy", "subdomains = yes\n[outbnd]\n");
	world_read(world);
	assert_string_equal(world->faults,
		"D/a.example.policy:2: tls = verfy: not one of none, may, encrypt, dane, "
		"dane-only, verify, secure, fingerprint\n"
		"D/a.example.policy:3: unknown key zzzz in [outbound]: see "
		"sealpost.policy(5) for those there are\n"
		"D/a.example.policy: warning: mail of a.example is answered 451 until "
		"this is mended\n"
		"D/b.example.policy:2: unknown section [outbnd]: is [outbound] meant?\n"
		"D/b.example.policy: warning: mail of b.example is answered 451 until "
		"this is mended\n");
	assert_int_equal(directory_faults(world->directory), 3);
	assert_int_equal(directory_count(world->directory), 1);
	assert_broken(world, "a.example",
		"the policy for a.example cannot be read: D/a.example.policy:2: tls = "
		"verfy: not one of none, may, encrypt, dane, dane-only, verify, secure, "
		"fingerprint");
	/* its own domain only; and the names below where it is known to be meant */
	assert_found(world, DIRECTION_OUTBOUND, "x.a.example", LEVEL_MAY,
		"D/default.policy:2");
	assert_broken(world, "x.b.example",
		"the policy for x.b.example cannot be read: D/b.example.policy:2: "
		"unknown section [outbnd]: is [outbound] meant?");
	assert_true(directory_demands_inbound(world->directory));
	assert_false(directory_needs_client_certificates(world->directory));

	file_write("a.example.policy", "[outbound]\ntls = verify\n");
	unlink("b.example.policy");
	assert_true(world_read_fine(world));
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_VERIFY,
		"D/a.example.policy:2");
	assert_false(directory_demands_inbound(world->directory));
}

static void test_broken_default(void **state)
{
	struct world *world = *state;

	file_write("default.policy", "[outbound]\ntls = J\xC3\xBCrgen\n");
	file_write("a.example.policy", "[outbound]\ntls = none\n[inbound]\ntls = may\n");
	world_read(world);
	assert_non_null(strstr(world->faults, "mail of all who have no file of their own "
					      "is answered 451"));
	/* in a reply there is ASCII only */
	assert_broken(world, "b.example",
		"the policy for b.example cannot be read: D/default.policy:2: tls = "
		"J??rgen: not one of none, may, encrypt, dane, dane-only, verify, "
		"secure, fingerprint");
	assert_broken(world, "",
		"the policy for <> cannot be read: D/default.policy:2: tls = "
		"J??rgen: not one of none, may, encrypt, dane, dane-only, verify, "
		"secure, fingerprint");
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_NONE,
		"D/a.example.policy:2");
}

static void test_last_good(void **state)
{
	struct world *world = *state;

	file_write("a.example.policy", "subdomains = yes\n[outbound]\ntls = secure\n");
	world_read_fine(world);
	uint64_t generation = directory_generation(world->directory);

	for (int i = 0; i < 3; i++) {
		file_write("a.example.policy", "[outbound]\ntls = non\n");
		assert_int_equal(world_read(world), i == 0);
		assert_string_equal(world->faults,
			"D/a.example.policy:2: tls = non: not one of none, may, encrypt, "
			"dane, dane-only, verify, secure, fingerprint\n"
			"D/a.example.policy: warning: the version before it stays in "
			"force\n");
		assert_int_equal(directory_faults(world->directory), 1);
		assert_found(world, DIRECTION_OUTBOUND, "x.a.example", LEVEL_SECURE,
			"D/a.example.policy:3");
	}
	assert_int_equal(directory_generation(world->directory), generation + 1);
	/* cut to nothing, as by a full disk */
	file_write("a.example.policy", "");
	assert_true(world_read(world));
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_SECURE,
		"D/a.example.policy:3");
	file_write("a.example.policy", "[outbound]\ntls = none\n");
	assert_true(world_read_fine(world));
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_NONE,
		"D/a.example.policy:2");
	assert_found(world, DIRECTION_OUTBOUND, "x.a.example", LEVEL_MAY, "default");
	/* its good version is gone for good once the file was */
	unlink("a.example.policy");
	file_write("b.example.policy", "[outbound]\ntls = none\n");
	assert_true(world_read_fine(world));
	assert_found(world, DIRECTION_OUTBOUND, "a.example", LEVEL_MAY, "default");
	file_write("a.example.policy", "[outbound]\n");
	assert_true(world_read(world));
	assert_broken(world, "a.example",
		"the policy for a.example cannot be read: D/a.example.policy:1: this "
		"[outbound] lacks its tls: write tls = may or another level");
}

/* ---- changes ---- */

static void test_changes(void **state)
{
	struct world *world = *state;
	uint64_t generation;

	file_write("a.example.policy", "[outbound]\ntls = verify\nca = a.pem\n");
	file_write("b.example.policy", "[outbound]\ntls = encrypt\n");
	file_write("a.pem", PEM);
	world_read_fine(world);
	generation = directory_generation(world->directory);

	/* nothing, or nothing but dates */
	assert_false(world_read_fine(world));
	file_write("b.example.policy", "[outbound]\ntls = encrypt\n");
	file_write("a.pem", PEM);
	assert_false(world_read_fine(world));
	assert_int_equal(directory_generation(world->directory), generation);

	file_write("a.pem", PEM "\n");
	assert_true(world_read_fine(world));
	file_write("b.example.policy", "[outbound]\ntls = encrypt ;\n");
	assert_true(world_read_fine(world));
	file_write("c.example.policy", "[outbound]\ntls = may\n");
	assert_true(world_read_fine(world));
	unlink("b.example.policy");
	assert_true(world_read_fine(world));
	/* one comes and another goes */
	assert_int_equal(rename("c.example.policy", "a.example-b.policy"), 0);
	assert_true(world_read_fine(world));
	assert_false(world_read_fine(world));
	assert_int_equal(directory_generation(world->directory), generation + 5);
	assert_int_equal(directory_count(world->directory), 2);
	assert_string_equal(directory_file(world->directory, 0)->domain, "a.example");
	assert_string_equal(directory_file(world->directory, 1)->domain, "a.example-b");
	assert_null(directory_file(world->directory, 2));
}

static void test_inbound(void **state)
{
	static const struct {
		const char *text;
		bool demands, certificates;
	} cases[] = {
		{ "[outbound]\ntls = secure\n", false, false },
		{ "[inbound]\ntls = may\n", false, false },
		{ "[inbound]\ntls = encrypt\n", true, false },
		{ "[inbound]\ntls = verify\n", true, true },
		{ "[inbound]\ntls = fingerprint\nfingerprint = sha256/spki:"
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
			true, true },
	};
	struct world *world = *state;

	file_write("default.policy", "[outbound]\ntls = may\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		file_write("a.example.policy", cases[i].text);
		world_read_fine(world);
		assert_int_equal(
			directory_demands_inbound(world->directory), cases[i].demands);
		assert_int_equal(directory_needs_client_certificates(world->directory),
			cases[i].certificates);
	}
}

static void test_many(void **state)
{
	enum { FILES = 3000 };
	struct world *world = *state;
	char name[64], where[80];

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "d%d.example.policy", i);
		file_write(name, i % 2 == 0 ? "[outbound]\ntls = verify\n"
					    : "\n[outbound]\ntls = secure\n");
	}
	assert_true(world_read_fine(world));
	assert_false(world_read_fine(world));
	assert_int_equal(directory_count(world->directory), FILES);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		snprintf(where, sizeof(where), "D/%s.policy:%d", name, 2 + i % 2);
		assert_found(world, DIRECTION_OUTBOUND, name,
			i % 2 == 0 ? LEVEL_VERIFY : LEVEL_SECURE, where);
	}
	assert_found(world, DIRECTION_OUTBOUND, "d3000.example", LEVEL_MAY, "default");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_order),
		IN_WORLD(test_demand_default),
		IN_WORLD(test_literals),
		IN_WORLD(test_expiry),
		IN_WORLD(test_broken),
		IN_WORLD(test_broken_default),
		IN_WORLD(test_last_good),
		IN_WORLD(test_changes),
		IN_WORLD(test_inbound),
		IN_WORLD(test_many),
	};

	umask(022);
	return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
