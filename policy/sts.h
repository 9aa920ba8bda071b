/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STS_H
#define SEALPOST_STS_H

/*
 * The MTA-STS policy of a domain (RFC 8461): its TXT record, then the cache, then the
 * policy host, in a libev loop. One fetch a domain, however many ask.
 */

#include "message.h"

#include <ev.h>

enum {
	STS_WAIT = 10,	 /* seconds that a question waits at most */
	STS_JOBS = 2048, /* domains that are being looked at */
};

struct dns;
struct sts_agent;
struct sts_query;

struct sts_options {
	const char *ca;	   /* "system" or a PEM file */
	const char *cache; /* a directory, "" for none */
	bool writes;	   /* it is ours to write to */
	double wait;	   /* seconds, STS_WAIT at most */
	/* A line for people; where it is no warning it is for information. */
	void (*say)(bool warning, const char *text, void *context);
	void *context;
};

/* The options' strings need not live on. NULL without memory. */
struct sts_agent *sts_agent_new(
	struct ev_loop *loop, struct dns *dns, const struct sts_options *options);

/* Before its dns; its queries must have ended or been cancelled. NULL is allowed. */
void sts_agent_free(struct sts_agent *agent);

/*
 * Calls `done` once, never from within this function; `sts` is the policy that applies
 * then, and may be believed for so many seconds. One in the cache applies until it
 * expires, whatever the DNS and the policy host say; one that has to be fetched is waited
 * for options.wait seconds, then there is none for this time, and the fetch goes on.
 * NULL without memory.
 */
struct sts_query *sts_find(struct sts_agent *agent, const char *domain, struct sts *sts,
	void (*done)(uint32_t lifetime, void *context), void *context);

/* `done` will not be called. NULL is allowed. */
void sts_cancel(struct sts_query *query);

#endif
