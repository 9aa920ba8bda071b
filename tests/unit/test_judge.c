/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What must hold of every judgement, over the product of all that it depends on; and
 * names. The verdicts one by one are in tests/golden.
 */

#include "judge.h"
#include "judge_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the product ---- */

static const struct walk outbound = { {
	[DIM_LEVEL] = ALL,
	[DIM_PROTOCOLS] = ALL,
	[DIM_DANE] = ALL,
	[DIM_MX] = ONLY(0) | ONLY(1) | ONLY(6),
	[DIM_MATCH] = ONLY(0) | ONLY(2) | ONLY(5),
	[DIM_CA] = ALL,
	[DIM_HOST] = ONLY(HOST_LISTED) | ONLY(HOST_UNLISTED),
	[DIM_TLSA] = ALL,
	[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_1_2) | ONLY(TLS_1_0) | ONLY(TLS_NONE),
	[DIM_SHOWN] = ONLY(SHOWN_CHAIN) | ONLY(SHOWN_UNASKED),
	[DIM_PUBLIC] = ONLY(VERDICT_VALID) | ONLY(VERDICT_EXPIRED),
	[DIM_NAMES] = ONLY(NAMES_BOTH) | ONLY(NAMES_DOMAIN),
	[DIM_RECORDS] = ALL,
} };

static const struct walk inbound = { {
	[DIM_DIRECTION] = ONLY(INBOUND),
	[DIM_LEVEL] = ALL,
	[DIM_PROTOCOLS] = ALL,
	[DIM_MATCH] = ALL,
	[DIM_CA] = ALL,
	[DIM_PIN] = ALL,
	[DIM_HOST] = ONLY(HOST_UNLISTED),
	[DIM_TLS] = ALL,
	[DIM_SHOWN] = ALL,
	[DIM_PUBLIC] = ALL,
	[DIM_NAMES] = ONLY(NAMES_BOTH) | ONLY(NAMES_MX),
} };

static const struct walk odd_domains = { {
	[DIM_DIRECTION] = ALL,
	[DIM_DOMAIN] = ALL,
	[DIM_LEVEL] = ALL,
	[DIM_DANE] = ALL,
	[DIM_MATCH] = ALL,
	[DIM_HOST] = ALL,
	[DIM_TLSA] = ALL,
	[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_NONE),
	[DIM_NAMES] = ALL,
} };

/* What the domain publishes, and how far it is heeded. */
static const struct walk published = { {
	[DIM_STATUS] = ALL,
	[DIM_LEVEL] = ALL,
	[DIM_PROTOCOLS] = ONLY(PROTOCOLS_TLS_1_2) | ONLY(PROTOCOLS_LEGACY),
	[DIM_DANE] = ALL,
	[DIM_MTA_STS] = ALL,
	[DIM_HOST] = ALL & ~ONLY(HOST_UNNAMED),
	[DIM_TLSA] = ALL,
	[DIM_STS] = ALL,
	[DIM_STS_MX] = ONLY(STS_MX_LISTED) | ONLY(STS_MX_OTHER),
	[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_1_0) | ONLY(TLS_NONE),
	[DIM_PUBLIC] = ONLY(VERDICT_VALID) | ONLY(VERDICT_EXPIRED),
	[DIM_NAMES] = ONLY(NAMES_BOTH) | ONLY(NAMES_DOMAIN),
	[DIM_RECORDS] = ALL,
} };

static void fail_at(const struct judge_world *world, const char *what)
{
	print_error("%s:", what);
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		print_error(" %s=%s", dimension_name(d), value_name(d, world->at[d]));
	print_error("\n");
	fail();
}

static void must(bool condition, const struct judge_world *world, const char *what)
{
	if (!condition)
		fail_at(world, what);
}

static void for_each(const struct walk *walk, void (*check)(struct judge_world *world))
{
	static struct judge_world world;

	walk_begin(walk, &world);
	do
		check(&world);
	while (walk_next(walk, &world));
}

static void for_all(void (*check)(struct judge_world *world))
{
	for_each(&outbound, check);
	for_each(&published, check);
	for_each(&inbound, check);
	for_each(&odd_domains, check);
}

static bool passes(const struct judge_world *world)
{
	char reason[REQUIREMENT_TEXT];

	return judge_world_judge(world, reason) == VERDICT_PASS;
}

/* ---- what must hold ---- */

static void check_clear(struct judge_world *world)
{
	enum level level = world->peer.demand.level;

	if (world->facts.protocol != PROTOCOL_CLEAR || !passes(world))
		return;
	must(judge_encryption(&world->peer, world->candidate) != ENCRYPTION_MUST, world,
		"passed in clear where TLS is a must");
	must(level == LEVEL_NONE || level == LEVEL_MAY || level == LEVEL_DANE, world,
		"passed in clear under this level");
	must(level != LEVEL_DANE || world->at[DIM_TLSA] == DANE_ABSENT, world,
		"passed in clear in spite of DANE");
	if (world->at[DIM_DIRECTION] == INBOUND)
		return;
	must(world->at[DIM_MTA_STS] != 0 || world->at[DIM_STS] != STS_ENFORCE, world,
		"passed in clear in spite of MTA-STS");
	if (world->at[DIM_DANE] != 0)
		return;
	if (world->at[DIM_HOST] == HOST_UNKNOWN) {
		must(world->at[DIM_STATUS] != STATUS_DNS_FAILED, world,
			"passed in clear where nobody can tell what is published");
		return;
	}
	must(world->at[DIM_TLSA] == DANE_ABSENT ||
			world->at[DIM_TLSA] == DANE_UNAVAILABLE,
		world, "passed in clear in spite of what is published for DANE");
}

static void test_clear(void **state)
{
	(void)state;
	for_all(check_clear);
}

static void check_asked(struct judge_world *world)
{
	unsigned asks = judge_asks(&world->peer, world->candidate);
	struct chain_facts *chain = &world->chain;
	struct chain_facts was = { .public_chain = chain->public_chain,
		.own_chain = chain->own_chain,
		.dane = chain->dane };

	if (!passes(world) || !world->facts.chain)
		return;
	/* What is asked for the log alone decides nothing. */
	if (judge_sts_mode(&world->peer, world->candidate) == STS_TESTING)
		return;
	if (asks & ASK_PUBLIC_CHAIN)
		chain->public_chain = CHAIN_NOT_ASKED;
	if (asks & ASK_OWN_CHAIN)
		chain->own_chain = CHAIN_NOT_ASKED;
	if (asks & ASK_DANE)
		chain->dane = DANE_MATCH_NOT_ASKED;
	must(passes(world) == ((asks & ~ASK_LEAF) == 0), world,
		"passed by what was not asked for");
	world->facts.chain = NULL;
	must(passes(world) == (asks == 0), world, "passed by a chain that nobody saw");
	world->facts.chain = chain;
	chain->public_chain = was.public_chain;
	chain->own_chain = was.own_chain;
	chain->dane = was.dane;
}

/* What was asked for and not found out never passes. */
static void test_asked(void **state)
{
	(void)state;
	for_all(check_asked);
}

static void check_unasked(struct judge_world *world)
{
	unsigned asks = judge_asks(&world->peer, world->candidate);
	struct chain_facts *chain = &world->chain;
	uint8_t public_chain = chain->public_chain, own_chain = chain->own_chain;
	uint8_t dane = chain->dane;
	bool passed = passes(world);

	if (!(asks & ASK_PUBLIC_CHAIN))
		chain->public_chain =
			public_chain == CHAIN_VALID ? CHAIN_EXPIRED : CHAIN_VALID;
	if (!(asks & ASK_OWN_CHAIN))
		chain->own_chain = own_chain == CHAIN_VALID ? CHAIN_EXPIRED : CHAIN_VALID;
	if (!(asks & ASK_DANE))
		chain->dane = dane == DANE_MATCH_EE ? DANE_MATCH_NONE : DANE_MATCH_EE;
	must(passes(world) == passed, world, "went by what it had not asked for");
	chain->public_chain = public_chain;
	chain->own_chain = own_chain;
	chain->dane = dane;
}

/* What was not asked for decides nothing. */
static void test_unasked(void **state)
{
	(void)state;
	for_all(check_unasked);
}

static void check_identifies(struct judge_world *world)
{
	const struct chain_facts *chain = world->facts.chain;

	if (!passes(world) || world->facts.protocol == PROTOCOL_CLEAR)
		return;
	world->facts.chain = NULL;
	must(passes(world) == !judge_identifies(&world->peer, world->candidate), world,
		"identified by nothing, or not by what it had to show");
	world->facts.chain = chain;
}

/* Whoever passed because of what it has shown is identified, and nobody else. */
static void test_identifies(void **state)
{
	(void)state;
	for_all(check_identifies);
}

/* What demands less in this dimension, where there is such a thing. */
static bool weaker(enum dimension dimension, unsigned value, unsigned *less)
{
	static const unsigned levels[] = {
		[LEVEL_NONE] = LEVEL_NONE,
		[LEVEL_MAY] = LEVEL_NONE,
		[LEVEL_ENCRYPT] = LEVEL_MAY,
		[LEVEL_DANE] = LEVEL_MAY,
		[LEVEL_DANE_ONLY] = LEVEL_DANE,
		[LEVEL_VERIFY] = LEVEL_ENCRYPT,
		[LEVEL_SECURE] = LEVEL_ENCRYPT,
		[LEVEL_FINGERPRINT] = LEVEL_ENCRYPT,
	};

	*less = value;
	switch (dimension) {
	case DIM_LEVEL: *less = levels[value]; break;
	case DIM_PROTOCOLS: /* tls1.3, tls1.2+, legacy */
		*less = value == PROTOCOLS_TLS_1_3 ? PROTOCOLS_TLS_1_2 : PROTOCOLS_LEGACY;
		break;
	case DIM_DANE:
	case DIM_MTA_STS: *less = 1; break;
	case DIM_STS: *less = value == STS_ENFORCE ? STS_TESTING : STS_NONE; break;
	case DIM_MX: *less = 0; break;
	default: break;
	}
	return *less != value;
}

static void check_weaker(struct judge_world *world)
{
	if (!passes(world))
		return;
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		unsigned was = world->at[d], less;

		if (!weaker(d, was, &less))
			continue;
		enum sts_mode mode = judge_sts_mode(&world->peer, world->candidate);
		judge_world_set(world, d, less);
		/* Without DANE it is MTA-STS that holds. */
		bool other = judge_sts_mode(&world->peer, world->candidate) > mode;
		must(other || passes(world), world, "failed where less was demanded");
		judge_world_set(world, d, was);
	}
}

/* To demand more never turns a failure into a pass. */
static void test_weaker(void **state)
{
	(void)state;
	for_all(check_weaker);
}

static void check_before(struct judge_world *world)
{
	char reason[REQUIREMENT_TEXT], before[REQUIREMENT_TEXT];
	enum verdict verdict = judge_before(&world->peer, before);

	must((verdict == VERDICT_PASS) == (before[0] == '\0'), world,
		"a reason without a fault, or a fault without a reason");
	if (verdict == VERDICT_PASS)
		return;
	must(judge_world_judge(world, reason) == verdict, world,
		"judged otherwise than before");
	must(strcmp(reason, before) == 0, world, "another reason than before");
}

/* What can never be met is not met later. */
static void test_before(void **state)
{
	(void)state;
	for_all(check_before);
}

static void check_candidates(struct judge_world *world)
{
	const struct candidate *candidate = world->candidate;

	if (world->at[DIM_DIRECTION] == INBOUND || world->peer.candidate_count == 0 ||
		judge_needs_candidates(&world->peer))
		return;
	bool passed = passes(world);
	world->candidate = candidate ? NULL : &world->peer.candidates[0];
	must(passes(world) == passed, world, "the host matters, and was not needed");
	world->candidate = candidate;
}

/* Where candidates are not needed they change nothing. */
static void test_candidates(void **state)
{
	(void)state;
	for_all(check_candidates);
}

static void check_reason(struct judge_world *world)
{
	char reason[REQUIREMENT_TEXT];

	memset(reason, 0x7f, sizeof(reason));
	enum verdict verdict = judge_world_judge(world, reason);
	const char *end = memchr(reason, '\0', sizeof(reason));
	must(end, world, "a reason without an end");
	must((verdict == VERDICT_PASS) == (end == reason), world,
		"a reason for a pass, or none for a failure");
	for (const char *at = reason; at < end; at++)
		must(*at >= ' ' && *at <= '~', world, "a reason that cannot be printed");
}

static void test_every_reason(void **state)
{
	(void)state;
	for_all(check_reason);
}

/* ---- names ---- */

static void test_names(void **state)
{
	static const struct {
		const char *certificate, *host;
		bool matches;
	} table[] = {
		{ "mx.bank.example", "mx.bank.example", true },
		{ "mx.bank.example", "bank.example", false },
		{ "bank.example", "mx.bank.example", false },
		{ "*.bank.example", "mx.bank.example", true },
		{ "*.bank.example", "bank.example", false },
		{ "*.bank.example", "a.mx.bank.example", false },
		{ "*.bank.example", ".bank.example", false },
		{ "*.bank.example", "*.bank.example", true },
		{ "*.example", "bank.example", false },
		{ "*.", "bank.", false },
		{ "*..example", "a..example", false },
		{ "*.example.", "bank.example.", false },
		{ "*", "example", false },
		{ "mx*.bank.example", "mx1.bank.example", false },
		{ "*1.bank.example", "mx1.bank.example", false },
		{ "mx*.bank.example", "mx*.bank.example", false },
		{ "mx.*.example", "mx.bank.example", false },
		{ "*.*.example", "mx.bank.example", false },
		{ "", "", false },
		{ "", "bank.example", false },
		{ "bank.example", "", false },
		{ "*.bank.example", "", false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (judge_name_matches(table[i].certificate, table[i].host) !=
			table[i].matches)
			fail_msg(
				"\"%s\" and \"%s\"", table[i].certificate, table[i].host);
}

static void test_verdict_names(void **state)
{
	(void)state;
	for (enum verdict v = 0; v < VERDICTS; v++)
		for (enum verdict w = 0; w < v; w++)
			assert_string_not_equal(verdict_name(v), verdict_name(w));
	assert_string_equal(verdict_code(VERDICT_NO_TLS), "4.7.4");
	assert_string_equal(verdict_code(VERDICT_CHAIN), "4.7.5");
	assert_string_equal(verdict_code(VERDICT_DNS), "4.4.3");
	assert_string_equal(verdict_code(VERDICT_NOT_AVAILABLE), "4.3.5");
}

static void test_level_names(void **state)
{
	enum level found;

	(void)state;
	for (enum level l = 0; l < LEVELS; l++) {
		assert_true(level_find(level_name(l), &found));
		assert_int_equal(found, l);
	}
	assert_false(level_find("", &found));
	assert_false(level_find("dane-", &found));
	assert_false(level_find("Secure", &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_unasked),
		cmocka_unit_test(test_identifies),
		cmocka_unit_test(test_weaker),
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_every_reason),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_verdict_names),
		cmocka_unit_test(test_level_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
