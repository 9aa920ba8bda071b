/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_TLS_ZOO_H
#define SEALPOST_TESTS_TLS_ZOO_H

/* Certificates of every kind that a peer may show, made on the spot. */

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ZOO_NAMES = 4,
	ZOO_CHAIN = 16,
	ZOO_DAY = 24 * 60 * 60,
};

/* What is not said is: ECDSA P-256, SHA-256, valid from yesterday for 90 days. */
struct species {
	const char *cn; /* the subject's; "O" is always "Zoo" */
	const char *dns[ZOO_NAMES];
	const char *dns_octets; /* one more, of dns_length octets */
	unsigned dns_length;
	unsigned many; /* so many DNS names besides: "0.many.example", ... */
	bool ip;       /* an IP address (192.0.2.1) among the names */
	bool ca;
	const char *permitted; /* name constraint: DNS names below this alone */
	const char *purpose;   /* extended key usage */
	unsigned rsa;	       /* bits */
	gnutls_digest_algorithm_t hash;
	int from, until; /* days from now */
};

struct animal {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
};

/* Signed by itself where there is no issuer. */
void zoo_breed(
	struct animal *a, const struct animal *issuer, const struct species *species);
void zoo_free(struct animal *a);

/* Appends a certificate to a file of PEM. */
void zoo_append(const char *file, const struct animal *a);

/* The PEM of one; the caller frees it by gnutls_free(). */
gnutls_datum_t zoo_pem(const struct animal *a);

/* A change of one octet in the signature. */
void zoo_damage(struct animal *a);

/* Credentials that show these certificates as they are, the first one with its key. */
gnutls_certificate_credentials_t zoo_show(
	const struct animal *const *chain, unsigned length);

#endif
