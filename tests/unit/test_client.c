/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The worker's side over a real socket pair: asking, keeping, not waiting any more. */

#include "client_world.h"

#include <stdio.h>
#include <string.h>

/* ---- asking ---- */

static void test_nobody_there(void **state)
{
	struct world w = { .client = policy_client_new(), .process = -1 };

	(void)state;
	assert_non_null(w.client);
	assert_true(policy_client_state(w.client).inbound_demands);
	assert_true(policy_client_state(w.client).client_certificates);
	assert_unavailable(ask(&w, "bank.example", &waiters[0], 1));
	assert_nothing_due(&w);
	assert_false(policy_client_receive(w.client, 1));
	policy_client_free(w.client);
	policy_client_free(NULL);
	peer_release(NULL);
}

static void test_answer(void **state)
{
	struct world *w = *state;
	void *who;

	assert_false(policy_client_state(w->client).inbound_demands);
	assert_null(ask(w, "bank.example", &waiters[0], 1));
	assert_nothing_due(w);
	receive(w, 1);
	assert_nothing_due(w);
	struct question question = must_hear(w, "bank.example");
	assert_int_equal(question.direction, DIRECTION_OUTBOUND);
	say_answer(w, &question);
	receive(w, 1);
	struct peer *peer = policy_client_next(w->client, &who);
	assert_non_null(peer);
	assert_ptr_equal(who, &waiters[0]);
	assert_int_equal(peer->demand.level, LEVEL_ENCRYPT);
	assert_nothing_due(w);
	peer_release(peer);
	assert_kept(w, "bank.example", 2);
}

static void test_one_question_for_all(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++)
		assert_null(ask(w, "bank.example", &waiters[i], 1));
	struct question question = must_hear(w, "bank.example");
	must_hear_nothing(w);
	say_answer(w, &question);
	receive(w, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_next(w, &waiters[i], "bank.example");
	assert_nothing_due(w);
}

static void test_directions(void **state)
{
	struct world *w = *state;

	learn(w, "bank.example", 1);
	assert_null(policy_client_ask(
		w->client, DIRECTION_INBOUND, "bank.example", &waiters[0], 1));
	struct question question = must_hear(w, "bank.example");
	assert_int_equal(question.direction, DIRECTION_INBOUND);
	/* The question was about clients, and so must the answer be. */
	question.direction = DIRECTION_OUTBOUND;
	say_answer(w, &question);
	assert_false(policy_client_receive(w->client, 1));
}

static void test_answers_out_of_order(void **state)
{
	struct world *w = *state;

	assert_null(ask(w, "a.example", &waiters[0], 1));
	assert_null(ask(w, "b.example", &waiters[1], 1));
	struct question a = must_hear(w, "a.example"), b = must_hear(w, "b.example");
	say_answer(w, &b);
	say_answer(w, &a);
	receive(w, 1);
	assert_next(w, &waiters[1], "b.example");
	assert_next(w, &waiters[0], "a.example");
}

/* The process is busy: what its socket has no room for waits, and goes in order. */
static void test_more_questions_than_the_socket_takes(void **state)
{
	enum { MANY = 2000 };
	struct world *w = *state;
	char name[32];

	assert_true(policy_client_flush(w->client));
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		assert_null(ask(w, name, &waiters[i], 1));
	}
	assert_false(policy_client_flush(w->client));
	policy_client_cancel(w->client, &waiters[MANY - 1]);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		struct question question = must_hear(w, name);
		say_answer(w, &question);
		receive(w, 1);
		if (i < MANY - 1)
			assert_next(w, &waiters[i], name);
		policy_client_flush(w->client);
	}
	assert_nothing_due(w);
	assert_true(policy_client_flush(w->client));
	must_hear_nothing(w);
}

static void test_questions_that_wait_for_a_process_that_dies(void **state)
{
	enum { MANY = 1000 };
	struct world *w = *state;
	char name[32];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		assert_null(ask(w, name, &waiters[i], 1));
	}
	policy_client_attach(w->client, -1);
	for (unsigned i = 0; i < MANY; i++)
		assert_next_unavailable(w, &waiters[i]);
	assert_true(policy_client_flush(w->client));
}

static void test_too_long_a_name(void **state)
{
	struct world *w = *state;
	char name[REQUIREMENT_NAME + 1] = "";

	memset(name, 'a', REQUIREMENT_NAME);
	assert_unavailable(ask(w, name, &waiters[0], 1));
	must_hear_nothing(w);
	assert_unavailable(ask(w, "not a name", &waiters[0], 1));
	must_hear_nothing(w);
}

/* ---- keeping ---- */

static void test_lifetime(void **state)
{
	struct world *w = *state;

	learn(w, "bank.example", 100);
	assert_kept(w, "bank.example", 159.9);
	assert_asked_anew(w, "bank.example", 160);
}

static void test_clock_set_back(void **state)
{
	struct world *w = *state;

	learn(w, "bank.example", 100);
	assert_asked_anew(w, "bank.example", 99);
}

static void test_what_is_kept(void **state)
{
	static const struct {
		enum peer_status status;
		uint32_t lifetime;
		bool kept;
	} table[] = {
		{ PEER_FINE, 60, true },
		{ PEER_FINE, 0, false },
		{ PEER_UNAVAILABLE, 60, false },
		{ PEER_BROKEN, 60, false },
		{ PEER_DNS_FAILED, 60, false },
		{ PEER_NO_DOMAIN, 60, true },
		{ PEER_NULL_MX, 60, true },
		{ PEER_NULL_MX, 0, false },
		{ PEER_INVALID, 60, false },
	};
	struct world *w = *state;

	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char domain[32];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_null(ask(w, domain, &waiters[0], 1));
		struct question question = must_hear(w, domain);
		struct peer peer = peer_of(&question);
		peer.status = table[i].status;
		peer.lifetime = table[i].lifetime;
		say_peer(w, question.id, &peer);
		receive(w, 1);
		assert_next(w, &waiters[0], domain);
		if (table[i].kept)
			assert_kept(w, domain, 2);
		else
			assert_asked_anew(w, domain, 2);
	}
}

static void test_generation(void **state)
{
	struct world *w = *state;

	learn(w, "a.example", 1);
	assert_null(ask(w, "b.example", &waiters[0], 1));
	struct question b = must_hear(w, "b.example");
	say_state(w, GENERATION + 1);
	say_answer(w, &b);
	receive(w, 1);
	/* It was asked before the change: good for who asked, and for nobody later. */
	assert_next(w, &waiters[0], "b.example");
	assert_asked_anew(w, "a.example", 1);
	assert_asked_anew(w, "b.example", 1);
}

/* What is demanded of a relay stands in a policy file as well. */
static void test_generation_of_hosts(void **state)
{
	struct world *w = *state;

	assert_null(policy_client_ask(
		w->client, DIRECTION_HOST, "relay.example", &waiters[0], 1));
	struct question question = must_hear(w, "relay.example");
	struct peer peer = peer_of(&question);
	peer.generation = 0;
	say_peer(w, question.id, &peer);
	receive(w, 1);
	assert_next(w, &waiters[0], "relay.example");
	assert_null(policy_client_ask(
		w->client, DIRECTION_HOST, "relay.example", &waiters[0], 2));
	must_hear(w, "relay.example");
}

static void test_answer_outlives_the_client(void **state)
{
	struct world *w = *state;

	learn(w, "bank.example", 1);
	struct peer *peer = ask(w, "bank.example", &waiters[0], 2);
	assert_non_null(peer);
	assert_ptr_equal(peer_hold(peer), peer);
	say_state(w, GENERATION + 1);
	receive(w, 2);
	policy_client_free(w->client);
	w->client = policy_client_new();
	assert_non_null(w->client);
	assert_string_equal(peer->domain, "bank.example");
	peer_release(peer);
	assert_string_equal(peer->domain, "bank.example");
	peer_release(peer);
}

static void test_those_who_hold_it_share(void **state)
{
	struct world *w = *state;

	learn(w, "bank.example", 1);
	struct peer *peer = ask(w, "bank.example", &waiters[0], 2);
	struct peer *same = ask(w, "bank.example", &waiters[1], 2);
	assert_non_null(peer);
	assert_ptr_equal(peer, same);
	peer_release(peer);
	assert_ptr_equal(ask(w, "bank.example", &waiters[0], 2), same);
	peer_release(same);
	assert_int_equal(same->demand.level, LEVEL_ENCRYPT);
	/* Another answer is another one's. */
	say_state(w, GENERATION);
	receive(w, 3);
	learn(w, "bank.example", 3);
	peer = ask(w, "bank.example", &waiters[0], 4);
	assert_non_null(peer);
	assert_ptr_not_equal(peer, same);
	peer_release(same);
	assert_ptr_equal(ask(w, "bank.example", &waiters[0], 4), peer);
	peer_release(peer);
	peer_release(peer);
	assert_kept(w, "bank.example", 4);
}

/* The one that was not used for longest makes room. */
static void test_room(void **state)
{
	struct world *w = *state;
	char domain[32];

	for (unsigned i = 0; i < KEPT; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		learn(w, domain, 1);
	}
	assert_kept(w, "d0.example", 2);
	assert_kept(w, "d1.example", 2);
	learn(w, "one-more.example", 3);
	assert_kept(w, "d0.example", 4);
	assert_kept(w, "d1.example", 4);
	assert_kept(w, "d3.example", 4);
	assert_kept(w, "d1023.example", 4);
	assert_kept(w, "one-more.example", 4);
	assert_asked_anew(w, "d2.example", 4);

	/* What was dropped takes no room. */
	say_state(w, GENERATION);
	receive(w, 5);
	for (unsigned i = 0; i < KEPT; i++) {
		snprintf(domain, sizeof(domain), "e%u.example", i);
		learn(w, domain, 5);
	}
	assert_kept(w, "e0.example", 6);
}

/* Long answers make room before there are many. */
static void test_room_for_long_ones(void **state)
{
	enum { LONG = 4 * 1024 * 1024 / REQUIREMENT_CA };
	static uint8_t ca[REQUIREMENT_CA];
	struct world *w = *state;
	char domain[32];

	for (unsigned i = 0; i < LONG; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_null(ask(w, domain, &waiters[0], 1));
		struct question question = must_hear(w, domain);
		struct peer peer = peer_of(&question);
		peer.demand.ca = ca;
		peer.demand.ca_length = sizeof(ca);
		say_peer(w, question.id, &peer);
		receive(w, 1);
		assert_next(w, &waiters[0], domain);
	}
	assert_asked_anew(w, "d0.example", 2);
	assert_kept(w, "d2.example", 2);
	assert_kept(w, domain, 2);
	/* What was dropped takes no room. */
	say_state(w, GENERATION);
	receive(w, 3);
	learn(w, "a.example", 3);
	learn(w, "b.example", 3);
	assert_kept(w, "a.example", 4);
}

/* ---- not waiting any more ---- */

static void test_cancel(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++)
		assert_null(ask(w, "bank.example", &waiters[i], 1));
	policy_client_cancel(w->client, &waiters[1]);
	policy_client_cancel(w->client, &waiters[1]);
	struct question question = must_hear(w, "bank.example");
	say_answer(w, &question);
	receive(w, 1);
	policy_client_cancel(w->client, &waiters[0]);
	assert_next(w, &waiters[2], "bank.example");
	assert_nothing_due(w);
	policy_client_cancel(w->client, &waiters[2]);
	policy_client_cancel(w->client, w);
}

/* Nobody waits for it, and it is good for the next who asks. */
static void test_cancelled_by_all(void **state)
{
	struct world *w = *state;

	assert_null(ask(w, "bank.example", &waiters[0], 1));
	policy_client_cancel(w->client, &waiters[0]);
	struct question question = must_hear(w, "bank.example");
	say_answer(w, &question);
	receive(w, 1);
	assert_nothing_due(w);
	assert_kept(w, "bank.example", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_there),
		WITH_PROCESS(test_answer),
		WITH_PROCESS(test_one_question_for_all),
		WITH_PROCESS(test_directions),
		WITH_PROCESS(test_answers_out_of_order),
		WITH_PROCESS(test_more_questions_than_the_socket_takes),
		WITH_PROCESS(test_questions_that_wait_for_a_process_that_dies),
		WITH_PROCESS(test_too_long_a_name),
		WITH_PROCESS(test_lifetime),
		WITH_PROCESS(test_clock_set_back),
		WITH_PROCESS(test_what_is_kept),
		WITH_PROCESS(test_generation),
		WITH_PROCESS(test_generation_of_hosts),
		WITH_PROCESS(test_answer_outlives_the_client),
		WITH_PROCESS(test_those_who_hold_it_share),
		WITH_PROCESS(test_room),
		WITH_PROCESS(test_room_for_long_ones),
		WITH_PROCESS(test_cancel),
		WITH_PROCESS(test_cancelled_by_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
