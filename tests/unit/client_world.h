/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef TESTS_CLIENT_WORLD_H
#define TESTS_CLIENT_WORLD_H

/* A policy client, and the other end of its socket pair, which is played by the test. */

#include "client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { KEPT = 1024, ASKED = 4096, GENERATION = 7 };

struct world {
	struct policy_client *client;
	int process; /* the other end, or -1 */
};

/* Any message that is to be sent. */
extern uint8_t packet[MESSAGE_MAX];

/* Waiters are addresses. */
extern char waiters[ASKED + 2];

/* ---- the process ---- */

void send_packet(struct world *w, size_t length);
void say_state(struct world *w, uint64_t generation);
bool hears_question(struct world *w, struct question *question);
struct question must_hear(struct world *w, const char *domain);
void must_hear_nothing(struct world *w);
/* A good answer to this question. */
struct peer peer_of(const struct question *question);
void say_peer(struct world *w, uint32_t id, const struct peer *peer);
void say_answer(struct world *w, const struct question *question);

/* ---- the worker ---- */

struct peer *ask(struct world *w, const char *domain, void *waiter, double now);
void receive(struct world *w, double now);
void assert_unavailable(struct peer *peer);
void assert_next_unavailable(struct world *w, const void *waiter);
void assert_next(struct world *w, const void *waiter, const char *domain);
void assert_nothing_due(struct world *w);
void assert_kept(struct world *w, const char *domain, double now);

/* Asks, answers, and takes the answer. */
void learn(struct world *w, const char *domain, double now);
/* Not kept: the process is asked once more. */
void assert_asked_anew(struct world *w, const char *domain, double now);

/* ---- set up ---- */

void start_process(struct world *w);
int setup(void **state);
int teardown(void **state);

#define WITH_PROCESS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
