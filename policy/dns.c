/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A query is the question for a domain; a lookup is one of the questions to the DNS that
 * it takes: MX first, then A and AAAA of all hosts at once. libunbound works in our loop,
 * and what it knows already it says before ub_resolve_event() returns. A lookup cannot be
 * called off: where its query has ended its result is thrown away when it comes, and
 * until then it counts among those under way.
 */

#include "dns_data.h"
#include "dns_packet.h"
#include "dns_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOKUPS_MOST = 4096,
	LIFETIME_LEAST = 5,
	LIFETIME_MOST = 3600,
	LIFETIME_FAILED = 10,
	SLOTS = 2 * REQUIREMENT_CANDIDATES, /* a host's two; MX has the first */
};

struct lookup {
	struct dns *dns;
	struct dns_query *query; /* NULL: it has ended meanwhile */
	unsigned slot;
	struct lookup *next, **at;
};

struct dns_query {
	struct dns *dns;
	struct peer *peer;
	void (*done)(struct peer *peer, void *context);
	void *context;
	ev_timer timer;
	bool addresses; /* the hosts are known: it is about these now */
	bool itself;	/* the domain has no MX records */
	bool ended;	/* the timer will say so */
	uint32_t lifetime;
	struct lookup *lookups[SLOTS];
	unsigned under_way; /* and one more while lookups are being begun */
	struct {
		bool failed; /* a lookup of its addresses */
		bool bogus;
	} hosts[REQUIREMENT_CANDIDATES];
};

/* ---- text for people ---- */

static void text_add(struct peer *peer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void text_add(struct peer *peer, const char *format, ...)
{
	size_t length = strlen(peer->text);
	va_list arguments;
	if (length > 0 && length + 2 < sizeof(peer->text)) {
		memcpy(peer->text + length, "; ", 3);
		length += 2;
	}
	va_start(arguments, format);
	vsnprintf(peer->text + length, sizeof(peer->text) - length, format, arguments);
	va_end(arguments);
	/* It will stand in replies and in the log, and holds what strangers wrote. */
	for (char *c = peer->text + length; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* What libunbound said. */
struct result {
	int code;
	const uint8_t *octets;
	size_t length;
	int security;
	const char *why;	  /* it is bogus; may be NULL */
	struct dns_packet packet; /* where `code` is DNS_NOERROR */
};

/* Why nothing can be known from a result, or NULL where something is. */
static const char *failure(struct result *result)
{
	unsigned code = (unsigned)result->code;
	if (result->security == BOGUS)
		return result->why ? result->why : "DNSSEC validation failed";
	if (code == DNS_NOERROR) {
		if (!dns_packet_open(&result->packet, result->octets, result->length))
			return "the answer cannot be read";
		code = result->packet.code;
	}
	switch (code) {
	case DNS_NOERROR:
	case DNS_NXDOMAIN: return NULL;
	case DNS_SERVFAIL: return "no name server gives an answer (SERVFAIL)";
	case DNS_REFUSED: return "its name servers refuse to answer (REFUSED)";
	default: return "its name servers answer with an error";
	}
}

/* ---- the end of a query ---- */

static uint32_t within(uint32_t value, uint32_t least, uint32_t most)
{
	if (value < least)
		return least;
	return value < most ? value : most;
}

static void let_go(struct dns_query *query)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (query->lookups[i])
			query->lookups[i]->query = NULL;
		query->lookups[i] = NULL;
	}
	query->under_way = 0;
}

/* From a turn of the loop of its own, so that nobody is called back from where he
 * called us, nor from within libunbound. */
static void end(struct dns_query *query, enum peer_status status)
{
	struct peer *peer = query->peer;
	let_go(query);
	if (status == PEER_DNS_FAILED || status == PEER_UNAVAILABLE)
		query->lifetime = within(query->lifetime, 0, LIFETIME_FAILED);
	peer->status = (uint8_t)status;
	peer->lifetime = within(query->lifetime, LIFETIME_LEAST, LIFETIME_MOST);
	if (status != PEER_FINE)
		peer->candidate_count = 0;
	query->ended = true;
	ev_timer_stop(query->dns->loop, &query->timer);
	ev_timer_set(&query->timer, 0., 0.);
	ev_timer_start(query->dns->loop, &query->timer);
}

static void timed_out(struct dns_query *query)
{
	query->lifetime = 0;
	query->peer->text[0] = '\0';
	text_add(query->peer, "the DNS did not answer within %.0f s about %s%s",
		query->dns->timeout,
		query->peer->candidate_count > 0 ? "the hosts of " : "",
		query->peer->domain);
	end(query, PEER_DNS_FAILED);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct dns_query *query = timer->data;
	(void)loop, (void)events;
	if (!query->ended) {
		timed_out(query);
		return;
	}
	void (*done)(struct peer *, void *) = query->done;
	struct peer *peer = query->peer;
	void *context = query->context;
	free(query);
	done(peer, context);
}

void dns_cancel(struct dns_query *query)
{
	if (!query)
		return;
	let_go(query);
	ev_timer_stop(query->dns->loop, &query->timer);
	free(query);
}

/* ---- lookups ---- */

static void forget_lookup(struct lookup *lookup)
{
	struct dns *dns = lookup->dns;
	*lookup->at = lookup->next;
	if (lookup->next)
		lookup->next->at = lookup->at;
	dns->count--;
	free(lookup);
}

static struct lookup *note_lookup(struct dns *dns)
{
	struct lookup *lookup =
		dns->count < LOOKUPS_MOST ? calloc(1, sizeof(*lookup)) : NULL;
	if (!lookup)
		return NULL;
	lookup->dns = dns;
	lookup->next = dns->lookups;
	lookup->at = &dns->lookups;
	if (lookup->next)
		lookup->next->at = &lookup->next;
	dns->lookups = lookup;
	dns->count++;
	return lookup;
}

void dns_forget_lookups(struct dns *dns)
{
	while (dns->lookups)
		forget_lookup(dns->lookups);
}

static void on_result(void *data, int code, void *octets, int length, int security,
	char *why, int limited);

/* False: there are too many, or libunbound does not take it. */
static bool look_up(
	struct dns_query *query, unsigned slot, const char *name, enum dns_type type)
{
	struct lookup *lookup = note_lookup(query->dns);
	if (!lookup)
		return false;
	lookup->query = query;
	lookup->slot = slot;
	query->lookups[slot] = lookup;
	query->under_way++;
	if (ub_resolve_event(query->dns->context, name, type, CLASS_IN, lookup, on_result,
		    NULL) == 0)
		return true;
	query->lookups[slot] = NULL;
	query->under_way--;
	forget_lookup(lookup);
	return false;
}

static void overloaded(struct dns_query *query)
{
	query->peer->text[0] = '\0';
	text_add(query->peer, "too many names are being looked up, %s among them",
		query->peer->domain);
	end(query, PEER_UNAVAILABLE);
}

static void settle(struct dns_query *query);

static void look_up_hosts(struct dns_query *query)
{
	struct peer *peer = query->peer;
	query->addresses = true;
	query->under_way++;
	for (unsigned i = 0; i < peer->candidate_count; i++) {
		const char *name = peer->candidates[i].name;
		if (!look_up(query, 2 * i, name, DNS_A) ||
			!look_up(query, 2 * i + 1, name, DNS_AAAA)) {
			overloaded(query);
			return;
		}
	}
	if (--query->under_way == 0)
		settle(query);
}

/* ---- what the addresses make of the hosts ---- */

/* Keeps the hosts that have addresses and, if `flawless`, no failed lookup either. */
static unsigned usable(const struct dns_query *query, bool flawless, bool keep[])
{
	unsigned count = 0;
	for (unsigned i = 0; i < query->peer->candidate_count; i++) {
		bool failed = flawless ? query->hosts[i].failed : query->hosts[i].bogus;
		keep[i] = query->peer->candidates[i].address_count > 0 && !failed;
		count += keep[i];
	}
	return count;
}

static bool any_failed(const struct dns_query *query)
{
	for (unsigned i = 0; i < query->peer->candidate_count; i++)
		if (query->hosts[i].failed)
			return true;
	return false;
}

static void keep_hosts(struct peer *peer, const bool keep[])
{
	unsigned kept = 0;
	for (unsigned i = 0; i < peer->candidate_count; i++) {
		if (keep[i] && kept != i)
			peer->candidates[kept] = peer->candidates[i];
		kept += keep[i];
	}
	peer->candidate_count = (uint8_t)kept;
}

/*
 * A host of which half the addresses cannot be known is left out as long as there is
 * another; alone it may do with the half that is known, but not with a forged one.
 */
static void settle(struct dns_query *query)
{
	struct peer *peer = query->peer;
	bool keep[REQUIREMENT_CANDIDATES], failed = any_failed(query);
	if (failed)
		query->lifetime = within(query->lifetime, 0, LIFETIME_FAILED);
	if (usable(query, true, keep) > 0 || usable(query, false, keep) > 0) {
		keep_hosts(peer, keep);
		end(query, PEER_FINE);
	} else if (failed) {
		end(query, PEER_DNS_FAILED);
	} else {
		const char *domain = peer->domain;
		if (peer->direction == DIRECTION_HOST)
			text_add(peer, "the host %s has no address", domain);
		else if (query->itself)
			text_add(
				peer, "%s has neither MX records nor an address", domain);
		else
			text_add(peer, "no MX host of %s has an address", domain);
		end(query, PEER_NO_DOMAIN);
	}
}

static void shorten(struct dns_query *query, const struct dns_record *record)
{
	if (record->ttl < query->lifetime)
		query->lifetime = record->ttl;
}

static void on_addresses(struct dns_query *query, unsigned slot, struct result *result)
{
	unsigned host = slot / 2;
	struct candidate *candidate = &query->peer->candidates[host];
	const char *why = failure(result);
	struct dns_record record;
	struct peer_address address;
	if (why) {
		query->hosts[host].failed = true;
		query->hosts[host].bogus |= result->security == BOGUS;
		text_add(query->peer, "the %s records of %s cannot be had: %s",
			slot % 2 == 0 ? "A" : "AAAA", candidate->name, why);
	} else {
		while (dns_packet_next(&result->packet, &record)) {
			shorten(query, &record);
			if (record.answer &&
				dns_packet_address(&result->packet, &record, &address))
				dns_add_address(candidate, &address);
		}
	}
	if (query->under_way == 0)
		settle(query);
}

/* ---- MX ---- */

struct mx_found {
	unsigned records;
	bool null;
};

static struct mx_found take_hosts(struct dns_query *query, struct dns_packet *packet)
{
	struct mx_found found = { 0, false };
	struct dns_record record;
	while (dns_packet_next(packet, &record)) {
		char name[REQUIREMENT_NAME];
		uint16_t preference;
		shorten(query, &record);
		if (!record.answer || record.type != DNS_MX)
			continue;
		enum dns_mx mx = dns_packet_mx(packet, &record, &preference, name);
		if (mx == DNS_MX_HOST)
			dns_add_host(query->peer, preference, name);
		found.null |= mx == DNS_MX_NULL;
		found.records++;
	}
	return found;
}

static void on_mx(struct dns_query *query, struct result *result)
{
	struct peer *peer = query->peer;
	const char *why = failure(result), *domain = peer->domain;
	if (why) {
		text_add(peer, "the MX records of %s cannot be had: %s", domain, why);
		end(query, PEER_DNS_FAILED);
		return;
	}
	struct mx_found found = take_hosts(query, &result->packet);
	if (result->packet.code == DNS_NXDOMAIN) {
		text_add(peer, "the domain %s does not exist", domain);
		end(query, PEER_NO_DOMAIN);
	} else if (found.records == 1 && found.null) { /* RFC 7505 §3: it stands alone */
		text_add(peer, "%s takes no mail (null MX)", domain);
		end(query, PEER_NULL_MX);
	} else if (found.records > 0 && peer->candidate_count == 0) {
		text_add(peer, "no MX record of %s names a host", domain);
		end(query, PEER_NO_DOMAIN);
	} else {
		query->itself = found.records == 0; /* RFC 5321 §5.1 */
		if (query->itself)
			dns_add_host(peer, 0, domain);
		look_up_hosts(query);
	}
}

static void on_result(void *data, int code, void *octets, int length, int security,
	char *why, int limited)
{
	struct lookup *lookup = data;
	struct dns_query *query = lookup->query;
	struct result result = { .code = code,
		.octets = octets,
		.length = octets && length > 0 ? (size_t)length : 0,
		.security = security,
		.why = why };
	unsigned slot = lookup->slot;
	(void)limited;
	forget_lookup(lookup);
	if (!query)
		return;
	query->lookups[slot] = NULL;
	query->under_way--;
	if (query->addresses)
		on_addresses(query, slot, &result);
	else
		on_mx(query, &result);
}

/* ---- a query ---- */

static void begin(struct dns_query *query)
{
	struct peer *peer = query->peer;
	struct peer_address address;
	if (dns_read_literal(peer->domain, &address)) {
		dns_add_host(peer, 0, "");
		dns_add_address(&peer->candidates[0], &address);
		end(query, PEER_FINE);
	} else if (!dns_is_host(peer->domain)) {
		text_add(peer, "%s is not the name of a domain", peer->domain);
		end(query, PEER_INVALID);
	} else if (peer->direction == DIRECTION_HOST) {
		dns_add_host(peer, 0, peer->domain);
		look_up_hosts(query);
	} else if (!look_up(query, 0, peer->domain, DNS_MX)) {
		overloaded(query);
	}
}

struct dns_query *dns_find(struct dns *dns, struct peer *peer,
	void (*done)(struct peer *peer, void *context), void *context)
{
	struct dns_query *query = calloc(1, sizeof(*query));
	if (!query)
		return NULL;
	query->dns = dns;
	query->peer = peer;
	query->done = done;
	query->context = context;
	query->lifetime = LIFETIME_MOST;
	ev_timer_init(&query->timer, on_timer, dns->timeout, 0.);
	query->timer.data = query;
	ev_timer_start(dns->loop, &query->timer);
	peer->candidate_count = 0;
	peer->text[0] = '\0';
	begin(query);
	return query;
}
