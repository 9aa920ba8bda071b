/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DNS_H
#define SEALPOST_DNS_H

/*
 * The hosts of a domain: MX, CNAME, null MX, A and AAAA, asked of libunbound, which
 * validates and caches (negative answers too). Asynchronous, in a libev loop.
 */

#include "message.h"

#include <ev.h>

struct dns;
struct dns_query;

/* NULL with a reason. The settings' trust anchor, resolver and stubs are used. */
struct dns *dns_new(
	struct ev_loop *loop, const struct settings *settings, char *reason, size_t size);

/* Its queries must have ended or been cancelled. NULL is allowed. */
void dns_free(struct dns *dns);

/*
 * Fills status, text, lifetime and candidates of `peer`, whose domain and direction are
 * set (OUTBOUND: MX hosts, or the domain's own addresses where it has no MX, RFC 5321
 * §5.1; HOST: that host's addresses, a candidate of its name), then calls `done` once,
 * never from within this function. Ends within settings->timeout. NULL without memory.
 */
struct dns_query *dns_find(struct dns *dns, struct peer *peer,
	void (*done)(struct peer *peer, void *context), void *context);

/* `done` will not be called, and `peer` not be touched any more. NULL is allowed. */
void dns_cancel(struct dns_query *query);

enum dns_validation {
	DNS_VALIDATES,
	DNS_DOES_NOT,
	DNS_NO_ANCHOR, /* none for the root */
	DNS_NO_ANSWER,
};

/*
 * Whether the root's keys validate through this resolver (one such question at a time):
 * `done` is called once, from the loop, within `seconds`.
 */
void dns_probe(struct dns *dns, unsigned seconds,
	void (*done)(enum dns_validation validation, void *context), void *context);

/* What that means under these settings, and what to do about it, in words. False: all is
 * well, or nobody wants the keys. */
bool dns_complaint(enum dns_validation validation, const struct settings *settings,
	char text[REQUIREMENT_TEXT]);

#endif
