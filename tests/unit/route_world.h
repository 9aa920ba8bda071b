/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_ROUTE_WORLD_H
#define SEALPOST_TESTS_ROUTE_WORLD_H

/* Peers, hosts and certificates for the tests of routes. */

#include "route.h"

static const struct facts clear = { .protocol = PROTOCOL_CLEAR };

/* DANE and MTA-STS are heeded, and there is none. peer_free() frees it. */
struct peer *peer_new(const char *domain, enum level level);

/* A host with `count` addresses 192.0.2.`last` and up. */
void add_host(struct peer *peer, const char *name, uint16_t preference, uint8_t last,
	unsigned count);

void add_match(struct peer *peer, const char *pattern);
struct chain_facts *chain_new(const char *name, enum chain_verdict verdict);
struct facts over_tls(const struct chain_facts *chain);
void assert_try(const struct route *r, const char *name, uint8_t last);

/* By all the rules that there are, as a session does. */
enum verdict judge_leg(struct route *r, const struct facts *facts);

/* Whether the leg that is up may carry this peer's mail as well. */
bool serves(const struct route *r, const struct peer *peer, const struct facts *facts,
	char reason[REQUIREMENT_TEXT]);

void assert_begins(const char *text, const char *with);

/* A route whose destination is 192.0.2.`last`. */
struct route intercepted(uint8_t last);

#endif
