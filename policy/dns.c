/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A query is the question for a domain; a lookup is one of the questions to the DNS that
 * it takes: MX first, then what dns_host.c wants to know of all hosts at once. libunbound
 * works in our loop, and what it knows already it says before ub_resolve_event() returns.
 * A lookup cannot be called off: where its query has ended its result is thrown away when
 * it comes, and until then it counts among those under way.
 */

#include "dns_data.h"
#include "dns_packet.h"
#include "dns_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOKUPS_MOST = 16384, /* a thousand domains of several hosts at once */
	LIFETIME_LEAST = 5,
};

struct lookup {
	struct dns *dns;
	struct dns_query *query; /* NULL: it has ended meanwhile */
	unsigned slot;
	struct lookup *next, **at;
};

/* ---- text for people ---- */

void dns_say(struct dns_query *query, const char *format, ...)
{
	char *text = query->peer->text;
	size_t size = sizeof(query->peer->text), length = strlen(text);
	va_list arguments;
	if (length > 0 && length + 2 < size) {
		memcpy(text + length, "; ", 3);
		length += 2;
	}
	va_start(arguments, format);
	vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
	/* It will stand in replies and in the log, and holds what strangers wrote. */
	for (char *c = text + length; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

const char *dns_failure(struct dns_result *result)
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

void dns_shorten(struct dns_query *query, uint32_t seconds)
{
	if (seconds < query->lifetime)
		query->lifetime = seconds;
}

static uint32_t within(uint32_t value, uint32_t least, uint32_t most)
{
	if (value < least)
		return least;
	return value < most ? value : most;
}

static void let_go(struct dns_query *query)
{
	for (unsigned i = 0; i < DNS_SLOTS; i++) {
		if (query->lookups[i])
			query->lookups[i]->query = NULL;
		query->lookups[i] = NULL;
	}
}

/* From a turn of the loop of its own, so that nobody is called back from where he
 * called us, nor from within libunbound. */
void dns_end(struct dns_query *query, enum peer_status status)
{
	struct peer *peer = query->peer;
	let_go(query);
	if (status == PEER_DNS_FAILED || status == PEER_UNAVAILABLE)
		dns_shorten(query, DNS_LIFETIME_FAILED);
	peer->status = (uint8_t)status;
	peer->lifetime = within(query->lifetime, LIFETIME_LEAST, DNS_LIFETIME_MOST);
	if (status != PEER_FINE)
		peer->candidate_count = 0;
	query->ended = true;
	ev_timer_stop(query->dns->loop, &query->timer);
	ev_timer_set(&query->timer, 0., 0.);
	ev_timer_start(query->dns->loop, &query->timer);
}

static void timed_out(struct dns_query *query)
{
	const struct peer *peer = query->peer;
	dns_say(query, "the DNS did not answer within %.0f s about %s%s",
		query->dns->timeout, query->addresses ? "the hosts of " : "",
		peer->domain);
	let_go(query);
	if (query->addresses)
		dns_hosts_give_up(query);
	else
		dns_end(query, PEER_DNS_FAILED);
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

bool dns_look_up(
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

void dns_overloaded(struct dns_query *query)
{
	query->peer->text[0] = '\0';
	dns_say(query, "too many names are being looked up, %s among them",
		query->peer->domain);
	dns_end(query, PEER_UNAVAILABLE);
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
	dns_shorten(query, dns_packet_lifetime(*packet));
	while (dns_packet_next(packet, &record)) {
		char name[REQUIREMENT_NAME];
		uint16_t preference;
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

static void on_mx(struct dns_query *query, struct dns_result *result)
{
	struct peer *peer = query->peer;
	const char *why = dns_failure(result), *domain = peer->domain;
	if (why) {
		dns_say(query, "the MX records of %s cannot be had: %s", domain, why);
		dns_end(query, PEER_DNS_FAILED);
		return;
	}
	peer->secure_mx = result->security == SECURE;
	struct mx_found found = take_hosts(query, &result->packet);
	if (result->packet.code == DNS_NXDOMAIN) {
		dns_say(query, "the domain %s does not exist", domain);
		dns_end(query, PEER_NO_DOMAIN);
	} else if (found.records == 1 && found.null) { /* RFC 7505 §3: it stands alone */
		dns_say(query, "%s takes no mail (null MX)", domain);
		dns_end(query, PEER_NULL_MX);
	} else if (found.records > 0 && peer->candidate_count == 0) {
		dns_say(query, "no MX record of %s names a host", domain);
		dns_end(query, PEER_NO_DOMAIN);
	} else {
		query->itself = found.records == 0; /* RFC 5321 §5.1 */
		query->cut = found.records > REQUIREMENT_CANDIDATES;
		if (query->itself)
			dns_add_host(peer, 0, domain);
		dns_hosts_begin(query);
	}
}

/* Only when it has been dealt with: that may have begun another. */
static void one_less(struct dns_query *query)
{
	if (!query->ended && --query->under_way == 0)
		dns_hosts_settle(query);
}

static void on_result(void *data, int code, void *octets, int length, int security,
	char *why, int limited)
{
	struct lookup *lookup = data;
	struct dns_query *query = lookup->query;
	struct dns_result result = { .code = code,
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
	if (query->addresses)
		dns_hosts_result(query, slot, &result);
	else
		on_mx(query, &result);
	one_less(query);
}

/* ---- a query ---- */

static void begin(struct dns_query *query)
{
	struct peer *peer = query->peer;
	struct peer_address address;
	if (dns_read_literal(peer->domain, &address)) {
		dns_add_host(peer, 0, "");
		dns_add_address(&peer->candidates[0], &address);
		peer->candidates[0].dane =
			query->dns->dane ? DANE_ABSENT : DANE_UNAVAILABLE;
		dns_end(query, PEER_FINE);
	} else if (!dns_is_host(peer->domain)) {
		dns_say(query, "%s is not the name of a domain", peer->domain);
		dns_end(query, PEER_INVALID);
	} else if (peer->direction == DIRECTION_HOST) {
		peer->secure_mx = true; /* we were given its name */
		dns_add_host(peer, 0, peer->domain);
		dns_hosts_begin(query);
	} else if (!dns_look_up(query, 0, peer->domain, DNS_MX)) {
		dns_overloaded(query);
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
	query->lifetime = DNS_LIFETIME_MOST;
	ev_timer_init(&query->timer, on_timer, dns->timeout, 0.);
	query->timer.data = query;
	ev_timer_start(dns->loop, &query->timer);
	peer->candidate_count = 0;
	peer->secure_mx = false;
	peer->text[0] = '\0';
	query->under_way = 1;
	begin(query);
	one_less(query);
	return query;
}
