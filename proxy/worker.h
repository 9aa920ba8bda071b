/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_WORKER_H
#define SEALPOST_WORKER_H

/*
 * A process that talks to the Internet, and what all its sessions share. It is told
 * everything by the supervisor (orders.h), and opens no path.
 */

#include "buf.h"
#include "clock.h"
#include "config.h"
#include "counters.h"
#include "fallback.h"
#include "limits.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct policylink;
struct session;
struct setup;

struct worker {
	struct ev_loop *loop;
	struct setup *setup; /* in force; sessions hold the one that they began with */
	struct buf_pool pool;
	struct limits limits;		  /* as all workers count them */
	struct counters_shared *counters; /* likewise, by limits.slot */
	struct policylink *policy;	  /* NULL where no service asks */
	struct fallback fallback;
	uint32_t random; /* of no secret worth: which of equal hosts is first */
	/* Where all workers listen: mail for there would come back. */
	struct address listening[CONFIG_SOCKETS_MAX];
	unsigned listening_count;
	struct session *sessions; /* all of them, newest first */
	uint64_t next_id;
	bool stopping; /* sessions end with their transactions */
	/* Called when it is stopping and the last session has ended. */
	void (*drained)(struct worker *worker);
	/* The policy process has hung up. */
	void (*policy_lost)(struct worker *worker);
};

/* Of the service of that number (services.h). */
static inline void worker_count(
	struct worker *worker, unsigned service, enum counter counter, uint64_t n)
{
	counters_add(worker->counters, worker->limits.slot, service, counter, n);
}

/* What main() runs where the process was started as `sealpost worker-process`. */
int worker_process(void);

#endif
