/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* TLS towards servers. */

#include "tls.h"
#include "tls_cache.h"
#include "tls_private.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What costs least comes first, and one key share is made (GNUTLS_KEY_SHARE_TOP): that of
 * X25519, which every server of today knows. CBC suites are for Windows servers up to
 * 2012, which have no ECDHE with GCM for RSA certificates.
 */
#define CIPHERS                                                                          \
	":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CBC:+AES-256-CBC"        \
	":+AEAD:+SHA256:+SHA384:+SHA1"
#define GROUPS                                                                           \
	":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"              \
	":+GROUP-FFDHE2048:+GROUP-FFDHE3072"
#define KEYS	    ":+ECDHE-ECDSA:+ECDHE-RSA:+DHE-RSA"
#define VERSION_1_3 "NONE:+VERS-TLS1.3" KEYS CIPHERS GROUPS ":+SIGN-ALL"
#define VERSION_1_2 "NONE:+VERS-TLS1.3:+VERS-TLS1.2" KEYS CIPHERS GROUPS ":+SIGN-ALL"

/*
 * For servers that nobody can upgrade. Exchange 2000 and 2003 look at the first 64 suites
 * alone, and their 3DES is broken where RC4 is not: hence a short list, and this order.
 */
#define LEGACY                                                                           \
	"NONE:+VERS-TLS1.3:+VERS-TLS1.2:+VERS-TLS1.1:+VERS-TLS1.0"                       \
	":+ECDHE-ECDSA:+ECDHE-RSA:+RSA:+DHE-RSA" CIPHERS                                 \
	":+ARCFOUR-128:+3DES-CBC:+MD5" GROUPS                                            \
	":+SIGN-ALL:+SIGN-RSA-SHA1:+SIGN-ECDSA-SHA1:%COMPAT:%UNSAFE_RENEGOTIATION"       \
	":%PROFILE_VERY_WEAK"

static const char *const priorities[TLS_PROTOCOLS_COUNT] = {
	[TLS_PROTOCOLS_1_2] = VERSION_1_2,
	[TLS_PROTOCOLS_1_3] = VERSION_1_3,
	[TLS_PROTOCOLS_LEGACY] = LEGACY,
};

enum {
	OWN = 16,	      /* peers' own anchors that are kept */
	FINDINGS = 256,	      /* chains */
	LEGACY_DH_BITS = 512, /* in one's own house weak is better than clear */
};

/* A client certificate, by its name. */
struct tls_known {
	char *name;
	gnutls_certificate_credentials_t credentials;
};

static bool complain(char reason[TLS_REASON], const char *why)
{
	snprintf(reason, TLS_REASON, "TLS towards servers: %.80s", why);
	return false;
}

/* ---- what all legs share ---- */

static bool set_priorities(struct tls_client *client, char reason[TLS_REASON])
{
	for (unsigned i = 0; i < TLS_PROTOCOLS_COUNT; i++) {
		int code =
			gnutls_priority_init(&client->priorities[i], priorities[i], NULL);
		if (code < 0)
			return complain(reason, gnutls_strerror(code));
	}
	return true;
}

static bool load_identity(struct tls_known *known, struct bundle *bundle,
	const struct tls_identity *identity, char reason[TLS_REASON])
{
	struct tls_loaded pair;

	if (!tls_pem_load(bundle, &identity->pair, &pair, reason))
		return false;
	known->name = strdup(identity->name);
	int code = known->name
			   ? gnutls_certificate_allocate_credentials(&known->credentials)
			   : GNUTLS_E_MEMORY_ERROR;
	if (code >= 0)
		code = gnutls_certificate_set_x509_key(
			known->credentials, pair.chain, (int)pair.length, pair.key);
	tls_pem_unload(&pair);
	return code >= 0 || complain(reason, gnutls_strerror(code));
}

static bool load_identities(struct tls_client *client,
	const struct tls_client_options *options, char reason[TLS_REASON])
{
	if (options->identity_count == 0)
		return true;
	client->identities = calloc(options->identity_count, sizeof(*client->identities));
	if (!client->identities)
		return complain(reason, "out of memory");
	client->identity_count = options->identity_count;
	for (size_t i = 0; i < options->identity_count; i++)
		if (!load_identity(&client->identities[i], options->bundle,
			    &options->identities[i], reason))
			return false;
	return true;
}

static bool load_anchors(struct tls_client *client,
	const struct tls_client_options *options, char reason[TLS_REASON])
{
	gnutls_datum_t pem;
	const char *file = options->ca;

	if (!file || !*file)
		return true;
	if (strcmp(file, "system") == 0)
		file = CA_FILE;
	if (!tls_pem_read(options->bundle, file, &pem, reason))
		return false;
	client->anchors = tls_anchors_of_pem(
		&pem, options->before ? options->before->anchors : NULL);
	if (!client->anchors)
		snprintf(
			reason, TLS_REASON, "%s: no CA certificates in PEM format", file);
	return client->anchors;
}

static bool make_caches(struct tls_client *client, char reason[TLS_REASON])
{
	client->own = tls_cache_new(OWN, 1, tls_anchors_free);
	client->findings = tls_cache_new(FINDINGS, 1, free);
	client->tickets = tls_tickets_new();
	return (client->own && client->findings && client->tickets &&
		       gnutls_certificate_allocate_credentials(&client->nobody) >= 0) ||
	       complain(reason, "out of memory");
}

struct tls_client *tls_client_new(
	const struct tls_client_options *options, char reason[TLS_REASON])
{
	struct tls_client *client = calloc(1, sizeof(*client));

	reason[0] = '\0';
	if (!client) {
		complain(reason, "out of memory");
		return NULL;
	}
	if (make_caches(client, reason) && set_priorities(client, reason) &&
		load_identities(client, options, reason) &&
		load_anchors(client, options, reason))
		return client;
	tls_client_free(client);
	return NULL;
}

void tls_client_free(struct tls_client *client)
{
	if (!client)
		return;
	if (client->nobody)
		gnutls_certificate_free_credentials(client->nobody);
	for (size_t i = 0; i < client->identity_count; i++) {
		if (client->identities[i].credentials)
			gnutls_certificate_free_credentials(
				client->identities[i].credentials);
		free(client->identities[i].name);
	}
	free(client->identities);
	for (unsigned i = 0; i < TLS_PROTOCOLS_COUNT; i++)
		if (client->priorities[i])
			gnutls_priority_deinit(client->priorities[i]);
	tls_anchors_free(client->anchors);
	tls_cache_free(client->own);
	tls_cache_free(client->findings);
	tls_cache_free(client->tickets);
	free(client);
}

/* ---- one leg ---- */

/* RFC 6066 §3: names alone, without a trailing dot. */
static bool is_host_name(const char *name)
{
	struct in6_addr address;

	return name && *name && inet_pton(AF_INET, name, &address) != 1 &&
	       inet_pton(AF_INET6, name, &address) != 1;
}

static int set_name(struct tls *t, const char *name)
{
	size_t length = is_host_name(name) ? strlen(name) : 0;

	if (length > 0 && name[length - 1] == '.')
		length--;
	return length > 0
		       ? gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, name, length)
		       : 0;
}

/* NULL where no identity of ours has that name. */
static gnutls_certificate_credentials_t find_credentials(
	const struct tls_client *client, const char *identity)
{
	if (!identity || !*identity)
		return client->nobody;
	for (size_t i = 0; i < client->identity_count; i++)
		if (strcmp(client->identities[i].name, identity) == 0)
			return client->identities[i].credentials;
	return NULL;
}

/* Speaks up at the handshake: the reason finds its way from there. */
static void refuse(struct tls *t, const char *identity)
{
	t->failed = t->closed = true;
	t->reason = malloc(TLS_REASON);
	if (t->reason)
		snprintf(t->reason, TLS_REASON,
			"handshake: there is no identity \"%.64s\"", identity);
}

struct tls *tls_connect(struct tls_client *client, int fd,
	const struct tls_target *target, struct buf_pool *pool)
{
	unsigned flags = GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP | GNUTLS_FORCE_CLIENT_CERT |
			 (target->ticket ? 0 : GNUTLS_NO_TICKETS);
	gnutls_certificate_credentials_t credentials =
		find_credentials(client, target->identity);
	struct tls *t = tls_start(flags, client->priorities[target->protocols],
		credentials ? credentials : client->nobody, fd, pool);

	if (!t)
		return NULL;
	t->client = client;
	t->ticket = target->ticket;
	t->identified = credentials != client->nobody;
	if (!credentials)
		refuse(t, target->identity);
	if (target->protocols == TLS_PROTOCOLS_LEGACY)
		gnutls_dh_set_prime_bits(t->session, LEGACY_DH_BITS);
	if (set_name(t, target->name) < 0) {
		tls_free(t);
		return NULL;
	}
	if (t->ticket && !t->failed)
		tls_tickets_begin(t);
	return t;
}
