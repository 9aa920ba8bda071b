/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_TLS_ZOO_H
#define SEALPOST_TESTS_TLS_ZOO_H

/* Certificates of every kind that a peer may show, made on the spot. */

#include "facts.h"
#include "requirement.h"
#include "tls_world.h"

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
	bool dear;	       /* ... with an exponent as long as the key */
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

/* ---- a zoo, and who looks at it ---- */

struct zoo {
	struct world *w;
	char *ca;
	struct tls_client *client; /* trusts the root and the narrow root */
	struct animal root, middle, stranger, narrow, lapsed, unborn, weak, old;
};

int zoo_setup(void **state);
int zoo_teardown(void **state);

struct show {
	const struct animal *chain[ZOO_CHAIN];
	unsigned length;
	const struct animal *own; /* the peer's own CA, or NULL */
	unsigned asks;
	const struct tlsa *tlsa;
	unsigned tlsa_count;
	int64_t now;
	struct tls_client *client; /* NULL: the zoo's */
};

/* Shows a chain in a handshake and says what tls_chain() makes of it. */
const struct chain_facts *zoo_look(struct zoo *z, const struct show *show);
const struct chain_facts *zoo_look_at(
	struct zoo *z, const struct animal *leaf, const struct animal *issuer);

/* `what` is what was looked at; the names stand with a blank between them. */
void zoo_expect_reason(
	const char *what, const struct chain_facts *facts, const char *part);
void zoo_expect_names(
	const char *what, const struct chain_facts *facts, const char *names);

#endif
