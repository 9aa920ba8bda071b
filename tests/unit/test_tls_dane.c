/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What TLSA records make of the chains in a zoo, and what is judged of that. */

#include "judge.h"
#include "tls_zoo.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum {
	TA = TLSA_TA,
	EE = TLSA_EE,
	ROOM = 4096,
	RECORDS = 4,
};

#define HOST "mx.good.example"

/* ---- records ---- */

struct records {
	struct tlsa tlsa[RECORDS];
	uint8_t octets[RECORDS][ROOM];
	unsigned count;
};

static gnutls_datum_t certificate_of(const struct animal *a)
{
	gnutls_datum_t der;
	assert_int_equal(gnutls_x509_crt_export2(a->crt, GNUTLS_X509_FMT_DER, &der), 0);
	return der;
}

static gnutls_datum_t key_of(const struct animal *a)
{
	gnutls_pubkey_t key;
	gnutls_datum_t der;
	assert_int_equal(gnutls_pubkey_init(&key), 0);
	assert_int_equal(gnutls_pubkey_import_x509(key, a->crt, 0), 0);
	assert_int_equal(gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der), 0);
	gnutls_pubkey_deinit(key);
	return der;
}

/* Adds a record of this certificate; what there is no such thing as is like 0 or 1. */
static struct tlsa *add(struct records *r, const struct animal *a, unsigned usage,
	unsigned selector, unsigned matching)
{
	gnutls_datum_t der = selector == 0 ? certificate_of(a) : key_of(a);
	uint8_t *octets = r->octets[r->count];
	struct tlsa *tlsa = &r->tlsa[r->count++];
	*tlsa = (struct tlsa){ (uint8_t)usage, (uint8_t)selector, (uint8_t)matching,
		(uint16_t)der.size, octets };
	assert_in_range(der.size, 1, ROOM);
	if (matching == 0) {
		memcpy(octets, der.data, der.size);
	} else {
		gnutls_digest_algorithm_t algorithm =
			matching == 2 ? GNUTLS_DIG_SHA512 : GNUTLS_DIG_SHA256;
		gnutls_hash_fast(algorithm, der.data, der.size, octets);
		tlsa->length = (uint16_t)gnutls_hash_get_len(algorithm);
	}
	gnutls_free(der.data);
	return tlsa;
}

static const struct chain_facts *look(
	struct zoo *z, const struct records *r, struct show show)
{
	while (show.length < ZOO_CHAIN && show.chain[show.length])
		show.length++;
	show.asks = ASK_LEAF | ASK_DANE;
	show.tlsa = r->tlsa;
	show.tlsa_count = r->count;
	return zoo_look(z, &show);
}

/* One record of an animal, and the chain that is shown. */
static enum dane_match try(struct zoo *z, const struct animal *a, unsigned usage,
	unsigned selector, unsigned matching, struct show show)
{
	struct records r = { .count = 0 };
	add(&r, a, usage, selector, matching);
	return (enum dane_match)look(z, &r, show)->dane;
}

#define CHAIN(...) ((struct show){ .chain = { __VA_ARGS__ } })

/* ---- the table ---- */

enum lapse { LAPSE_NONE, LAPSE_LEAF, LAPSE_MIDDLE, LAPSES };

struct row {
	unsigned usage, selector, matching, depth, lapse;
	bool named; /* the certificate bears the host's name */
};

/* RFC 7671 §4, §5.1, §5.2; usages 0 and 1 can not be used (RFC 7672 §3.1.3). */
static enum dane_match expected(const struct row *row)
{
	if (row->selector > 1 || row->matching > 2)
		return DANE_MATCH_NONE;
	if (row->usage == EE)
		return row->depth == 0 ? DANE_MATCH_EE : DANE_MATCH_NONE;
	if (row->usage != TA || row->depth == 0 || row->depth > 2)
		return DANE_MATCH_NONE;
	/* RFC 5280 §6.1: an anchor's own dates do not count. */
	bool lapsed = row->lapse != LAPSE_NONE;
	lapsed = lapsed && !(row->lapse == LAPSE_MIDDLE && row->depth == 1);
	return lapsed ? DANE_MATCH_NONE : DANE_MATCH_TA;
}

static enum verdict judged(const struct records *r, const struct chain_facts *chain)
{
	static struct peer peer;
	char reason[REQUIREMENT_TEXT];
	const struct facts facts = {
		.version = "TLS1.3", .protocol = PROTOCOL_TLS_1_3, .chain = chain
	};
	struct candidate *c = &peer.candidates[0];
	peer = (struct peer){ .domain = "bank.example", .candidate_count = 1 };
	peer.demand.level = LEVEL_MAY;
	peer.demand.dane = true;
	strcpy(c->name, HOST);
	strcpy(c->tlsa_base, HOST);
	c->dane = DANE_USABLE;
	c->tlsa_count = (uint8_t)r->count;
	memcpy(c->tlsa, r->tlsa, sizeof(c->tlsa[0]) * r->count);
	return judge(&peer, c, &facts, reason);
}

static void check_row(const struct row *row, const struct animal *animal, struct tls *t,
	struct tls_client *client)
{
	struct records r = { .count = 0 };
	add(&r, animal, row->usage, row->selector, row->matching);
	const struct tls_chain_question question = {
		.asks = ASK_LEAF | ASK_DANE, .tlsa = r.tlsa, .tlsa_count = r.count
	};
	const struct chain_facts *f = tls_chain(t, client, &question, time(NULL));
	enum dane_match wanted = expected(row);
	bool passes = wanted == DANE_MATCH_EE || (wanted == DANE_MATCH_TA && row->named);
	if (f->dane != wanted || (judged(&r, f) == VERDICT_PASS) != passes)
		fail_msg("%u %u %u, depth %u, lapse %u, %snamed: %u instead of %u, %s",
			row->usage, row->selector, row->matching, row->depth, row->lapse,
			row->named ? "" : "not ", f->dane, wanted,
			verdict_name(judged(&r, f)));
}

/* All records, of each certificate of this chain and of one that is not in it. */
static void check_chain(struct zoo *z, struct row row, const struct animal *chain[4])
{
	gnutls_certificate_credentials_t credentials = zoo_show(chain, 3);
	struct odd o;
	odd_serve(&o, z->w, z->client, &(struct tls_target){ .name = HOST }, credentials,
		"NORMAL");
	assert_int_equal(odd_shake(&o), TLS_OK);
	for (row.usage = 0; row.usage <= 4; row.usage++)
		for (row.selector = 0; row.selector <= 2; row.selector++)
			for (row.matching = 0; row.matching <= 3; row.matching++)
				for (row.depth = 0; row.depth <= 3; row.depth++)
					check_row(
						&row, chain[row.depth], o.tls, z->client);
	odd_close(&o);
	gnutls_certificate_free_credentials(credentials);
}

static void test_table(void **state)
{
	struct zoo *z = *state;
	struct row row = { .usage = 0 };
	for (row.lapse = 0; row.lapse < LAPSES; row.lapse++)
		for (unsigned named = 0; named < 2; named++) {
			const struct animal *middle =
				row.lapse == LAPSE_MIDDLE ? &z->lapsed : &z->middle;
			struct species species = { .cn = "leaf",
				.dns = { named ? HOST : "other.example" } };
			struct animal leaf;
			if (row.lapse == LAPSE_LEAF) {
				species.from = -90;
				species.until = -1;
			}
			zoo_breed(&leaf, middle, &species);
			row.named = named;
			check_chain(z, row,
				(const struct animal *[]){
					&leaf, middle, &z->root, &z->stranger });
			zoo_free(&leaf);
		}
}

/* ---- the leaf's own record ---- */

static void test_leaf_is_all_that_counts(void **state)
{
	struct zoo *z = *state;
	struct animal gone, unborn, weak;
	zoo_breed(&gone, NULL, &(struct species){ .cn = "x", .from = -90, .until = -1 });
	zoo_breed(&unborn, &z->lapsed,
		&(struct species){ .cn = "x", .from = 1, .until = 90 });
	zoo_breed(&weak, NULL,
		&(struct species){
			.cn = "x", .rsa = 1024, .purpose = GNUTLS_KP_EMAIL_PROTECTION });
	assert_int_equal(try(z, &gone, EE, 1, 1, CHAIN(&gone)), DANE_MATCH_EE);
	assert_int_equal(try(z, &gone, EE, 0, 0, CHAIN(&gone)), DANE_MATCH_EE);
	assert_int_equal(try(z, &unborn, EE, 0, 1, CHAIN(&unborn)), DANE_MATCH_EE);
	assert_int_equal(try(z, &weak, EE, 1, 2, CHAIN(&weak)), DANE_MATCH_EE);
	assert_int_equal(try(z, &gone, EE, 1, 1, CHAIN(&weak)), DANE_MATCH_NONE);
	/* A certificate that was only sent along proves nothing. */
	assert_int_equal(try(z, &gone, EE, 1, 1, CHAIN(&weak, &gone)), DANE_MATCH_NONE);
	zoo_free(&gone);
	zoo_free(&unborn);
	zoo_free(&weak);
}

/* A self-signed leaf is no anchor of its own, but a key is one of what it has signed. */
static void test_leaf_is_no_anchor(void **state)
{
	struct zoo *z = *state;
	struct animal self, gone;
	zoo_breed(&self, NULL, &(struct species){ .cn = "x" });
	zoo_breed(&gone, NULL, &(struct species){ .cn = "x", .from = -90, .until = -1 });
	for (unsigned selector = 0; selector <= 1; selector++)
		for (unsigned matching = 0; matching <= 2; matching++) {
			bool key = selector == TLSA_SPKI && matching == TLSA_FULL;
			enum dane_match wanted = key ? DANE_MATCH_TA : DANE_MATCH_NONE;
			assert_int_equal(
				try(z, &self, TA, selector, matching, CHAIN(&self)),
				wanted);
			assert_int_equal(try(z, &self, TA, selector, matching,
						 CHAIN(&self, &self)),
				wanted);
			assert_int_equal(
				try(z, &gone, TA, selector, matching, CHAIN(&gone)),
				DANE_MATCH_NONE);
		}
	zoo_free(&self);
	zoo_free(&gone);
}

/* ---- anchors ---- */

static void test_anchor_not_sent(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	zoo_breed(&leaf, &z->middle, &(struct species){ .dns = { HOST } });
	for (unsigned selector = 0; selector <= 1; selector++) {
		/* The record is what is missing ... */
		assert_int_equal(
			try(z, &z->root, TA, selector, 0, CHAIN(&leaf, &z->middle)),
			DANE_MATCH_TA);
		assert_int_equal(
			try(z, &z->middle, TA, selector, 0, CHAIN(&leaf)), DANE_MATCH_TA);
		assert_int_equal(
			try(z, &z->middle, TA, selector, 0, CHAIN(&leaf, &z->stranger)),
			DANE_MATCH_TA);
		/* ... or only a part of it ... */
		assert_int_equal(
			try(z, &z->root, TA, selector, 0, CHAIN(&leaf)), DANE_MATCH_NONE);
		/* ... or says what it would look like. */
		assert_int_equal(
			try(z, &z->root, TA, selector, 1, CHAIN(&leaf, &z->middle)),
			DANE_MATCH_NONE);
	}
	zoo_free(&leaf);
}

/* Dates, strength and CA bit of the path count whether or not the anchor was sent. */
static void test_path_below_unsent_anchor(void **state)
{
	struct zoo *z = *state;
	struct animal leaf, gone, below, server;
	zoo_breed(&gone, &z->middle,
		&(struct species){ .cn = "gone", .from = -90, .until = -1 });
	zoo_breed(&below, &z->lapsed, &(struct species){ .cn = "below" });
	zoo_breed(&server, &z->middle, &(struct species){ .cn = "server" });
	zoo_breed(&leaf, &server, &(struct species){ .cn = "leaf" });
	for (unsigned selector = 0; selector <= 1; selector++) {
		assert_int_equal(try(z, &z->middle, TA, selector, 0, CHAIN(&gone)),
			DANE_MATCH_NONE);
		assert_int_equal(
			try(z, &z->root, TA, selector, 0, CHAIN(&below, &z->lapsed)),
			DANE_MATCH_NONE);
		assert_int_equal(
			try(z, &z->middle, TA, selector, 0, CHAIN(&leaf, &server)),
			DANE_MATCH_NONE);
		assert_int_equal(try(z, &server, TA, 0, selector, CHAIN(&leaf, &server)),
			DANE_MATCH_NONE);
	}
	zoo_free(&leaf);
	zoo_free(&gone);
	zoo_free(&below);
	zoo_free(&server);
}

/* It is the anchor's dates alone that do not count, sent or not. */
static void test_lapsed_anchor(void **state)
{
	struct zoo *z = *state;
	struct animal leaf, gone;
	zoo_breed(&leaf, &z->lapsed, &(struct species){ .cn = "leaf" });
	zoo_breed(&gone, &z->lapsed,
		&(struct species){ .cn = "gone", .from = -90, .until = -1 });
	for (unsigned selector = 0; selector <= 1; selector++)
		for (unsigned sent = 0; sent <= 1; sent++) {
			const struct animal *also = sent ? &z->lapsed : NULL;
			assert_int_equal(
				try(z, &z->lapsed, TA, selector, 0, CHAIN(&leaf, also)),
				DANE_MATCH_TA);
			assert_int_equal(
				try(z, &z->lapsed, TA, selector, 0, CHAIN(&gone, also)),
				DANE_MATCH_NONE);
		}
	assert_int_equal(try(z, &z->root, TA, 0, 1, CHAIN(&leaf, &z->lapsed, &z->root)),
		DANE_MATCH_NONE);
	zoo_free(&leaf);
	zoo_free(&gone);
}

static void test_weak_anchor(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	zoo_breed(&leaf, &z->weak, &(struct species){ .cn = "leaf" });
	for (unsigned selector = 0; selector <= 1; selector++) {
		assert_int_equal(
			try(z, &z->weak, TA, selector, 1, CHAIN(&leaf, &z->weak)),
			DANE_MATCH_NONE);
		assert_int_equal(
			try(z, &z->weak, TA, selector, 0, CHAIN(&leaf)), DANE_MATCH_NONE);
	}
	zoo_free(&leaf);
}

static void test_wrong_anchors(void **state)
{
	struct zoo *z = *state;
	struct animal leaf, impostor, damaged;
	zoo_breed(&impostor, NULL, &(struct species){ .cn = "Middle", .ca = true });
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "leaf" });
	for (unsigned selector = 0; selector <= 1; selector++)
		for (unsigned matching = 0; matching <= 1; matching++) {
			/* It has the issuer's name, and is sent in its place. */
			assert_int_equal(try(z, &impostor, TA, selector, matching,
						 CHAIN(&leaf, &impostor)),
				DANE_MATCH_NONE);
			/* It is sent, matches, and has issued nothing. */
			assert_int_equal(try(z, &z->stranger, TA, selector, matching,
						 CHAIN(&leaf, &z->middle, &z->stranger)),
				DANE_MATCH_NONE);
		}
	zoo_breed(&damaged, &z->middle, &(struct species){ .cn = "leaf" });
	zoo_damage(&damaged);
	for (unsigned selector = 0; selector <= 1; selector++)
		for (unsigned matching = 0; matching <= 1; matching++)
			assert_int_equal(try(z, &z->middle, TA, selector, matching,
						 CHAIN(&damaged, &z->middle)),
				DANE_MATCH_NONE);
	zoo_free(&leaf);
	zoo_free(&impostor);
	zoo_free(&damaged);
}

static void test_any_order(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "leaf" });
	assert_int_equal(try(z, &z->root, TA, 1, 1,
				 CHAIN(&leaf, &z->stranger, &z->root, &z->middle)),
		DANE_MATCH_TA);
	assert_int_equal(
		try(z, &z->root, TA, 1, 1, CHAIN(&leaf, &z->root)), DANE_MATCH_NONE);
	zoo_free(&leaf);
}

/* ---- sets of records ---- */

static void test_which_record_matched(void **state)
{
	struct zoo *z = *state;
	struct records r = { .count = 0 };
	struct animal leaf;
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "leaf" });
	add(&r, &z->stranger, EE, 1, 1);
	add(&r, &leaf, 1, 1, 1);
	add(&r, &z->middle, TA, 1, 1);
	const struct chain_facts *f = look(z, &r, CHAIN(&leaf, &z->middle));
	assert_int_equal(f->dane, DANE_MATCH_TA);
	assert_int_equal(f->dane_record, 2);
	/* Where the leaf's record matches as well no name is asked for. */
	add(&r, &leaf, EE, 0, 2);
	f = look(z, &r, CHAIN(&leaf, &z->middle));
	assert_int_equal(f->dane, DANE_MATCH_EE);
	assert_int_equal(f->dane_record, 3);
	r.count = 2;
	f = look(z, &r, CHAIN(&leaf, &z->middle));
	assert_int_equal(f->dane, DANE_MATCH_NONE);
	assert_string_equal(f->dane_reason, "");
	r.count = 0;
	assert_int_equal(look(z, &r, CHAIN(&leaf, &z->middle))->dane, DANE_MATCH_NONE);
	zoo_free(&leaf);
}

/* Why the anchor did not do is said, but not where another one did. */
static void test_reason(void **state)
{
	struct zoo *z = *state;
	struct records r = { .count = 0 };
	struct animal leaf;
	zoo_breed(&leaf, &z->lapsed, &(struct species){ .cn = "leaf" });
	add(&r, &z->root, TA, 0, 0);
	const struct chain_facts *f = look(z, &r, CHAIN(&leaf, &z->lapsed));
	assert_int_equal(f->dane, DANE_MATCH_NONE);
	assert_memory_equal(f->dane_reason, "\"Lapsed\" expired on 20", 22);
	zoo_free(&leaf);
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "leaf" });
	r.count = 0;
	add(&r, &z->stranger, TA, 0, 1);
	f = look(z, &r, CHAIN(&leaf, &z->middle, &z->stranger));
	assert_string_not_equal(f->dane_reason, "");
	add(&r, &z->middle, TA, 0, 1);
	f = look(z, &r, CHAIN(&leaf, &z->middle, &z->stranger));
	assert_int_equal(f->dane, DANE_MATCH_TA);
	assert_string_equal(f->dane_reason, "");
	zoo_free(&leaf);
}

/* ---- hostile records ---- */

static void test_lengths(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "leaf" });
	for (unsigned usage = TA; usage <= EE; usage++)
		for (unsigned selector = 0; selector <= 1; selector++)
			for (unsigned matching = 0; matching <= 2; matching++) {
				struct records r = { .count = 0 };
				struct tlsa *t = add(&r, usage == EE ? &leaf : &z->middle,
					usage, selector, matching);
				t->length--;
				assert_int_equal(
					look(z, &r, CHAIN(&leaf, &z->middle))->dane,
					DANE_MATCH_NONE);
				t->length = 0;
				assert_int_equal(
					look(z, &r, CHAIN(&leaf, &z->middle))->dane,
					DANE_MATCH_NONE);
			}
	zoo_free(&leaf);
}

/* Every octet of an anchor in the record changed in turn: no crash, and no wonder. */
static void test_mangled(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "leaf" });
	for (unsigned selector = 0; selector <= 1; selector++) {
		struct records r = { .count = 0 };
		struct tlsa *t = add(&r, &z->middle, TA, selector, 0);
		for (unsigned i = 0; i < t->length; i += 3) {
			r.octets[0][i] ^= 0x81;
			const struct chain_facts *f = look(z, &r, CHAIN(&leaf));
			/* What an anchor's own signature says does not matter. */
			if (selector == 1)
				assert_int_equal(f->dane, DANE_MATCH_NONE);
			assert_int_not_equal(f->dane, DANE_MATCH_EE);
			r.octets[0][i] ^= 0x81;
		}
	}
	zoo_free(&leaf);
}

/* Nobody may have us calculate for seconds with a key of his. */
static void test_dear_anchors(void **state)
{
	struct zoo *z = *state;
	struct animal dear, leaf;
	zoo_breed(&dear, NULL,
		&(struct species){ .cn = "Dear", .ca = true, .rsa = 2048, .dear = true });
	zoo_breed(&leaf, &dear, &(struct species){ .cn = "leaf" });
	for (unsigned selector = 0; selector <= 1; selector++)
		for (unsigned matching = 0; matching <= 1; matching++)
			assert_int_equal(try(z, &dear, TA, selector, matching,
						 CHAIN(&leaf, &dear)),
				DANE_MATCH_NONE);
	assert_int_equal(try(z, &dear, TA, 0, 0, CHAIN(&leaf)), DANE_MATCH_NONE);
	assert_int_equal(try(z, &dear, TA, 1, 0, CHAIN(&leaf)), DANE_MATCH_NONE);
	zoo_free(&leaf);
	zoo_free(&dear);
}

/* ---- what is kept ---- */

static void test_kept_apart(void **state)
{
	struct zoo *z = *state;
	struct records right = { .count = 0 }, wrong = { .count = 0 };
	struct animal leaf;
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "leaf" });
	add(&right, &leaf, EE, 1, 1);
	add(&wrong, &z->stranger, EE, 1, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(look(z, &right, CHAIN(&leaf))->dane, DANE_MATCH_EE);
		assert_int_equal(look(z, &wrong, CHAIN(&leaf))->dane, DANE_MATCH_NONE);
		right.tlsa[0].usage = TA;
		assert_int_equal(look(z, &right, CHAIN(&leaf))->dane, DANE_MATCH_NONE);
		right.tlsa[0].usage = EE;
	}
	assert_int_equal(zoo_look_at(z, &leaf, NULL)->dane, DANE_MATCH_NOT_ASKED);
	zoo_free(&leaf);
}

static void test_kept_until(void **state)
{
	struct zoo *z = *state;
	struct records r = { .count = 0 };
	struct animal leaf;
	struct show show = CHAIN(&leaf, &z->middle);
	zoo_breed(&leaf, &z->middle,
		&(struct species){ .cn = "leaf", .from = -1, .until = 1 });
	int64_t until = gnutls_x509_crt_get_expiration_time(leaf.crt);
	add(&r, &z->middle, TA, 1, 1);
	show.now = until;
	assert_int_equal(look(z, &r, show)->dane, DANE_MATCH_TA);
	show.now = until + 1;
	assert_int_equal(look(z, &r, show)->dane, DANE_MATCH_NONE);
	zoo_free(&leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_leaf_is_all_that_counts),
		cmocka_unit_test(test_leaf_is_no_anchor),
		cmocka_unit_test(test_anchor_not_sent),
		cmocka_unit_test(test_path_below_unsent_anchor),
		cmocka_unit_test(test_lapsed_anchor),
		cmocka_unit_test(test_weak_anchor),
		cmocka_unit_test(test_wrong_anchors),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_which_record_matched),
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_mangled),
		cmocka_unit_test(test_dear_anchors),
		cmocka_unit_test(test_kept_apart),
		cmocka_unit_test(test_kept_until),
	};

	return cmocka_run_group_tests(tests, zoo_setup, zoo_teardown);
}
