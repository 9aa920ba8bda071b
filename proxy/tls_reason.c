/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Failures in the words of a mail administrator. */

#include "tls_private.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REASON_PREFIX = 16, /* octets that "handshake: " needs at most */
};

struct saying {
	int code;
	const char *text; /* "%s" is "client" or "server": the peer */
};

static const struct saying sayings[] = {
	{ GNUTLS_E_UNSUPPORTED_VERSION_PACKET, "no TLS version in common with the %s" },
	{ GNUTLS_E_NO_COMMON_KEY_SHARE, "no key exchange group in common with the %s" },
	{ GNUTLS_E_NO_APPLICATION_PROTOCOL,
		"the %s wants to speak another protocol (ALPN)" },
	{ GNUTLS_E_INAPPROPRIATE_FALLBACK, "the %s fell back to an old TLS version" },
	{ GNUTLS_E_INSUFFICIENT_CREDENTIALS, "no certificate of ours suits the %s" },
	{ GNUTLS_E_INCOMPATIBLE_SIG_WITH_KEY, "no certificate of ours suits the %s" },
	{ GNUTLS_E_REHANDSHAKE, "the %s asked for renegotiation" },
	{ GNUTLS_E_TOO_MANY_HANDSHAKE_PACKETS, "the %s changes its keys too often" },
	{ GNUTLS_E_TOO_MANY_EMPTY_PACKETS, "the %s sends empty records" },
	{ GNUTLS_E_WARNING_ALERT_RECEIVED, "the %s sends too many alerts" },
	{ GNUTLS_E_DECRYPTION_FAILED, "a record of the %s is damaged" },
	{ GNUTLS_E_RECORD_OVERFLOW, "a record of the %s is too long" },
	{ GNUTLS_E_UNEXPECTED_PACKET, "an unexpected record of the %s" },
	{ GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET, "an unexpected message of the %s" },
	{ GNUTLS_E_DH_PRIME_UNACCEPTABLE,
		"the Diffie-Hellman prime of the %s is too short" },
	{ GNUTLS_E_NO_CERTIFICATE_FOUND, "the %s shows no certificate" },
	{ GNUTLS_E_CERTIFICATE_ERROR, "the certificate of the %s cannot be understood" },
	{ GNUTLS_E_ASN1_DER_ERROR, "the certificate of the %s cannot be understood" },
	{ GNUTLS_E_ASN1_TAG_ERROR, "the certificate of the %s cannot be understood" },
	{ GNUTLS_E_CONSTRAINT_ERROR, "the key of the %s is larger than anybody needs" },
	{ GNUTLS_E_KEY_USAGE_VIOLATION,
		"the certificate of the %s is not made for this (key usage)" },
	{ GNUTLS_E_PK_SIG_VERIFY_FAILED,
		"the %s does not have the key of its certificate" },
	{ GNUTLS_E_HANDSHAKE_TOO_LARGE, "a message of the %s is too long" },
	{ GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER, "the %s breaks the rules of TLS" },
	{ GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION, "the %s breaks the rules of TLS" },
	{ GNUTLS_E_MEMORY_ERROR, "out of memory" },
};

/* What the peer did; `shown`: it has seen a certificate of ours. */
static const char *say_deed(gnutls_alert_description_t alert, bool shown)
{
	switch (alert) {
	case GNUTLS_A_BAD_CERTIFICATE:
	case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
	case GNUTLS_A_CERTIFICATE_REVOKED:
	case GNUTLS_A_CERTIFICATE_EXPIRED:
	case GNUTLS_A_CERTIFICATE_UNKNOWN:
	case GNUTLS_A_UNKNOWN_CA: return shown ? "rejected our certificate" : "ended it";
	case GNUTLS_A_CERTIFICATE_REQUIRED: return "wants a certificate of ours";
	case GNUTLS_A_PROTOCOL_VERSION: return "has no TLS version in common with us";
	case GNUTLS_A_UNRECOGNIZED_NAME: return "does not know the name we asked for";
	default: return "ended it";
	}
}

static void say_alert(const struct tls *t, const char *peer, char *to, size_t size)
{
	gnutls_alert_description_t alert =
		t->alert ? t->alert : gnutls_alert_get(t->session);
	const char *name = gnutls_alert_get_name(alert);
	const char *what = say_deed(alert, t->server || t->identified);

	if (name)
		snprintf(to, size, "the %s %s (alert: %s)", peer, what, name);
	else
		snprintf(to, size, "the %s %s (alert %d)", peer, what, (int)alert);
}

static void say_code(const char *peer, int code, char *to, size_t size)
{
	const char *before = gnutls_strerror(code);
	const char *after = NULL;

	for (size_t i = 0; i < sizeof(sayings) / sizeof(*sayings); i++) {
		if (sayings[i].code != code)
			continue;
		before = sayings[i].text;
		after = strstr(before, "%s");
	}
	if (!after)
		snprintf(to, size, "%s", before);
	else
		snprintf(to, size, "%.*s%s%s", (int)(after - before), before, peer,
			after + 2);
}

/* The version tells a client that is too old for `min-version` from one of odd taste. */
static void say_no_suite(const struct tls *t, const char *peer, char *to, size_t size)
{
	gnutls_protocol_t version = gnutls_protocol_get_version(t->session);
	const char *name = gnutls_protocol_get_name(version);

	snprintf(to, size, "no cipher suite in common with the %s (%s)", peer,
		name ? name : "unknown version");
}

char *tls_explain(const struct tls *t, const char *doing, int code)
{
	const char *peer = t->server ? "client" : "server";
	char why[TLS_REASON];
	char *reason = malloc(TLS_REASON);

	if (!reason)
		return NULL;
	if (t->error)
		snprintf(why, sizeof(why), "%s", strerror(t->error));
	else if (t->eof && !t->greeted)
		snprintf(why, sizeof(why), "the %s closed the connection without a word",
			peer);
	else if (t->eof)
		snprintf(why, sizeof(why),
			"the %s closed the connection without close_notify", peer);
	else if (code == GNUTLS_E_FATAL_ALERT_RECEIVED || t->alert)
		say_alert(t, peer, why, sizeof(why));
	else if (t->strange)
		snprintf(why, sizeof(why), "the %s sent something that is no TLS", peer);
	else if (code == GNUTLS_E_NO_CIPHER_SUITES)
		say_no_suite(t, peer, why, sizeof(why));
	else
		say_code(peer, code, why, sizeof(why));
	snprintf(reason, TLS_REASON, "%s: %.*s", doing, TLS_REASON - REASON_PREFIX, why);
	return reason;
}
