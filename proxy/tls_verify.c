/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Whether a chain leads to an anchor. The path is made here, from what the peer sent in
 * whatever order, and ends where an anchor issued its last certificate; GnuTLS verifies
 * this path, and the dates of it are looked at here, because GnuTLS knows no clock but
 * the system's.
 */

#include "tls_private.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * MEDIUM means 112 bits: RSA from 2048 bits, no SHA-1, and for an anchor's own key alike.
 * All public CAs have kept to that since 2016; where a CA of one's own has not, there is
 * level fingerprint.
 */
#define VERIFY_FLAGS                                                                     \
	(GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM) |                               \
		GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_CRL_CHECKS)

enum {
	DESCRIBED = 48, /* octets of a certificate's name for people */
	DN = 512,	/* ... and of one as it is */
	DAY = sizeof("2026-01-01"),
	DIGEST = 32, /* octets: SHA-256 */
};

struct tls_anchors {
	unsigned holders;
	uint8_t digest[DIGEST]; /* of the PEM that they were made of */
	gnutls_x509_trust_list_t list;
	gnutls_x509_crt_t *certificates; /* of the list */
	unsigned count;
	bool undated; /* their own dates do not count */
};

struct dates {
	int64_t from, until;
};

/* The certificates that count, the leaf first, and what issued the last of them. */
struct path {
	gnutls_x509_crt_t certificates[FACTS_CHAIN];
	unsigned length;
	bool anchored, dated; /* there is an anchor; its dates count */
	struct dates anchor;
};

/* ---- anchors ---- */

static struct tls_anchors *make_anchors(
	const gnutls_datum_t *octets, gnutls_x509_crt_fmt_t format)
{
	struct tls_anchors *a = calloc(1, sizeof(*a));

	if (a)
		a->holders = 1;
	if (a && gnutls_x509_trust_list_init(&a->list, 0) >= 0 &&
		gnutls_x509_crt_list_import2(
			&a->certificates, &a->count, octets, format, 0) >= 0 &&
		gnutls_x509_trust_list_add_cas(a->list, a->certificates, a->count, 0) ==
			(int)a->count)
		return a;
	tls_anchors_free(a);
	return NULL;
}

struct tls_anchors *tls_anchors_of_pem(
	const gnutls_datum_t *pem, struct tls_anchors *before)
{
	uint8_t digest[DIGEST];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, pem->data, pem->size, digest) < 0)
		return NULL;
	if (before && memcmp(before->digest, digest, sizeof(digest)) == 0) {
		before->holders++;
		return before;
	}
	struct tls_anchors *a = make_anchors(pem, GNUTLS_X509_FMT_PEM);

	if (a)
		memcpy(a->digest, digest, sizeof(digest));
	return a;
}

struct tls_anchors *tls_anchors_of_der(const gnutls_datum_t *der, bool dated)
{
	gnutls_datum_t key;
	bool fine = tls_der_key(der, &key) && tls_der_is_bearable(&key);
	struct tls_anchors *a = fine ? make_anchors(der, GNUTLS_X509_FMT_DER) : NULL;

	if (a)
		a->undated = !dated;
	return a;
}

void tls_anchors_free(void *anchors)
{
	struct tls_anchors *a = anchors;

	if (!a || --a->holders > 0)
		return;
	if (a->list)
		gnutls_x509_trust_list_deinit(a->list, 1);
	gnutls_free(a->certificates);
	free(a);
}

/* ---- dates ---- */

static struct dates dates_of(gnutls_x509_crt_t crt)
{
	return (struct dates){ gnutls_x509_crt_get_activation_time(crt),
		gnutls_x509_crt_get_expiration_time(crt) };
}

/* What cannot be read is -1. */
static enum chain_verdict judge_dates(const struct dates *d, int64_t now)
{
	if (d->until < now)
		return CHAIN_EXPIRED;
	return d->from < 0 || d->from > now ? CHAIN_NOT_YET_VALID : CHAIN_VALID;
}

/* The verdict is another one from then on. */
static void note_change(struct tls_verdict *v, const struct dates *d, int64_t now)
{
	if (d->from > now && d->from < v->until)
		v->until = d->from;
	if (d->until >= now && d->until < v->until)
		v->until = d->until + 1;
}

/* ---- the path ---- */

/* The issuer's dates; of several with one name and key, of one that is valid now. */
static bool find_anchor(const struct tls_anchors *a, gnutls_x509_crt_t crt, int64_t now,
	struct dates *dates)
{
	bool found = false;

	for (unsigned i = 0; i < a->count; i++) {
		if (!gnutls_x509_crt_check_issuer(crt, a->certificates[i]))
			continue;
		*dates = dates_of(a->certificates[i]);
		if (judge_dates(dates, now) == CHAIN_VALID)
			return true;
		found = true;
	}
	return found;
}

static bool is_anchor(const struct tls_anchors *a, gnutls_x509_crt_t crt)
{
	for (unsigned i = 0; i < a->count; i++)
		if (gnutls_x509_crt_equals(a->certificates[i], crt))
			return true;
	return false;
}

/* The issuer among what was presented and not used yet; its place there, or `count`. */
static unsigned find_issuer(gnutls_x509_crt_t crt, const gnutls_x509_crt_t *presented,
	unsigned count, const bool *used)
{
	unsigned i = 1;

	while (i < count && (used[i] || !presented[i] ||
				    !gnutls_x509_crt_check_issuer(crt, presented[i])))
		i++;
	return i < count ? i : count;
}

static void make_path(struct path *p, const struct tls_anchors *a,
	const gnutls_x509_crt_t *presented, unsigned count, int64_t now)
{
	bool used[FACTS_CHAIN] = { true };

	p->certificates[0] = presented[0];
	p->length = 1;
	p->anchor = dates_of(presented[0]);
	p->anchored = is_anchor(a, presented[0]);
	for (unsigned next = 0; !p->anchored && next < count;) {
		gnutls_x509_crt_t last = p->certificates[p->length - 1];
		p->anchored = find_anchor(a, last, now, &p->anchor);
		if (p->anchored)
			return;
		next = find_issuer(last, presented, count, used);
		if (next < count) {
			used[next] = true;
			p->certificates[p->length++] = presented[next];
		}
	}
}

/* ---- in words ---- */

/* Names come from strangers and go to logs and replies. */
static void sanitise(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~' || *text == '"')
			*text = '?';
}

/* The most telling part of a name: CN, or O, or all of it. */
static void describe(gnutls_x509_crt_t crt, bool issuer, char to[DESCRIBED])
{
	static const char *const parts[] = { GNUTLS_OID_X520_COMMON_NAME,
		GNUTLS_OID_X520_ORGANIZATION_NAME };
	char whole[DN];
	size_t size = 0;
	int code = -1;

	for (unsigned i = 0; code < 0 && i < sizeof(parts) / sizeof(*parts); i++) {
		size = sizeof(whole);
		code = issuer ? gnutls_x509_crt_get_issuer_dn_by_oid(
					crt, parts[i], 0, 0, whole, &size)
			      : gnutls_x509_crt_get_dn_by_oid(
					crt, parts[i], 0, 0, whole, &size);
	}
	if (code < 0) {
		size = sizeof(whole);
		code = issuer ? gnutls_x509_crt_get_issuer_dn(crt, whole, &size)
			      : gnutls_x509_crt_get_dn(crt, whole, &size);
	}
	snprintf(to, DESCRIBED, "%.*s", DESCRIBED - 1, code < 0 ? "?" : whole);
	sanitise(to);
}

static bool is_weak(gnutls_x509_crt_t crt, const char *name, char reason[FACTS_REASON])
{
	int signature = gnutls_x509_crt_get_signature_algorithm(crt);
	unsigned bits;
	int key = gnutls_x509_crt_get_pk_algorithm(crt, &bits);
	const char *what = NULL;

	if (signature >= 0 && !gnutls_sign_is_secure2((gnutls_sign_algorithm_t)signature,
				      GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS)) {
		what = gnutls_sign_get_name((gnutls_sign_algorithm_t)signature);
		snprintf(reason, FACTS_REASON, "\"%s\" is signed with %s", name,
			what ? what : "an unknown algorithm");
	} else if (key >= 0 && gnutls_pk_bits_to_sec_param((gnutls_pk_algorithm_t)key,
				       bits) < GNUTLS_SEC_PARAM_MEDIUM) {
		what = gnutls_pk_get_name((gnutls_pk_algorithm_t)key);
		snprintf(reason, FACTS_REASON, "\"%s\" has an %s key of %u bits", name,
			what ? what : "unknown", bits);
	}
	return what;
}

static void say_weak(const struct path *p, char reason[FACTS_REASON])
{
	char name[DESCRIBED];

	snprintf(reason, FACTS_REASON, "a key or a signature in the chain is too weak");
	for (unsigned i = 0; i < p->length; i++) {
		describe(p->certificates[i], false, name);
		if (is_weak(p->certificates[i], name, reason))
			return;
	}
}

static void say_untrusted(const struct path *p, unsigned status, unsigned presented,
	char reason[FACTS_REASON])
{
	gnutls_x509_crt_t last = p->certificates[p->length - 1];
	char name[DESCRIBED];

	describe(last, true, name);
	if (status & GNUTLS_CERT_REVOKED)
		snprintf(reason, FACTS_REASON, "revoked");
	else if (status & GNUTLS_CERT_SIGNER_NOT_CA)
		snprintf(reason, FACTS_REASON, "issued by something that is no CA");
	else if (p->length == 1 && gnutls_x509_crt_check_issuer(last, last))
		snprintf(reason, FACTS_REASON, "self-signed");
	else if (gnutls_x509_crt_check_issuer(last, last))
		snprintf(reason, FACTS_REASON,
			"the chain ends in \"%s\", which is none of the trusted CAs",
			name);
	else if (p->length == FACTS_CHAIN)
		snprintf(reason, FACTS_REASON, "a chain of more than %d certificates",
			FACTS_CHAIN);
	else
		snprintf(reason, FACTS_REASON, "issuer \"%s\" is no trusted CA%s", name,
			presented == 1 ? ", and no intermediate certificate was sent"
				       : ", and its certificate was not sent");
}

static void say_dates(gnutls_x509_crt_t crt, enum chain_verdict verdict,
	const struct dates *dates, char reason[FACTS_REASON])
{
	time_t when = verdict == CHAIN_EXPIRED ? dates->until : dates->from;
	char name[DESCRIBED] = "the CA", day[DAY];
	struct tm utc;

	if (crt)
		describe(crt, false, name);
	if (!gmtime_r(&when, &utc) || strftime(day, sizeof(day), "%Y-%m-%d", &utc) == 0)
		snprintf(day, sizeof(day), "?");
	snprintf(reason, FACTS_REASON, "\"%s\" %s %s", name,
		verdict == CHAIN_EXPIRED ? "expired on" : "is not valid before", day);
}

/* ---- the verdict ---- */

static enum chain_verdict from_status(unsigned status)
{
	if (status == 0)
		return CHAIN_VALID;
	if (status & GNUTLS_CERT_SIGNATURE_FAILURE)
		return CHAIN_BROKEN;
	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA |
			     GNUTLS_CERT_REVOKED))
		return CHAIN_UNTRUSTED;
	if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
		return CHAIN_WEAK;
	if (status & GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE)
		return CHAIN_CONSTRAINED;
	if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
		return CHAIN_PURPOSE;
	return CHAIN_BROKEN;
}

static unsigned verify_for(
	const struct tls_anchors *a, struct path *p, const char *purpose)
{
	gnutls_typed_vdata_st data = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)(uintptr_t)purpose, /* only read */
	};
	unsigned status = GNUTLS_CERT_INVALID;

	if (gnutls_x509_trust_list_verify_crt2(a->list, p->certificates, p->length, &data,
		    1, VERIFY_FLAGS, &status, NULL) < 0)
		status |= GNUTLS_CERT_INVALID;
	return status;
}

/* Mail servers show other servers the one certificate that they have. */
static unsigned verify(const struct tls_anchors *a, struct path *p, bool client)
{
	unsigned status = verify_for(
		a, p, client ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER);

	if (client && status & GNUTLS_CERT_PURPOSE_MISMATCH)
		status = verify_for(a, p, GNUTLS_KP_TLS_WWW_SERVER);
	return status;
}

static void explain(
	const struct path *p, unsigned status, unsigned presented, struct tls_verdict *v)
{
	switch (v->verdict) {
	case CHAIN_UNTRUSTED: say_untrusted(p, status, presented, v->reason); break;
	case CHAIN_WEAK: say_weak(p, v->reason); break;
	case CHAIN_PURPOSE:
		snprintf(
			v->reason, FACTS_REASON, "not made for TLS (extended key usage)");
		break;
	case CHAIN_CONSTRAINED:
		snprintf(v->reason, FACTS_REASON,
			"a CA of the chain was not allowed to issue this "
			"(name constraints, path length or key usage)");
		break;
	case CHAIN_BROKEN:
		snprintf(v->reason, FACTS_REASON, "%s",
			status & GNUTLS_CERT_SIGNATURE_FAILURE
				? "a signature in the chain is wrong"
				: "a certificate of the chain cannot be understood");
		break;
	default: break;
	}
}

/* The nearest to the leaf first: whoever renews it renews that. */
static void check_dates(const struct path *p, int64_t now, struct tls_verdict *v)
{
	for (unsigned i = 0; i < p->length + p->dated; i++) {
		gnutls_x509_crt_t crt = i < p->length ? p->certificates[i] : NULL;
		struct dates dates = crt ? dates_of(crt) : p->anchor;
		enum chain_verdict found = judge_dates(&dates, now);

		note_change(v, &dates, now);
		if (found == CHAIN_VALID || v->verdict != CHAIN_VALID)
			continue;
		v->verdict = found;
		say_dates(crt, found, &dates, v->reason);
	}
}

void tls_verify(const struct tls_anchors *anchors, const gnutls_x509_crt_t *presented,
	unsigned count, bool client, int64_t now, struct tls_verdict *v)
{
	struct path path;
	unsigned status;

	*v = (struct tls_verdict){ .verdict = CHAIN_BROKEN, .until = INT64_MAX };
	if (!presented[0]) {
		snprintf(v->reason, FACTS_REASON, "the certificate cannot be understood");
		return;
	}
	make_path(&path, anchors, presented, count, now);
	path.dated = path.anchored && !anchors->undated;
	status = verify(anchors, &path, client);
	v->verdict = from_status(status);
	explain(&path, status, count, v);
	check_dates(&path, now, v);
}
