/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Routes where the domain publishes DANE or MTA-STS. */

#include "route_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void set_dane(struct candidate *c, enum dane_state state, const char *base)
{
	static const uint8_t octets[32] = { 1 };
	c->dane = (uint8_t)state;
	if (state != DANE_USABLE)
		return;
	snprintf(c->tlsa_base, sizeof(c->tlsa_base), "%s", base);
	c->tlsa_count = 1;
	c->tlsa[0] = (struct tlsa){ TLSA_EE, TLSA_SPKI, TLSA_SHA256, 32, octets };
}

static struct facts dane_facts(struct chain_facts *chain, enum dane_match match)
{
	*chain = (struct chain_facts){ .count = 1, .dane = (uint8_t)match };
	return over_tls(chain);
}

static void test_dane_names_the_base(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	set_dane(&peer->candidates[0], DANE_USABLE, "host.isp.example");
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(route_encryption(&r), ENCRYPTION_MUST);
	assert_string_equal(route_sni(&r), "host.isp.example");
	assert_string_equal(route_name(&r), "mx1.bank.example");
	uint64_t ticket = route_ticket(&r);
	peer->candidates[0].tlsa[0].matching = TLSA_SHA512;
	assert_true(route_ticket(&r) != ticket);
	peer->candidates[0].tlsa[0].matching = TLSA_SHA256;
	assert_true(route_ticket(&r) == ticket);
	strcpy(peer->candidates[0].tlsa_base, "other.isp.example");
	assert_true(route_ticket(&r) != ticket);
	/* Where it does not count it has no say. */
	peer->demand.dane = false;
	assert_string_equal(route_sni(&r), "mx1.bank.example");
	assert_int_equal(route_encryption(&r), ENCRYPTION_MAY);
	peer_free(peer);
}

static void test_a_host_without_its_records_is_not_called(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	peer->demand.bounce = true;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	set_dane(&peer->candidates[0], DANE_FAILED, "");
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_false(route_plan(&r, peer, 1));
	assert_string_equal(route_refusal(&r),
		"451 4.4.3 bank.example: DNS: the TLSA records of mx1.bank.example are "
		"bogus or not to be had");
	add_host(peer, "mx2.bank.example", 20, 20, 1);
	set_dane(&peer->candidates[1], DANE_ABSENT, "");
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(r.count, 1);
	assert_try(&r, "mx2.bank.example", 20);
	peer_free(peer);
}

/* Unsigned MX records may be anybody's, and so may the TLSA records of who stands there.
 */
static void test_a_forged_host_does_not_escape_the_policy(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	add_host(peer, "mx.evil.example", 10, 66, 1);
	set_dane(&peer->candidates[0], DANE_USABLE, "mx.evil.example");
	peer->sts.mode = STS_ENFORCE;
	peer->sts.mx_count = 1;
	strcpy(peer->sts.mx[0], "*.bank.example");
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_false(route_plan(&r, peer, 1));
	assert_int_equal(r.verdict, VERDICT_STS);
	/* Who is named has DANE in place of the rest, and signed records are nobody
	 * else's. */
	strcpy(peer->sts.mx[0], "*.evil.example");
	assert_true(route_plan(&r, peer, 1));
	strcpy(peer->sts.mx[0], "*.bank.example");
	peer->secure_mx = true;
	assert_true(route_plan(&r, peer, 1));
	peer_free(peer);
}

/* The file's demand was met, or might be by the host that DNS hides: nothing is final. */
static void test_no_bounce_for_what_is_published(void **state)
{
	struct route r;
	struct chain_facts chain;
	struct facts none = dane_facts(&chain, DANE_MATCH_NONE);
	struct peer *peer = peer_new("bank.example", LEVEL_ENCRYPT);
	(void)state;
	peer->demand.bounce = true;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	set_dane(&peer->candidates[0], DANE_USABLE, "mx1.bank.example");
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(judge_leg(&r, &none), VERDICT_DANE);
	assert_false(route_failed(&r, "4.7.5", r.text, ""));
	assert_begins(route_refusal(&r), "451 4.7.5 ");
	peer->demand.level = LEVEL_DANE;
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(judge_leg(&r, &none), VERDICT_DANE);
	assert_false(route_failed(&r, "4.7.5", r.text, ""));
	assert_begins(route_refusal(&r), "550 5.7.5 ");
	add_host(peer, "mx0.bank.example", 5, 5, 0);
	set_dane(&peer->candidates[1], DANE_FAILED, "");
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(judge_leg(&r, &none), VERDICT_DANE);
	assert_false(route_failed(&r, "4.7.5", r.text, ""));
	assert_begins(route_refusal(&r), "451 4.7.5 ");
	peer_free(peer);
}

/* An address of the host with DANE is served by its rule alone. */
static void test_interception_keeps_to_the_rule_of_the_address(void **state)
{
	struct route r = intercepted(10);
	struct chain_facts chain;
	struct facts none = dane_facts(&chain, DANE_MATCH_NONE);
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	char reason[REQUIREMENT_TEXT];
	(void)state;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	add_host(peer, "mx2.bank.example", 20, 20, 1);
	set_dane(&peer->candidates[0], DANE_USABLE, "mx1.bank.example");
	set_dane(&peer->candidates[1], DANE_ABSENT, "");
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(r.count, 1);
	assert_try(&r, "mx1.bank.example", 10);
	assert_int_equal(route_encryption(&r), ENCRYPTION_MUST);
	assert_int_equal(r.rule, 0);
	assert_int_equal(judge_leg(&r, &clear), VERDICT_NO_TLS);
	route_plan(&r, peer, 1);
	assert_int_equal(judge_leg(&r, &none), VERDICT_DANE);
	assert_false(serves(&r, peer, &clear, reason));
	struct facts match = dane_facts(&chain, DANE_MATCH_EE);
	route_plan(&r, peer, 1);
	assert_int_equal(judge_leg(&r, &match), VERDICT_PASS);
	assert_int_equal(r.dane, DANE_MATCH_EE);
	assert_int_equal(r.rule, 0);
	/* And the other one by its own. */
	r = intercepted(20);
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(route_encryption(&r), ENCRYPTION_MAY);
	assert_int_equal(judge_leg(&r, &clear), VERDICT_PASS);
	peer_free(peer);
}

/* Who led the backend astray does not choose the rule of the host without DANE. */
static void test_interception_of_an_unlisted_address(void **state)
{
	struct route r = intercepted(99);
	struct chain_facts chain;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	char reason[REQUIREMENT_TEXT];
	(void)state;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	add_host(peer, "mx2.bank.example", 20, 20, 1);
	set_dane(&peer->candidates[0], DANE_ABSENT, "");
	set_dane(&peer->candidates[1], DANE_USABLE, "mx2.bank.example");
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(r.count, 1);
	assert_try(&r, "mx2.bank.example", 99);
	assert_false(serves(&r, peer, &clear, reason));
	struct facts facts = dane_facts(&chain, DANE_MATCH_NONE);
	assert_int_equal(judge_leg(&r, &facts), VERDICT_DANE);
	facts = dane_facts(&chain, DANE_MATCH_EE);
	assert_int_equal(judge_leg(&r, &facts), VERDICT_PASS);
	/* None can prove anything. */
	set_dane(&peer->candidates[1], DANE_UNUSABLE, "");
	assert_false(route_plan(&r, peer, 1));
	assert_begins(route_refusal(&r), "421 4.7.5 bank.example: the host is not an MX");
	/* Without DANE anybody's rule will do. */
	set_dane(&peer->candidates[1], DANE_ABSENT, "");
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(judge_leg(&r, &clear), VERDICT_PASS);
	peer_free(peer);
}

static void test_sts_is_never_final(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	struct chain_facts *chain = chain_new("mx1.bank.example", CHAIN_UNTRUSTED);
	struct facts facts = over_tls(chain);
	(void)state;
	peer->demand.bounce = true;
	peer->sts.mode = STS_ENFORCE;
	strcpy(peer->sts.mx[peer->sts.mx_count++], "*.bank.example");
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	add_host(peer, "mx.evil.example", 5, 66, 1);
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(r.count, 1);
	assert_try(&r, "mx1.bank.example", 10);
	assert_int_equal(route_encryption(&r), ENCRYPTION_MUST);
	assert_int_equal(judge_leg(&r, &facts), VERDICT_STS);
	assert_false(route_failed(&r, verdict_code(VERDICT_STS), r.text, ""));
	assert_begins(route_refusal(&r), "451 4.7.5 bank.example via mx1.bank.example[");
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(judge_leg(&r, &clear), VERDICT_NO_TLS);
	assert_false(route_failed(&r, verdict_code(VERDICT_NO_TLS), r.text, ""));
	assert_begins(route_refusal(&r), "451 4.7.4 ");
	chain->public_chain = CHAIN_VALID;
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(judge_leg(&r, &facts), VERDICT_PASS);
	free(chain);
	peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dane_names_the_base),
		cmocka_unit_test(test_a_host_without_its_records_is_not_called),
		cmocka_unit_test(test_a_forged_host_does_not_escape_the_policy),
		cmocka_unit_test(test_no_bounce_for_what_is_published),
		cmocka_unit_test(test_interception_keeps_to_the_rule_of_the_address),
		cmocka_unit_test(test_interception_of_an_unlisted_address),
		cmocka_unit_test(test_sts_is_never_final),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
