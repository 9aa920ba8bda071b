/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What a service presents to those who connect: certificates, ciphers, tickets. */

#include "tls.h"
#include "tls_private.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * RFC 9325: TLS 1.2 and 1.3, ECDHE and AEAD alone. Our order rules: AES-128-GCM and
 * X25519 are what costs least, and X25519 is the one key share that OpenSSL sends
 * unasked; any other first choice would cost its users a HelloRetryRequest. SHA-384
 * suites are slower by their hash.
 */
#define VERSION_1_3 "NONE:+VERS-TLS1.3"
#define VERSION_1_2 VERSION_1_3 ":+VERS-TLS1.2"
#define CHOICES                                                                          \
	":+ECDHE-ECDSA:+ECDHE-RSA"                                                       \
	":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD"                            \
	":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"              \
	":+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256:+SIGN-EDDSA-ED25519"           \
	":+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA384"                               \
	":+SIGN-ECDSA-SECP521R1-SHA512:+SIGN-ECDSA-SHA512"                               \
	":+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-SHA256:+SIGN-RSA-SHA256"               \
	":+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-SHA384:+SIGN-RSA-SHA384"               \
	":+SIGN-RSA-PSS-RSAE-SHA512:+SIGN-RSA-PSS-SHA512:+SIGN-RSA-SHA512"               \
	":%SERVER_PRECEDENCE"

enum {
	ALPN = 16, /* the extension's number, RFC 7301 */
	RANKS = 4, /* that rank() tells apart */
};

/* Credentials for clients that ask for a name: those pairs that bear it come first. */
struct named {
	struct named *next;
	gnutls_certificate_credentials_t credentials;
	char name[TLS_NAME]; /* as a certificate bears it: "*." may stand before it */
};

struct tls_server {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	struct named *names;
	/*
	 * By the clock GnuTLS derives from a ticket key what it uses. Where certificates
	 * are asked for there is another key: an older session could hide that there is
	 * none.
	 */
	gnutls_datum_t ticket_keys[2];
	bool request;
};

struct pairs {
	const struct tls_pair *files;
	struct tls_loaded *loaded;
	size_t count;
};

static bool complain(char reason[TLS_REASON], const char *what, const char *why)
{
	snprintf(reason, TLS_REASON, "%s: %.80s", what, why);
	return false;
}

/* ---- certificates ---- */

static bool bears(const struct tls_loaded *l, const char *name)
{
	char its[TLS_NAME];
	unsigned at = 0;

	while (tls_pem_name(l->chain[0], &at, its))
		if (strcasecmp(its, name) == 0)
			return true;
	return false;
}

/*
 * In TLS 1.3 the order of loading decides which of two suitable certificates is taken.
 * RSA keys are dear to use: they come last, for those who take nothing else.
 */
static unsigned rank(const struct tls_loaded *l, const char *name)
{
	int algorithm = gnutls_x509_privkey_get_pk_algorithm(l->key);
	bool rsa = algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS;

	return (rsa ? 1 : 0) + (name && !bears(l, name) ? 2 : 0);
}

/* Credentials of all pairs, with those first that bear `name`. */
static bool present(gnutls_certificate_credentials_t *credentials,
	const struct pairs *pairs, const char *name, char reason[TLS_REASON])
{
	if (gnutls_certificate_allocate_credentials(credentials) < 0)
		return complain(reason, "certificates", "out of memory");
	for (size_t i = 0; i < pairs->count * RANKS; i++) {
		struct tls_loaded *l = &pairs->loaded[i % pairs->count];
		if (rank(l, name) != i / pairs->count)
			continue;
		int code = gnutls_certificate_set_x509_key(
			*credentials, l->chain, (int)l->length, l->key);
		if (code < 0)
			return complain(reason,
				pairs->files[i % pairs->count].certificate,
				gnutls_strerror(code));
	}
	return true;
}

static struct named *find_named(const struct tls_server *server, const char *name)
{
	struct named *n = server->names;

	while (n && strcasecmp(n->name, name) != 0)
		n = n->next;
	return n;
}

static bool add_named(struct tls_server *server, const struct pairs *pairs,
	const char *name, char reason[TLS_REASON])
{
	struct named *n = calloc(1, sizeof(*n));

	if (!n)
		return complain(reason, "certificates", "out of memory");
	n->next = server->names;
	server->names = n;
	memcpy(n->name, name, strlen(name) + 1);
	return present(&n->credentials, pairs, name, reason);
}

/* GnuTLS itself finds a certificate only by a name that is the same to the letter. */
static bool present_names(
	struct tls_server *server, const struct pairs *pairs, char reason[TLS_REASON])
{
	for (size_t i = 0; i < pairs->count; i++) {
		char name[TLS_NAME];
		unsigned at = 0;
		while (tls_pem_name(pairs->loaded[i].chain[0], &at, name))
			if (!find_named(server, name) &&
				!add_named(server, pairs, name, reason))
				return false;
	}
	return true;
}

static bool load_pairs(struct tls_server *server,
	const struct tls_server_options *options, char reason[TLS_REASON])
{
	struct pairs pairs = {
		.files = options->pairs,
		.loaded = calloc(options->pair_count, sizeof(*pairs.loaded)),
	};

	if (!pairs.loaded)
		return complain(reason, "certificates", "out of memory");
	while (pairs.count < options->pair_count &&
		tls_pem_load(options->bundle, &pairs.files[pairs.count],
			&pairs.loaded[pairs.count], reason))
		pairs.count++;
	bool fine = pairs.count == options->pair_count &&
		    present(&server->credentials, &pairs, NULL, reason) &&
		    (pairs.count == 1 || present_names(server, &pairs, reason));
	while (pairs.count > 0)
		tls_pem_unload(&pairs.loaded[--pairs.count]);
	free(pairs.loaded);
	return fine;
}

/* ---- ciphers ---- */

static bool set_priority(struct tls_server *server,
	const struct tls_server_options *options, char reason[TLS_REASON])
{
	const char *text = options->priority;
	const char *at = NULL;

	if (!text && strcmp(options->min_version, "1.3") == 0)
		text = VERSION_1_3 CHOICES;
	else if (!text && strcmp(options->min_version, "1.2") == 0)
		text = VERSION_1_2 CHOICES;
	else if (!text)
		return complain(
			reason, options->min_version, "min-version is 1.2 or 1.3");
	if (gnutls_priority_init(&server->priority, text, &at) >= 0)
		return true;
	return complain(
		reason, "priority string, not understood at", at && *at ? at : "its end");
}

/* ---- session tickets ---- */

#define TICKET_KEY "ticket key" /* of a bundle, for whoever names no file */

static bool find_ticket_key(const struct tls_server_options *options,
	struct bundle_octets *found, char reason[TLS_REASON])
{
	const char *file = options->ticket_key;

	*found = (struct bundle_octets){ .length = 0 };
	if (!file)
		return bundle_find(options->bundle, TICKET_KEY, found) || true;
	if (!bundle_read(options->bundle, file, found, reason))
		return false;
	if (found->exposed)
		return complain(
			reason, file, "others may read or change it: chmod 0640 or 0600");
	return found->length == TLS_TICKET_KEY ||
	       complain(reason, file, "a ticket key is a file of 64 octets");
}

static bool make_key(gnutls_datum_t *key)
{
	key->data = gnutls_malloc(TLS_TICKET_KEY);
	key->size = TLS_TICKET_KEY;
	return key->data;
}

static bool set_ticket_keys(struct tls_server *server,
	const struct tls_server_options *options, char reason[TLS_REASON])
{
	static const char label[] = "sealpost: certificates are asked for";
	gnutls_datum_t *key = server->ticket_keys;
	struct bundle_octets found;

	if (!find_ticket_key(options, &found, reason))
		return false;
	if (!make_key(&key[0]) || !make_key(&key[1]))
		return complain(reason, "ticket key", "out of memory");
	int code = 0;
	if (found.length == TLS_TICKET_KEY)
		memcpy(key[0].data, found.at, TLS_TICKET_KEY);
	else
		code = gnutls_rnd(GNUTLS_RND_KEY, key[0].data, TLS_TICKET_KEY);
	if (code >= 0)
		code = gnutls_hmac_fast(GNUTLS_MAC_SHA512, key[0].data, key[0].size,
			label, sizeof(label), key[1].data);
	return code >= 0 || complain(reason, "ticket key", gnutls_strerror(code));
}

bool tls_ticket_key_put(struct bundle *bundle, const struct bundle *before)
{
	struct bundle_octets found;
	uint8_t key[TLS_TICKET_KEY];

	if (before && bundle_find(before, TICKET_KEY, &found))
		return bundle_put(bundle, TICKET_KEY, found.at, found.length);
	bool made = gnutls_rnd(GNUTLS_RND_KEY, key, sizeof(key)) >= 0 &&
		    bundle_put(bundle, TICKET_KEY, key, sizeof(key));

	gnutls_memset(key, 0, sizeof(key));
	return made;
}

/* ---- all together ---- */

struct tls_server *tls_server_new(
	const struct tls_server_options *options, char reason[TLS_REASON])
{
	struct tls_server *server = calloc(1, sizeof(*server));

	reason[0] = '\0';
	if (!server) {
		complain(reason, "certificates", "out of memory");
		return NULL;
	}
	if (load_pairs(server, options, reason) &&
		set_priority(server, options, reason) &&
		set_ticket_keys(server, options, reason))
		return server;
	tls_server_free(server);
	return NULL;
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	while (server->names) {
		struct named *n = server->names;
		server->names = n->next;
		if (n->credentials)
			gnutls_certificate_free_credentials(n->credentials);
		free(n);
	}
	if (server->credentials)
		gnutls_certificate_free_credentials(server->credentials);
	if (server->priority)
		gnutls_priority_deinit(server->priority);
	for (unsigned i = 0; i < 2; i++) {
		gnutls_datum_t *key = &server->ticket_keys[i];
		if (key->data)
			gnutls_memset(key->data, 0, key->size);
		gnutls_free(key->data);
	}
	free(server);
}

void tls_server_request_certificates(struct tls_server *server, bool request)
{
	server->request = request;
}

/* ---- a client at the door ---- */

/* Whether "smtp" is in a list of protocol names, RFC 7301 §3.1. */
static bool names_smtp(const unsigned char *octets, unsigned size)
{
	static const char smtp[] = "smtp";

	for (unsigned at = 2; at < size; at += 1 + octets[at]) {
		unsigned length = octets[at];
		if (length == sizeof(smtp) - 1 && length < size - at &&
			memcmp(octets + at + 1, smtp, length) == 0)
			return true;
	}
	return false;
}

static int see_extension(
	void *context, unsigned number, const unsigned char *octets, unsigned size)
{
	(void)context;
	return number == ALPN && !names_smtp(octets, size)
		       ? GNUTLS_E_NO_APPLICATION_PROTOCOL
		       : 0;
}

/* A client that asks for HTTP was led here by somebody who mixes protocols (ALPACA). */
int tls_server_see_hello(const gnutls_datum_t *message)
{
	int code = gnutls_ext_raw_parse(
		NULL, see_extension, message, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
	return code == GNUTLS_E_NO_APPLICATION_PROTOCOL ? code : 0;
}

/* The client's hello is read, its certificate not chosen yet. */
static int choose_credentials(gnutls_session_t session)
{
	struct tls *t = gnutls_session_get_ptr(session);
	char wildcard[TLS_NAME + 1] = "*", *name = wildcard + 1;
	size_t size = TLS_NAME;
	unsigned type;

	if (gnutls_server_name_get(session, name, &size, &type, 0) < 0 ||
		type != GNUTLS_NAME_DNS)
		return 0;
	struct named *n = find_named(t->settings, name);
	char *dot = strchr(name, '.');
	if (!n && dot) {
		*--dot = '*';
		n = find_named(t->settings, dot);
	}
	return n ? gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, n->credentials)
		 : 0;
}

struct tls *tls_accept(struct tls_server *server, int fd, struct buf_pool *pool)
{
	struct tls *t = tls_start(GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET,
		server->priority, server->credentials, fd, pool);

	if (!t)
		return NULL;
	t->settings = server;
	t->asked = server->request;
	if (server->names)
		gnutls_handshake_set_post_client_hello_function(
			t->session, choose_credentials);
	if (t->asked)
		gnutls_certificate_server_set_request(t->session, GNUTLS_CERT_REQUEST);
	if (gnutls_session_ticket_enable_server(
		    t->session, &server->ticket_keys[t->asked]) < 0) {
		tls_free(t);
		return NULL;
	}
	return t;
}

bool tls_asked(const struct tls *t)
{
	return t->asked;
}
