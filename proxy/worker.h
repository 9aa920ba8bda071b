/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_WORKER_H
#define SEALPOST_WORKER_H

/* What all sessions of a process share: loop, buffers, limits, services. */

#include "buf.h"
#include "config.h"
#include "dialogue.h"
#include "fallback.h"
#include "limits.h"
#include "services.h"
#include "tls.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct session;
struct policylink;

struct worker {
	struct ev_loop *loop;
	const struct config *config;
	struct buf_pool pool;
	struct limits *limits;
	struct tls_client *client; /* towards servers; also knows the public CAs */
	struct policylink *policy; /* NULL where no service asks */
	struct fallback fallback;
	uint32_t random;	  /* of no secret worth: which of equal hosts is first */
	struct session *sessions; /* all of them, newest first */
	uint64_t next_id;
	bool stopping; /* SIGTERM came: sessions end with their transactions */
	/* Called when it is stopping and the last session has ended. */
	void (*drained)(struct worker *worker);
};

/*
 * Seconds of a clock that nobody sets, for all that has a deadline. ev_now() is the time
 * of day: where that is put forward it would end sessions, back it would keep them.
 */
static inline double worker_clock(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
