/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What TLSA records make of a chain (RFC 6698, 7671, 7672 §3.1). Usage 3 names the leaf
 * or its key: the handshake has proved that the peer holds it, and nothing else counts,
 * no name and no date. Usage 2 names an anchor, sent or not: the path from the leaf to it
 * is verified as any path is.
 */

#include "requirement.h"
#include "tls_private.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

enum {
	DIGEST = 64,
	SIGNATURE = 2048, /* octets: RSA of 16384 bits */
};

/* A question under way. */
struct dane {
	const struct tls_chain *chain;
	struct chain_facts *facts;
	int64_t now, until;
	/* Of which it is known that the path does not lead there: as an anchor, and as
	 * what one has issued. */
	bool in_vain[2][FACTS_CHAIN];
};

/* ---- records ---- */

static bool is_data(const struct tlsa *r, const void *octets, size_t length)
{
	return r->length == length && memcmp(r->octets, octets, length) == 0;
}

static bool is_digest(const struct tlsa *r, const gnutls_datum_t *whole,
	gnutls_digest_algorithm_t algorithm)
{
	uint8_t digest[DIGEST];

	return gnutls_hash_fast(algorithm, whole->data, whole->size, digest) >= 0 &&
	       is_data(r, digest, gnutls_hash_get_len(algorithm));
}

/* Whether the record names this certificate. */
static bool matches(const struct tlsa *r, const gnutls_datum_t *der)
{
	gnutls_datum_t selected = *der;

	if (r->selector > TLSA_SPKI)
		return false;
	if (r->selector == TLSA_SPKI && !tls_der_key(der, &selected))
		return false;
	switch (r->matching) {
	case TLSA_FULL: return is_data(r, selected.data, selected.size);
	case TLSA_SHA256: return is_digest(r, &selected, GNUTLS_DIG_SHA256);
	case TLSA_SHA512: return is_digest(r, &selected, GNUTLS_DIG_SHA512);
	default: return false;
	}
}

static gnutls_datum_t data_of(const struct tlsa *r)
{
	return (gnutls_datum_t){
		.data = (unsigned char *)(uintptr_t)r->octets, /* only read */
		.size = r->length,
	};
}

/* ---- trust anchors ---- */

/*
 * Whether the path of the leaf leads to this certificate, all in order on the way. An
 * anchor's own dates are no part of it (RFC 5280 §6.1), `dated` is what an anchor issued.
 */
static bool leads_to(struct dane *d, const gnutls_datum_t *anchor, bool dated)
{
	struct tls_anchors *anchors = tls_anchors_of_der(anchor, dated);
	struct tls_verdict v = { .verdict = CHAIN_BROKEN, .until = INT64_MAX };

	if (anchors)
		tls_verify(anchors, d->chain->certificates, d->chain->count, false,
			d->now, &v);
	else
		snprintf(v.reason, sizeof(v.reason),
			"the anchor's certificate cannot be understood");
	tls_anchors_free(anchors);
	if (v.verdict == CHAIN_BROKEN)
		d->until = d->now; /* it may have been want of memory */
	if (v.until < d->until)
		d->until = v.until;
	if (v.verdict != CHAIN_VALID && d->facts->dane_reason[0] == '\0')
		memcpy(d->facts->dane_reason, v.reason, sizeof(v.reason));
	return v.verdict == CHAIN_VALID;
}

/* However many records name it. */
static bool leads_to_shown(struct dane *d, unsigned i, bool dated)
{
	bool leads = !d->in_vain[dated][i] && leads_to(d, &d->chain->ders[i], dated);

	d->in_vain[dated][i] = !leads;
	return leads;
}

/* A leaf's certificate is no anchor, even one that signed itself and is sent twice. */
static bool is_leaf(const struct dane *d, const gnutls_datum_t *der)
{
	const gnutls_datum_t *leaf = &d->chain->ders[0];

	return der->size == leaf->size && memcmp(der->data, leaf->data, leaf->size) == 0;
}

/* `sent`: whether there was any such certificate, be it of use or not. */
static bool leads_to_sent(struct dane *d, const struct tlsa *r, bool *sent)
{
	for (unsigned i = 1; i < d->chain->count; i++) {
		const gnutls_datum_t *der = &d->chain->ders[i];
		if (is_leaf(d, der) || !matches(r, der))
			continue;
		*sent = true;
		if (leads_to_shown(d, i, false))
			return true;
	}
	return false;
}

/* The record is the anchor itself, which the peer may have left out. */
static bool leads_to_certificate(struct dane *d, const struct tlsa *r)
{
	gnutls_datum_t der = data_of(r);

	return !is_leaf(d, &der) && leads_to(d, &der, false);
}

static bool is_strong(gnutls_pubkey_t key)
{
	unsigned bits = 0;
	int algorithm = gnutls_pubkey_get_pk_algorithm(key, &bits);

	return algorithm >= 0 &&
	       gnutls_pk_bits_to_sec_param((gnutls_pk_algorithm_t)algorithm, bits) >=
		       GNUTLS_SEC_PARAM_MEDIUM;
}

static bool has_signed(
	gnutls_pubkey_t key, gnutls_x509_crt_t crt, const gnutls_datum_t *der)
{
	char octets[SIGNATURE];
	size_t size = sizeof(octets);
	gnutls_datum_t part;

	if (!crt || !tls_der_signed(der, &part) ||
		gnutls_x509_crt_get_signature(crt, octets, &size) < 0)
		return false;
	int algorithm = gnutls_x509_crt_get_signature_algorithm(crt);
	const gnutls_datum_t signature = { (unsigned char *)octets, (unsigned)size };
	return algorithm > 0 &&
	       gnutls_pubkey_verify_data2(key, (gnutls_sign_algorithm_t)algorithm, 0,
		       &part, &signature) >= 0;
}

/*
 * The record is an anchor's key, and no certificate with it was sent: what it has signed
 * is as good as the anchor, be it a leaf that signed itself.
 */
static bool leads_to_key(struct dane *d, const struct tlsa *r)
{
	const gnutls_datum_t der = data_of(r);
	gnutls_pubkey_t key;
	bool found = false;

	if (gnutls_pubkey_init(&key) < 0)
		return false;
	bool usable = tls_der_is_bearable(&der) &&
		      gnutls_pubkey_import(key, &der, GNUTLS_X509_FMT_DER) >= 0 &&
		      is_strong(key);
	for (unsigned i = 0; usable && !found && i < d->chain->count; i++)
		found = has_signed(key, d->chain->certificates[i], &d->chain->ders[i]) &&
			leads_to_shown(d, i, true);
	gnutls_pubkey_deinit(key);
	return found;
}

static bool is_anchor_of(struct dane *d, const struct tlsa *r)
{
	bool sent = false;

	if (leads_to_sent(d, r, &sent))
		return true;
	if (sent || r->matching != TLSA_FULL)
		return false;
	switch (r->selector) {
	case TLSA_CERTIFICATE: return leads_to_certificate(d, r);
	case TLSA_SPKI: return leads_to_key(d, r);
	default: return false;
	}
}

/* ---- all of them ---- */

static bool is_leafs(struct dane *d, const struct tlsa *r)
{
	return matches(r, &d->chain->ders[0]);
}

static bool find(struct dane *d, const struct tlsa *records, unsigned count,
	unsigned usage, bool (*fits)(struct dane *d, const struct tlsa *r))
{
	for (unsigned i = 0; i < count; i++) {
		if (records[i].usage != usage || !fits(d, &records[i]))
			continue;
		d->facts->dane = usage == TLSA_EE ? DANE_MATCH_EE : DANE_MATCH_TA;
		d->facts->dane_record = (uint8_t)i;
		d->facts->dane_reason[0] = '\0';
		return true;
	}
	return false;
}

/* The leaf's records first: where one of them matches, no name is asked for. */
int64_t tls_dane(const struct tls_chain *chain, const struct tlsa *records,
	unsigned count, int64_t now, struct chain_facts *facts)
{
	struct dane d = { chain, facts, now, INT64_MAX, { { false } } };

	facts->dane = DANE_MATCH_NONE;
	if (chain->count == 0 || find(&d, records, count, TLSA_EE, is_leafs))
		return INT64_MAX;
	find(&d, records, count, TLSA_TA, is_anchor_of);
	return d.until;
}
