/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Routes: what is tried in which order, what a leg serves, and what is said at the end.
 */

#include "route_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- planning ---- */

static void test_hosts_are_walked_by_preference(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	add_host(peer, "mx2.bank.example", 20, 20, 1);
	add_host(peer, "mx1.bank.example", 10, 10, 2);
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	assert_try(&r, "mx1.bank.example", 10);
	assert_true(route_failed(&r, "4.4.1", "Connection refused", ""));
	assert_try(&r, "mx1.bank.example", 11);
	assert_true(route_failed(&r, "4.4.1", "Connection refused", ""));
	assert_try(&r, "mx2.bank.example", 20);
	assert_false(
		route_failed(&r, "4.3.0", "the mail server refused to serve", "554 no"));
	assert_string_equal(route_refusal(&r),
		"451 4.3.0 bank.example via mx2.bank.example[192.0.2.20]: the mail "
		"server "
		"refused to serve (it said: 554 no)");
	peer_free(peer);
}

static void test_equal_hosts_take_turns(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	bool first[3] = { false };
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		char name[32];
		snprintf(name, sizeof(name), "mx%u.bank.example", i);
		add_host(peer, name, 10, (uint8_t)(10 * i), 1);
	}
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	uint32_t random = 1;
	for (unsigned i = 0; i < 100; i++) {
		random = random * 1664525u + 1013904223u;
		assert_true(route_plan(&r, peer, random));
		assert_int_equal(r.count, 3);
		first[route_address(&r).octets[3] / 10] = true;
	}
	assert_true(first[0] && first[1] && first[2]);
	peer_free(peer);
}

static void test_tries_are_bounded(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	for (unsigned i = 0; i < REQUIREMENT_CANDIDATES; i++)
		add_host(peer, "mx.bank.example", (uint16_t)i, 1, REQUIREMENT_ADDRESSES);
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	unsigned tries = 1;
	while (route_failed(&r, "4.4.1", "Connection refused", ""))
		tries++;
	assert_int_equal(tries, ROUTE_TRIES);
	peer_free(peer);
}

static void test_an_unbelieved_host_is_not_called(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_ENCRYPT);
	(void)state;
	add_host(peer, "mx.evil.example", 5, 66, 1);
	strcpy(peer->demand.mx[peer->demand.mx_count++], "*.bank.example");
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_false(route_plan(&r, peer, 1));
	assert_begins(route_refusal(&r), "451 4.7.0 bank.example: ");
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	assert_true(route_plan(&r, peer, 1));
	assert_try(&r, "mx1.bank.example", 10);
	assert_false(route_failed(&r, "4.4.1", "Connection refused", ""));
	peer_free(peer);
}

/* ---- interception ---- */

static void test_interception_names_the_host_reached(void **state)
{
	struct route r = intercepted(20);
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	add_host(peer, "mx2.bank.example", 20, 20, 1);
	assert_true(route_plan(&r, peer, 1));
	assert_try(&r, "mx2.bank.example", 20);
	/* What fails at that address fails there by any name. */
	assert_false(route_failed(&r, "4.4.1", "Connection refused", ""));
	assert_begins(route_refusal(&r), "421 4.4.1 bank.example via mx2.bank.example[");
	peer_free(peer);
}

static void test_interception_tries_one_more_name(void **state)
{
	struct route r = intercepted(99);
	struct peer *peer = peer_new("bank.example", LEVEL_VERIFY);
	struct chain_facts *chain = chain_new("mx3.bank.example", CHAIN_VALID);
	struct facts facts = over_tls(chain);
	(void)state;
	add_match(peer, "mx");
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	add_host(peer, "mx2.bank.example", 20, 20, 1);
	assert_true(route_plan(&r, peer, 1));
	assert_try(&r, "mx1.bank.example", 99);
	assert_int_equal(judge_leg(&r, &facts), VERDICT_NAME);
	assert_true(route_failed(&r, verdict_code(VERDICT_NAME), r.text, ""));
	assert_try(&r, "mx2.bank.example", 99);
	assert_int_equal(judge_leg(&r, &facts), VERDICT_NAME);
	assert_false(route_failed(&r, verdict_code(VERDICT_NAME), r.text, ""));
	assert_begins(route_refusal(&r),
		"421 4.7.5 bank.example via mx1.bank.example[192.0.2.99]: certificate of "
		"mx1.bank.example ");
	/* A chain that is right for any of the domain's hosts is right. */
	add_host(peer, "mx3.bank.example", 30, 30, 1);
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(judge_leg(&r, &facts), VERDICT_PASS);
	free(chain);
	peer_free(peer);
}

static void test_interception_goes_by_the_greeting(void **state)
{
	static const char said[] = "220 MX2.bank.example ESMTP\r\n";
	struct route r = intercepted(99);
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	add_host(peer, "mx2.bank.example", 20, 20, 1);
	route_greeted(&r, said, strlen(said));
	assert_true(route_plan(&r, peer, 1));
	assert_try(&r, "mx2.bank.example", 99);
	for (size_t length = 0; length < 8; length++) {
		route_greeted(&r, said, length); /* cut short it names nobody */
		assert_true(route_plan(&r, peer, 1));
		assert_try(&r, "mx1.bank.example", 99);
	}
	r.destination.octets[3] = 10; /* what DNS says counts for more */
	route_greeted(&r, said, strlen(said));
	assert_true(route_plan(&r, peer, 1));
	assert_try(&r, "mx1.bank.example", 10);
	peer_free(peer);
}

static void test_interception_without_dns(void **state)
{
	struct route r = intercepted(99);
	struct peer *peer = peer_new("bank.example", LEVEL_ENCRYPT);
	(void)state;
	peer->status = PEER_DNS_FAILED;
	strcpy(peer->text, "bank.example: no answer");
	/* It may have DANE for all that anybody knows (RFC 7672 §2.1.1). */
	assert_begins(route_refuses(&r, peer), "451 4.4.3 bank.example: no answer");
	peer->demand.dane = false;
	assert_null(route_refuses(&r, peer));
	assert_true(route_plan(&r, peer, 1));
	assert_try(&r, "", 99);
	assert_int_equal(route_encryption(&r), ENCRYPTION_MUST);
	/* A policy of MTA-STS that was fetched before is not forgotten for that. */
	peer->sts.mode = STS_ENFORCE;
	assert_begins(route_refuses(&r, peer), "451 4.4.3 bank.example: no answer");
	peer->sts.mode = STS_NONE;
	peer->demand.level = LEVEL_VERIFY;
	add_match(peer, "mx");
	assert_begins(route_refuses(&r, peer), "451 4.4.3 bank.example: no answer");
	/* A domain that does not exist publishes nothing. */
	peer->status = PEER_NO_DOMAIN;
	peer->demand.level = LEVEL_ENCRYPT;
	peer->demand.dane = true;
	assert_null(route_refuses(&r, peer));
	peer_free(peer);
}

/* ---- refusals before any leg ---- */

static void test_answers_that_refuse(void **state)
{
	static const struct {
		enum peer_status status;
		const char *refusal;
	} rows[] = {
		{ PEER_UNAVAILABLE, "451 4.3.0 why" },
		{ PEER_BROKEN, "451 4.3.5 why" },
		{ PEER_DNS_FAILED, "451 4.4.3 why" },
		{ PEER_NO_DOMAIN, "550 5.1.2 why" },
		{ PEER_NULL_MX, "556 5.1.10 why" },
		{ PEER_INVALID, "501 5.1.3 why" },
	};
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_null(route_refuses(&r, peer));
	strcpy(peer->text, "why");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		peer->status = (uint8_t)rows[i].status;
		assert_string_equal(route_refuses(&r, peer), rows[i].refusal);
	}
	peer->status = PEER_FINE;
	peer->demand.level = LEVEL_DANE_ONLY;
	assert_begins(route_refuses(&r, peer), "451 4.3.5 ");
	peer_free(peer);
}

/* But of an intercepted connection: that goes where the backend wants, literal or not. */
static void test_a_literal_is_named_once(void **state)
{
	struct route r = intercepted(99);
	struct peer *peer = peer_new("[192.0.2.10]", LEVEL_MAY);
	(void)state;
	add_host(peer, "", 0, 10, 1);
	assert_true(route_plan(&r, peer, 1));
	assert_false(route_failed(&r, "4.4.1", "Connection refused", ""));
	assert_string_equal(route_refusal(&r),
		"421 4.4.1 [192.0.2.10] via [192.0.2.99]: Connection refused");
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	assert_false(route_failed(&r, "4.4.1", "Connection refused", ""));
	assert_string_equal(
		route_refusal(&r), "451 4.4.1 [192.0.2.10]: Connection refused");
	peer_free(peer);
}

static void test_foreign_octets_are_made_printable(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	route_failed(&r, "4.3.0", "no",
		"554 a\r\n\x1b\xff"
		"b");
	assert_string_equal(route_refusal(&r),
		"451 4.3.0 bank.example via mx1.bank.example[192.0.2.10]: no (it said: "
		"554 "
		"a????b)");
	peer_free(peer);
}

static void test_on_failure_bounce(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_ENCRYPT);
	(void)state;
	peer->demand.bounce = true;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	route_failed(&r, "4.4.1", "Connection refused", "");
	assert_begins(route_refusal(&r), "451 4.4.1 "); /* that is no demand's fault */
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(judge_leg(&r, &clear), VERDICT_NO_TLS);
	route_failed(&r, verdict_code(VERDICT_NO_TLS), r.text, "");
	assert_begins(route_refusal(&r), "550 5.7.4 ");
	peer_free(peer);
}

static void test_a_recipient_without_a_domain(void **state)
{
	struct route r;
	struct peer *peer = peer_new("", LEVEL_MAY);
	(void)state;
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_begins(route_refuses(&r, peer), "501 5.1.3 ");
	route_init(&r, ROUTE_KIND_INTERCEPT, 25);
	assert_null(route_refuses(&r, peer));
	peer->demand.level = LEVEL_VERIFY;
	assert_begins(route_refuses(&r, peer), "451 4.7.0 ");
	peer_free(peer);
}

/* What may be another way in an hour is no reason to give mail back. */
static void test_no_bounce_for_what_may_pass(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_ENCRYPT);
	(void)state;
	peer->demand.bounce = true;
	add_host(peer, "mx1.bank.example", 10, 10, 1);
	add_host(peer, "mx2.bank.example", 20, 20, 1);
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	/* The host that would have done is away. */
	assert_true(route_plan(&r, peer, 1));
	assert_true(route_failed(&r, "4.4.1", "Connection refused", ""));
	assert_int_equal(judge_leg(&r, &clear), VERDICT_NO_TLS);
	assert_false(route_failed(&r, "4.7.4", r.text, ""));
	assert_begins(route_refusal(&r), "451 4.7.4 ");
	/* A connection that was lost in the handshake says nothing of the host. */
	assert_true(route_plan(&r, peer, 1));
	assert_true(route_failed(&r, "4.7.4", "the server does not offer STARTTLS", ""));
	assert_false(route_failed(&r, "4.7.5", "TLS handshake: Connection reset", ""));
	assert_begins(route_refusal(&r), "451 4.7.5 ");
	assert_true(route_plan(&r, peer, 1));
	assert_true(route_failed(&r, "4.7.4", "the server does not offer STARTTLS", ""));
	assert_false(route_failed(&r, "4.7.4", "the server refuses STARTTLS", ""));
	assert_begins(route_refusal(&r), "550 5.7.4 ");
	/* Nor does one under the second name of an intercepted host. */
	route_init(&r, ROUTE_KIND_INTERCEPT, 25);
	peer->demand.level = LEVEL_VERIFY;
	assert_true(route_plan(&r, peer, 1));
	struct facts facts = over_tls(NULL);
	assert_int_equal(judge_leg(&r, &facts), VERDICT_NO_CERTIFICATE);
	r.verdict = VERDICT_NAME;
	assert_true(route_failed(&r, "4.7.5", "another name", ""));
	assert_false(route_failed(&r, "4.7.5", "TLS handshake: Connection reset", ""));
	assert_begins(route_refusal(&r), "421 4.7.5 ");
	/* Nor is it the domain's fault what this release cannot do. */
	peer->demand.level = LEVEL_DANE_ONLY;
	assert_begins(route_refuses(&r, peer), "451 4.3.5 ");
	peer_free(peer);
}

/* ---- serving another domain ---- */

static void test_a_leg_serves_who_lives_there(void **state)
{
	struct route r;
	struct peer *bank = peer_new("bank.example", LEVEL_MAY);
	struct peer *other = peer_new("other.example", LEVEL_MAY);
	char reason[REQUIREMENT_TEXT];
	(void)state;
	add_host(bank, "mx.host.example", 10, 10, 1);
	add_host(other, "mx.elsewhere.example", 10, 20, 1);
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, bank, 1));
	assert_int_equal(judge_leg(&r, &clear), VERDICT_PASS);
	/* Not even under `may` does mail ride to somebody else's host. */
	assert_false(serves(&r, other, &clear, reason));
	add_host(other, "mx.host.example", 20, 10, 1);
	assert_true(serves(&r, other, &clear, reason));
	other->demand.level = LEVEL_ENCRYPT;
	assert_false(serves(&r, other, &clear, reason));
	struct facts facts = over_tls(NULL);
	assert_true(serves(&r, other, &facts, reason));
	assert_begins(
		route_other_domain(&r, other, reason), "452 4.5.3 Too many recipients");
	peer_free(bank);
	peer_free(other);
}

static void test_a_name_is_judged_for_the_domain_that_asks(void **state)
{
	struct route r;
	struct peer *bank = peer_new("bank.example", LEVEL_MAY);
	struct peer *other = peer_new("other.example", LEVEL_SECURE);
	char reason[REQUIREMENT_TEXT];
	struct chain_facts *chain = chain_new("mx.bank.example", CHAIN_VALID);
	struct facts facts = over_tls(chain);
	(void)state;
	add_host(bank, "mx.bank.example", 10, 10, 1);
	add_host(other, "mx.bank.example", 10, 10, 1);
	add_match(other, "domain");
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, bank, 1));
	assert_false(serves(&r, other, &facts, reason));
	strcpy(other->demand.match[0], ".bank.example");
	assert_true(serves(&r, other, &facts, reason));
	/* What was not asked for never passes. */
	chain->public_chain = CHAIN_NOT_ASKED;
	assert_false(serves(&r, other, &facts, reason));
	free(chain);
	peer_free(bank);
	peer_free(other);
}

/* ---- tickets and relays ---- */

static void test_tickets_differ_by_all_that_counts(void **state)
{
	struct route r;
	struct peer *peer = peer_new("bank.example", LEVEL_MAY);
	(void)state;
	add_host(peer, "mx1.bank.example", 10, 10, 2);
	route_init(&r, ROUTE_KIND_SMARTHOST, 25);
	assert_true(route_plan(&r, peer, 1));
	uint64_t ticket = route_ticket(&r);
	assert_true(ticket != 0 && ticket == route_ticket(&r));
	/* Who asks nothing of a host shares its sessions with others who do not. */
	strcpy(peer->domain, "other.example");
	assert_true(route_ticket(&r) == ticket);
	strcpy(peer->domain, "bank.example");
	peer->demand.level = LEVEL_VERIFY;
	assert_true(route_ticket(&r) != ticket);
	ticket = route_ticket(&r);
	peer->generation++;
	assert_true(route_ticket(&r) != ticket);
	peer->generation--;
	strcpy(peer->domain, "other.example");
	assert_true(route_ticket(&r) != ticket);
	strcpy(peer->domain, "bank.example");
	route_failed(&r, "4.4.1", "Connection refused", "");
	assert_true(route_ticket(&r) != ticket);
	peer_free(peer);
}

static void test_a_relay_always_has_tls(void **state)
{
	struct route r;
	struct peer *peer = peer_new("relay.example", LEVEL_NONE);
	(void)state;
	add_host(peer, "relay.example", 0, 10, 1);
	route_init(&r, ROUTE_KIND_RELAY, 587);
	assert_true(route_plan(&r, peer, 1));
	assert_int_equal(route_encryption(&r), ENCRYPTION_MUST);
	peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts_are_walked_by_preference),
		cmocka_unit_test(test_equal_hosts_take_turns),
		cmocka_unit_test(test_tries_are_bounded),
		cmocka_unit_test(test_an_unbelieved_host_is_not_called),
		cmocka_unit_test(test_interception_names_the_host_reached),
		cmocka_unit_test(test_interception_tries_one_more_name),
		cmocka_unit_test(test_interception_goes_by_the_greeting),
		cmocka_unit_test(test_interception_without_dns),
		cmocka_unit_test(test_answers_that_refuse),
		cmocka_unit_test(test_a_literal_is_named_once),
		cmocka_unit_test(test_foreign_octets_are_made_printable),
		cmocka_unit_test(test_on_failure_bounce),
		cmocka_unit_test(test_no_bounce_for_what_may_pass),
		cmocka_unit_test(test_a_recipient_without_a_domain),
		cmocka_unit_test(test_a_leg_serves_who_lives_there),
		cmocka_unit_test(test_a_name_is_judged_for_the_domain_that_asks),
		cmocka_unit_test(test_tickets_differ_by_all_that_counts),
		cmocka_unit_test(test_a_relay_always_has_tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
