/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DNS_PRIVATE_H
#define SEALPOST_DNS_PRIVATE_H

/* What the parts of dns share: dns.c asks, dns_host.c says what about each host,
 * dns_setup.c makes what can be asked. */

#include "dns.h"
#include "dns_packet.h"

#include <stdbool.h>
#include <unbound-event.h>
#include <unbound.h>

enum { CLASS_IN = 1, DNS_LIFETIME_FAILED = 10 /* seconds */ };

/* What libunbound says of security. */
enum { INSECURE, BOGUS, SECURE };

struct lookup;
struct dns_records;

struct dns {
	struct ev_loop *loop;
	struct ub_event_base *base;
	struct ub_ctx *context;
	double timeout;		/* seconds for a query */
	bool dane;		/* TLSA records are asked for */
	bool anchored;		/* there is a trust anchor */
	struct lookup *lookups; /* under way */
	unsigned count;
	struct dns_records *records; /* likewise, of dns_records.c */
	unsigned records_count;
	struct {
		void (*done)(enum dns_validation validation, void *context);
		void *context;
		ev_timer timer;
		enum dns_validation result;
	} probe;
};

/* What is to be asked about a host next, or has been. */
enum dns_stage {
	STAGE_ADDRESSES, /* two lookups, the others one */
	STAGE_ALIAS,	 /* whether an alias is a signed one */
	STAGE_EXPANDED,	 /* TLSA records of the name that it is an alias of */
	STAGE_INITIAL,	 /* TLSA records of its own name */
	STAGE_DONE,
};

/* What is known of a candidate, beside what it says itself. */
struct dns_host {
	enum dns_stage stage;
	unsigned answers, missing; /* of its two lookups: good ones, those to come */
	bool failed;		   /* a lookup of its addresses */
	bool bogus;
	bool secure, alias; /* any of them said so */
	/* "": it is no alias, or one that is not signed to its end. */
	char expanded[REQUIREMENT_NAME];
};

enum { DNS_SLOTS = 2 * REQUIREMENT_CANDIDATES }; /* a host's two; MX has the first */

struct dns_query {
	struct dns *dns;
	struct peer *peer;
	void (*done)(struct peer *peer, void *context);
	void *context;
	ev_timer timer;
	bool addresses; /* the hosts are known: it is about these now */
	bool itself;	/* the domain has no MX records */
	bool cut;	/* it has more of them than there is room for */
	bool ended;	/* the timer will say so */
	uint32_t lifetime;
	struct lookup *lookups[DNS_SLOTS];
	unsigned under_way; /* and one more while lookups are being begun */
	struct dns_host hosts[REQUIREMENT_CANDIDATES];
};

/* What libunbound said. */
struct dns_result {
	int code;
	const uint8_t *octets;
	size_t length;
	int security;
	const char *why;	  /* it is bogus; may be NULL */
	struct dns_packet packet; /* where `code` is DNS_NOERROR */
};

/* Why nothing can be known from a result, or NULL where something is. */
const char *dns_failure(struct dns_result *result);

/* One more thing for people to know. */
void dns_say(struct dns_query *query, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* False: there are too many, or libunbound does not take it. */
bool dns_look_up(
	struct dns_query *query, unsigned slot, const char *name, enum dns_type type);

/* The answer lives no longer than `seconds`. */
void dns_shorten(struct dns_query *query, uint32_t seconds);

void dns_end(struct dns_query *query, enum peer_status status);
void dns_overloaded(struct dns_query *query);

/* The candidates are known: asks about all of them at once. */
void dns_hosts_begin(struct dns_query *query);
void dns_hosts_result(struct dns_query *query, unsigned slot, struct dns_result *result);

/* Whatever is still under way is not waited for any longer. */
void dns_hosts_give_up(struct dns_query *query);

/* Nothing is under way any more: ends the query. */
void dns_hosts_settle(struct dns_query *query);

/* Those under way, once libunbound can hand none of them out any more. */
void dns_forget_lookups(struct dns *dns);

#endif
