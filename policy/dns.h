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
void dns_free(struct dns *dns);

/*
 * Fills status, text, lifetime and candidates of `peer`, whose domain and direction are
 * set (OUTBOUND: MX hosts, or the domain's own addresses where it has no MX, RFC 5321
 * §5.1; HOST: that host's addresses, a candidate of its name), then calls `done` once,
 * never from within this function. Ends within settings->timeout. NULL without memory.
 */
struct dns_query *dns_find(struct dns *dns, struct peer *peer,
	void (*done)(struct peer *peer, void *context), void *context);
void dns_cancel(struct dns_query *query);

/* Whether the root's keys validate through this resolver: blocks for at most `seconds`.
 */
enum dns_validation { DNS_VALIDATES, DNS_DOES_NOT, DNS_NO_ANCHOR, DNS_NO_ANSWER };
enum dns_validation dns_validates(struct dns *dns, unsigned seconds);

#endif
