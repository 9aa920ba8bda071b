/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_INQUIRY_H
#define SEALPOST_INQUIRY_H

/*
 * The way to an answer: the files say at once what is demanded, the DNS and the policy
 * host later which hosts there are and what they must show. For the policy process, and
 * for those who ask without one.
 */

#include "message.h"

struct directory;
struct dns;
struct dns_query;
struct ev_loop;
struct sts_agent;
struct sts_query;

/* Whom there is to ask; their owner's, who ends them by sources_close(). */
struct sources {
	struct ev_loop *loop;
	struct settings settings;
	struct directory *directory;
	struct dns *dns;
	char no_dns[REQUIREMENT_TEXT]; /* why there is none */
	struct sts_agent *sts;	       /* NULL: nobody has needed it */
	bool writes;		       /* MTA-STS's cache is ours to write to */
	void (*say)(bool warning, const char *text, void *context);
	void *context;
};

/* No inquiry may be under way. */
void sources_close(struct sources *sources);

struct inquiry {
	struct sources *sources;
	struct peer *peer;
	void (*done)(struct inquiry *inquiry);
	void *context;
	struct dns_query *hosts; /* under way */
	struct sts_query *sts;	 /* likewise */
	uint32_t sts_lifetime;	 /* seconds that peer->sts may be believed */
	int64_t demand_until;	 /* seconds since 1970, for what the files demand */
};

/*
 * Asks about `peer`, whose direction and domain are set: all of its answer is filled in,
 * a lifetime of 0 where it is not to be kept. Then calls `done` once, perhaps from within
 * this function. sources, peer, done and context are set.
 */
void inquiry_begin(struct inquiry *inquiry);

/* `done` will not be called. */
void inquiry_cancel(struct inquiry *inquiry);

/* The answer where there is none to be had: the policy process `why`. */
void inquiry_unavailable(struct peer *peer, const char *why);

#endif
