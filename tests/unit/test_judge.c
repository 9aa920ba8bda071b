/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What must hold of every judgement, over the product of all that it depends on; what is
 * said to people; and names. The verdicts one by one are in tests/golden.
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
	case DIM_DANE: *less = 1; break;
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
		judge_world_set(world, d, less);
		must(passes(world), world, "failed where less was demanded");
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

	if (world->at[DIM_DIRECTION] == INBOUND || judge_needs_candidates(&world->peer))
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

/* ---- what is said ---- */

/* Sets dimensions by name of the value, judges, and compares the reason. */
static void assert_reason(const char *settings, enum verdict verdict, const char *wanted)
{
	static struct judge_world world;
	char reason[REQUIREMENT_TEXT], copy[256];

	judge_world_init(&world);
	snprintf(copy, sizeof(copy), "%s", settings);
	for (char *rest = copy, *word; (word = strsep(&rest, " "));) {
		char *value = strchr(word, '=');
		enum dimension d = 0;
		unsigned v = 0;

		assert_non_null(value);
		*value++ = '\0';
		while (d < DIMENSIONS && strcmp(dimension_name(d), word) != 0)
			d++;
		assert_true(d < DIMENSIONS);
		while (value_name(d, v) && strcmp(value_name(d, v), value) != 0)
			v++;
		assert_non_null(value_name(d, v));
		judge_world_set(&world, d, v);
	}
	assert_int_equal(judge_world_judge(&world, reason), verdict);
	assert_string_equal(reason, wanted);
}

static void test_reasons_of_hosts(void **state)
{
	(void)state;
	assert_reason("level=encrypt tls=clear", VERDICT_NO_TLS,
		"mx1.mail.example is reached in clear, demanded: encrypt");
	assert_reason("level=may tlsa=usable tls=clear", VERDICT_NO_TLS,
		"mx1.mail.example is reached in clear, demanded: dane");
	assert_reason("level=encrypt protocols=tls1.3 tls=1.2", VERDICT_PROTOCOL,
		"mx1.mail.example speaks TLS1.2, demanded: TLS 1.3");
	assert_reason("level=encrypt tls=1.0 host=unlisted", VERDICT_PROTOCOL,
		"the host speaks TLS1.0, demanded: TLS 1.2 or later");
	assert_reason("level=may mx=other.example", VERDICT_MX,
		"MX host mx1.mail.example of bank.example is not one that is believed, "
		"demanded: other.example");
	assert_reason("level=may mx=domain host=unlisted", VERDICT_MX,
		"the host is not an MX host of bank.example, "
		"demanded: bank.example or a name below it");
	assert_reason("level=secure domain=[192.0.2.1]", VERDICT_LITERAL,
		"the address literal [192.0.2.1] cannot have what is demanded: secure");
	assert_reason("level=verify domain=none", VERDICT_LITERAL,
		"a recipient without a domain cannot have what is demanded: verify");
	assert_reason("level=dane-only", VERDICT_NOT_AVAILABLE,
		"what is demanded of bank.example is not available in this release: "
		"dane-only");
}

static void test_reasons_of_certificates(void **state)
{
	(void)state;
	assert_reason("level=verify shown=nothing", VERDICT_NO_CERTIFICATE,
		"mx1.mail.example showed no certificate, demanded: verify");
	assert_reason("direction=inbound level=fingerprint shown=unasked",
		VERDICT_NO_CERTIFICATE,
		"the client showed no certificate, demanded: fingerprint");
	assert_reason("level=secure public-chain=untrusted", VERDICT_CHAIN,
		"certificate of mx1.mail.example leads to no CA that is trusted");
	assert_reason("level=secure ca=own own-chain=untrusted", VERDICT_CHAIN,
		"certificate of mx1.mail.example leads to no CA that is trusted, "
		"demanded: the `ca` of its policy file");
	assert_reason("level=secure public-chain=unasked", VERDICT_CHAIN,
		"certificate of mx1.mail.example was not verified");
	assert_reason("level=secure public-chain=expired", VERDICT_CHAIN,
		"certificate of mx1.mail.example has expired (2023-11-14)");
	assert_reason("level=verify public-chain=not-yet-valid", VERDICT_CHAIN,
		"certificate of mx1.mail.example is not yet valid (2020-09-13)");
	assert_reason("level=verify names=a.bank.example", VERDICT_NAME,
		"certificate of mx1.mail.example names a.bank.example, "
		"demanded: mx1.mail.example");
	assert_reason("level=verify host=unlisted names=a.bank.example", VERDICT_NAME,
		"certificate of the host names a.bank.example, "
		"demanded: an MX host's name");
	assert_reason("level=secure match=other.example,domain names=none", VERDICT_NAME,
		"certificate of mx1.mail.example bears no name, "
		"demanded: other.example or bank.example or a name below it");
	assert_reason("level=verify match=.mail.example names=bank.example", VERDICT_NAME,
		"certificate of mx1.mail.example names bank.example, "
		"demanded: a name below mail.example");
	assert_reason("direction=inbound domain=none level=verify", VERDICT_NAME,
		"certificate of the client names mx1.mail.example, bank.example, "
		"demanded: a name of a domain");
	assert_reason("level=fingerprint fingerprint=other", VERDICT_FINGERPRINT,
		"certificate of mx1.mail.example is sha256/cert:"
		"1111111111111111111111111111111111111111111111111111111111111111, "
		"demanded: another");
}

static void test_reasons_of_dane(void **state)
{
	(void)state;
	assert_reason("level=may tlsa=failed", VERDICT_DANE,
		"DNS: the TLSA records of mx1.mail.example are bogus or not to be had");
	assert_reason("level=dane-only tlsa=absent", VERDICT_DANE,
		"mx1.mail.example has no TLSA records, demanded: dane-only");
	assert_reason("level=dane-only tlsa=unusable", VERDICT_DANE,
		"mx1.mail.example has no TLSA record that can be used, "
		"demanded: dane-only");
	assert_reason("level=encrypt tlsa=usable records=none", VERDICT_DANE,
		"certificate of mx1.mail.example matches none of its TLSA records");
	assert_reason("level=dane tlsa=usable records=ta names=a.mail.example",
		VERDICT_DANE,
		"certificate of mx1.mail.example names a.mail.example, "
		"demanded by its TLSA records: mx1.mail.example or bank.example");
	assert_reason("level=may tlsa=usable host=unlisted", VERDICT_DANE,
		"the host is not an MX host of bank.example, whose MX hosts have DANE");
}

/* The CA's date, where it is the CA that has expired. */
static void test_expired_ca(void **state)
{
	struct judge_world world;
	char reason[REQUIREMENT_TEXT];

	(void)state;
	judge_world_init(&world);
	judge_world_set(&world, DIM_LEVEL, LEVEL_SECURE);
	judge_world_set(&world, DIM_PUBLIC, VERDICT_EXPIRED);
	world.chain.certificates[1].not_after = 1650000000;
	assert_int_equal(judge_world_judge(&world, reason), VERDICT_CHAIN);
	assert_string_equal(reason,
		"a CA certificate in the chain of mx1.mail.example has expired "
		"(2022-04-15)");
	/* A date beyond every calendar is left out. */
	world.chain.certificates[1].not_after = INT64_MIN;
	assert_int_equal(judge_world_judge(&world, reason), VERDICT_CHAIN);
	assert_string_equal(
		reason, "a CA certificate in the chain of mx1.mail.example has expired");
}

/* Whoever looked at the chain knows best. */
static void test_given_reason(void **state)
{
	struct judge_world world;
	char reason[REQUIREMENT_TEXT];

	(void)state;
	judge_world_init(&world);
	judge_world_set(&world, DIM_LEVEL, LEVEL_SECURE);
	judge_world_set(&world, DIM_PUBLIC, VERDICT_EXPIRED);
	snprintf(world.chain.reason, sizeof(world.chain.reason),
		"\"Some CA\" expired on 2026-01-03");
	assert_int_equal(judge_world_judge(&world, reason), VERDICT_CHAIN);
	assert_string_equal(reason, "certificate of mx1.mail.example: "
				    "\"Some CA\" expired on 2026-01-03");
}

/* A certificate with a hundred names, with a huge one, with one that rings bells. */
static void test_hostile_names(void **state)
{
	struct judge_world world;
	char reason[REQUIREMENT_TEXT];
	char *at = world.chain.names;

	(void)state;
	judge_world_init(&world);
	judge_world_set(&world, DIM_LEVEL, LEVEL_VERIFY);
	for (unsigned i = 0; i < 100; i++)
		at += sprintf(at, "host%u.evil.example", i) + 1;
	*at = '\0';
	assert_int_equal(judge_world_judge(&world, reason), VERDICT_NAME);
	assert_string_equal(reason,
		"certificate of mx1.mail.example names host0.evil.example, "
		"host1.evil.example, host2.evil.example (+97 more), "
		"demanded: mx1.mail.example");

	memset(world.chain.names, 'a', FACTS_NAMES - 2);
	world.chain.names[FACTS_NAMES - 2] = '\0';
	world.chain.names[FACTS_NAMES - 1] = '\0';
	assert_int_equal(judge_world_judge(&world, reason), VERDICT_NAME);
	assert_non_null(strstr(reason, "aaa, demanded: mx1.mail.example"));

	memcpy(world.chain.names, "\a\r\n\x1b[0m\0", 9);
	assert_int_equal(judge_world_judge(&world, reason), VERDICT_NAME);
	assert_string_equal(reason, "certificate of mx1.mail.example names ????[0m, "
				    "demanded: mx1.mail.example");
}

/* The longest of everything is cut and ended. */
static void test_long_reason(void **state)
{
	struct judge_world world;
	char reason[REQUIREMENT_TEXT];

	(void)state;
	judge_world_init(&world);
	judge_world_set(&world, DIM_LEVEL, LEVEL_SECURE);
	world.peer.demand.match_count = REQUIREMENT_PATTERNS;
	for (unsigned i = 0; i < REQUIREMENT_PATTERNS; i++)
		memset(world.peer.demand.match[i], 'm', REQUIREMENT_NAME - 1);
	memset(world.peer.candidates[0].name, 'h', REQUIREMENT_NAME - 1);
	memset(world.chain.names, 'n', FACTS_NAMES - 2);
	world.chain.names[FACTS_NAMES - 2] = '\0';
	assert_int_equal(judge_world_judge(&world, reason), VERDICT_NAME);
	assert_true(strlen(reason) < sizeof(reason));
	assert_true(strlen(reason) > sizeof(reason) - 40);
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
		cmocka_unit_test(test_weaker),
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_every_reason),
		cmocka_unit_test(test_reasons_of_hosts),
		cmocka_unit_test(test_reasons_of_certificates),
		cmocka_unit_test(test_reasons_of_dane),
		cmocka_unit_test(test_expired_ca),
		cmocka_unit_test(test_given_reason),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_long_reason),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_verdict_names),
		cmocka_unit_test(test_level_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
