/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Each host of a query goes its own way: its addresses, then, where these are signed, its
 * TLSA records (RFC 7672 §2.2.2). Those of unsigned hosts are not asked for: they could
 * not be believed, and some servers of such zones cannot answer. Whatever cannot be had
 * makes a host unusable (RFC 7672 §2.1.2), for whoever stands in the way of an answer
 * must not gain by it. Hosts of MX records that are not signed have their TLSA records
 * asked for all the same (RFC 7672 §2.2.1 allows it, Postfix does so).
 */

#include "dns_data.h"
#include "dns_private.h"
#include "dns_tlsa.h"

#include <stdio.h>
#include <string.h>

static struct candidate *candidate_of(struct dns_query *query, unsigned host)
{
	return &query->peer->candidates[host];
}

/* ---- TLSA ---- */

static void finish(struct dns_query *query, unsigned host, enum dane_state state)
{
	candidate_of(query, host)->dane = (uint8_t)state;
	query->hosts[host].stage = STAGE_DONE;
	if (state == DANE_FAILED)
		dns_shorten(query, DNS_LIFETIME_FAILED);
}

static void look_up_next(
	struct dns_query *query, unsigned host, const char *name, enum dns_type type)
{
	if (dns_look_up(query, 2 * host, name, type))
		return;
	dns_say(query, "too many names are being looked up, %s among them", name);
	finish(query, host, DANE_FAILED);
}

static const char *base_of(struct dns_query *query, unsigned host)
{
	const struct dns_host *h = &query->hosts[host];
	return h->stage == STAGE_EXPANDED ? h->expanded : candidate_of(query, host)->name;
}

static void ask_tlsa(struct dns_query *query, unsigned host, enum dns_stage stage)
{
	char name[REQUIREMENT_NAME + 16];
	query->hosts[host].stage = stage;
	snprintf(name, sizeof(name), "_25._tcp.%s", base_of(query, host));
	if (dns_is_host(name))
		look_up_next(query, host, name, DNS_TLSA);
	else if (stage == STAGE_EXPANDED) /* it would be too long */
		ask_tlsa(query, host, STAGE_INITIAL);
	else
		finish(query, host, DANE_ABSENT);
}

static void say_left_out(
	struct dns_query *query, const char *base, const struct dns_tlsa *set)
{
	if (set->left_out > 0)
		dns_say(query, "%u TLSA records of %s are too many: %u do not count",
			set->seen, base, set->left_out);
}

static void on_tlsa(struct dns_query *query, unsigned host, struct dns_result *result)
{
	const char *base = base_of(query, host), *why = dns_failure(result);
	struct candidate *candidate = candidate_of(query, host);
	struct dns_tlsa set = { .seen = 0 };
	struct dns_record record;
	if (why) {
		dns_say(query, "the TLSA records of %s cannot be had: %s", base, why);
		finish(query, host, DANE_FAILED);
		return;
	}
	candidate->tlsa_secure = result->security == SECURE;
	candidate->tlsa_ttl = dns_packet_lifetime(result->packet);
	dns_shorten(query, candidate->tlsa_ttl);
	while (dns_packet_next(&result->packet, &record))
		if (record.answer && record.type == DNS_TLSA &&
			result->security == SECURE)
			dns_tlsa_add(
				&set, result->packet.octets + record.at, record.length);
	if (set.seen == 0 && query->hosts[host].stage == STAGE_EXPANDED) {
		ask_tlsa(query, host, STAGE_INITIAL);
		return;
	}
	if (!dns_tlsa_keep(&set, base, query->peer, host))
		dns_say(query, "no memory for the TLSA records of %s", base);
	say_left_out(query, base, &set);
	finish(query, host, candidate->dane);
}

/* Only the zone of the alias itself may be signed; its own name may have records then. */
static void on_alias(struct dns_query *query, unsigned host, struct dns_result *result)
{
	const char *why = dns_failure(result);
	if (why)
		dns_say(query, "whether %s is an alias cannot be known: %s",
			candidate_of(query, host)->name, why);
	if (why || (result->security == SECURE && query->hosts[host].failed))
		finish(query, host, DANE_FAILED);
	else if (result->security == SECURE)
		ask_tlsa(query, host, STAGE_INITIAL);
	else
		finish(query, host, DANE_ABSENT);
}

/* ---- addresses ---- */

static void on_addresses_known(struct dns_query *query, unsigned host)
{
	const struct dns_host *h = &query->hosts[host];
	if (!query->dns->dane) {
		finish(query, host, DANE_UNAVAILABLE);
	} else if (h->answers == 0 || h->bogus || (h->secure && h->failed)) {
		finish(query, host, DANE_FAILED);
	} else if (h->secure) {
		ask_tlsa(query, host,
			h->expanded[0] != '\0' ? STAGE_EXPANDED : STAGE_INITIAL);
	} else if (h->alias) {
		query->hosts[host].stage = STAGE_ALIAS;
		look_up_next(query, host, candidate_of(query, host)->name, DNS_CNAME);
	} else {
		finish(query, host, DANE_ABSENT);
	}
}

static void note_security(
	struct dns_query *query, unsigned host, const struct dns_result *result)
{
	struct dns_host *h = &query->hosts[host];
	char name[REQUIREMENT_NAME];
	memcpy(name, candidate_of(query, host)->name, sizeof(name));
	bool alias = dns_packet_expand(&result->packet, name);
	h->alias |= dns_packet_is_alias(&result->packet, candidate_of(query, host)->name);
	h->secure |= result->security == SECURE;
	if (alias && result->security == SECURE)
		memcpy(h->expanded, name, sizeof(name));
}

static void on_addresses(
	struct dns_query *query, unsigned slot, struct dns_result *result)
{
	unsigned host = slot / 2;
	struct dns_host *h = &query->hosts[host];
	struct candidate *candidate = candidate_of(query, host);
	const char *why = dns_failure(result);
	struct dns_record record;
	struct peer_address address;
	if (why) {
		h->failed = true;
		h->bogus |= result->security == BOGUS;
		dns_say(query, "the %s records of %s cannot be had: %s",
			slot % 2 == 0 ? "A" : "AAAA", candidate->name, why);
	} else {
		h->answers++;
		note_security(query, host, result);
		dns_shorten(query, dns_packet_lifetime(result->packet));
		while (dns_packet_next(&result->packet, &record))
			if (record.answer &&
				dns_packet_address(&result->packet, &record, &address))
				dns_add_address(candidate, &address);
	}
	if (--h->missing == 0)
		on_addresses_known(query, host);
}

void dns_hosts_begin(struct dns_query *query)
{
	struct peer *peer = query->peer;
	query->addresses = true;
	for (unsigned i = 0; i < peer->candidate_count; i++)
		query->hosts[i].missing = 2;
	for (unsigned i = 0; i < peer->candidate_count; i++) {
		const char *name = peer->candidates[i].name;
		if (!dns_look_up(query, 2 * i, name, DNS_A) ||
			!dns_look_up(query, 2 * i + 1, name, DNS_AAAA)) {
			dns_overloaded(query);
			return;
		}
	}
}

void dns_hosts_result(struct dns_query *query, unsigned slot, struct dns_result *result)
{
	switch (query->hosts[slot / 2].stage) {
	case STAGE_ADDRESSES: on_addresses(query, slot, result); break;
	case STAGE_ALIAS: on_alias(query, slot / 2, result); break;
	case STAGE_EXPANDED:
	case STAGE_INITIAL: on_tlsa(query, slot / 2, result); break;
	case STAGE_DONE: break;
	}
}

void dns_hosts_give_up(struct dns_query *query)
{
	for (unsigned i = 0; i < query->peer->candidate_count; i++) {
		struct dns_host *h = &query->hosts[i];
		bool plain = h->answers > 0 && !h->secure && !h->alias;
		if (h->stage == STAGE_DONE)
			continue;
		h->failed |= h->missing > 0;
		if (query->dns->dane)
			finish(query, i, plain ? DANE_ABSENT : DANE_FAILED);
		else
			finish(query, i, DANE_UNAVAILABLE);
	}
	dns_hosts_settle(query);
}

/* ---- what all of it makes of the hosts ---- */

/* Those that have addresses and, if `flawless`, no failed lookup of these either. */
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

/* Whether DNS says, or does not tell, that it has TLSA records. */
static bool has_dane(const struct candidate *candidate)
{
	return candidate->dane != DANE_ABSENT && candidate->dane != DANE_UNAVAILABLE;
}

/*
 * Whether it is certain that no host has an address. One with TLSA records may be an
 * alias that leads to where nothing is signed, and there anybody can deny it; and hosts
 * that there was no room for may have some.
 */
static bool is_unreachable(const struct dns_query *query)
{
	for (unsigned i = 0; i < query->peer->candidate_count; i++)
		if (has_dane(&query->peer->candidates[i]))
			return false;
	return !query->cut;
}

/*
 * A host that has DANE, or of which nobody can know, stays as a name, even where it has
 * no address or none that is to be used: it must not look as if the domain's hosts were
 * all without.
 */
static void keep_hosts(struct peer *peer, const bool keep[])
{
	unsigned kept = 0;
	for (unsigned i = 0; i < peer->candidate_count; i++) {
		struct candidate *candidate = &peer->candidates[i];
		if (!keep[i] && !has_dane(candidate))
			continue;
		if (!keep[i])
			candidate->address_count = 0;
		if (kept != i)
			peer->candidates[kept] = *candidate;
		kept++;
	}
	peer->candidate_count = (uint8_t)kept;
}

static void say_no_address(struct dns_query *query)
{
	const char *domain = query->peer->domain;
	if (query->peer->direction == DIRECTION_HOST)
		dns_say(query, "the host %s has no address", domain);
	else if (query->itself)
		dns_say(query, "%s has neither MX records nor an address", domain);
	else
		dns_say(query, "no MX host of %s has an address", domain);
}

/*
 * A host of which half the addresses cannot be known is left out as long as there is
 * another; alone it may do with the half that is known, but not with a forged one.
 */
void dns_hosts_settle(struct dns_query *query)
{
	bool keep[REQUIREMENT_CANDIDATES], failed = any_failed(query);
	if (failed)
		dns_shorten(query, DNS_LIFETIME_FAILED);
	if (usable(query, true, keep) > 0 || usable(query, false, keep) > 0) {
		keep_hosts(query->peer, keep);
		dns_end(query, PEER_FINE);
		return;
	}
	if (!failed)
		say_no_address(query);
	dns_end(query,
		failed || !is_unreachable(query) ? PEER_DNS_FAILED : PEER_NO_DOMAIN);
}
