/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "dns_tlsa.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 3 /* usage, selector, matching type */ };

static bool length_fits(const struct tlsa *tlsa)
{
	switch ((enum tlsa_matching)tlsa->matching) {
	case TLSA_FULL: return tlsa->length > 0;
	case TLSA_SHA256: return tlsa->length == 32;
	case TLSA_SHA512: return tlsa->length == 64;
	}
	return false;
}

bool dns_tlsa_read(const uint8_t *data, size_t length, struct tlsa *tlsa)
{
	if (length < HEAD || length > UINT16_MAX)
		return false;
	*tlsa = (struct tlsa){
		.usage = data[0],
		.selector = data[1],
		.matching = data[2],
		.length = (uint16_t)(length - HEAD),
		.octets = data + HEAD,
	};
	return (tlsa->usage == TLSA_TA || tlsa->usage == TLSA_EE) &&
	       tlsa->selector <= TLSA_SPKI && length_fits(tlsa);
}

/* ---- one host's ---- */

static uint8_t *strongest(struct dns_tlsa *set, const struct tlsa *tlsa)
{
	return &set->strongest[tlsa->usage - TLSA_TA][tlsa->selector];
}

/* There is a stronger digest for the same. */
static bool is_surpassed(struct dns_tlsa *set, const struct tlsa *tlsa)
{
	return tlsa->matching != TLSA_FULL && tlsa->matching < *strongest(set, tlsa);
}

static void remove_surpassed(struct dns_tlsa *set)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < set->count; i++)
		if (!is_surpassed(set, &set->records[i]))
			set->records[kept++] = set->records[i];
	set->count = kept;
}

void dns_tlsa_add(struct dns_tlsa *set, const uint8_t *data, size_t length)
{
	struct tlsa tlsa;
	set->seen++;
	if (!dns_tlsa_read(data, length, &tlsa))
		return;
	set->usable++;
	if (is_surpassed(set, &tlsa))
		return;
	/* Even where there will be no room for it. */
	if (tlsa.matching > *strongest(set, &tlsa)) {
		*strongest(set, &tlsa) = tlsa.matching;
		remove_surpassed(set);
	}
	if (set->count < REQUIREMENT_TLSA)
		set->records[set->count++] = tlsa;
	else
		set->left_out++;
}

/* ---- a peer's ---- */

static void leave_out(struct dns_tlsa *set, size_t room)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < set->count; i++) {
		if (set->records[i].length > room) {
			set->left_out++;
			continue;
		}
		room -= set->records[i].length;
		set->records[kept++] = set->records[i];
	}
	set->count = kept;
}

/* Room for more octets; the records that the candidates have already move along. */
static bool grow(struct peer *peer, size_t more)
{
	uint8_t *was = peer->tlsa_octets;
	if (more == 0)
		return true;
	uint8_t *octets = malloc(peer->tlsa_length + more);
	if (!octets)
		return false;
	if (was)
		memcpy(octets, was, peer->tlsa_length);
	for (unsigned i = 0; i < peer->candidate_count; i++)
		for (unsigned j = 0; j < peer->candidates[i].tlsa_count; j++) {
			struct tlsa *tlsa = &peer->candidates[i].tlsa[j];
			tlsa->octets = octets + (tlsa->octets - was);
		}
	free(was);
	peer->tlsa_octets = octets;
	return true;
}

static size_t total(const struct dns_tlsa *set)
{
	size_t octets = 0;
	for (unsigned i = 0; i < set->count; i++)
		octets += set->records[i].length;
	return octets;
}

static enum dane_state state_of(const struct dns_tlsa *set)
{
	if (set->seen == 0)
		return DANE_ABSENT;
	return set->usable > 0 ? DANE_USABLE : DANE_UNUSABLE;
}

bool dns_tlsa_keep(
	struct dns_tlsa *set, const char *base, struct peer *peer, unsigned candidate)
{
	struct candidate *to = &peer->candidates[candidate];
	leave_out(set, REQUIREMENT_TLSA_OCTETS - peer->tlsa_length);
	if (!grow(peer, total(set))) {
		to->dane = DANE_FAILED;
		return false;
	}
	to->dane = (uint8_t)state_of(set);
	if (set->seen > 0)
		memcpy(to->tlsa_base, base, strnlen(base, REQUIREMENT_NAME - 1) + 1);
	for (unsigned i = 0; i < set->count; i++) {
		uint8_t *octets = peer->tlsa_octets + peer->tlsa_length;
		const struct tlsa *from = &set->records[i];
		memcpy(octets, from->octets, from->length);
		to->tlsa[to->tlsa_count] = *from;
		to->tlsa[to->tlsa_count++].octets = octets;
		peer->tlsa_length += from->length;
	}
	return true;
}
