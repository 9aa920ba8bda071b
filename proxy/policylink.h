/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICYLINK_H
#define SEALPOST_POLICYLINK_H

/*
 * The policy process as a worker has it: asked, over a socket that the supervisor has
 * passed. While there is none answers are PEER_UNAVAILABLE; sessions never notice
 * otherwise that another process has taken its place.
 */

#include "client.h"
#include "worker.h"

struct policylink;

/* NULL without memory. */
struct policylink *policylink_new(struct worker *worker);
void policylink_free(struct policylink *link); /* NULL is allowed */

/* Takes over the worker's end of a pair, in the place of the one before. */
void policylink_attach(struct policylink *link, int fd);

/* As policy_client_ask(); a later answer comes by session_answer(). */
struct peer *policylink_ask(struct policylink *link, enum direction direction,
	const char *domain, struct session *waiter);
void policylink_cancel(struct policylink *link, const struct session *waiter);

/* What the policy files ask of inbound sessions now. */
struct policy_state policylink_state(const struct policylink *link);

#endif
