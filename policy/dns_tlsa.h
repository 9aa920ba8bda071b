/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DNS_TLSA_H
#define SEALPOST_DNS_TLSA_H

/*
 * What can be used of a host's TLSA records (RFC 6698 §2.1, RFC 7671, RFC 7672 §3.1).
 * Pure: each octet of it is a stranger's.
 */

#include "requirement.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All records of one answer, added one by one. The octets stay where they came from. */
struct dns_tlsa {
	unsigned seen;	   /* whatever they hold */
	unsigned usable;   /* of these, before digest agility */
	unsigned left_out; /* there was no room */
	unsigned count;
	struct tlsa records[REQUIREMENT_TLSA];
	uint8_t strongest[2][2]; /* enum tlsa_matching; by usage - 2 and selector */
};

/*
 * Of what stands in a record. False for what cannot be used: usages 0 and 1 (RFC 7672
 * §3.1.3), an unknown selector or matching type, a digest of another length than its own,
 * and nothing at all.
 */
bool dns_tlsa_read(const uint8_t *data, size_t length, struct tlsa *tlsa);

/*
 * Keeps of each usage and selector the digests of the strongest matching type alone (RFC
 * 7671 §9), and what is no digest. What finds no room is left out: the certificate that
 * it speaks of will not do, and no other will do for it.
 */
void dns_tlsa_add(struct dns_tlsa *set, const uint8_t *data, size_t length);

/*
 * Gives a copy of the records to a candidate of `peer`, with their state: DANE_USABLE,
 * DANE_UNUSABLE, or DANE_ABSENT for none. Those for which the peer has no room are left
 * out. False without memory: it is DANE_FAILED then.
 */
bool dns_tlsa_keep(
	struct dns_tlsa *set, const char *base, struct peer *peer, unsigned candidate);

#endif
