/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The order within stream_run() is: far's replies, then the body that is under way, then
 * near's lines. What far says about the past comes before what near wants next, and what
 * it says of a message whose end is only now at hand comes too early.
 */

#include "stream.h"

enum {
	/*
	 * A queue that holds more than this takes no more events: each appends at most
	 * one reply or command to it, so that queues stay within a few blocks.
	 */
	STREAM_FULL = BUF_BLOCK,
};

void stream_init(
	struct stream *s, struct buf_pool *pool, const struct dialogue_service *service)
{
	*s = (struct stream){ .dialogue = { .service = service, .reason = "" } };
	buf_init(&s->near_in, pool);
	buf_init(&s->near_out, pool);
	buf_init(&s->far_in, pool);
	buf_init(&s->far_out, pool);
	buf_init(&s->held, pool);
}

void stream_release(struct stream *s)
{
	buf_release(&s->near_in);
	buf_release(&s->near_out);
	buf_release(&s->far_in);
	buf_release(&s->far_out);
	buf_release(&s->held);
}

bool stream_failed(const struct stream *s)
{
	return s->near_in.failed || s->near_out.failed || s->far_in.failed ||
	       s->far_out.failed || s->held.failed;
}

struct dialogue_io stream_io(struct stream *s, const struct trace *trace)
{
	return (struct dialogue_io){
		.trace = trace,
		.near_out = &s->near_out,
		.far_out = &s->far_out,
		.held = &s->held,
		.near_behind = buf_length(&s->near_in),
		.far_behind = buf_length(&s->far_in),
		.tls_busy = s->tls_busy,
		.ask_sender = s->ask_sender,
		.notes = s->notes,
	};
}

static bool room(const struct buf *out)
{
	return buf_length(out) < STREAM_FULL;
}

/* What is only taken and dropped needs no room: far may have stopped reading for good. */
static bool body_room(const struct stream *s)
{
	return s->dialogue.body_discard || room(&s->far_out);
}

/* ---- one step of each kind: false when there is nothing to do ---- */

static void begin_body(struct stream *s)
{
	const struct dialogue *d = &s->dialogue;
	const struct dialogue_service *service = d->service;
	if (d->body_first)
		body_begin_data(&s->body, service->reject_bare, service->message_size);
	s->fault_known = s->body.fault != BODY_FINE;
	if (d->body_chunk && d->recast)
		body_begin_recast(&s->body, d->body_octets, d->body_last);
	else if (d->body_chunk)
		body_begin_chunk(&s->body, d->body_octets);
	s->in_body = true;
}

static bool body_step(
	struct stream *s, const struct trace *trace, enum dialogue_want *want)
{
	bool empty_chunk = s->dialogue.body_chunk && s->body.left == 0;
	if (!s->in_body || !body_room(s) ||
		(buf_length(&s->near_in) == 0 && !empty_chunk))
		return false;
	uint64_t before = s->body.octets;
	s->body.discard = s->dialogue.body_discard;
	bool ended = body_feed(&s->body, &s->near_in, &s->far_out);
	s->octets += s->body.octets - before;
	if (!ended)
		return true;
	s->in_body = s->near_held = s->far_held = false;
	s->repaired |= s->body.repaired;
	if (!s->fault_known)
		s->fault = s->body.fault;
	struct dialogue_io io = stream_io(s, trace);
	*want = dialogue_body_end(&s->dialogue, s->body.fault, &io);
	return true;
}

/* A handshake with near is under way: whatever far says now, near can't be told. */
static bool near_deaf(const struct stream *s)
{
	return dialogue_waiting(&s->dialogue) == DIALOGUE_WAIT_NEAR_TLS;
}

static bool far_step(
	struct stream *s, const struct trace *trace, enum dialogue_want *want)
{
	/*
	 * No matter how much far has still to read: to wait for that before its replies
	 * are read is how two peers wait for each other (RFC 2920 §3.1).
	 */
	if (s->far_held || !room(&s->near_out) || near_deaf(s) ||
		!dialogue_needs_far(&s->dialogue))
		return false;
	struct smtp_reply reply = { 0 };
	enum smtp_reply_status status = SMTP_REPLY_PARTIAL;
	if (buf_length(&s->far_in) > 0 && !dialogue_far_waits(&s->dialogue))
		status = smtp_reply(buf_head(&s->far_in), buf_length(&s->far_in),
			&s->dialogue.service->reply, &reply);
	struct dialogue_io io = stream_io(s, trace);
	if (status != SMTP_REPLY_PARTIAL) {
		io.far_behind -= reply.length;
		*want = dialogue_far_reply(&s->dialogue, status, &reply, &io);
		s->far_held = *want == DIALOGUE_HOLD;
		if (status == SMTP_REPLY_OK && !s->far_held)
			buf_consume(&s->far_in, reply.length);
	} else if (s->far_end) {
		s->verdict_lost |= dialogue_awaits_verdict(&s->dialogue);
		*want = dialogue_far_lost(&s->dialogue, s->far_end, &io);
		s->far_end = NULL;
	} else {
		return false;
	}
	s->near_held = false;
	return true;
}

/* Drops the rest of a line that was too long; true when its end was found. */
static bool skip_line(struct stream *s)
{
	struct span line;
	size_t consumed;
	enum smtp_line_status status = smtp_line(
		buf_head(&s->near_in), buf_length(&s->near_in), 0, &line, &consumed);
	s->skipping =
		status == SMTP_LINE_LONG && buf_head(&s->near_in)[consumed - 1] != '\n';
	buf_consume(&s->near_in, consumed);
	return !s->skipping;
}

static bool near_step(
	struct stream *s, const struct trace *trace, enum dialogue_want *want)
{
	if (s->near_held || buf_length(&s->near_in) == 0 ||
		!dialogue_takes_lines(&s->dialogue) || !room(&s->near_out) ||
		!room(&s->far_out))
		return false;
	if (s->skipping)
		return skip_line(s);
	struct span line = { NULL, 0 };
	size_t consumed = 0;
	enum smtp_line_status status =
		smtp_line(buf_head(&s->near_in), buf_length(&s->near_in),
			dialogue_line_limit(&s->dialogue), &line, &consumed);
	if (status == SMTP_LINE_PARTIAL)
		return false;
	struct dialogue_io io = stream_io(s, trace);
	io.near_behind -= consumed;
	*want = dialogue_near_line(&s->dialogue, status, line, &io);
	s->near_held = *want == DIALOGUE_HOLD || *want == DIALOGUE_ASK_POLICY;
	if (s->near_held)
		return true;
	s->skipping =
		status == SMTP_LINE_LONG && buf_head(&s->near_in)[consumed - 1] != '\n';
	buf_consume(&s->near_in, consumed);
	s->far_held = false; /* what far said too early may be of no message any more */
	return true;
}

/* Near has gone. What it has sent before is still taken and answered. */
static bool near_done(struct stream *s)
{
	bool unread = buf_length(&s->near_in) > 0 && !dialogue_takes_lines(&s->dialogue);
	if (!s->near_end || s->near_held || near_deaf(s) || !room(&s->near_out) ||
		!room(&s->far_out) || (unread && !s->in_body))
		return false;
	return dialogue_near_ended(&s->dialogue) == DIALOGUE_CLOSE;
}

enum dialogue_want stream_run(struct stream *s, const struct trace *trace)
{
	enum dialogue_want want = DIALOGUE_READ;
	s->near_held = false;
	while (far_step(s, trace, &want) || body_step(s, trace, &want) ||
		near_step(s, trace, &want)) {
		if (stream_failed(s))
			return DIALOGUE_CLOSE;
		if (want == DIALOGUE_BODY)
			begin_body(s);
		else if (want != DIALOGUE_READ && want != DIALOGUE_HOLD)
			return want;
		want = DIALOGUE_READ;
	}
	if (dialogue_closed(&s->dialogue) || near_done(s))
		return DIALOGUE_CLOSE;
	return DIALOGUE_READ;
}

bool stream_full(const struct stream *s)
{
	return !room(&s->near_out) || !room(&s->far_out);
}

bool stream_body_awaited(const struct stream *s)
{
	const struct dialogue *d = &s->dialogue;
	if (d->body_chunk)
		return s->in_body && s->body.left > 0 && s->body.left == d->body_octets;
	return s->in_body && s->body.octets == 0;
}

size_t stream_near_room(const struct stream *s)
{
	size_t length = buf_length(&s->near_in), most = dialogue_line_limit(&s->dialogue);
	if (most < STREAM_FULL)
		most = STREAM_FULL;
	if (s->near_end || length >= most || (s->in_body && !body_room(s)))
		return 0;
	return most - length;
}

size_t stream_far_room(const struct stream *s)
{
	size_t length = buf_length(&s->far_in), most = s->dialogue.service->reply.length;
	if (s->far_end || length > most)
		return 0;
	/* One octet beyond the limit shows that a reply is too long. */
	return most + 1 - length < STREAM_FULL ? most + 1 - length : STREAM_FULL;
}
