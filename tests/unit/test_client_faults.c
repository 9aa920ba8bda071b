/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Too many questions, a process that dies or talks nonsense, and what it says for the
 * log. */

#include "client_world.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- too much ---- */

/* Nobody reads at the other end: what does not fit waits its turn. */
static void test_full_socket(void **state)
{
	enum { MANY = 3000 }; /* more than a socket holds */
	struct world *w = *state;
	char domain[32];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_null(ask(w, domain, &waiters[i], 1));
	}
	assert_false(policy_client_flush(w->client));
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		policy_client_flush(w->client);
		struct question question = must_hear(w, domain);
		say_answer(w, &question);
		receive(w, 1);
		assert_next(w, &waiters[i], domain);
	}
	assert_true(policy_client_flush(w->client));
	must_hear_nothing(w);
	learn(w, "room.example", 1);
}

static void test_too_many_questions(void **state)
{
	struct world *w = *state;
	char domain[32];

	for (unsigned i = 0; i < ASKED; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_null(ask(w, domain, &waiters[i], 1));
		must_hear(w, domain);
	}
	assert_unavailable(ask(w, "more.example", &waiters[ASKED], 1));
	must_hear_nothing(w);
	/* To wait for what is asked already costs nothing. */
	assert_null(ask(w, "d5.example", &waiters[ASKED], 1));
	policy_client_attach(w->client, -1);
	for (unsigned i = 0; i < ASKED + 1; i++) {
		void *who;

		assert_unavailable(policy_client_next(w->client, &who));
	}
	assert_nothing_due(w);
	/* Those are done with. */
	start_process(w);
	learn(w, "more.example", 2);
}

/* ---- the process dies, and comes again ---- */

static void test_process_dies(void **state)
{
	struct world *w = *state;

	learn(w, "kept.example", 1);
	assert_null(ask(w, "a.example", &waiters[0], 1));
	assert_null(ask(w, "a.example", &waiters[1], 1));
	close(w->process);
	w->process = -1;
	assert_false(policy_client_receive(w->client, 1));
	/* Until the shell knows: */
	assert_unavailable(ask(w, "b.example", &waiters[2], 1));
	policy_client_attach(w->client, -1);
	assert_next_unavailable(w, &waiters[0]);
	assert_next_unavailable(w, &waiters[1]);
	assert_nothing_due(w);
	assert_unavailable(ask(w, "a.example", &waiters[0], 1));
	struct peer *kept = ask(w, "kept.example", &waiters[0], 2);
	assert_non_null(kept);
	assert_int_equal(kept->status, PEER_FINE);
	peer_release(kept);

	/* What is new counts its generations from the same number. */
	start_process(w);
	assert_asked_anew(w, "kept.example", 3);
	learn(w, "a.example", 3);
}

/* Nobody notices: the new one is asked what the one before owes. */
static void test_another_takes_its_place(void **state)
{
	struct world *w = *state;

	learn(w, "kept.example", 1);
	assert_null(ask(w, "a.example", &waiters[0], 1));
	assert_null(ask(w, "b.example", &waiters[1], 1));
	must_hear(w, "a.example");
	start_process(w);
	assert_nothing_due(w);
	assert_true(policy_client_flush(w->client));
	struct question first = must_hear(w, "a.example");
	struct question second = must_hear(w, "b.example");
	must_hear_nothing(w);
	say_answer(w, &first);
	say_answer(w, &second);
	receive(w, 2);
	assert_next(w, &waiters[0], "a.example");
	assert_next(w, &waiters[1], "b.example");
	assert_asked_anew(w, "kept.example", 3);
}

/* An answer that was due when it died is still that answer. */
static void test_dies_behind_its_answer(void **state)
{
	struct world *w = *state;

	assert_null(ask(w, "a.example", &waiters[0], 1));
	struct question question = must_hear(w, "a.example");
	say_answer(w, &question);
	close(w->process);
	w->process = -1;
	assert_false(policy_client_receive(w->client, 1));
	policy_client_attach(w->client, -1);
	assert_next(w, &waiters[0], "a.example");
	assert_nothing_due(w);
}

/* ---- nonsense ---- */

static void test_unknown_message(void **state)
{
	struct world *w = *state;

	send_packet(w, message_write_plain(packet, sizeof(packet), MESSAGE_RELOAD));
	assert_false(policy_client_receive(w->client, 1));
}

static void test_broken_message(void **state)
{
	struct world *w = *state;

	assert_null(ask(w, "bank.example", &waiters[0], 1));
	struct question question = must_hear(w, "bank.example");
	struct peer peer = peer_of(&question);
	send_packet(
		w, message_write_answer(packet, sizeof(packet), question.id, &peer) - 1);
	assert_false(policy_client_receive(w->client, 1));
	policy_client_attach(w->client, -1);
	assert_next_unavailable(w, &waiters[0]);
}

static void test_answer_to_nobody(void **state)
{
	struct world *w = *state;

	assert_null(ask(w, "bank.example", &waiters[0], 1));
	struct question question = must_hear(w, "bank.example");
	question.id++;
	say_answer(w, &question);
	assert_false(policy_client_receive(w->client, 1));
}

/* Never may one domain's policy be taken for another's. */
static void test_answer_about_another(void **state)
{
	struct world *w = *state;

	assert_null(ask(w, "bank.example", &waiters[0], 1));
	struct question question = must_hear(w, "bank.example");
	snprintf(question.domain, sizeof(question.domain), "evil.example");
	say_answer(w, &question);
	assert_false(policy_client_receive(w->client, 1));
	assert_nothing_due(w);
}

static void test_too_long_a_packet(void **state)
{
	struct world *w = *state;
	static uint8_t large[MESSAGE_MAX + 1];
	int size = 2 * (int)sizeof(large);

	large[0] = MESSAGE_STATE;
	assert_int_equal(
		setsockopt(w->process, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	assert_int_equal(send(w->process, large, sizeof(large), 0), sizeof(large));
	assert_false(policy_client_receive(w->client, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PROCESS(test_full_socket),
		WITH_PROCESS(test_too_many_questions),
		WITH_PROCESS(test_process_dies),
		WITH_PROCESS(test_another_takes_its_place),
		WITH_PROCESS(test_dies_behind_its_answer),
		WITH_PROCESS(test_unknown_message),
		WITH_PROCESS(test_broken_message),
		WITH_PROCESS(test_answer_to_nobody),
		WITH_PROCESS(test_answer_about_another),
		WITH_PROCESS(test_too_long_a_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
