/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICYLINK_H
#define SEALPOST_POLICYLINK_H

/*
 * The policy process as a worker has it: started (by executing ourselves anew, so that it
 * inherits one descriptor and no memory), started again when it dies, no more often than
 * a bounded rate, and asked. While it is down answers are PEER_UNAVAILABLE; sessions
 * never notice a restart otherwise.
 */

#include "client.h"
#include "config.h"
#include "worker.h"

struct policylink;

enum { POLICYLINK_DESCRIPTOR = 3 }; /* the process's end of the pair */

/* [policy] as the policy process is to have it. False where something is too long. */
bool policylink_settings(const struct config *config, struct settings *settings);

/* Starts the process. NULL with a reason. Call after privileges were dropped. */
struct policylink *policylink_start(struct worker *worker, char *reason, size_t size);

/* Ends it: closes our end of the pair, upon which it exits. NULL is allowed. */
void policylink_stop(struct policylink *link);

/* As policy_client_ask(); a later answer comes by session_answer(). */
struct peer *policylink_ask(struct policylink *link, enum direction direction,
	const char *domain, struct session *waiter);
void policylink_cancel(struct policylink *link, const struct session *waiter);

/* What the policy files ask of inbound sessions now. */
struct policy_state policylink_state(const struct policylink *link);

/* Has the policy files read again (SIGHUP). */
void policylink_reload(struct policylink *link);

/* What main() runs where the process was started as `sealpost policy-process`. */
int policylink_process(void);

#endif
