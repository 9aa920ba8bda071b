/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "dns_tlsa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- one record ---- */

struct record {
	uint8_t octets[3 + 4096];
	size_t length;
};

/* Its data are `length` times `filler`. */
static struct record record(unsigned usage, unsigned selector, unsigned matching,
	size_t length, unsigned filler)
{
	struct record r = { { (uint8_t)usage, (uint8_t)selector, (uint8_t)matching },
		3 + length };
	memset(r.octets + 3, (int)filler, length);
	return r;
}

/* From memory of its very size, so that a sanitizer sees each octet beyond. */
static bool reads(const struct record *r, size_t length)
{
	uint8_t *exactly = malloc(length > 0 ? length : 1);
	struct tlsa tlsa;
	assert_non_null(exactly);
	memcpy(exactly, r->octets, length);
	bool fine = dns_tlsa_read(exactly, length, &tlsa);
	if (fine) {
		assert_int_equal(tlsa.usage, exactly[0]);
		assert_int_equal(tlsa.selector, exactly[1]);
		assert_int_equal(tlsa.matching, exactly[2]);
		assert_int_equal(tlsa.length, length - 3);
		assert_ptr_equal(tlsa.octets, exactly + 3);
	}
	free(exactly);
	return fine;
}

static void test_what_can_be_used(void **state)
{
	(void)state;
	for (unsigned usage = 0; usage < 256; usage++)
		for (unsigned selector = 0; selector < 8; selector++)
			for (unsigned matching = 0; matching < 8; matching++) {
				size_t length = matching == 2 ? 64 : 32;
				struct record r =
					record(usage, selector, matching, length, 'x');
				bool expected = (usage == 2 || usage == 3) &&
						selector <= 1 && matching <= 2;
				assert_int_equal(reads(&r, r.length), expected);
			}
}

static void test_lengths(void **state)
{
	struct record full = record(3, 0, 0, 4096, 'f');
	struct record sha256 = record(2, 1, 1, 100, 'a');
	struct record sha512 = record(3, 1, 2, 100, 'b');
	(void)state;
	for (size_t length = 0; length <= 103; length++) {
		assert_int_equal(reads(&full, length), length > 3);
		assert_int_equal(reads(&sha256, length), length == 3 + 32);
		assert_int_equal(reads(&sha512, length), length == 3 + 64);
	}
	assert_true(reads(&full, 3 + 4096));
}

/* ---- a set ---- */

/* "u s m", the way that people write it; "" ends them. */
struct kind {
	unsigned usage, selector, matching, filler;
};

static size_t length_of(unsigned matching)
{
	return matching == TLSA_SHA256 ? 32 : matching == TLSA_SHA512 ? 64 : 5;
}

/* The octets stay in `records`. */
static struct dns_tlsa set_of(
	const struct kind *kinds, unsigned count, struct record *records)
{
	struct dns_tlsa set = { .seen = 0 };
	for (unsigned i = 0; i < count; i++) {
		const struct kind *k = &kinds[i];
		records[i] = record(k->usage, k->selector, k->matching,
			length_of(k->matching), k->filler);
		dns_tlsa_add(&set, records[i].octets, records[i].length);
	}
	return set;
}

static bool has(const struct dns_tlsa *set, const struct kind *k)
{
	for (unsigned i = 0; i < set->count; i++) {
		const struct tlsa *t = &set->records[i];
		if (t->usage == k->usage && t->selector == k->selector &&
			t->matching == k->matching && t->octets[0] == k->filler)
			return true;
	}
	return false;
}

/* Whichever way round they come: those of `kinds` whose bit is in `kept`. */
static void assert_kept(const struct kind *kinds, unsigned count, unsigned kept)
{
	static struct record records[16];
	for (unsigned turn = 0; turn < 2 * count; turn++) {
		struct kind order[16];
		unsigned expected = 0;
		for (unsigned i = 0; i < count; i++) {
			unsigned at = (i + turn) % count;
			order[i] = kinds[turn < count ? at : count - 1 - at];
		}
		struct dns_tlsa set = set_of(order, count, records);
		assert_int_equal(set.seen, count);
		for (unsigned i = 0; i < count; i++) {
			assert_int_equal(has(&set, &kinds[i]), kept >> i & 1);
			expected += kept >> i & 1;
		}
		assert_int_equal(set.count, expected);
		assert_int_equal(set.left_out, 0);
	}
}

#define KEPT(kinds, kept) assert_kept(kinds, sizeof(kinds) / sizeof((kinds)[0]), kept)

static void test_digest_agility(void **state)
{
	static const struct kind one[] = { { 3, 1, 1, 1 } };
	static const struct kind both[] = { { 3, 1, 1, 1 }, { 3, 1, 2, 2 } };
	static const struct kind several[] = { { 3, 1, 1, 1 }, { 3, 1, 1, 2 },
		{ 3, 1, 2, 3 }, { 3, 1, 2, 4 }, { 3, 1, 0, 5 } };
	/* each usage and selector by itself */
	static const struct kind apart[] = { { 3, 1, 1, 1 }, { 3, 0, 2, 2 },
		{ 2, 1, 2, 3 }, { 2, 0, 1, 4 } };
	/* what is no digest neither goes nor makes others go */
	static const struct kind full[] = { { 2, 0, 0, 1 }, { 2, 0, 1, 2 } };
	(void)state;
	KEPT(one, 1);
	KEPT(both, 2);
	KEPT(several, 4 + 8 + 16);
	KEPT(apart, 15);
	KEPT(full, 3);
}

/* What cannot be used says nothing about what can. */
static void test_unusable_beside_usable(void **state)
{
	static const struct kind kinds[] = { { 3, 1, 1, 1 }, { 1, 1, 2, 2 },
		{ 0, 1, 2, 3 }, { 3, 2, 2, 4 }, { 3, 1, 3, 5 }, { 255, 1, 1, 6 } };
	struct dns_tlsa set = { .seen = 0 };
	struct record short512 = record(3, 1, 2, 63, 'x');
	struct record sha256 = record(3, 1, 1, 32, 'y');
	(void)state;
	KEPT(kinds, 1);
	dns_tlsa_add(&set, sha256.octets, sha256.length);
	dns_tlsa_add(&set, short512.octets, short512.length);
	assert_int_equal(set.seen, 2);
	assert_int_equal(set.usable, 1);
	assert_int_equal(set.count, 1);
	assert_int_equal(set.records[0].matching, TLSA_SHA256);
}

/* Without room for the stronger ones the weaker ones do not come back. */
static void test_too_many(void **state)
{
	static struct record records[2 * REQUIREMENT_TLSA + 1];
	struct kind kinds[2 * REQUIREMENT_TLSA + 1];
	(void)state;
	for (unsigned i = 0; i < REQUIREMENT_TLSA; i++)
		kinds[i] = (struct kind){ 2, 0, 0, i };
	for (unsigned i = REQUIREMENT_TLSA; i < 2 * REQUIREMENT_TLSA; i++)
		kinds[i] = (struct kind){ 3, 1, 2, i };
	kinds[2 * REQUIREMENT_TLSA] = (struct kind){ 3, 1, 1, 99 };
	struct dns_tlsa set = set_of(kinds, 2 * REQUIREMENT_TLSA + 1, records);
	assert_int_equal(set.seen, 2 * REQUIREMENT_TLSA + 1);
	assert_int_equal(set.count, REQUIREMENT_TLSA);
	assert_int_equal(set.left_out, REQUIREMENT_TLSA);
	for (unsigned i = 0; i < REQUIREMENT_TLSA; i++)
		assert_true(has(&set, &kinds[i]));
	/* a stronger one makes room */
	for (unsigned i = 0; i < REQUIREMENT_TLSA; i++)
		kinds[i] = (struct kind){ 3, 1, 1, i };
	kinds[REQUIREMENT_TLSA] = (struct kind){ 3, 1, 2, 77 };
	set = set_of(kinds, REQUIREMENT_TLSA + 1, records);
	assert_int_equal(set.count, 1);
	assert_true(has(&set, &kinds[REQUIREMENT_TLSA]));
}

/* ---- a peer's ---- */

static struct peer *peer_with(unsigned candidates)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	assert_non_null(peer);
	peer->candidate_count = (uint8_t)candidates;
	for (unsigned i = 0; i < candidates; i++)
		peer->candidates[i].dane = DANE_UNAVAILABLE;
	return peer;
}

static void keep(
	struct peer *peer, unsigned candidate, const struct kind *kinds, unsigned count)
{
	static struct record records[32];
	struct dns_tlsa set = set_of(kinds, count, records);
	assert_true(dns_tlsa_keep(&set, "mx.lab", peer, candidate));
	memset(records, 0xee, sizeof(records)); /* it has copies */
}

static void test_states(void **state)
{
	static const struct kind usable[] = { { 3, 1, 1, 1 }, { 1, 1, 1, 2 } };
	static const struct kind unusable[] = { { 0, 0, 1, 1 }, { 1, 1, 1, 2 } };
	struct peer *peer = peer_with(3);
	(void)state;
	keep(peer, 0, usable, 2);
	keep(peer, 1, unusable, 2);
	keep(peer, 2, usable, 0);
	assert_int_equal(peer->candidates[0].dane, DANE_USABLE);
	assert_int_equal(peer->candidates[0].tlsa_count, 1);
	assert_string_equal(peer->candidates[0].tlsa_base, "mx.lab");
	assert_int_equal(peer->candidates[1].dane, DANE_UNUSABLE);
	assert_int_equal(peer->candidates[1].tlsa_count, 0);
	assert_int_equal(peer->candidates[2].dane, DANE_ABSENT);
	assert_string_equal(peer->candidates[2].tlsa_base, "");
	peer_free(peer);
}

/* The records of the first still are there when those of the last have come. */
static void test_octets_of_several(void **state)
{
	struct peer *peer = peer_with(REQUIREMENT_CANDIDATES);
	(void)state;
	for (unsigned i = 0; i < REQUIREMENT_CANDIDATES; i++) {
		const struct kind kinds[] = { { 3, 1, 1, i }, { 2, 0, 2, 100 + i } };
		keep(peer, i, kinds, 2);
	}
	assert_int_equal(peer->tlsa_length, REQUIREMENT_CANDIDATES * (32 + 64));
	for (unsigned i = 0; i < REQUIREMENT_CANDIDATES; i++) {
		const struct candidate *c = &peer->candidates[i];
		assert_int_equal(c->tlsa_count, 2);
		assert_int_equal(c->tlsa[0].length, 32);
		assert_int_equal(c->tlsa[1].length, 64);
		for (unsigned j = 0; j < 32; j++)
			assert_int_equal(c->tlsa[0].octets[j], i);
		for (unsigned j = 0; j < 64; j++)
			assert_int_equal(c->tlsa[1].octets[j], 100 + i);
	}
	peer_free(peer);
}

/* They stay usable: whoever sends more than there is room for does not become a domain
 * without DANE. */
static void test_no_room(void **state)
{
	struct peer *peer = peer_with(2);
	struct record large = record(3, 0, 0, 4096, 'c');
	struct record small = record(3, 1, 1, 32, 'd');
	struct dns_tlsa set = { .seen = 0 };
	(void)state;
	for (unsigned i = 0; i < REQUIREMENT_TLSA - 1; i++)
		dns_tlsa_add(&set, large.octets, large.length);
	dns_tlsa_add(&set, small.octets, small.length);
	assert_true(dns_tlsa_keep(&set, "mx.lab", peer, 0));
	assert_int_equal(peer->candidates[0].dane, DANE_USABLE);
	assert_int_equal(peer->candidates[0].tlsa_count, REQUIREMENT_TLSA_OCTETS / 4096);
	assert_int_equal(set.left_out, REQUIREMENT_TLSA - REQUIREMENT_TLSA_OCTETS / 4096);
	assert_true(peer->tlsa_length <= REQUIREMENT_TLSA_OCTETS);
	set = (struct dns_tlsa){ .seen = 0 };
	dns_tlsa_add(&set, small.octets, small.length);
	assert_true(dns_tlsa_keep(&set, "mx2.lab", peer, 1));
	assert_int_equal(peer->candidates[1].dane, DANE_USABLE);
	assert_int_equal(peer->candidates[1].tlsa_count, 0);
	assert_string_equal(peer->candidates[1].tlsa_base, "mx2.lab");
	peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_can_be_used),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_digest_agility),
		cmocka_unit_test(test_unusable_beside_usable),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_octets_of_several),
		cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
