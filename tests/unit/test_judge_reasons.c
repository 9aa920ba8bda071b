/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What is said to people of what was not met. */

#include "judge.h"
#include "judge_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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
		"what is demanded of bank.example is not available here: dane-only");
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
	assert_reason("level=may tlsa=failed", VERDICT_DNS,
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

static void test_reasons_of_dns(void **state)
{
	(void)state;
	assert_reason("level=may host=unknown status=dns-failed", VERDICT_DNS,
		"DNS: nobody can tell whether bank.example has DANE");
	assert_reason("level=none tlsa=unusable tls=clear", VERDICT_NO_TLS,
		"mx1.mail.example is reached in clear, demanded: dane");
	assert_reason("level=none tlsa=usable records=ta base=a.mail.example "
		      "names=*.example",
		VERDICT_DANE,
		"certificate of mx1.mail.example names *.example, "
		"demanded by its TLSA records: a.mail.example or bank.example");
}

static void test_reasons_of_sts(void **state)
{
	(void)state;
	assert_reason("level=may sts=enforce tls=clear", VERDICT_NO_TLS,
		"mx1.mail.example is reached in clear, demanded: mta-sts");
	assert_reason("level=encrypt sts=enforce tls=clear", VERDICT_NO_TLS,
		"mx1.mail.example is reached in clear, demanded: encrypt");
	assert_reason("level=may protocols=legacy sts=enforce tls=1.1", VERDICT_PROTOCOL,
		"mx1.mail.example speaks TLS1.1, demanded: TLS 1.2 or later");
	assert_reason("level=may sts=enforce sts-mx=other.example tls=clear", VERDICT_STS,
		"mx1.mail.example is no MX host that the MTA-STS policy of bank.example "
		"names");
	assert_reason("level=may sts=enforce host=unlisted", VERDICT_STS,
		"the host is no MX host that the MTA-STS policy of bank.example names");
	assert_reason("level=may sts=enforce shown=nothing", VERDICT_STS,
		"mx1.mail.example showed no certificate, demanded by the MTA-STS policy "
		"of bank.example: a valid one for mx1.mail.example");
	assert_reason("level=may sts=enforce public-chain=untrusted", VERDICT_STS,
		"certificate of mx1.mail.example leads to no CA that is trusted, "
		"demanded "
		"by the MTA-STS policy of bank.example: a valid one for "
		"mx1.mail.example");
	assert_reason("level=may sts=enforce names=bank.example", VERDICT_STS,
		"certificate of mx1.mail.example names bank.example, demanded by the "
		"MTA-STS policy of bank.example: a valid one for mx1.mail.example");
}

/* What testing would have refused is said, and passes. */
static void test_testing(void **state)
{
	struct judge_world world;
	char reason[REQUIREMENT_TEXT];

	(void)state;
	judge_world_init(&world);
	judge_world_set(&world, DIM_LEVEL, LEVEL_MAY);
	judge_world_set(&world, DIM_STS, STS_TESTING);
	judge_world_set(&world, DIM_TLS, TLS_NONE);
	assert_int_equal(judge_world_judge(&world, reason), VERDICT_PASS);
	assert_int_equal(
		judge_sts_testing(&world.peer, world.candidate, &world.facts, reason),
		VERDICT_NO_TLS);
	assert_string_equal(
		reason, "mx1.mail.example is reached in clear, demanded: mta-sts");
	judge_world_set(&world, DIM_TLS, TLS_1_3);
	assert_int_equal(
		judge_sts_testing(&world.peer, world.candidate, &world.facts, reason),
		VERDICT_PASS);
	assert_string_equal(reason, "");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons_of_hosts),
		cmocka_unit_test(test_reasons_of_certificates),
		cmocka_unit_test(test_reasons_of_dane),
		cmocka_unit_test(test_reasons_of_dns),
		cmocka_unit_test(test_reasons_of_sts),
		cmocka_unit_test(test_testing),
		cmocka_unit_test(test_expired_ca),
		cmocka_unit_test(test_given_reason),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_long_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
