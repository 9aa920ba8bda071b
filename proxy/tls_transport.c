/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * GnuTLS asks for a record's header and then for its body; read straight, that is two
 * system calls a record and a third that says "nothing more". Here one scattered read
 * fills what was asked for and, behind it, what follows. A short read tells
 * that the descriptor is empty, so that the next question needs no system call: whoever
 * polls it level-triggered loses nothing by that.
 *
 * What is sent while `collecting` is set (a handshake flight of several messages, a
 * session ticket) goes out as one piece, together with the record that follows where one
 * does.
 */

#include "tls_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
	/* A whole record: to copy costs less than to ask again. */
	AHEAD = TLS_RECORD + 256,
	HEADER = 5,	 /* octets of a record's header */
	ALERT = 2,	 /* ... and of an alert */
	PIECES_MAX = 32, /* of one push: GnuTLS has no more */
	RECORD_CHANGE_CIPHER = 0x14,
	RECORD_ALERT = 0x15,
	RECORD_APPLICATION = 0x17,
};

static ssize_t fault(struct tls *t, int error)
{
	if (error != EAGAIN && error != EWOULDBLOCK)
		t->error = error;
	gnutls_transport_set_errno(t->session, error == EWOULDBLOCK ? EAGAIN : error);
	return -1;
}

static void look_at_first(struct tls *t, const unsigned char *octets)
{
	if (t->greeted)
		return;
	t->greeted = true;
	t->strange = octets[0] < RECORD_CHANGE_CIPHER || octets[0] > RECORD_APPLICATION;
}

static ssize_t pull_descriptor(struct tls *t, void *to, size_t want)
{
	struct iovec pieces[2] = { { to, want },
		{ buf_reserve(&t->ahead, AHEAD), AHEAD } };

	if (!pieces[1].iov_base) {
		buf_release(&t->ahead); /* no memory for more than was asked for */
		pieces[1].iov_len = 0;
	}
	ssize_t n;
	do
		n = readv(t->fd, pieces, 2);
	while (n < 0 && errno == EINTR);
	int error = errno;

	size_t extra = n > (ssize_t)want ? (size_t)n - want : 0;
	if (pieces[1].iov_base)
		buf_commit(&t->ahead, extra);
	if (n < 0)
		return fault(t, error);
	if (n == 0) {
		t->eof = true;
		return fault(t, EAGAIN);
	}
	look_at_first(t, to);
	t->drained = (size_t)n < want + pieces[1].iov_len;
	return n - (ssize_t)extra;
}

/*
 * OpenSSL, where it does not like our certificate, says so before it has keys to say it
 * with, and to GnuTLS under TLS 1.3 that is a record that cannot be decrypted. It is the
 * failure that the administrator most needs to hear of: the alert is read here.
 */
static void look_for_alert(struct tls *t, const unsigned char *octets, size_t n)
{
	if (t->alert_next && n == ALERT)
		t->alert = octets[1];
	t->alert_next = n == HEADER && octets[0] == RECORD_ALERT && octets[3] == 0 &&
			octets[4] == ALERT;
}

static ssize_t pull_ahead(struct tls *t, void *to, size_t want)
{
	size_t held = buf_length(&t->ahead);
	size_t n = held < want ? held : want;

	memcpy(to, buf_head(&t->ahead), n);
	buf_consume(&t->ahead, n);
	return (ssize_t)n;
}

static ssize_t pull(gnutls_transport_ptr_t transport, void *to, size_t want)
{
	struct tls *t = transport;
	ssize_t n;

	if (buf_length(&t->ahead) > 0) {
		n = pull_ahead(t, to, want);
	} else if (t->drained) {
		t->drained = false;
		return fault(t, EAGAIN);
	} else {
		n = pull_descriptor(t, to, want);
	}
	if (n > 0 && !t->shaken)
		look_for_alert(t, to, (size_t)n);
	return n;
}

static ssize_t collect(struct tls *t, const giovec_t *pieces, int count)
{
	size_t total = 0;

	for (int i = 0; i < count; i++) {
		buf_append(&t->out, pieces[i].iov_base, pieces[i].iov_len);
		total += pieces[i].iov_len;
	}
	return t->out.failed ? fault(t, ENOMEM) : (ssize_t)total;
}

static ssize_t send_pieces(struct tls *t, struct iovec *pieces, size_t count)
{
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
	/* The last words go out with the FIN that follows them, in one packet. */
	int flags = MSG_NOSIGNAL | (t->leaving ? MSG_MORE : 0);
	ssize_t n;

	do
		n = sendmsg(t->fd, &message, flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? fault(t, errno) : n;
}

/* What was collected goes first; GnuTLS hears only of its own part. */
static ssize_t push(gnutls_transport_ptr_t transport, const giovec_t *given, int count)
{
	struct tls *t = transport;
	struct iovec pieces[PIECES_MAX + 1];
	size_t first = buf_length(&t->out);
	size_t used = 0;

	if (t->collecting)
		return collect(t, given, count);
	if (first > 0)
		pieces[used++] = (struct iovec){ buf_head(&t->out), first };
	for (int i = 0; i < count && i < PIECES_MAX; i++)
		pieces[used++] = given[i];
	ssize_t n = send_pieces(t, pieces, used);
	if (n < 0 || first == 0)
		return n;
	size_t gone = (size_t)n < first ? (size_t)n : first;
	buf_consume(&t->out, gone);
	return (size_t)n > gone ? n - (ssize_t)gone : fault(t, EAGAIN);
}

void tls_transport_set(struct tls *t)
{
	gnutls_transport_set_ptr(t->session, t);
	gnutls_transport_set_pull_function(t->session, pull);
	gnutls_transport_set_vec_push_function(t->session, push);
}

enum tls_status tls_transport_flush(struct tls *t)
{
	while (buf_length(&t->out) > 0) {
		struct iovec all = { buf_head(&t->out), buf_length(&t->out) };
		ssize_t n = send_pieces(t, &all, 1);
		if (n < 0)
			return t->error ? TLS_FAILED : TLS_WANT_WRITE;
		buf_consume(&t->out, (size_t)n);
	}
	return TLS_OK;
}
