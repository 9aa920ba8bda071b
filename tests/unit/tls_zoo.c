/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "tls_zoo.h"

#include "judge.h"

#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PRIORITY "NORMAL:%PROFILE_VERY_WEAK"

/* Beyond an int, and hence no enumerator. */
#define P256_BITS GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)

enum {
	KEY_ID = 20,
	ZOO_SAN = 60000, /* octets of all alternative names */
	ZOO_OWN = 4096,	 /* ... of a file with a peer's own CA */
	SEQUENCE = 0x30, /* tags of DER */
	SAN_DNS = 0x82,
	SAN_IP = 0x87,
};

static void make_key(struct animal *a, unsigned rsa)
{
	assert_int_equal(gnutls_x509_privkey_init(&a->key), 0);
	assert_int_equal(
		gnutls_x509_privkey_generate(a->key,
			rsa ? GNUTLS_PK_RSA : GNUTLS_PK_ECDSA, rsa ? rsa : P256_BITS, 0),
		0);
}

/* As good a key, but what was cheap to calculate with it is not any more. */
static void swap_exponents(struct animal *a)
{
	gnutls_datum_t n, e, d, p, q, u;

	assert_int_equal(
		gnutls_x509_privkey_export_rsa_raw(a->key, &n, &e, &d, &p, &q, &u), 0);
	gnutls_x509_privkey_deinit(a->key);
	assert_int_equal(gnutls_x509_privkey_init(&a->key), 0);
	assert_int_equal(
		gnutls_x509_privkey_import_rsa_raw(a->key, &n, &d, &e, &p, &q, &u), 0);
	gnutls_datum_t *const all[] = { &n, &e, &d, &p, &q, &u };
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		gnutls_free(all[i]->data);
}

/* Written by hand: GnuTLS would not write what it should not read. */
struct names {
	unsigned char octets[ZOO_SAN];
	size_t length;
};

static void add_name(struct names *n, unsigned char tag, const char *name, size_t length)
{
	assert_true(n->length + 4 + length <= sizeof(n->octets));
	n->octets[n->length++] = tag;
	if (length > 127)
		n->octets[n->length++] = 0x82;
	if (length > 127)
		n->octets[n->length++] = (unsigned char)(length >> 8);
	n->octets[n->length++] = (unsigned char)length;
	memcpy(n->octets + n->length, name, length);
	n->length += length;
}

static void add_names(struct names *n, const struct species *s)
{
	for (unsigned i = 0; i < ZOO_NAMES && s->dns[i]; i++)
		add_name(n, SAN_DNS, s->dns[i], strlen(s->dns[i]));
	if (s->dns_octets)
		add_name(n, SAN_DNS, s->dns_octets, s->dns_length);
	for (unsigned i = 0; i < s->many; i++) {
		char name[32];
		int length = snprintf(name, sizeof(name), "%u.many.example", i);
		add_name(n, SAN_DNS, name, (size_t)length);
	}
	if (s->ip)
		add_name(n, SAN_IP, "\300\0\2\1", 4);
}

static void set_names(gnutls_x509_crt_t crt, const struct species *s)
{
	struct names inner = { .length = 0 }, outer = { .length = 0 };

	gnutls_x509_crt_set_dn_by_oid(
		crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, "Zoo", 3);
	if (s->cn)
		gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, s->cn,
			(unsigned)strlen(s->cn));
	add_names(&inner, s);
	if (inner.length == 0)
		return;
	add_name(&outer, SEQUENCE, (const char *)inner.octets, inner.length);
	assert_int_equal(gnutls_x509_crt_set_extension_by_oid(
				 crt, "2.5.29.17", outer.octets, outer.length, 0),
		0);
}

static void set_constraint(gnutls_x509_crt_t crt, const char *permitted)
{
	gnutls_x509_name_constraints_t constraints;
	gnutls_datum_t name = { (unsigned char *)(uintptr_t)permitted,
		(unsigned)strlen(permitted) };

	assert_int_equal(gnutls_x509_name_constraints_init(&constraints), 0);
	assert_int_equal(gnutls_x509_name_constraints_add_permitted(
				 constraints, GNUTLS_SAN_DNSNAME, &name),
		0);
	assert_int_equal(gnutls_x509_crt_set_name_constraints(crt, constraints, 1), 0);
	gnutls_x509_name_constraints_deinit(constraints);
}

static void set_uses(gnutls_x509_crt_t crt, const struct species *s)
{
	gnutls_x509_crt_set_basic_constraints(crt, s->ca, -1);
	gnutls_x509_crt_set_key_usage(
		crt, s->ca ? GNUTLS_KEY_KEY_CERT_SIGN : GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (s->purpose)
		gnutls_x509_crt_set_key_purpose_oid(crt, s->purpose, 0);
	if (s->permitted)
		set_constraint(crt, s->permitted);
}

static void set_key_ids(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer)
{
	unsigned char id[KEY_ID];
	size_t size = sizeof(id);

	assert_int_equal(gnutls_x509_crt_get_key_id(crt, 0, id, &size), 0);
	gnutls_x509_crt_set_subject_key_id(crt, id, size);
	size = sizeof(id);
	assert_int_equal(gnutls_x509_crt_get_key_id(issuer, 0, id, &size), 0);
	gnutls_x509_crt_set_authority_key_id(crt, id, size);
}

/* As it comes over the wire. */
static void settle(struct animal *a)
{
	gnutls_datum_t der;

	assert_int_equal(gnutls_x509_crt_export2(a->crt, GNUTLS_X509_FMT_DER, &der), 0);
	gnutls_x509_crt_deinit(a->crt);
	assert_int_equal(gnutls_x509_crt_init(&a->crt), 0);
	assert_int_equal(gnutls_x509_crt_import(a->crt, &der, GNUTLS_X509_FMT_DER), 0);
	gnutls_free(der.data);
}

void zoo_breed(
	struct animal *a, const struct animal *issuer, const struct species *species)
{
	unsigned char serial[8];
	time_t now = time(NULL);
	int from = species->from, until = species->until;

	if (from == 0 && until == 0) {
		from = -1;
		until = 90;
	}
	make_key(a, species->rsa);
	if (species->dear)
		swap_exponents(a);
	assert_int_equal(gnutls_x509_crt_init(&a->crt), 0);
	assert_int_equal(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)), 0);
	serial[0] = 1;
	gnutls_x509_crt_set_version(a->crt, 3);
	gnutls_x509_crt_set_serial(a->crt, serial, sizeof(serial));
	gnutls_x509_crt_set_activation_time(a->crt, now + from * ZOO_DAY);
	gnutls_x509_crt_set_expiration_time(a->crt, now + until * ZOO_DAY);
	gnutls_x509_crt_set_key(a->crt, a->key);
	set_names(a->crt, species);
	set_uses(a->crt, species);
	if (!issuer)
		issuer = a;
	set_key_ids(a->crt, issuer->crt);
	assert_int_equal(gnutls_x509_crt_sign2(a->crt, issuer->crt, issuer->key,
				 species->hash ? species->hash : GNUTLS_DIG_SHA256, 0),
		0);
	settle(a);
}

void zoo_free(struct animal *a)
{
	gnutls_x509_crt_deinit(a->crt);
	gnutls_x509_privkey_deinit(a->key);
}

gnutls_datum_t zoo_pem(const struct animal *a)
{
	gnutls_datum_t pem;

	assert_int_equal(gnutls_x509_crt_export2(a->crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	return pem;
}

void zoo_append(const char *file, const struct animal *a)
{
	gnutls_datum_t pem = zoo_pem(a);
	int fd = open(file, O_WRONLY | O_APPEND);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, pem.data, pem.size), pem.size);
	close(fd);
	gnutls_free(pem.data);
}

void zoo_damage(struct animal *a)
{
	gnutls_datum_t der;

	assert_int_equal(gnutls_x509_crt_export2(a->crt, GNUTLS_X509_FMT_DER, &der), 0);
	der.data[der.size - 1] ^= 1;
	gnutls_x509_crt_deinit(a->crt);
	assert_int_equal(gnutls_x509_crt_init(&a->crt), 0);
	assert_int_equal(gnutls_x509_crt_import(a->crt, &der, GNUTLS_X509_FMT_DER), 0);
	gnutls_free(der.data);
}

gnutls_certificate_credentials_t zoo_show(
	const struct animal *const *chain, unsigned length)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_pcert_st *list = calloc(length, sizeof(*list));
	gnutls_privkey_t key;

	assert_non_null(list);
	assert_int_equal(gnutls_privkey_init(&key), 0);
	assert_int_equal(gnutls_privkey_import_x509(
				 key, chain[0]->key, GNUTLS_PRIVKEY_IMPORT_COPY),
		0);
	for (unsigned i = 0; i < length; i++)
		assert_int_equal(gnutls_pcert_import_x509(&list[i], chain[i]->crt, 0), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&credentials), 0);
	/* It takes over what is in the list, and the key. */
	assert_int_equal(
		gnutls_certificate_set_key(credentials, NULL, 0, list, (int)length, key),
		0);
	free(list);
	return credentials;
}

/* ---- a zoo, and who looks at it ---- */

int zoo_setup(void **state)
{
	struct zoo *z = calloc(1, sizeof(*z));
	void *world;
	char reason[TLS_REASON];

	assert_non_null(z);
	world_setup(&world);
	z->w = world;
	zoo_breed(&z->root, NULL, &(struct species){ .cn = "Zoo Root", .ca = true });
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
	z->client = tls_client_new(
		&(struct tls_client_options){ .bundle = world_bundle(z->w), .ca = z->ca },
		reason);
	assert_string_equal(reason, "");
	assert_non_null(z->client);
	*state = z;
	return 0;
}

int zoo_teardown(void **state)
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

/* All of one length, so that it is not the length that tells them apart. */
static size_t write_own(const struct animal *own, uint8_t octets[ZOO_OWN])
{
	if (!own)
		return 0;
	gnutls_datum_t pem = zoo_pem(own);
	assert_in_range(pem.size, 1, ZOO_OWN);
	memset(octets, '\n', ZOO_OWN);
	memcpy(octets, pem.data, pem.size);
	gnutls_free(pem.data);
	return ZOO_OWN;
}

const struct chain_facts *zoo_look(struct zoo *z, const struct show *s)
{
	gnutls_certificate_credentials_t credentials = zoo_show(s->chain, s->length);
	struct tls_client *client = s->client ? s->client : z->client;
	uint8_t own[ZOO_OWN];
	const struct tls_chain_question question = {
		.asks = s->asks ? s->asks : ASK_LEAF | ASK_PUBLIC_CHAIN,
		.ca = own,
		.ca_length = write_own(s->own, own),
		.tlsa = s->tlsa,
		.tlsa_count = s->tlsa_count,
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
	return facts;
}

const struct chain_facts *zoo_look_at(
	struct zoo *z, const struct animal *leaf, const struct animal *issuer)
{
	const struct show show = { .chain = { leaf, issuer }, .length = issuer ? 2 : 1 };

	return zoo_look(z, &show);
}

void zoo_expect_reason(
	const char *what, const struct chain_facts *facts, const char *part)
{
	if (!strstr(facts->reason, part))
		fail_msg("%s: \"%s\" does not say \"%s\"", what, facts->reason, part);
}

void zoo_expect_names(
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
