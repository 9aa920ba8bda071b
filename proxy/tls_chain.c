/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What there is to know of a peer's chain. To look at one costs more than the handshake
 * that brought it: what was found is kept, by a digest of all that went into it.
 */

#include "judge.h"
#include "tls_cache.h"
#include "tls_private.h"

#include <gnutls/crypto.h>
#include <gnutls/x509-ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBJECT_ALT_NAME "2.5.29.17"

enum {
	KEEP = 60 * 60, /* seconds at most */
	NAME = 256,	/* octets of a DNS name with its NUL */
};

/* ---- certificates ---- */

static void read_certificate(
	gnutls_x509_crt_t crt, const gnutls_datum_t *der, struct certificate_facts *c)
{
	gnutls_datum_t key;

	gnutls_hash_fast(GNUTLS_DIG_SHA256, der->data, der->size, c->certificate_sha256);
	gnutls_hash_fast(GNUTLS_DIG_SHA512, der->data, der->size, c->certificate_sha512);
	if (tls_der_key(der, &key)) {
		gnutls_hash_fast(GNUTLS_DIG_SHA256, key.data, key.size, c->spki_sha256);
		gnutls_hash_fast(GNUTLS_DIG_SHA512, key.data, key.size, c->spki_sha512);
	}
	if (!crt)
		return;
	c->not_before = gnutls_x509_crt_get_activation_time(crt);
	c->not_after = gnutls_x509_crt_get_expiration_time(crt);
}

/* ---- names ---- */

/* One that no host can have is left out: the strange ones are attempts to deceive. So are
 * those beyond our room. */
static void add_name(
	struct chain_facts *facts, size_t *used, const unsigned char *name, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return;
	if (length == 0 || length >= NAME || length + 2 > FACTS_NAMES - *used)
		return;
	for (size_t i = 0; i < length; i++) {
		bool upper = name[i] >= 'A' && name[i] <= 'Z';
		facts->names[(*used)++] = (char)(upper ? name[i] | 0x20 : name[i]);
	}
	facts->names[(*used)++] = '\0';
	facts->names[*used] = '\0';
}

/* Whether there is any DNS name, even one that is left out. */
static bool add_alternative_names(
	struct chain_facts *facts, size_t *used, const gnutls_datum_t *extension)
{
	gnutls_subject_alt_names_t names;
	gnutls_datum_t name;
	unsigned type;
	bool any = false;

	if (gnutls_subject_alt_names_init(&names) < 0)
		return true;
	if (gnutls_x509_ext_import_subject_alt_names(extension, names, 0) < 0)
		any = true; /* who knows what it meant to say */
	for (unsigned i = 0;
		gnutls_subject_alt_names_get(names, i, &type, &name, NULL) >= 0; i++) {
		if (type != GNUTLS_SAN_DNSNAME)
			continue;
		any = true;
		add_name(facts, used, name.data, name.size);
	}
	gnutls_subject_alt_names_deinit(names);
	return any;
}

/*
 * The CN of old, where it is the only one. GnuTLS holds it against the name constraints
 * of the CAs in certificates for servers alone: in others it does not count.
 */
static void add_common_name(
	struct chain_facts *facts, size_t *used, gnutls_x509_crt_t crt)
{
	char name[NAME];
	size_t size = 0;

	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 1, 0, NULL,
		    &size) != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return;
	size = sizeof(name);
	if (gnutls_x509_crt_check_key_purpose(crt, GNUTLS_KP_TLS_WWW_SERVER, 0) &&
		gnutls_x509_crt_get_dn_by_oid(
			crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) >= 0)
		add_name(facts, used, (unsigned char *)name, size);
	facts->common_name = *used > 0;
}

static void read_names(struct chain_facts *facts, gnutls_x509_crt_t crt)
{
	gnutls_datum_t extension;
	size_t used = 0;
	bool any = false;

	int code = gnutls_x509_crt_get_extension_by_oid2(
		crt, SUBJECT_ALT_NAME, 0, &extension, NULL);
	if (code >= 0) {
		any = add_alternative_names(facts, &used, &extension);
		gnutls_free(extension.data);
	}
	if (!any && (code >= 0 || code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE))
		add_common_name(facts, &used, crt);
}

/* ---- a chain ---- */

/* NULL where it cannot be understood, or is none to calculate with. */
static gnutls_x509_crt_t import(const gnutls_datum_t *der)
{
	gnutls_x509_crt_t crt;
	gnutls_datum_t key;

	if (!tls_der_key(der, &key) || !tls_der_is_bearable(&key))
		return NULL;
	if (gnutls_x509_crt_init(&crt) < 0)
		return NULL;
	if (gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0)
		return crt;
	gnutls_x509_crt_deinit(crt);
	return NULL;
}

/* Of what GnuTLS has written, which frees it. What its owner says may be anything. */
static void write_dn(char text[FACTS_DN], gnutls_datum_t *dn)
{
	size_t length = 0;

	for (size_t i = 0; i < dn->size; i++) {
		unsigned char octet = dn->data[i];
		bool plain = octet >= ' ' && octet <= '~';
		if (length + (plain ? 1 : 3) > FACTS_DN - sizeof("...")) {
			length += (size_t)sprintf(text + length, "...");
			break;
		}
		length += (size_t)sprintf(text + length, plain ? "%c" : "\\%02x", octet);
	}
	text[length] = '\0';
	gnutls_free(dn->data);
}

void tls_chain_names(const gnutls_datum_t *certificate, struct certificate_names *names)
{
	gnutls_datum_t dn;
	gnutls_x509_crt_t crt = import(certificate);

	names->subject[0] = names->issuer[0] = '\0';
	if (!crt)
		return;
	if (gnutls_x509_crt_get_dn3(crt, &dn, 0) >= 0)
		write_dn(names->subject, &dn);
	if (gnutls_x509_crt_get_issuer_dn3(crt, &dn, 0) >= 0)
		write_dn(names->issuer, &dn);
	gnutls_x509_crt_deinit(crt);
}

unsigned tls_certificate_names(
	const struct tls *t, struct certificate_names *names, unsigned count)
{
	unsigned shown = 0;
	const gnutls_datum_t *ders = gnutls_certificate_get_peers(t->session, &shown);

	if (!ders || shown < count)
		count = ders ? shown : 0;
	for (unsigned i = 0; i < count; i++)
		tls_chain_names(&ders[i], &names[i]);
	return count;
}

void tls_chain_open(struct tls_chain *chain, const gnutls_datum_t *ders, unsigned count,
	struct chain_facts *facts)
{
	/* Nothing is read behind the end of the names. */
	memset(facts, 0, offsetof(struct chain_facts, names) + 1);
	chain->count = facts->count = count < FACTS_CHAIN ? count : FACTS_CHAIN;
	chain->ders = ders;
	for (unsigned i = 0; i < chain->count; i++) {
		chain->certificates[i] = import(&ders[i]);
		read_certificate(
			chain->certificates[i], &ders[i], &facts->certificates[i]);
	}
	if (chain->count > 0 && chain->certificates[0])
		read_names(facts, chain->certificates[0]);
}

void tls_chain_close(struct tls_chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++)
		if (chain->certificates[i])
			gnutls_x509_crt_deinit(chain->certificates[i]);
	chain->count = 0;
}

/* ---- what is asked ---- */

static struct tls_anchors *own_anchors(
	struct tls_client *client, const struct tls_chain_question *q, int64_t now)
{
	const gnutls_datum_t pem = {
		.data = (unsigned char *)(uintptr_t)q->ca, /* only read */
		.size = (unsigned)q->ca_length,
	};
	uint8_t key[TLS_CACHE_KEY];

	gnutls_hash_fast(GNUTLS_DIG_SHA256, pem.data, pem.size, key);
	struct tls_anchors *anchors = tls_cache_find(client->own, key, now);
	if (anchors)
		return anchors;
	anchors = tls_anchors_of_pem(&pem, NULL);
	if (anchors)
		tls_cache_put(client->own, key, now, INT64_MAX, anchors);
	return anchors;
}

static uint8_t ask(const struct tls_chain *chain, const struct tls_anchors *anchors,
	const struct tls_chain_question *q, int64_t now, struct chain_facts *facts,
	int64_t *until)
{
	struct tls_verdict v = { .verdict = CHAIN_UNTRUSTED, .until = INT64_MAX };

	if (chain->count == 0)
		return CHAIN_UNTRUSTED;
	if (anchors)
		tls_verify(
			anchors, chain->certificates, chain->count, q->client, now, &v);
	else
		snprintf(v.reason, sizeof(v.reason), "there are no CAs to trust");
	if (v.until < *until)
		*until = v.until;
	if (v.verdict != CHAIN_VALID)
		memcpy(facts->reason, v.reason, sizeof(facts->reason));
	return (uint8_t)v.verdict;
}

/* Want of memory looks like something that cannot be understood: it is not kept. */
static bool understood(const struct tls_chain *chain, const struct chain_facts *facts)
{
	for (unsigned i = 0; i < chain->count; i++)
		if (!chain->certificates[i])
			return false;
	return facts->public_chain != CHAIN_BROKEN && facts->own_chain != CHAIN_BROKEN;
}

/* Fills client->facts; returns how long they hold. */
static int64_t answer(struct tls_client *client, const gnutls_datum_t *ders,
	unsigned count, const struct tls_chain_question *q, int64_t now)
{
	struct chain_facts *facts = &client->facts;
	struct tls_chain chain;
	int64_t until = now + KEEP;

	tls_chain_open(&chain, ders, count, facts);
	if (q->asks & ASK_PUBLIC_CHAIN)
		facts->public_chain = ask(&chain, client->anchors, q, now, facts, &until);
	if (q->asks & ASK_OWN_CHAIN)
		facts->own_chain =
			ask(&chain, own_anchors(client, q, now), q, now, facts, &until);
	if (q->asks & ASK_DANE) {
		int64_t holds = tls_dane(&chain, q->tlsa, q->tlsa_count, now, facts);
		until = holds < until ? holds : until;
	}
	if (!understood(&chain, facts))
		until = now;
	tls_chain_close(&chain);
	return until;
}

/* ---- what was found before ---- */

struct finding {
	size_t names; /* octets */
	unsigned char facts[];
};

static void digest_records(gnutls_hash_hd_t hash, const struct tls_chain_question *q)
{
	for (unsigned i = 0; i < q->tlsa_count; i++) {
		const struct tlsa *r = &q->tlsa[i];
		const uint32_t head[] = { r->usage, r->selector, r->matching, r->length };
		gnutls_hash(hash, head, sizeof(head));
		gnutls_hash(hash, r->octets, r->length);
	}
}

static bool digest(const gnutls_datum_t *ders, unsigned count,
	const struct tls_chain_question *q, uint8_t key[TLS_CACHE_KEY])
{
	const size_t ca = q->asks & ASK_OWN_CHAIN ? q->ca_length : 0;
	const unsigned records = q->asks & ASK_DANE ? q->tlsa_count : 0;
	const uint64_t head[] = { q->asks, q->client, ca, records, count };
	gnutls_hash_hd_t hash;

	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
		return false;
	gnutls_hash(hash, head, sizeof(head));
	if (ca > 0)
		gnutls_hash(hash, q->ca, ca);
	if (records > 0)
		digest_records(hash, q);
	for (unsigned i = 0; i < count; i++) {
		gnutls_hash(hash, &ders[i].size, sizeof(ders[i].size));
		gnutls_hash(hash, ders[i].data, ders[i].size);
	}
	gnutls_hash_deinit(hash, key);
	return true;
}

static bool recall(
	struct tls_client *client, const uint8_t key[TLS_CACHE_KEY], int64_t now)
{
	const struct finding *f = tls_cache_find(client->findings, key, now);

	if (f)
		memcpy(&client->facts, f->facts,
			offsetof(struct chain_facts, names) + f->names);
	return f;
}

static void remember(struct tls_client *client, const uint8_t key[TLS_CACHE_KEY],
	int64_t now, int64_t until)
{
	const struct chain_facts *facts = &client->facts;
	size_t names = 1;

	for (const char *n = facts->names; *n; n += strlen(n) + 1)
		names += strlen(n) + 1;
	size_t size = offsetof(struct chain_facts, names) + names;
	struct finding *f = malloc(sizeof(*f) + size);
	if (!f)
		return; /* it will be found again */
	f->names = names;
	memcpy(f->facts, facts, size);
	tls_cache_put(client->findings, key, now, until, f);
}

const struct chain_facts *tls_chain(struct tls *t, struct tls_client *client,
	const struct tls_chain_question *question, int64_t now)
{
	unsigned count = 0;
	const gnutls_datum_t *ders = gnutls_certificate_get_peers(t->session, &count);
	uint8_t key[TLS_CACHE_KEY];

	if (!ders)
		count = 0;
	if (!digest(ders, count, question, key))
		return NULL;
	if (!recall(client, key, now))
		remember(client, key, now, answer(client, ders, count, question, now));
	return &client->facts;
}
