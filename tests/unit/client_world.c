/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "client_world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

uint8_t packet[MESSAGE_MAX];
char waiters[ASKED + 2];

/* ---- the process ---- */

void send_packet(struct world *w, size_t length)
{
	assert_true(length > 0);
	assert_int_equal(send(w->process, packet, length, 0), length);
}

void say_state(struct world *w, uint64_t generation)
{
	struct policy_state state = { .generation = generation };

	send_packet(w, message_write_state(packet, sizeof(packet), &state));
}

bool hears_question(struct world *w, struct question *question)
{
	ssize_t length = recv(w->process, packet, sizeof(packet), MSG_DONTWAIT);

	if (length < 0)
		return false;
	assert_true(message_read_question(packet, (size_t)length, question));
	return true;
}

struct question must_hear(struct world *w, const char *domain)
{
	struct question question;

	assert_true(hears_question(w, &question));
	assert_string_equal(question.domain, domain);
	return question;
}

void must_hear_nothing(struct world *w)
{
	struct question question;

	assert_false(hears_question(w, &question));
}

struct peer peer_of(const struct question *question)
{
	struct peer peer = { .direction = question->direction,
		.generation = GENERATION,
		.lifetime = 60,
		.demand = { .level = LEVEL_ENCRYPT } };

	memcpy(peer.domain, question->domain, sizeof(peer.domain));
	return peer;
}

void say_peer(struct world *w, uint32_t id, const struct peer *peer)
{
	send_packet(w, message_write_answer(packet, sizeof(packet), id, peer));
}

void say_answer(struct world *w, const struct question *question)
{
	struct peer peer = peer_of(question);

	say_peer(w, question->id, &peer);
}

/* ---- the worker ---- */

struct peer *ask(struct world *w, const char *domain, void *waiter, double now)
{
	return policy_client_ask(w->client, DIRECTION_OUTBOUND, domain, waiter, now);
}

void assert_unavailable(struct peer *peer)
{
	assert_non_null(peer);
	assert_int_equal(peer->status, PEER_UNAVAILABLE);
	assert_true(peer->text[0] != '\0');
	peer_release(peer_hold(peer));
	peer_release(peer);
}

void assert_next_unavailable(struct world *w, const void *waiter)
{
	void *who;
	struct peer *peer = policy_client_next(w->client, &who);

	assert_unavailable(peer);
	assert_ptr_equal(who, waiter);
}

void assert_next(struct world *w, const void *waiter, const char *domain)
{
	void *who;
	struct peer *peer = policy_client_next(w->client, &who);

	assert_non_null(peer);
	assert_ptr_equal(who, waiter);
	assert_string_equal(peer->domain, domain);
	peer_release(peer);
}

void assert_nothing_due(struct world *w)
{
	void *who;

	assert_null(policy_client_next(w->client, &who));
}

void assert_kept(struct world *w, const char *domain, double now)
{
	struct peer *peer = ask(w, domain, &waiters[ASKED + 1], now);

	assert_non_null(peer);
	assert_string_equal(peer->domain, domain);
	peer_release(peer);
	must_hear_nothing(w);
}

void receive(struct world *w, double now)
{
	assert_true(policy_client_receive(w->client, now));
}

/* Asks, answers, and takes the answer. */
void learn(struct world *w, const char *domain, double now)
{
	assert_null(ask(w, domain, &waiters[0], now));
	struct question question = must_hear(w, domain);
	say_answer(w, &question);
	receive(w, now);
	assert_next(w, &waiters[0], domain);
}

/* Not kept: the process is asked once more. */
void assert_asked_anew(struct world *w, const char *domain, double now)
{
	assert_null(ask(w, domain, &waiters[0], now));
	must_hear(w, domain);
	policy_client_cancel(w->client, &waiters[0]);
}

/* ---- set up ---- */

void start_process(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	if (w->process >= 0)
		close(w->process);
	w->process = pair[1];
	policy_client_attach(w->client, pair[0]);
	say_state(w, GENERATION);
	receive(w, 0);
}

int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->client = policy_client_new();
	w->process = -1;
	assert_non_null(w->client);
	start_process(w);
	*state = w;
	return 0;
}

int teardown(void **state)
{
	struct world *w = *state;

	policy_client_free(w->client);
	if (w->process >= 0)
		close(w->process);
	free(w);
	return 0;
}
