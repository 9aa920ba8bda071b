/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* One TLS connection, of either role. */

#include "tls.h"

#include "tls_private.h"

#include <stdlib.h>
#include <string.h>

/* Of each message: before GnuTLS has done what it asks for, and after. */
static int see_message(gnutls_session_t session, unsigned type, unsigned when,
	unsigned incoming, const gnutls_datum_t *message)
{
	struct tls *t = gnutls_session_get_ptr(session);
	bool before = when == GNUTLS_HOOK_PRE;
	bool tls13 = gnutls_protocol_get_version(session) == GNUTLS_TLS1_3;

	if (!incoming)
		return 0;
	if (before && type == GNUTLS_HANDSHAKE_CLIENT_HELLO)
		return tls_server_see_hello(message);
	if (before && type == GNUTLS_HANDSHAKE_CERTIFICATE_PKT)
		return tls_der_leaf_is_bearable(message, tls13)
			       ? 0
			       : GNUTLS_E_CONSTRAINT_ERROR;
	if (!before && type == GNUTLS_HANDSHAKE_NEW_SESSION_TICKET && t->ticket)
		tls_tickets_came(t);
	return 0;
}

struct tls *tls_start(unsigned flags, gnutls_priority_t priority,
	gnutls_certificate_credentials_t credentials, int fd, struct buf_pool *pool)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->fd = fd;
	t->version = t->cipher = "";
	t->server = !(flags & GNUTLS_CLIENT);
	buf_init(&t->ahead, pool);
	buf_init(&t->out, pool);
	if (gnutls_init(&t->session, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
		goto failed;
	if (gnutls_priority_set(t->session, priority) < 0 ||
		gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, credentials) <
			0)
		goto failed;
	gnutls_session_set_ptr(t->session, t);
	gnutls_handshake_set_hook_function(
		t->session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH, see_message);
	tls_transport_set(t);
	return t;
failed:
	tls_free(t);
	return NULL;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	if (t->session)
		gnutls_deinit(t->session);
	buf_release(&t->ahead);
	buf_release(&t->out);
	free(t->reason);
	free(t);
}

/* Tells the peer why, if that goes at once; not what the peer itself told us. */
static void tell_peer(struct tls *t, int code)
{
	t->collecting = false;
	if (t->error == 0 && code != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls_alert_send_appropriate(t->session, code);
}

static enum tls_status fail(struct tls *t, const char *doing, int code)
{
	if (!t->reason)
		t->reason = tls_explain(t, doing, code);
	if (t->ticket && !t->shaken)
		tls_tickets_forget(t); /* one of them may have been the cause */
	tell_peer(t, code);
	t->closed = true;
	t->failed = true;
	buf_release(&t->ahead);
	buf_release(&t->out);
	return TLS_FAILED;
}

/* An end without close_notify. GnuTLS is not told: the peer may still listen. */
static enum tls_status end(struct tls *t, const char *doing)
{
	t->reason = tls_explain(t, doing, GNUTLS_E_PREMATURE_TERMINATION);
	t->closed = true;
	t->failed = !t->shaken;
	if (t->failed)
		buf_release(&t->out);
	if (t->ticket && t->failed)
		tls_tickets_forget(t);
	return TLS_CLOSED;
}

static bool too_many_warnings(struct tls *t)
{
	return ++t->warnings > TLS_WARNINGS_MAX;
}

/* Whether GnuTLS is to be asked again at once: there is more, or it was interrupted. */
static bool ask_again(struct tls *t, ssize_t code)
{
	if (code == GNUTLS_E_AGAIN)
		return buf_length(&t->ahead) > 0;
	if (code == GNUTLS_E_WARNING_ALERT_RECEIVED)
		return !too_many_warnings(t);
	return code == GNUTLS_E_INTERRUPTED;
}

static const char *known(const char *name)
{
	return name ? name : "unknown";
}

/* GnuTLS searches its tables for them each time, and we are asked at every event. */
static void keep_names(struct tls *t)
{
	t->version =
		known(gnutls_protocol_get_name(gnutls_protocol_get_version(t->session)));
	t->cipher = known(gnutls_ciphersuite_get(t->session));
}

static enum tls_status step_handshake(struct tls *t)
{
	int code;

	t->collecting = true;
	do
		code = gnutls_handshake(t->session);
	while (ask_again(t, code));
	t->collecting = false;
	if (code == GNUTLS_E_AGAIN && t->eof)
		return end(t, "handshake");
	if (code < 0 && code != GNUTLS_E_AGAIN)
		return fail(t, "handshake", code);
	if (code == 0) {
		t->shaken = true;
		keep_names(t);
		if (t->ticket)
			tls_tickets_shaken(t);
		t->ticket_due = t->server &&
				gnutls_protocol_get_version(t->session) == GNUTLS_TLS1_3;
	}
	return TLS_OK;
}

enum tls_status tls_handshake(struct tls *t)
{
	if (t->failed)
		return t->eof ? TLS_CLOSED : TLS_FAILED;
	enum tls_status status = tls_transport_flush(t);
	if (status == TLS_OK && !t->shaken) {
		status = step_handshake(t);
		if (status == TLS_OK)
			status = tls_transport_flush(t);
	}
	if (status == TLS_FAILED && !t->failed)
		return fail(t, "handshake", GNUTLS_E_PUSH_ERROR);
	return status == TLS_OK && !t->shaken ? TLS_WANT_READ : status;
}

enum tls_status tls_read(struct tls *t, void *to, size_t size, size_t *got)
{
	ssize_t n;

	*got = 0;
	if (buf_length(&t->ahead) == 0)
		t->drained = false; /* whoever asks has been told by the descriptor */
	if (t->closed)
		return t->failed && !t->eof ? TLS_FAILED : TLS_CLOSED;
	do
		n = gnutls_record_recv(t->session, to, size);
	while (ask_again(t, n));
	if (n > 0) {
		*got = (size_t)n;
		return TLS_OK;
	}
	if (n == 0) {
		t->closed = true;
		t->clean = true;
		return TLS_CLOSED;
	}
	if (n == GNUTLS_E_AGAIN)
		return t->eof ? end(t, "read") : TLS_WANT_READ;
	return fail(t, "read", (int)n);
}

bool tls_more(const struct tls *t)
{
	return !t->drained || tls_pending(t);
}

bool tls_pending(const struct tls *t)
{
	return !t->closed &&
	       (buf_length(&t->ahead) > 0 || gnutls_record_check_pending(t->session) > 0);
}

/*
 * One ticket: a client uses it once and gets the next one then. It waits for our first
 * words and goes out with them, in one packet. A connection without a ticket is as good:
 * errors do not matter.
 */
static void offer_ticket(struct tls *t)
{
	t->ticket_due = false;
	t->collecting = true;
	gnutls_session_ticket_send(t->session, 1, 0);
	t->collecting = false;
}

enum tls_status tls_write(struct tls *t, const void *from, size_t size, size_t *put)
{
	const unsigned char *at = from;

	*put = 0;
	if (t->failed)
		return TLS_FAILED;
	if (t->ticket_due)
		offer_ticket(t);
	while (*put < size) {
		size_t piece = size - *put < TLS_RECORD ? size - *put : TLS_RECORD;
		ssize_t n = gnutls_record_send(t->session, at + *put, piece);
		if (n == GNUTLS_E_AGAIN)
			return TLS_WANT_WRITE;
		if (n < 0 && n != GNUTLS_E_INTERRUPTED)
			return fail(t, "write", (int)n);
		if (n > 0)
			*put += (size_t)n;
	}
	return TLS_OK;
}

void tls_hold(struct tls *t)
{
	t->collecting = true;
}

/* Hands close_notify to the transport. */
static int end_session(struct tls *t)
{
	int code;

	if (t->said_bye)
		return 0;
	do
		code = gnutls_bye(t->session, GNUTLS_SHUT_WR);
	while (code == GNUTLS_E_INTERRUPTED);
	t->said_bye = code == 0;
	return code;
}

enum tls_status tls_bye(struct tls *t)
{
	if (t->failed || !t->shaken)
		return TLS_OK;
	t->leaving = true;
	int code = end_session(t);
	if (code == GNUTLS_E_AGAIN)
		return TLS_WANT_WRITE;
	if (code < 0)
		return fail(t, "close", code);
	t->collecting = false;
	enum tls_status status = tls_transport_flush(t);
	return status == TLS_FAILED ? fail(t, "close", GNUTLS_E_PUSH_ERROR) : status;
}

const char *tls_reason(const struct tls *t)
{
	if (t->reason)
		return t->reason;
	if (t->failed)
		return "out of memory";
	return t->clean ? "closed by the peer" : "";
}

const char *tls_version(const struct tls *t)
{
	return t->version;
}

const char *tls_cipher(const struct tls *t)
{
	return t->cipher;
}

static enum protocol protocol_of(gnutls_protocol_t version)
{
	switch (version) {
	case GNUTLS_TLS1_3: return PROTOCOL_TLS_1_3;
	case GNUTLS_TLS1_2: return PROTOCOL_TLS_1_2;
	case GNUTLS_TLS1_1: return PROTOCOL_TLS_1_1;
	case GNUTLS_TLS1_0: return PROTOCOL_TLS_1_0;
	default: return PROTOCOL_CLEAR; /* no priority of ours allows another */
	}
}

static void copy_name(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = '\0';
}

void tls_facts(const struct tls *t, struct facts *facts)
{
	*facts = (struct facts){ .version = "" };
	copy_name(facts->version, sizeof(facts->version), tls_version(t));
	copy_name(facts->cipher, sizeof(facts->cipher), tls_cipher(t));
	if (t->shaken)
		facts->protocol =
			(uint16_t)protocol_of(gnutls_protocol_get_version(t->session));
	facts->resumed = gnutls_session_is_resumed(t->session) != 0;
	if (!t->server)
		return;
	size_t size = sizeof(facts->name);
	unsigned type;
	if (gnutls_server_name_get(t->session, facts->name, &size, &type, 0) < 0 ||
		type != GNUTLS_NAME_DNS)
		facts->name[0] = '\0';
}
