/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STS_FETCH_H
#define SEALPOST_STS_FETCH_H

/*
 * Policies from https://mta-sts.DOMAIN/.well-known/mta-sts.txt (RFC 8461 §3.3), by
 * libcurl in our loop. It resolves nothing: it is given addresses, and connects to these
 * alone, and to none that is private. No proxy, no redirect, no other protocol.
 */

#include "requirement.h"

#include <ev.h>
#include <stddef.h>

enum {
	STS_FETCH_SECONDS = 60,
	/* At once, where libcurl reads the CAs for all of them (90 KiB and 1 ms each),
	 * and where it does so for each one (4 MiB and 7 ms). */
	STS_FETCHES = 256,
	STS_FETCHES_FEW = 20,
};

struct sts_fetcher;
struct sts_fetch;

/* `ca`: "system", or a PEM file. NULL with a reason. */
struct sts_fetcher *sts_fetcher_new(
	struct ev_loop *loop, const char *ca, char *reason, size_t size);

/* How many fetches there may be at once: one of the two above. */
unsigned sts_fetcher_room(void);

/* Its fetches must have ended or been cancelled. NULL is allowed. */
void sts_fetcher_free(struct sts_fetcher *fetcher);

/*
 * Calls `done` once, never from within this function, within STS_FETCH_SECONDS: with a
 * fault (in plain words, printable), or with what was served as text/plain, at most
 * STS_BODY octets. `from` are the addresses of mta-sts.DOMAIN. NULL without memory.
 */
struct sts_fetch *sts_fetch_begin(struct sts_fetcher *fetcher, const char *domain,
	const struct peer_address *from, unsigned count,
	void (*done)(const char *fault, const char *body, size_t length, void *context),
	void *context);

/* `done` will not be called. NULL is allowed. */
void sts_fetch_cancel(struct sts_fetch *fetch);

#endif
