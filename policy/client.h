/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CLIENT_H
#define SEALPOST_CLIENT_H

/*
 * The worker's side of the questions to the policy process. Answers are kept until their
 * lifetime or their generation ends, so that a busy domain is asked about once, and all
 * who hold one at a time share it. Non-blocking; the descriptor is watched by the shell.
 * Bounded: answers kept (1024, and their octets), questions outstanding
 * (policy_client_ask() says "unavailable" beyond).
 */

#include "message.h"

#include <stdbool.h>

struct policy_client;

struct policy_client *policy_client_new(void); /* NULL without memory */
void policy_client_free(struct policy_client *client);

/*
 * Takes over our end of a new process's SOCK_SEQPACKET pair (non-blocking): it is asked
 * what the one before has not answered, by _flush(). Or -1: there is none. Questions
 * under way are then answered PEER_UNAVAILABLE, to be taken by _next().
 */
void policy_client_attach(struct policy_client *client, int fd);

/*
 * What `domain` demands. A known answer is returned at once, and so is PEER_UNAVAILABLE
 * where nobody can be asked; else NULL, and policy_client_next() will return one for
 * `waiter` (not NULL; one question each). Let go of answers by peer_release().
 */
struct peer *policy_client_ask(struct policy_client *client, enum direction direction,
	const char *domain, void *waiter, double now);

/* Sends what found no room before. False: some still waits until the descriptor can be
 * written to. */
bool policy_client_flush(struct policy_client *client);

/* The waiter is gone: its answer is dropped when it comes. */
void policy_client_cancel(struct policy_client *client, const void *waiter);

/* Reads what has come; take all answers thereafter. False: the process is gone, or talks
 * nonsense: attach anew. */
bool policy_client_receive(struct policy_client *client, double now);

/* The next answer that is due, or NULL. */
struct peer *policy_client_next(struct policy_client *client, void **waiter);

/* What the process said of itself last; before it has said anything: ask at MAIL. */
struct policy_state policy_client_state(const struct policy_client *client);

/* Answers are shared: nobody changes them. A peer that was made elsewhere is held once.
 */
struct peer *peer_hold(struct peer *peer);
void peer_release(struct peer *peer); /* NULL is allowed */

#endif
