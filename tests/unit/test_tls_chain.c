/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What tls_chain() finds of the chains in a zoo, each shown in a handshake. */

#include "judge.h"
#include "tls_world.h"
#include "tls_zoo.h"

#include <gnutls/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PRIORITY   "NORMAL:%PROFILE_VERY_WEAK"
#define LONG_LABEL "a123456789012345678901234567890123456789012345678901234567890123."

struct zoo {
	struct world *w;
	char *ca;
	struct tls_client *client; /* trusts the root and the narrow root */
	struct animal root, middle, stranger, narrow, lapsed, unborn, weak, old;
};

static const struct species root_species = { .cn = "Zoo Root", .ca = true };

static int setup(void **state)
{
	struct zoo *z = calloc(1, sizeof(*z));
	void *world;
	char reason[TLS_REASON];

	assert_non_null(z);
	world_setup(&world);
	z->w = world;
	zoo_breed(&z->root, NULL, &root_species);
	zoo_breed(&z->middle, &z->root, &(struct species){ .cn = "Middle", .ca = true });
	zoo_breed(&z->stranger, NULL, &(struct species){ .cn = "Stranger", .ca = true });
	zoo_breed(&z->narrow, NULL,
		&(struct species){
			.cn = "Narrow", .ca = true, .permitted = "good.example" });
	zoo_breed(&z->lapsed, &z->root,
		&(struct species){
			.cn = "Lapsed", .ca = true, .from = -90, .until = -1 });
	zoo_breed(&z->unborn, &z->root,
		&(struct species){ .cn = "Unborn", .ca = true, .from = 1, .until = 90 });
	zoo_breed(&z->weak, &z->root,
		&(struct species){ .cn = "Weak", .ca = true, .rsa = 1024 });
	zoo_breed(&z->old, &z->root,
		&(struct species){ .cn = "Old", .ca = true, .hash = GNUTLS_DIG_SHA1 });
	z->ca = world_file(z->w, "ca.pem", 0, 0600);
	zoo_append(z->ca, &z->root);
	zoo_append(z->ca, &z->narrow);
	z->client = tls_client_new(&(struct tls_client_options){ .ca = z->ca }, reason);
	assert_string_equal(reason, "");
	assert_non_null(z->client);
	*state = z;
	return 0;
}

static int teardown(void **state)
{
	struct zoo *z = *state;
	void *world = z->w;
	struct animal *animals[] = { &z->root, &z->middle, &z->stranger, &z->narrow,
		&z->lapsed, &z->unborn, &z->weak, &z->old };

	for (unsigned i = 0; i < sizeof(animals) / sizeof(*animals); i++)
		zoo_free(animals[i]);
	tls_client_free(z->client);
	free(z->ca);
	free(z);
	return world_teardown(&world);
}

/* ---- showing and looking ---- */

struct show {
	const struct animal *chain[ZOO_CHAIN];
	unsigned length;
	const struct animal *own; /* the peer's own CA, or NULL */
	unsigned asks;
	int64_t now;
	struct tls_client *client; /* NULL: the zoo's */
};

static const struct chain_facts *look(struct zoo *z, const struct show *s)
{
	gnutls_certificate_credentials_t credentials = zoo_show(s->chain, s->length);
	struct tls_client *client = s->client ? s->client : z->client;
	gnutls_datum_t own = s->own ? zoo_pem(s->own) : (gnutls_datum_t){ NULL, 0 };
	const struct tls_chain_question question = {
		.asks = s->asks ? s->asks : ASK_LEAF | ASK_PUBLIC_CHAIN,
		.ca = own.data,
		.ca_length = own.size,
	};
	struct odd o;

	odd_serve(&o, z->w, client, &(struct tls_target){ .name = "good.example" },
		credentials, PRIORITY);
	assert_int_equal(odd_shake(&o), TLS_OK);
	const struct chain_facts *facts =
		tls_chain(o.tls, client, &question, s->now ? s->now : time(NULL));
	assert_non_null(facts);
	odd_close(&o);
	gnutls_certificate_free_credentials(credentials);
	gnutls_free(own.data);
	return facts;
}

static const struct chain_facts *look_at(
	struct zoo *z, const struct animal *leaf, const struct animal *issuer)
{
	const struct show show = { .chain = { leaf, issuer }, .length = issuer ? 2 : 1 };

	return look(z, &show);
}

static void expect_reason(const struct chain_facts *facts, const char *part)
{
	if (!strstr(facts->reason, part))
		fail_msg("\"%s\" does not say \"%s\"", facts->reason, part);
}

static void expect_names(
	const char *what, const struct chain_facts *facts, const char *expected)
{
	char names[512] = "";

	for (const char *n = facts->names; *n; n += strlen(n) + 1) {
		strcat(names, *names ? " " : "");
		strcat(names, n);
	}
	if (strcmp(names, expected) != 0)
		fail_msg("%s: \"%s\" instead of \"%s\"", what, names, expected);
}

/* ---- one leaf after another ---- */

enum issuer { SELF, ROOT, MIDDLE, STRANGER, NARROW, LAPSED, UNBORN, WEAK, OLD };

static const struct animal *issuer_of(const struct zoo *z, enum issuer issuer)
{
	switch (issuer) {
	case ROOT: return &z->root;
	case MIDDLE: return &z->middle;
	case STRANGER: return &z->stranger;
	case NARROW: return &z->narrow;
	case LAPSED: return &z->lapsed;
	case UNBORN: return &z->unborn;
	case WEAK: return &z->weak;
	case OLD: return &z->old;
	default: return NULL;
	}
}

static const struct row {
	const char *what;
	struct species leaf;
	enum issuer issuer;
	bool alone; /* the issuer's certificate is not sent */
	enum chain_verdict verdict;
	const char *names, *reason;
} rows[] = {
	{ "a good one", { .cn = "x", .dns = { "Good.Example", "*.good.example" } },
		MIDDLE, false, CHAIN_VALID, "good.example *.good.example", "" },
	{ "wildcard", { .dns = { "*.example.com" } }, MIDDLE, false, CHAIN_VALID,
		"*.example.com", "" },
	{ "too wild", { .dns = { "*.com" } }, MIDDLE, false, CHAIN_VALID, "*.com", "" },
	{ "CN only", { .cn = "Good.Example" }, MIDDLE, false, CHAIN_VALID, "good.example",
		"" },
	{ "CN only, no server",
		{ .cn = "c.example", .purpose = GNUTLS_KP_TLS_WWW_CLIENT }, MIDDLE, false,
		CHAIN_PURPOSE, "", "not made for TLS" },
	{ "a CN beside an IP address", { .cn = "good.example", .ip = true }, MIDDLE,
		false, CHAIN_VALID, "good.example", "" },
	{ "an IP address beside a name",
		{ .cn = "no.example", .dns = { "good.example" }, .ip = true }, MIDDLE,
		false, CHAIN_VALID, "good.example", "" },
	{ "NUL",
		{ .cn = "good.example",
			.dns_octets = "good.example\0.evil.example",
			.dns_length = 26 },
		MIDDLE, false, CHAIN_VALID, "", "" },
	{ "a blank", { .dns = { "good.example" }, .dns_octets = "a b", .dns_length = 3 },
		MIDDLE, false, CHAIN_VALID, "good.example", "" },
	{ "a name beyond what DNS has",
		{ .cn = "good.example",
			.dns = { LONG_LABEL LONG_LABEL LONG_LABEL LONG_LABEL
				"example" } },
		MIDDLE, false, CHAIN_VALID, "", "" },
	{ "no name at all", { .cn = NULL }, MIDDLE, false, CHAIN_VALID, "", "" },
	{ "expired", { .dns = { "good.example" }, .from = -90, .until = -1 }, MIDDLE,
		false, CHAIN_EXPIRED, "good.example", "\"Zoo\" expired on 20" },
	{ "not yet valid",
		{ .cn = "x", .dns = { "good.example" }, .from = 1, .until = 90 }, MIDDLE,
		false, CHAIN_NOT_YET_VALID, "good.example",
		"\"x\" is not valid before 20" },
	{ "of an expired CA", { .dns = { "good.example" } }, LAPSED, false, CHAIN_EXPIRED,
		"good.example", "\"Lapsed\" expired on 20" },
	{ "of a CA not yet valid", { .dns = { "good.example" } }, UNBORN, false,
		CHAIN_NOT_YET_VALID, "good.example", "\"Unborn\" is not valid before" },
	{ "for clients alone",
		{ .dns = { "good.example" }, .purpose = GNUTLS_KP_TLS_WWW_CLIENT },
		MIDDLE, false, CHAIN_PURPOSE, "good.example", "not made for TLS" },
	{ "for signing programs",
		{ .dns = { "good.example" }, .purpose = GNUTLS_KP_CODE_SIGNING }, MIDDLE,
		false, CHAIN_PURPOSE, "good.example", "not made for TLS" },
	{ "for any purpose", { .dns = { "good.example" }, .purpose = GNUTLS_KP_ANY },
		MIDDLE, false, CHAIN_VALID, "good.example", "" },
	{ "signed with SHA-1",
		{ .cn = "x", .dns = { "good.example" }, .hash = GNUTLS_DIG_SHA1 }, MIDDLE,
		false, CHAIN_WEAK, "good.example", "\"x\" is signed with ECDSA-SHA1" },
	{ "of a CA signed with SHA-1", { .dns = { "good.example" } }, OLD, false,
		CHAIN_WEAK, "good.example", "\"Old\" is signed with ECDSA-SHA1" },
	{ "RSA-1024", { .cn = "x", .dns = { "good.example" }, .rsa = 1024 }, MIDDLE,
		false, CHAIN_WEAK, "good.example", "\"x\" has an RSA key of 1024 bits" },
	{ "of a CA with RSA-1024", { .dns = { "good.example" } }, WEAK, false, CHAIN_WEAK,
		"good.example", "\"Weak\" has an RSA key of 1024 bits" },
	{ "RSA-2048", { .dns = { "good.example" }, .rsa = 2048 }, MIDDLE, false,
		CHAIN_VALID, "good.example", "" },
	{ "within its CA's constraint", { .dns = { "mx.good.example" } }, NARROW, false,
		CHAIN_VALID, "mx.good.example", "" },
	{ "beyond its CA's constraint", { .dns = { "bank.example" } }, NARROW, false,
		CHAIN_CONSTRAINED, "bank.example", "not allowed to issue" },
	{ "one of two names beyond", { .dns = { "mx.good.example", "bank.example" } },
		NARROW, false, CHAIN_CONSTRAINED, "mx.good.example bank.example",
		"not allowed to issue" },
	{ "a CN beyond", { .cn = "bank.example" }, NARROW, false, CHAIN_CONSTRAINED,
		"bank.example", "not allowed to issue" },
	{ "self-signed", { .dns = { "good.example" } }, SELF, true, CHAIN_UNTRUSTED,
		"good.example", "self-signed" },
	{ "self-signed and expired",
		{ .dns = { "good.example" }, .from = -9, .until = -1 }, SELF, true,
		CHAIN_UNTRUSTED, "good.example", "self-signed" },
	{ "without its intermediate", { .dns = { "good.example" } }, MIDDLE, true,
		CHAIN_UNTRUSTED, "good.example",
		"issuer \"Middle\" is no trusted CA, and no intermediate certificate was "
		"sent" },
	{ "of a CA that nobody knows", { .dns = { "good.example" } }, STRANGER, false,
		CHAIN_UNTRUSTED, "good.example",
		"the chain ends in \"Stranger\", which is none of the trusted CAs" },
};

static void test_leaves(void **state)
{
	struct zoo *z = *state;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *r = &rows[i];
		const struct animal *issuer = issuer_of(z, r->issuer);
		struct animal leaf;

		zoo_breed(&leaf, issuer, &r->leaf);
		const struct chain_facts *f = look_at(z, &leaf, r->alone ? NULL : issuer);
		if (f->public_chain != r->verdict)
			fail_msg("%s: %u instead of %u, \"%s\"", r->what, f->public_chain,
				r->verdict, f->reason);
		expect_names(r->what, f, r->names);
		expect_reason(f, r->reason);
		if (r->verdict == CHAIN_VALID)
			assert_string_equal(f->reason, "");
		assert_int_equal(f->own_chain, CHAIN_NOT_ASKED);
		assert_int_equal(f->dane, DANE_MATCH_NOT_ASKED);
		assert_false(f->names_cut);
		zoo_free(&leaf);
	}
}

/* ---- chains ---- */

static void test_digests(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	uint8_t digest[64];
	gnutls_datum_t der;
	size_t size = 32;

	zoo_breed(&leaf, &z->middle, &(struct species){ .dns = { "good.example" } });
	const struct chain_facts *f = look_at(z, &leaf, &z->middle);
	assert_int_equal(f->count, 2);
	gnutls_x509_crt_export2(leaf.crt, GNUTLS_X509_FMT_DER, &der);
	gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, digest);
	assert_memory_equal(f->certificates[0].certificate_sha256, digest, 32);
	gnutls_hash_fast(GNUTLS_DIG_SHA512, der.data, der.size, digest);
	assert_memory_equal(f->certificates[0].certificate_sha512, digest, 64);
	gnutls_free(der.data);
	gnutls_x509_crt_get_key_id(leaf.crt, GNUTLS_KEYID_USE_SHA256, digest, &size);
	assert_memory_equal(f->certificates[0].spki_sha256, digest, 32);
	size = 64;
	gnutls_x509_crt_get_key_id(leaf.crt, GNUTLS_KEYID_USE_SHA512, digest, &size);
	assert_memory_equal(f->certificates[0].spki_sha512, digest, 64);
	size = 32;
	gnutls_x509_crt_get_key_id(z->middle.crt, GNUTLS_KEYID_USE_SHA256, digest, &size);
	assert_memory_equal(f->certificates[1].spki_sha256, digest, 32);
	assert_int_equal(f->certificates[0].not_after,
		gnutls_x509_crt_get_expiration_time(leaf.crt));
	assert_int_equal(f->certificates[0].not_before,
		gnutls_x509_crt_get_activation_time(leaf.crt));
	zoo_free(&leaf);
}

static void test_out_of_order(void **state)
{
	struct zoo *z = *state;
	struct animal lower, leaf;

	zoo_breed(&lower, &z->middle, &(struct species){ .cn = "Lower", .ca = true });
	zoo_breed(&leaf, &lower, &(struct species){ .dns = { "good.example" } });
	const struct show show = {
		.chain = { &leaf, &z->stranger, &z->root, &z->middle, &lower },
		.length = 5,
	};
	const struct chain_facts *f = look(z, &show);
	assert_int_equal(f->public_chain, CHAIN_VALID);
	assert_int_equal(f->count, 5);
	const struct show gap = { .chain = { &leaf, &z->middle }, .length = 2 };
	f = look(z, &gap);
	assert_int_equal(f->public_chain, CHAIN_UNTRUSTED);
	expect_reason(f, "issuer \"Lower\" is no trusted CA");
	zoo_free(&lower);
	zoo_free(&leaf);
}

/* So many CAs below the root, the leaf's own first. */
static void try_long(struct zoo *z, unsigned length, enum chain_verdict expected)
{
	struct animal animals[ZOO_CHAIN];
	struct show show = { .length = length };
	char cn[16];

	for (unsigned i = length; i-- > 0;) {
		struct species species = { .cn = cn, .ca = i > 0 };
		snprintf(cn, sizeof(cn), "CA %u", i);
		zoo_breed(&animals[i], i + 1 < length ? &animals[i + 1] : &z->root,
			&species);
		show.chain[i] = &animals[i];
	}
	const struct chain_facts *f = look(z, &show);
	assert_int_equal(f->public_chain, expected);
	assert_int_equal(f->count, length < FACTS_CHAIN ? length : FACTS_CHAIN);
	if (expected != CHAIN_VALID)
		expect_reason(f, "a chain of more than 10 certificates");
	for (unsigned i = 0; i < length; i++)
		zoo_free(&animals[i]);
}

static void test_long(void **state)
{
	try_long(*state, 3, CHAIN_VALID);
	try_long(*state, FACTS_CHAIN, CHAIN_VALID);
	try_long(*state, 12, CHAIN_UNTRUSTED);
}

static void test_many_names(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	unsigned count = 0;

	zoo_breed(&leaf, &z->middle, &(struct species){ .many = 2000 });
	const struct chain_facts *f = look_at(z, &leaf, &z->middle);
	assert_int_equal(f->public_chain, CHAIN_VALID);
	assert_true(f->names_cut);
	const char *n = f->names;
	for (; *n; n += strlen(n) + 1)
		count++;
	assert_true(n < f->names + FACTS_NAMES);
	assert_true(n > f->names + FACTS_NAMES - 32);
	assert_in_range(count, 800, 1999);
	/* And from what was kept. */
	f = look_at(z, &leaf, &z->middle);
	assert_true(f->names_cut);
	assert_string_equal(f->names, "0.many.example");
	zoo_free(&leaf);
}

static void test_damaged(void **state)
{
	struct zoo *z = *state;
	struct animal leaf, impostor;
	const struct animal *chain[] = { &leaf, &impostor };

	zoo_breed(&leaf, &z->middle, &(struct species){ .dns = { "good.example" } });
	zoo_damage(&leaf);
	const struct chain_facts *f = look_at(z, &leaf, &z->middle);
	assert_int_equal(f->public_chain, CHAIN_BROKEN);
	expect_reason(f, "a signature in the chain is wrong");
	zoo_free(&leaf);
	/* Named like a trusted CA, with another key. */
	zoo_breed(&impostor, NULL, &root_species);
	zoo_breed(&leaf, &impostor, &(struct species){ .dns = { "good.example" } });
	f = look_at(z, chain[0], chain[1]);
	assert_int_not_equal(f->public_chain, CHAIN_VALID);
	zoo_free(&leaf);
	zoo_free(&impostor);
}

/* A leaf is no CA, however good its own chain is. */
static void test_issued_by_a_leaf(void **state)
{
	struct zoo *z = *state;
	struct animal leaf, victim;

	zoo_breed(&leaf, &z->middle,
		&(struct species){ .cn = "l", .dns = { "l.example" } });
	zoo_breed(&victim, &leaf, &(struct species){ .dns = { "bank.example" } });
	const struct show show = { .chain = { &victim, &leaf, &z->middle }, .length = 3 };
	assert_int_equal(look(z, &show)->public_chain, CHAIN_UNTRUSTED);
	zoo_free(&leaf);
	zoo_free(&victim);
}

/* ---- anchors ---- */

static void test_own_ca(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	struct show show = { .chain = { &leaf }, .length = 1, .own = &z->stranger };

	zoo_breed(&leaf, &z->stranger, &(struct species){ .dns = { "good.example" } });
	show.asks = ASK_OWN_CHAIN;
	const struct chain_facts *f = look(z, &show);
	assert_int_equal(f->own_chain, CHAIN_VALID);
	assert_int_equal(f->public_chain, CHAIN_NOT_ASKED);
	show.asks = ASK_OWN_CHAIN | ASK_PUBLIC_CHAIN;
	f = look(z, &show);
	assert_int_equal(f->own_chain, CHAIN_VALID);
	assert_int_equal(f->public_chain, CHAIN_UNTRUSTED);
	show.own = &z->root;
	assert_int_equal(look(z, &show)->own_chain, CHAIN_UNTRUSTED);
	show.own = NULL;
	f = look(z, &show);
	assert_int_equal(f->own_chain, CHAIN_UNTRUSTED);
	expect_reason(f, "there are no CAs to trust");
	zoo_free(&leaf);
}

/* What stands in the file itself is trusted, whoever issued it, and however weak. */
static void test_own_leaf(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	struct show show = { .chain = { &leaf, &z->middle }, .own = &leaf };

	show.asks = ASK_OWN_CHAIN;
	show.length = 1;
	zoo_breed(
		&leaf, NULL, &(struct species){ .cn = "me", .dns = { "good.example" } });
	assert_int_equal(look(z, &show)->own_chain, CHAIN_VALID);
	show.now = time(NULL) + 91 * ZOO_DAY;
	assert_int_equal(look(z, &show)->own_chain, CHAIN_EXPIRED);
	show.now = 0;
	zoo_free(&leaf);
	show.length = 2;
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "me" });
	assert_int_equal(look(z, &show)->own_chain, CHAIN_VALID);
	zoo_free(&leaf);
}

/* An intermediate CA may be the anchor: what is above it does not count. */
static void test_own_intermediate(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	struct show show = { .chain = { &leaf, &z->middle, &z->root },
		.own = &z->middle };

	zoo_breed(&leaf, &z->middle, &(struct species){ .dns = { "good.example" } });
	show.asks = ASK_OWN_CHAIN;
	for (show.length = 1; show.length <= 3; show.length++)
		assert_int_equal(look(z, &show)->own_chain, CHAIN_VALID);
	zoo_free(&leaf);
}

static void test_expired_anchor(void **state)
{
	struct zoo *z = *state;
	struct animal root, leaf;
	struct show show = { .chain = { &leaf }, .length = 1, .own = &root };

	zoo_breed(&root, NULL,
		&(struct species){ .cn = "Gone", .ca = true, .from = -90, .until = -1 });
	zoo_breed(&leaf, &root, &(struct species){ .dns = { "good.example" } });
	show.asks = ASK_OWN_CHAIN;
	const struct chain_facts *f = look(z, &show);
	assert_int_equal(f->own_chain, CHAIN_EXPIRED);
	expect_reason(f, "\"the CA\" expired on 20");
	zoo_free(&root);
	zoo_free(&leaf);
}

static void test_no_ca(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	struct show show = { .chain = { &leaf }, .length = 1, .client = z->w->client };

	zoo_breed(&leaf, &z->root, &(struct species){ .dns = { "good.example" } });
	const struct chain_facts *f = look(z, &show);
	assert_int_equal(f->public_chain, CHAIN_UNTRUSTED);
	expect_reason(f, "there are no CAs to trust");
	show.asks = ASK_LEAF;
	f = look(z, &show);
	assert_int_equal(f->public_chain, CHAIN_NOT_ASKED);
	expect_names("leaf", f, "good.example");
	assert_int_equal(f->count, 1);
	zoo_free(&leaf);
}

static void test_bad_ca_files(void **state)
{
	struct zoo *z = *state;
	char *empty = world_file(z->w, "empty.pem", 0, 0600);
	char reason[TLS_REASON];

	assert_null(tls_client_new(&(struct tls_client_options){ .ca = empty }, reason));
	assert_non_null(strstr(reason, "empty.pem: no CA certificates in PEM format"));
	unlink(empty);
	assert_null(tls_client_new(&(struct tls_client_options){ .ca = empty }, reason));
	assert_non_null(strstr(reason, "empty.pem: cannot be read: No such file"));
	free(empty);
}

/* ---- what is kept ---- */

static void test_kept_until(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	struct show show = { .chain = { &leaf, &z->middle }, .length = 2 };
	int64_t now = time(NULL);

	zoo_breed(&leaf, &z->middle,
		&(struct species){ .cn = "x", .from = -1, .until = 1 });
	int64_t until = gnutls_x509_crt_get_expiration_time(leaf.crt);
	show.now = now - 2 * ZOO_DAY;
	assert_int_equal(look(z, &show)->public_chain, CHAIN_NOT_YET_VALID);
	show.now = until - 5;
	assert_int_equal(look(z, &show)->public_chain, CHAIN_VALID);
	show.now = until;
	assert_int_equal(look(z, &show)->public_chain, CHAIN_VALID);
	show.now = until + 1;
	assert_int_equal(look(z, &show)->public_chain, CHAIN_EXPIRED);
	show.now = until; /* the clock was set back */
	assert_int_equal(look(z, &show)->public_chain, CHAIN_VALID);
	zoo_free(&leaf);
}

/* A change in the keeping would show as a verdict of another question. */
static void test_kept_apart(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	struct show show = { .chain = { &leaf, &z->stranger }, .length = 2 };

	zoo_breed(&leaf, &z->stranger, &(struct species){ .dns = { "good.example" } });
	for (unsigned i = 0; i < 3; i++) {
		show.asks = ASK_OWN_CHAIN;
		show.own = &z->stranger;
		assert_int_equal(look(z, &show)->own_chain, CHAIN_VALID);
		show.own = &z->root;
		assert_int_equal(look(z, &show)->own_chain, CHAIN_UNTRUSTED);
		show.asks = ASK_PUBLIC_CHAIN;
		assert_int_equal(look(z, &show)->public_chain, CHAIN_UNTRUSTED);
		show.asks = ASK_LEAF;
		assert_int_equal(look(z, &show)->public_chain, CHAIN_NOT_ASKED);
	}
	zoo_free(&leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_issued_by_a_leaf),
		cmocka_unit_test(test_own_ca),
		cmocka_unit_test(test_own_leaf),
		cmocka_unit_test(test_own_intermediate),
		cmocka_unit_test(test_expired_anchor),
		cmocka_unit_test(test_no_ca),
		cmocka_unit_test(test_bad_ca_files),
		cmocka_unit_test(test_kept_until),
		cmocka_unit_test(test_kept_apart),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
