/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What tls_chain() finds of the chains in a zoo, each shown in a handshake. */

#include "judge.h"
#include "tls_private.h"
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

/* ---- chains ---- */

static void test_digests(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	uint8_t digest[64];
	gnutls_datum_t der;
	size_t size = 32;

	zoo_breed(&leaf, &z->middle, &(struct species){ .dns = { "good.example" } });
	const struct chain_facts *f = zoo_look_at(z, &leaf, &z->middle);
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
	const struct chain_facts *f = zoo_look(z, &show);
	assert_int_equal(f->public_chain, CHAIN_VALID);
	assert_int_equal(f->count, 5);
	const struct show gap = { .chain = { &leaf, &z->middle }, .length = 2 };
	f = zoo_look(z, &gap);
	assert_int_equal(f->public_chain, CHAIN_UNTRUSTED);
	zoo_expect_reason("chain", f, "issuer \"Lower\" is no trusted CA");
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
	const struct chain_facts *f = zoo_look(z, &show);
	assert_int_equal(f->public_chain, expected);
	assert_int_equal(f->count, length < FACTS_CHAIN ? length : FACTS_CHAIN);
	if (expected != CHAIN_VALID)
		zoo_expect_reason("chain", f, "a chain of more than 10 certificates");
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
	const struct chain_facts *f = zoo_look_at(z, &leaf, &z->middle);
	assert_int_equal(f->public_chain, CHAIN_VALID);
	const char *n = f->names;
	for (; *n; n += strlen(n) + 1)
		count++;
	assert_true(n < f->names + FACTS_NAMES);
	assert_true(n > f->names + FACTS_NAMES - 32);
	assert_in_range(count, 800, 1999);
	/* And from what was kept. */
	f = zoo_look_at(z, &leaf, &z->middle);
	assert_string_equal(f->names, "0.many.example");
	zoo_free(&leaf);
}

static void assert_named(const struct animal *a, const char *subject, const char *issuer)
{
	struct certificate_names names;
	gnutls_datum_t der;

	gnutls_x509_crt_export2(a->crt, GNUTLS_X509_FMT_DER, &der);
	tls_chain_names(&der, &names);
	gnutls_free(der.data);
	assert_string_equal(names.subject, subject);
	assert_string_equal(names.issuer, issuer);
}

static void test_whose_and_whence(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	char cn[FACTS_DN * 2], cut[FACTS_DN];

	assert_named(&z->middle, "CN=Middle,O=Zoo", "CN=Zoo Root,O=Zoo");
	zoo_breed(&leaf, &z->middle,
		&(struct species){ .cn = "a\x1b[2J,O=\"b\" \xc3\xa9\\c" });
	assert_named(&leaf, "CN=a\\1b[2J\\,O=\\\"b\\\" \\c3\\a9\\\\c,O=Zoo",
		"CN=Middle,O=Zoo");
	zoo_free(&leaf);
	memset(cn, 'x', sizeof(cn));
	cn[sizeof(cn) - 1] = '\0';
	memcpy(cut, "CN=", 3);
	memset(cut + 3, 'x', sizeof(cut) - 7);
	strcpy(cut + sizeof(cut) - 4, "...");
	zoo_breed(&leaf, NULL, &(struct species){ .cn = cn });
	assert_named(&leaf, cut, cut);
	zoo_free(&leaf);
	struct certificate_names names;
	gnutls_datum_t none = { (unsigned char *)cn, sizeof(cn) };
	tls_chain_names(&none, &names);
	assert_string_equal(names.subject, "");
	assert_string_equal(names.issuer, "");
}

static void test_names_of_all_that_was_shown(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	const struct animal *chain[] = { &leaf, &z->middle };
	struct certificate_names names[3];
	struct odd o;

	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "Leaf" });
	gnutls_certificate_credentials_t credentials = zoo_show(chain, 2);

	odd_serve(&o, z->w, z->client, &(struct tls_target){ .name = "good.example" },
		credentials, "NORMAL");
	assert_int_equal(tls_certificate_names(o.tls, names, 3), 0);
	assert_int_equal(odd_shake(&o), TLS_OK);
	assert_int_equal(tls_certificate_names(o.tls, names, 1), 1);
	assert_int_equal(tls_certificate_names(o.tls, names, 3), 2);
	assert_string_equal(names[0].subject, "CN=Leaf,O=Zoo");
	assert_string_equal(names[1].subject, "CN=Middle,O=Zoo");
	odd_close(&o);
	zoo_free(&leaf);
	gnutls_certificate_free_credentials(credentials);
}

static void test_damaged(void **state)
{
	struct zoo *z = *state;
	struct animal leaf, impostor;
	const struct animal *chain[] = { &leaf, &impostor };

	zoo_breed(&leaf, &z->middle, &(struct species){ .dns = { "good.example" } });
	zoo_damage(&leaf);
	const struct chain_facts *f = zoo_look_at(z, &leaf, &z->middle);
	assert_int_equal(f->public_chain, CHAIN_BROKEN);
	zoo_expect_reason("chain", f, "a signature in the chain is wrong");
	zoo_free(&leaf);
	/* Named like a trusted CA, with another key. */
	zoo_breed(&impostor, NULL, &(struct species){ .cn = "Zoo Root", .ca = true });
	zoo_breed(&leaf, &impostor, &(struct species){ .dns = { "good.example" } });
	f = zoo_look_at(z, chain[0], chain[1]);
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
	assert_int_equal(zoo_look(z, &show)->public_chain, CHAIN_UNTRUSTED);
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
	const struct chain_facts *f = zoo_look(z, &show);
	assert_int_equal(f->own_chain, CHAIN_VALID);
	assert_int_equal(f->public_chain, CHAIN_NOT_ASKED);
	show.asks = ASK_OWN_CHAIN | ASK_PUBLIC_CHAIN;
	f = zoo_look(z, &show);
	assert_int_equal(f->own_chain, CHAIN_VALID);
	assert_int_equal(f->public_chain, CHAIN_UNTRUSTED);
	show.own = &z->root;
	assert_int_equal(zoo_look(z, &show)->own_chain, CHAIN_UNTRUSTED);
	show.own = NULL;
	f = zoo_look(z, &show);
	assert_int_equal(f->own_chain, CHAIN_UNTRUSTED);
	zoo_expect_reason("chain", f, "there are no CAs to trust");
	zoo_free(&leaf);
}

/* What stands in the file itself is trusted, whoever issued it; its key counts. */
static void test_own_leaf(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	struct show show = { .chain = { &leaf, &z->middle }, .own = &leaf };

	show.asks = ASK_OWN_CHAIN;
	show.length = 1;
	zoo_breed(
		&leaf, NULL, &(struct species){ .cn = "me", .dns = { "good.example" } });
	assert_int_equal(zoo_look(z, &show)->own_chain, CHAIN_VALID);
	show.now = time(NULL) + 91 * ZOO_DAY;
	assert_int_equal(zoo_look(z, &show)->own_chain, CHAIN_EXPIRED);
	show.now = 0;
	zoo_free(&leaf);
	zoo_breed(&leaf, NULL, &(struct species){ .cn = "me", .rsa = 1024 });
	assert_int_equal(zoo_look(z, &show)->own_chain, CHAIN_WEAK);
	zoo_free(&leaf);
	show.length = 2;
	zoo_breed(&leaf, &z->middle, &(struct species){ .cn = "me" });
	assert_int_equal(zoo_look(z, &show)->own_chain, CHAIN_VALID);
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
		assert_int_equal(zoo_look(z, &show)->own_chain, CHAIN_VALID);
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
	const struct chain_facts *f = zoo_look(z, &show);
	assert_int_equal(f->own_chain, CHAIN_EXPIRED);
	zoo_expect_reason("chain", f, "\"the CA\" expired on 20");
	zoo_free(&root);
	zoo_free(&leaf);
}

static void test_no_ca(void **state)
{
	struct zoo *z = *state;
	struct animal leaf;
	struct show show = { .chain = { &leaf }, .length = 1, .client = z->w->client };

	zoo_breed(&leaf, &z->root, &(struct species){ .dns = { "good.example" } });
	const struct chain_facts *f = zoo_look(z, &show);
	assert_int_equal(f->public_chain, CHAIN_UNTRUSTED);
	zoo_expect_reason("chain", f, "there are no CAs to trust");
	show.asks = ASK_LEAF;
	f = zoo_look(z, &show);
	assert_int_equal(f->public_chain, CHAIN_NOT_ASKED);
	zoo_expect_names("leaf", f, "good.example");
	assert_int_equal(f->count, 1);
	zoo_free(&leaf);
}

static struct tls_client *load(struct world *w, const char *ca, char *reason)
{
	const struct tls_client_options options = { .bundle = world_bundle(w), .ca = ca };

	return tls_client_new(&options, reason);
}

/* GnuTLS must understand each of them. */
static void test_system_cas(void **state)
{
	struct zoo *z = *state;
	char reason[TLS_REASON];
	struct tls_client *client = load(z->w, "system", reason);

	if (!client)
		assert_non_null(strstr(reason, "No such file or directory"));
	tls_client_free(client);
}

static void test_bad_ca_files(void **state)
{
	struct zoo *z = *state;
	char *empty = world_file(z->w, "empty.pem", 0, 0600);
	char reason[TLS_REASON];

	assert_null(load(z->w, empty, reason));
	assert_non_null(strstr(reason, "empty.pem: no CA certificates in PEM format"));
	unlink(empty);
	assert_null(load(z->w, empty, reason));
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
	assert_int_equal(zoo_look(z, &show)->public_chain, CHAIN_NOT_YET_VALID);
	show.now = until - 5;
	assert_int_equal(zoo_look(z, &show)->public_chain, CHAIN_VALID);
	show.now = until;
	assert_int_equal(zoo_look(z, &show)->public_chain, CHAIN_VALID);
	show.now = until + 1;
	assert_int_equal(zoo_look(z, &show)->public_chain, CHAIN_EXPIRED);
	show.now = until; /* the clock was set back */
	assert_int_equal(zoo_look(z, &show)->public_chain, CHAIN_VALID);
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
		assert_int_equal(zoo_look(z, &show)->own_chain, CHAIN_VALID);
		show.own = &z->root;
		assert_int_equal(zoo_look(z, &show)->own_chain, CHAIN_UNTRUSTED);
		show.asks = ASK_PUBLIC_CHAIN;
		assert_int_equal(zoo_look(z, &show)->public_chain, CHAIN_UNTRUSTED);
		show.asks = ASK_LEAF;
		assert_int_equal(zoo_look(z, &show)->public_chain, CHAIN_NOT_ASKED);
	}
	zoo_free(&leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_whose_and_whence),
		cmocka_unit_test(test_names_of_all_that_was_shown),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_issued_by_a_leaf),
		cmocka_unit_test(test_own_ca),
		cmocka_unit_test(test_own_leaf),
		cmocka_unit_test(test_own_intermediate),
		cmocka_unit_test(test_expired_anchor),
		cmocka_unit_test(test_no_ca),
		cmocka_unit_test(test_system_cas),
		cmocka_unit_test(test_bad_ca_files),
		cmocka_unit_test(test_kept_until),
		cmocka_unit_test(test_kept_apart),
	};

	return cmocka_run_group_tests(tests, zoo_setup, zoo_teardown);
}
