/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_ROUTE_H
#define SEALPOST_ROUTE_H

/*
 * Where a transaction goes: from what a peer demands to a host that satisfies it. A route
 * holds the answer about one domain, walks its hosts, judges the one reached, says
 * whether the leg that is up serves another domain as well, and words the refusal when
 * nothing is left. Pure: it is told of connections, and makes none.
 *
 * Three kinds. An intercepted connection has its one address, and the domain's MX hosts
 * only lend it their names (the SNI) and their rules; a smart host walks the MX hosts
 * (RFC 5321 §5.1); a relay is one configured host.
 */

#include "address.h"
#include "judge.h"

#include <stdbool.h>
#include <stdint.h>

enum route_kind { ROUTE_KIND_INTERCEPT, ROUTE_KIND_SMARTHOST, ROUTE_KIND_RELAY };

enum {
	ROUTE_NOT_JUDGED = VERDICTS, /* in the place of an enum verdict */
	ROUTE_TRIES = 16,	     /* connections for one transaction at most */
	ROUTE_TRIES_EACH = 4,	     /* addresses of one host */
	ROUTE_TRIES_INTERCEPT = 2,   /* names for one address: the first, and one more */
	ROUTE_RULES = REQUIREMENT_CANDIDATES + 1,
	ROUTE_REPLY = 512, /* octets of a reply line, its NUL included */
	ROUTE_HOST = REQUIREMENT_NAME + ADDRESS_TEXT + 4,
};

struct route {
	uint8_t kind; /* enum route_kind */
	in_port_t port;
	struct address destination;	/* intercepted: where all legs go */
	char greeted[REQUIREMENT_NAME]; /* the name that it has greeted by, or "" */
	struct peer *peer; /* about the domain in hand, or NULL; counted by the shell */
	uint8_t count, at; /* tries planned; the one in use */
	bool may_pass;	   /* one of them failed for what may be another way soon */
	struct {
		int8_t candidate; /* index in peer, -1: a host that DNS does not list */
		uint8_t address;
	} tries[ROUTE_TRIES];
	/* The leg that is up, or the last one. */
	struct address address;
	char host[REQUIREMENT_NAME]; /* its name, or "" */
	uint8_t chain;		     /* enum chain_verdict, when it was judged */
	uint8_t dane;		     /* enum dane_match, likewise */
	uint8_t verdict;	     /* enum verdict, likewise; or ROUTE_NOT_JUDGED */
	int8_t rule;	/* index in peer of the candidate by whose rule, or -1 */
	char status[8]; /* why the last try failed, as enhanced code ... */
	char text[REQUIREMENT_TEXT]; /* ... and in words; constant until the next */
	char reply[ROUTE_REPLY];     /* the last refusal */
};

void route_init(struct route *r, enum route_kind kind, in_port_t port);

/*
 * Whether this answer allows any try. A refusal as a reply line (constant until the next
 * one) for what cannot be: a broken file, DNS that fails, a domain that takes no mail.
 * NULL: go on.
 */
const char *route_refuses(struct route *r, const struct peer *peer);

/*
 * Plans the tries for the peer, which the route refers to from now on. `random` chooses
 * among hosts of equal preference. False when there is none: route_refusal() tells.
 */
bool route_plan(struct route *r, struct peer *peer, uint32_t random);

/*
 * What an intercepted host has said before it was asked anything: the name in its
 * greeting tells which of the domain's hosts it may be, where DNS does not. For
 * route_plan().
 */
void route_greeted(struct route *r, const char *said, size_t length);

/* The try in hand. The SNI is "" for none, and with DANE the TLSA base (RFC 7672 §8.1).
 */
struct address route_address(const struct route *r);
const char *route_name(const struct route *r);
const char *route_sni(const struct route *r);
enum encryption route_encryption(const struct route *r);

/*
 * By whose rules the leg that is up may be judged for `peer`, that of the try in hand
 * first: indices of its candidates, -1 for a host that DNS does not list. Where a try is
 * in hand that was not intercepted it is its own rule alone, else they are those that
 * have the leg's address. Who answers at an intercepted address that none of them has may
 * be any of them, but where some have DANE only one that can prove it. None: the peer's
 * hosts live elsewhere, and it carries no mail for them.
 */
unsigned route_rules(
	const struct route *r, const struct peer *peer, int8_t rules[ROUTE_RULES]);

/* The candidate of such an index: NULL for -1. */
const struct candidate *route_candidate(const struct peer *peer, int rule);

/* A key for tickets: host, name, and all that is demanded; never 0. */
uint64_t route_ticket(const struct route *r);

/*
 * Judges the leg that the try in hand has led to, by one rule and facts that were asked
 * for by it. Keeps verdict, chain and text: of the first rule, until another one passes.
 */
enum verdict route_judge(struct route *r, int rule, const struct facts *facts);

/*
 * The try has failed, with this enhanced status code; `said` is what the host said, or
 * "". True when there is another one, which is then in hand. A host reached by
 * interception is tried once more under another name where its certificate was what
 * failed.
 */
bool route_failed(
	struct route *r, const char *code, const char *reason, const char *said);

/*
 * The reply line when nothing is left, constant until the next one: 421 where the client
 * is to go to its next host, else 451, or 550 where `on-failure = bounce` and the demand
 * was what failed, at each host. Names domain, host and reason.
 */
const char *route_refusal(struct route *r);

/* Nobody has told in time what this domain demands: "451 4.4.3 …". */
const char *route_silent(struct route *r, const char *domain);

/* Inbound: what the sender's domain demands, and this client does not give. */
const char *route_refuses_sender(struct route *r, const struct peer *peer,
	enum verdict verdict, const char *reason);

/* "452 4.5.3 …": this peer's mail cannot ride with what this transaction has. */
const char *route_other_domain(
	struct route *r, const struct peer *peer, const char *reason);

/* "mx1.bank.example[192.0.2.1]", of the leg or the try in hand. */
const char *route_host(const struct route *r, char text[ROUTE_HOST]);

#endif
