/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "route_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct peer *peer_new(const char *domain, enum level level)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	assert_non_null(peer);
	snprintf(peer->domain, sizeof(peer->domain), "%s", domain);
	peer->demand.level = (uint8_t)level;
	peer->demand.dane = peer->demand.mta_sts = true;
	peer->generation = 1;
	return peer;
}

void add_host(struct peer *peer, const char *name, uint16_t preference, uint8_t last,
	unsigned count)
{
	struct candidate *c = &peer->candidates[peer->candidate_count++];
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->preference = preference;
	c->dane = DANE_UNAVAILABLE;
	c->address_count = (uint8_t)count;
	for (unsigned i = 0; i < count; i++)
		c->addresses[i] = (struct peer_address){ FAMILY_IPV4,
			{ 192, 0, 2, (uint8_t)(last + i) } };
}

void add_match(struct peer *peer, const char *pattern)
{
	snprintf(peer->demand.match[peer->demand.match_count++], REQUIREMENT_NAME, "%s",
		pattern);
}

struct chain_facts *chain_new(const char *name, enum chain_verdict verdict)
{
	struct chain_facts *chain = calloc(1, sizeof(*chain));
	assert_non_null(chain);
	chain->count = 1;
	chain->public_chain = (uint8_t)verdict;
	snprintf(chain->names, sizeof(chain->names), "%s", name);
	return chain;
}

struct facts over_tls(const struct chain_facts *chain)
{
	return (struct facts){
		.version = "TLS1.3", .protocol = PROTOCOL_TLS_1_3, .chain = chain
	};
}

void assert_try(const struct route *r, const char *name, uint8_t last)
{
	struct address address = route_address(r);
	assert_string_equal(route_name(r), name);
	assert_int_equal(address.octets[3], last);
	assert_int_equal(address.port, r->port);
}

enum verdict judge_leg(struct route *r, const struct facts *facts)
{
	int8_t rules[ROUTE_RULES];
	unsigned count = route_rules(r, r->peer, rules);
	for (unsigned i = 0; i < count; i++)
		if (route_judge(r, rules[i], facts) == VERDICT_PASS)
			return VERDICT_PASS;
	assert_int_not_equal(r->verdict, VERDICT_PASS);
	return (enum verdict)r->verdict;
}

bool serves(const struct route *r, const struct peer *peer, const struct facts *facts,
	char reason[REQUIREMENT_TEXT])
{
	int8_t rules[ROUTE_RULES];
	unsigned count = route_rules(r, peer, rules);
	reason[0] = '\0';
	for (unsigned i = 0; i < count; i++)
		if (judge(peer, route_candidate(peer, rules[i]), facts, reason) ==
			VERDICT_PASS)
			return true;
	return false;
}

void assert_begins(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		assert_string_equal(text, with);
}

struct route intercepted(uint8_t last)
{
	struct route r;
	route_init(&r, ROUTE_KIND_INTERCEPT, 25);
	r.destination = (struct address){ AF_INET, 25, { 192, 0, 2, last } };
	return r;
}
