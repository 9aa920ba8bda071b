/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Answers about TLSA records, for two hosts of one peer: the packet, and what is made of
 * the records in it. The first octet says how many records the second host has less.
 */

#include "dns_packet.h"
#include "dns_tlsa.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static struct dns_tlsa read_set(const struct dns_packet *from, unsigned skipped)
{
	struct dns_packet packet = *from;
	struct dns_tlsa set = { .seen = 0 };
	struct dns_record record;
	while (dns_packet_next(&packet, &record))
		if (record.type == DNS_TLSA && skipped > 0)
			skipped--;
		else if (record.type == DNS_TLSA)
			dns_tlsa_add(&set, packet.octets + record.at, record.length);
	return set;
}

/* A digest that is kept is the strongest of its usage and selector. */
static void check_agility(const struct candidate *c)
{
	for (unsigned i = 0; i < c->tlsa_count; i++)
		for (unsigned j = 0; j < c->tlsa_count; j++) {
			const struct tlsa *a = &c->tlsa[i], *b = &c->tlsa[j];
			if (a->usage == b->usage && a->selector == b->selector)
				must(a->matching == TLSA_FULL ||
					b->matching == TLSA_FULL ||
					a->matching == b->matching);
		}
}

static void check(const struct peer *peer, unsigned host, const struct dns_tlsa *set)
{
	const struct candidate *c = &peer->candidates[host];
	must(c->tlsa_count == set->count && set->count <= set->usable);
	must(set->usable <= set->seen && (c->dane == DANE_ABSENT) == (set->seen == 0));
	must((c->dane == DANE_USABLE) == (set->usable > 0));
	for (unsigned i = 0; i < c->tlsa_count; i++) {
		const struct tlsa *t = &c->tlsa[i];
		must(t->usage == TLSA_TA || t->usage == TLSA_EE);
		must(t->octets >= peer->tlsa_octets &&
			t->octets + t->length <= peer->tlsa_octets + peer->tlsa_length);
		must(memcmp(t->octets, set->records[i].octets, t->length) == 0);
	}
	check_agility(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_packet packet;
	char name[REQUIREMENT_NAME] = "mx.lab";
	if (size == 0 || !dns_packet_open(&packet, data + 1, size - 1))
		return 0;
	must(dns_packet_expand(&packet, name) || strcmp(name, "mx.lab") == 0);
	must(name[0] != '\0' && strlen(name) < sizeof(name));
	struct peer *peer = calloc(1, sizeof(*peer));
	must(peer);
	peer->candidate_count = 2;
	struct dns_tlsa sets[] = { read_set(&packet, 0), read_set(&packet, data[0]) };
	for (unsigned i = 0; i < 2; i++)
		must(dns_tlsa_keep(&sets[i], name, peer, i));
	must(peer->tlsa_length <= REQUIREMENT_TLSA_OCTETS);
	for (unsigned i = 0; i < 2; i++)
		check(peer, i, &sets[i]);
	peer_free(peer);
	return 0;
}
