/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What a service presents to those who connect: certificates, ciphers, tickets. */

#include "tls.h"
#include "tls_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
};

struct tls_server {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	gnutls_datum_t ticket_key; /* GnuTLS derives from it, by the clock, what it really
				      uses */
};

static bool complain(char reason[TLS_REASON], const char *what, const char *why)
{
	snprintf(reason, TLS_REASON, "%s: %.80s", what, why);
	return false;
}

/* ---- certificates ---- */

/* RSA keys are dear to use: they come last, for those who take nothing else. */
static bool is_rsa(const struct tls_loaded *l)
{
	int algorithm = gnutls_x509_privkey_get_pk_algorithm(l->key);

	return algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS;
}

/* In TLS 1.3 the order of loading decides which of two suitable certificates is taken. */
static bool present(struct tls_server *server, struct tls_loaded *loaded,
	const struct tls_server_options *options, bool rsa, char reason[TLS_REASON])
{
	for (size_t i = 0; i < options->pair_count; i++) {
		if (is_rsa(&loaded[i]) != rsa)
			continue;
		int code = gnutls_certificate_set_x509_key(server->credentials,
			loaded[i].chain, (int)loaded[i].length, loaded[i].key);
		if (code < 0)
			return complain(reason, options->pairs[i].certificate,
				gnutls_strerror(code));
	}
	return true;
}

static bool load_pairs(struct tls_server *server,
	const struct tls_server_options *options, char reason[TLS_REASON])
{
	struct tls_loaded *loaded = calloc(options->pair_count, sizeof(*loaded));
	size_t count = 0;

	if (!loaded)
		return complain(reason, "certificates", "out of memory");
	while (count < options->pair_count &&
		tls_pem_load(&loaded[count], &options->pairs[count], reason))
		count++;
	bool fine = count == options->pair_count &&
		    present(server, loaded, options, false, reason) &&
		    present(server, loaded, options, true, reason);
	while (count > 0)
		tls_pem_unload(&loaded[--count]);
	free(loaded);
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

static bool read_ticket_key(
	int fd, gnutls_datum_t *key, const char *file, char reason[TLS_REASON])
{
	struct stat about;

	if (fstat(fd, &about) < 0)
		return complain(reason, file, strerror(errno));
	if (about.st_mode & (S_IWGRP | S_IRWXO))
		return complain(
			reason, file, "others may read or change it: chmod 0640 or 0600");
	if (!S_ISREG(about.st_mode) || about.st_size != TLS_TICKET_KEY)
		return complain(reason, file, "a ticket key is a file of 64 octets");
	key->data = gnutls_malloc(TLS_TICKET_KEY);
	if (!key->data)
		return complain(reason, file, "out of memory");
	key->size = TLS_TICKET_KEY;
	if (read(fd, key->data, TLS_TICKET_KEY) != TLS_TICKET_KEY)
		return complain(reason, file, "cannot be read");
	return true;
}

static bool set_ticket_key(
	struct tls_server *server, const char *file, char reason[TLS_REASON])
{
	if (!file) {
		int code = gnutls_session_ticket_key_generate(&server->ticket_key);
		return code >= 0 || complain(reason, "ticket key", gnutls_strerror(code));
	}
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return complain(reason, file, strerror(errno));
	bool fine = read_ticket_key(fd, &server->ticket_key, file, reason);
	close(fd);
	return fine;
}

/* ---- all together ---- */

struct tls_server *tls_server_new(
	const struct tls_server_options *options, char reason[TLS_REASON])
{
	struct tls_server *server = calloc(1, sizeof(*server));

	reason[0] = '\0';
	if (!server ||
		gnutls_certificate_allocate_credentials(&server->credentials) < 0) {
		complain(reason, "certificates", "out of memory");
		goto failed;
	}
	if (load_pairs(server, options, reason) &&
		set_priority(server, options, reason) &&
		set_ticket_key(server, options->ticket_key, reason))
		return server;
failed:
	tls_server_free(server);
	return NULL;
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	if (server->credentials)
		gnutls_certificate_free_credentials(server->credentials);
	if (server->priority)
		gnutls_priority_deinit(server->priority);
	if (server->ticket_key.data) {
		gnutls_memset(server->ticket_key.data, 0, server->ticket_key.size);
		gnutls_free(server->ticket_key.data);
	}
	free(server);
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

/* A client that asks for HTTP was led here by an attacker who plays on two protocols
 * (ALPACA). */
static int see_hello(gnutls_session_t session, unsigned type, unsigned when,
	unsigned incoming, const gnutls_datum_t *message)
{
	(void)session;
	(void)type;
	(void)when;
	if (!incoming)
		return 0;
	int code = gnutls_ext_raw_parse(
		NULL, see_extension, message, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
	return code == GNUTLS_E_NO_APPLICATION_PROTOCOL ? code : 0;
}

struct tls *tls_accept(struct tls_server *server, int fd, struct buf_pool *pool)
{
	struct tls *t = tls_start(GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET,
		server->priority, server->credentials, fd, pool);

	if (!t)
		return NULL;
	gnutls_handshake_set_hook_function(
		t->session, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE, see_hello);
	if (gnutls_session_ticket_enable_server(t->session, &server->ticket_key) < 0) {
		tls_free(t);
		return NULL;
	}
	return t;
}
