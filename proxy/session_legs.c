/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What passes between the legs and the stream: octets, near's handshake, and what the
 * dialogue asks for. Nothing here watches or frees; session.c does, after each event.
 */

#include "policylink.h"
#include "proxyheader.h"
#include "session_private.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* ---- the end of a leg ---- */

void session_near_lost(struct session *s, enum dialogue_end end, const char *reason)
{
	struct dialogue *d = &s->stream.dialogue;
	session_warn_of_duplicate(s);
	if (!dialogue_closed(d)) {
		d->end = end;
		d->reason = reason;
	}
	s->over = true;
}

void session_late(struct session *s)
{
	struct dialogue_io io = stream_io(&s->stream, NULL);
	session_log_failure(s, "no progress in time", dialogue_wait_name(s->waiting));
	session_warn_of_duplicate(s);
	session_obey(s, dialogue_timeout(&s->stream.dialogue, &io));
}

/* ---- TLS ---- */

/* As whom its handshake counts. */
static const struct address *counted_client(const struct session *s)
{
	return s->entered ? &s->client : NULL;
}

bool session_tls_busy(const struct session *s)
{
	return limits_handshakes_full(
		&s->worker->limits, counted_client(s), clock_steady());
}

void session_tls_refused(struct session *s)
{
	session_log_failure(s, "client refused", "too many TLS handshakes");
	session_count(s, COUNTER_TURNED_AWAY, 1);
}

void session_count_handshake(struct session *s, bool under_way)
{
	struct limits *limits = &s->worker->limits;
	if (under_way && !s->handshaking)
		limits_handshake_begin(limits, counted_client(s), clock_steady());
	if (!under_way && s->handshaking)
		limits_handshake_end(limits, counted_client(s));
	s->handshaking = under_way;
}

/* What near was told in clear is on its way: from here on it speaks TLS. */
static bool begin_near_tls(struct session *s)
{
	s->start_near_tls = false;
	/* STARTTLS was answered by 421 then; who begins with TLS can be told nothing. */
	if (s->service->dialogue.near_tls == DIALOGUE_NEAR_IMPLICIT &&
		session_tls_busy(s)) {
		session_tls_refused(s);
		session_near_lost(s, DIALOGUE_END_TLS, "too many TLS handshakes");
		return false;
	}
	if (s->worker->policy)
		tls_server_request_certificates(s->service->server,
			s->service->setup->cas &&
				policylink_state(s->worker->policy).client_certificates);
	if (!leg_accept_tls(&s->near, s->service->server, &s->worker->pool)) {
		session_near_lost(s, DIALOGUE_END_TLS, "out of memory");
		return false;
	}
	s->near_shaking = true;
	/* A ClientHello is seldom there yet; if it is, the poll says so. */
	s->near_readable = false;
	session_count_handshake(s, true);
	return true;
}

static bool shake_near(struct session *s)
{
	struct dialogue_io io;
	s->near_readable = false;
	switch (leg_handshake(&s->near)) {
	case LEG_AGAIN: return false;
	case LEG_OK:
		s->near_shaking = false;
		s->near_readable = true;
		session_count_handshake(s, false);
		session_count(s, COUNTER_NEAR_TLS, 1);
		io = stream_io(&s->stream, NULL);
		session_obey(s, dialogue_near_tls(&s->stream.dialogue, &io));
		return true;
	default:
		session_log_failure(
			s, "TLS handshake with the client failed", leg_reason(&s->near));
		session_near_lost(s, DIALOGUE_END_TLS, "TLS handshake failed");
		return false;
	}
}

/* ---- obeying the dialogue ---- */

void session_obey(struct session *s, enum dialogue_want want)
{
	switch (want) {
	case DIALOGUE_ASK_POLICY: session_ask(s); break;
	case DIALOGUE_OPEN_FAR:
		if (s->stream.dialogue.far_clear)
			session_route_in_clear(s);
		session_far_open(s);
		break;
	case DIALOGUE_NEXT_FAR: session_next_far(s); break;
	case DIALOGUE_START_TLS_NEAR: s->start_near_tls = true; break;
	case DIALOGUE_START_TLS_FAR: s->start_far_tls = true; break;
	case DIALOGUE_CLOSE:
		if (s->phase >= PHASE_CLOSING)
			break;
		s->phase = PHASE_CLOSING;
		session_route_closed(s);
		s->deadline = clock_steady() + LAST_WORDS;
		break;
	default: break;
	}
	enum dialogue_wait waiting = dialogue_waiting(&s->stream.dialogue);
	if (waiting != DIALOGUE_WAIT_POLICY && waiting != DIALOGUE_WAIT_CONNECT)
		session_ask_no_more(s);
	/* The dialogue has given far up: what passes between them is void. */
	if (s->far.fd >= 0 && !dialogue_needs_far(&s->stream.dialogue))
		session_far_close(s);
}

/* Why a client gets no session, as a constant, or NULL. */
static const char *turned_away(struct session *s)
{
	/* A backend's address is one for all its connections, and it is the house's own.
	 */
	if (s->service->outbound)
		return session_route_begin(s);
	s->entered = limits_enter(&s->worker->limits, &s->client) == LIMITS_FINE;
	if (s->entered)
		return NULL;
	session_count(s, COUNTER_TURNED_AWAY, 1);
	return "Too many connections from your address";
}

void session_begin(struct session *s)
{
	struct dialogue_io io = stream_io(&s->stream, NULL);
	s->phase = PHASE_TALK;
	enum dialogue_want want =
		dialogue_begin(&s->stream.dialogue, &s->service->dialogue, &io);
	const char *why = turned_away(s);
	s->refused = why;
	if (why) {
		buf_release(&s->stream.near_out); /* whoever is refused is not greeted */
		session_log_failure(s, "client refused", why);
		want = dialogue_evict(&s->stream.dialogue, why, &io);
	}
	session_obey(s, want);
}

/* ---- octets ---- */

bool session_header(struct session *s)
{
	struct proxyheader header;
	size_t consumed = 0;
	struct buf *in = &s->stream.near_in;
	size_t before = buf_length(in);
	if (!s->near_readable)
		return false;
	s->near_readable = false;
	enum leg_status filled = leg_peek(&s->near, in, PROXYHEADER_MAX + 1 - before);
	if (filled == LEG_AGAIN)
		return false;
	enum proxyheader_status status = PROXYHEADER_BROKEN;
	if (filled == LEG_OK)
		status = proxyheader_read(
			buf_head(in), buf_length(in), &header, &consumed);
	if (status == PROXYHEADER_BROKEN) {
		session_log_failure(s, "no PROXY header from a balancer",
			filled == LEG_OK ? "it sent something else"
					 : "it ended the connection");
		session_near_lost(s, DIALOGUE_END_ABUSE, "no PROXY header");
		return false;
	}
	/* What stands behind the header may be TLS already: it stays in the socket. */
	leg_skip(&s->near,
		(status == PROXYHEADER_OK ? consumed : buf_length(in)) - before);
	if (status == PROXYHEADER_PARTIAL)
		return true;
	buf_release(in);
	s->near_readable = true;
	if (!header.local) {
		s->client = header.source;
		s->server = header.destination;
	}
	session_begin(s);
	return true;
}

static bool read_near(struct session *s)
{
	if (s->near_shaking)
		return s->near_readable && shake_near(s);
	size_t room = stream_near_room(&s->stream);
	bool there = s->near_readable || leg_pending(&s->near);
	if (room == 0 || !there || s->start_near_tls)
		return false;
	size_t before = buf_length(&s->stream.near_in);
	enum leg_status status = leg_fill(&s->near, &s->stream.near_in, room);
	/* Less than there was room for: the socket is empty now. */
	s->near_readable =
		status == LEG_OK && buf_length(&s->stream.near_in) - before >= room;
	if (status == LEG_FAILED)
		session_near_lost(
			s, DIALOGUE_END_CLIENT, "connection to the client lost");
	s->stream.near_end |= status == LEG_EOF;
	return status == LEG_OK || status == LEG_EOF;
}

static bool read_far(struct session *s)
{
	if (s->connecting)
		return s->far_readable && session_far_connected(s);
	if (s->far_shaking)
		return s->far_readable && session_far_shake(s);
	size_t room = stream_far_room(&s->stream);
	bool there = s->far_readable || leg_pending(&s->far);
	if (s->far.fd < 0 || room == 0 || !there || s->start_far_tls)
		return false;
	enum leg_status status = leg_fill(&s->far, &s->stream.far_in, room);
	s->far_readable = false;
	if (status == LEG_FAILED || status == LEG_EOF) {
		if (!dialogue_closed(&s->stream.dialogue) &&
			dialogue_waiting(&s->stream.dialogue) != DIALOGUE_WAIT_COMMAND)
			session_log_failure(
				s, "connection to the server lost", leg_reason(&s->far));
		s->stream.far_end = session_far_ended;
	}
	return status != LEG_AGAIN;
}

bool session_read(struct session *s)
{
	bool moved = read_near(s);
	if (!s->over)
		moved |= read_far(s);
	return moved;
}

static bool write_near(struct session *s)
{
	struct buf *out = &s->stream.near_out;
	size_t before = buf_length(out);
	if (s->near_shaking)
		return false;
	if (before > 0 && leg_flush(&s->near, out) == LEG_FAILED) {
		session_near_lost(
			s, DIALOGUE_END_CLIENT, "connection to the client lost");
		return false;
	}
	if (s->start_near_tls && buf_length(out) == 0)
		return begin_near_tls(s);
	return buf_length(out) < before;
}

static bool write_far(struct session *s)
{
	struct buf *out = &s->stream.far_out;
	size_t before = buf_length(out);
	/* A Received line or BDAT waits, to go out with the message's octets. */
	if (s->far.fd < 0 || s->connecting || s->far_shaking ||
		stream_body_awaited(&s->stream))
		return false;
	if (before > 0 && leg_flush(&s->far, out) == LEG_FAILED) {
		/* It may have told why before it went: read that, then the end. */
		buf_release(out);
		s->far.broken = false;
		s->far_readable = true;
		return true;
	}
	if (s->start_far_tls && buf_length(out) == 0)
		return session_far_start_tls(s);
	return buf_length(out) < before;
}

bool session_write(struct session *s)
{
	bool moved = write_near(s);
	if (!s->over)
		moved |= write_far(s);
	return moved;
}
