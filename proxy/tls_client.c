/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* TLS towards servers. */

#include "tls.h"
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

static const char *const priorities[] = {
	[TLS_PROTOCOLS_1_2] = VERSION_1_2,
	[TLS_PROTOCOLS_1_3] = VERSION_1_3,
	[TLS_PROTOCOLS_LEGACY] = LEGACY,
};

enum {
	PRIORITIES = sizeof(priorities) / sizeof(*priorities),
	LEGACY_DH_BITS = 512, /* in one's own house weak is better than clear */
};

struct tls_client {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priorities[PRIORITIES];
};

struct tls_client *tls_client_new(
	const struct tls_client_options *options, char reason[TLS_REASON])
{
	struct tls_client *client = calloc(1, sizeof(*client));
	int code = client ? gnutls_certificate_allocate_credentials(&client->credentials)
			  : GNUTLS_E_MEMORY_ERROR;

	(void)options;
	reason[0] = '\0';
	for (unsigned i = 0; code >= 0 && i < PRIORITIES; i++)
		code = gnutls_priority_init(&client->priorities[i], priorities[i], NULL);
	if (code >= 0)
		return client;
	snprintf(reason, TLS_REASON, "TLS towards servers: %s", gnutls_strerror(code));
	tls_client_free(client);
	return NULL;
}

void tls_client_free(struct tls_client *client)
{
	if (!client)
		return;
	if (client->credentials)
		gnutls_certificate_free_credentials(client->credentials);
	for (unsigned i = 0; i < PRIORITIES; i++)
		if (client->priorities[i])
			gnutls_priority_deinit(client->priorities[i]);
	free(client);
}

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

struct tls *tls_connect(struct tls_client *client, int fd,
	const struct tls_target *target, struct buf_pool *pool)
{
	struct tls *t = tls_start(
		GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP | GNUTLS_NO_TICKETS,
		client->priorities[target->protocols], client->credentials, fd, pool);

	if (!t)
		return NULL;
	if (target->protocols == TLS_PROTOCOLS_LEGACY)
		gnutls_dh_set_prime_bits(t->session, LEGACY_DH_BITS);
	if (set_name(t, target->name) < 0) {
		tls_free(t);
		return NULL;
	}
	return t;
}
