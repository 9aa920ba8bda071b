/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The life of a conversation: how it begins and ends, what it waits for, and the events
 * that are neither a command (dialogue_near.c, dialogue_mail.c) nor a reply
 * (dialogue_far.c).
 *
 * Near is greeted as soon as far has greeted us. What has still to be settled with far
 * then (STARTTLS, XCLIENT) goes on while near reads the greeting: near's commands are
 * held until far_ready.
 */

#include "dialogue_private.h"

#include "body.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const want_names[] = {
	[DIALOGUE_READ] = "read",
	[DIALOGUE_HOLD] = "hold",
	[DIALOGUE_BODY] = "body",
	[DIALOGUE_ASK_POLICY] = "ask-policy",
	[DIALOGUE_OPEN_FAR] = "open-far",
	[DIALOGUE_NEXT_FAR] = "next-far",
	[DIALOGUE_START_TLS_NEAR] = "start-tls-near",
	[DIALOGUE_START_TLS_FAR] = "start-tls-far",
	[DIALOGUE_CLOSE] = "close",
};
static_assert(sizeof(want_names) / sizeof(*want_names) == DIALOGUE_WANTS, "a name each");

static const char *const wait_names[] = {
	[DIALOGUE_WAIT_COMMAND] = "command",
	[DIALOGUE_WAIT_BODY] = "body",
	[DIALOGUE_WAIT_NEAR_TLS] = "near-tls",
	[DIALOGUE_WAIT_POLICY] = "policy",
	[DIALOGUE_WAIT_CONNECT] = "connect",
	[DIALOGUE_WAIT_FAR_TLS] = "far-tls",
	[DIALOGUE_WAIT_GREETING] = "greeting",
	[DIALOGUE_WAIT_REPLY] = "reply",
	[DIALOGUE_WAIT_DATA] = "data",
	[DIALOGUE_WAIT_EOD] = "eod",
};
static_assert(sizeof(wait_names) / sizeof(*wait_names) == DIALOGUE_WAITS, "a name each");

static const char *const end_names[] = {
	[DIALOGUE_END_NONE] = "none",
	[DIALOGUE_END_QUIT] = "quit",
	[DIALOGUE_END_CLIENT] = "client",
	[DIALOGUE_END_SERVER] = "server",
	[DIALOGUE_END_TIMEOUT] = "timeout",
	[DIALOGUE_END_ABUSE] = "abuse",
	[DIALOGUE_END_TLS] = "tls",
	[DIALOGUE_END_SHUTDOWN] = "shutdown",
};
static_assert(sizeof(end_names) / sizeof(*end_names) == DIALOGUE_ENDS, "a name each");

const char *dialogue_want_name(enum dialogue_want want)
{
	return want_names[want];
}

const char *dialogue_wait_name(enum dialogue_wait wait)
{
	return wait_names[wait];
}

const char *dialogue_end_name(enum dialogue_end end)
{
	return end_names[end];
}

/* ---- the FIFO of expected replies ---- */

void expect_push(struct dialogue *d, enum expect what)
{
	assert(d->fifo_count < DIALOGUE_FIFO);
	d->fifo[(d->fifo_start + d->fifo_count++) % DIALOGUE_FIFO] = what;
}

enum expect expect_head(const struct dialogue *d)
{
	return d->fifo_count == 0 ? EXPECT_NOTHING : (enum expect)d->fifo[d->fifo_start];
}

/* The last thing that far was told, and so the one whose answer takes longest. */
static enum expect expect_tail(const struct dialogue *d)
{
	return d->fifo_count == 0
		       ? EXPECT_NOTHING
		       : (enum expect)d->fifo[(d->fifo_start + d->fifo_count - 1) %
					      DIALOGUE_FIFO];
}

enum expect expect_pop(struct dialogue *d)
{
	enum expect head = expect_head(d);
	if (head != EXPECT_NOTHING) {
		d->fifo_start = (d->fifo_start + 1) % DIALOGUE_FIFO;
		d->fifo_count--;
	}
	return head;
}

bool may_forward(const struct dialogue *d)
{
	/* One command may push two expectations, and one is kept for a RSET of ours. */
	return d->far_ready &&
	       (drained(d) || ((d->far_ehlo.keywords & SMTP_KW(PIPELINING)) &&
				      d->fifo_count < DIALOGUE_FIFO - 3));
}

/* ---- saying things, and ending ---- */

void say(const struct dialogue_io *io, const char *line)
{
	buf_puts(io->near_out, line);
	buf_puts(io->near_out, "\r\n");
}

enum dialogue_want finish(struct dialogue *d, const char *line, enum dialogue_end end,
	const char *reason, const struct dialogue_io *io)
{
	if (d->near == NEAR_CLOSED)
		return DIALOGUE_CLOSE;
	/* Nobody speaks SMTP inside a handshake: there the end comes without a word. */
	if (line && d->near != NEAR_HANDSHAKE)
		say(io, line);
	d->near = NEAR_CLOSED;
	d->end = end;
	d->reason = reason;
	return DIALOGUE_CLOSE;
}

/* Of whom we speak: the peer that far is, else ourselves. */
static const char *about(const struct dialogue *d, const struct dialogue_io *io)
{
	bool far = io->notes && io->notes->about[0] != '\0';
	return far ? io->notes->about : d->service->hostname;
}

enum dialogue_want hang_up(struct dialogue *d, const char *code, enum dialogue_end end,
	const char *reason, const struct dialogue_io *io)
{
	char line[512];
	snprintf(line, sizeof(line), "%s %s %s", code, about(d, io), reason);
	return finish(d, line, end, reason, io);
}

enum dialogue_want refuse(
	struct dialogue *d, const char *line, const struct dialogue_io *io)
{
	say(io, line);
	if (++d->disorder < d->service->disorder)
		return DIALOGUE_READ;
	return hang_up(d, "421 4.7.0", DIALOGUE_END_ABUSE, "Too many errors", io);
}

void transaction_clear(struct dialogue *d, const struct dialogue_io *io)
{
	d->mail = d->utf8 = d->binary = d->chunked = d->traced = false;
	d->mail_refused = d->refusing = d->cut = d->recast = false;
	d->recipients = 0;
	d->policy = POLICY_NONE;
	buf_release(io->held);
}

void transaction_abandon(struct dialogue *d, const struct dialogue_io *io)
{
	/* Nothing but the loss of its leg can end an unfinished message. */
	if (d->recast)
		far_drop(d, "the message before was given up");
	bool known = d->mail && d->far_ready && buf_length(io->held) == 0;
	transaction_clear(d, io);
	if (!known)
		return;
	buf_puts(io->far_out, "RSET\r\n");
	expect_push(d, EXPECT_OWN_RSET);
}

void swallow_chunks(struct dialogue *d, const char *refusal)
{
	d->refusing = true;
	d->refusal = refusal;
}

void far_drop(struct dialogue *d, const char *reason)
{
	d->far = FAR_GONE;
	d->far_ready = d->far_tls = d->far_knows = d->recast = false;
	d->fifo_count = 0;
	d->far_ehlo = (struct smtp_ehlo){ 0 };
	d->reason = reason;
}

bool transaction_lost(const struct dialogue *d, const struct dialogue_io *io)
{
	return d->service->synthesised && d->mail && d->far == FAR_GONE &&
	       buf_length(io->held) == 0;
}

void say_lost(const struct dialogue *d, const struct dialogue_io *io)
{
	char line[512];
	snprintf(line, sizeof(line), "451 4.4.2 %s %s", about(d, io), d->reason);
	say(io, line);
}

void far_hello(struct dialogue *d, const char *verb, enum expect what,
	const struct dialogue_io *io)
{
	bool own = what == EXPECT_OWN_EHLO || what == EXPECT_OWN_HELO;
	bool ours = own && !(d->service->client_helo && d->helo[0] != '\0');
	buf_printf(io->far_out, "%s %s\r\n", verb, ours ? d->service->hostname : d->helo);
	expect_push(d, what);
}

/* ---- events ---- */

void greet(struct dialogue *d, const struct dialogue_io *io)
{
	buf_printf(io->near_out, "220 %s ESMTP\r\n", d->service->hostname);
	d->near = NEAR_GREETED;
}

enum dialogue_want dialogue_begin(struct dialogue *d,
	const struct dialogue_service *service, const struct dialogue_io *io)
{
	*d = (struct dialogue){
		.service = service, .reason = "", .unfit = "", .demand = service->far_tls
	};
	if (service->near_tls == DIALOGUE_NEAR_IMPLICIT) {
		d->near = NEAR_HANDSHAKE;
		return DIALOGUE_START_TLS_NEAR;
	}
	if (service->synthesised && !service->early) {
		greet(d, io);
		return DIALOGUE_READ;
	}
	d->far = FAR_OPENING;
	return DIALOGUE_OPEN_FAR;
}

/* RFC 3207 §4.2: all that was known before TLS is forgotten, at the far side too. */
enum dialogue_want dialogue_near_tls(struct dialogue *d, const struct dialogue_io *io)
{
	d->events++;
	d->near_tls = true;
	d->esmtp = d->authenticated = false;
	d->near_keywords = 0;
	d->helo[0] = d->from[0] = d->to[0] = '\0';
	/* What far was told for a client that TLS has made another: it goes with its leg.
	 */
	if (d->service->synthesised && dialogue_needs_far(d) && d->far != FAR_WAITING)
		far_drop(d, "");
	if (d->far != FAR_NONE) {
		d->near = NEAR_GREETED;
		transaction_abandon(d, io);
		return DIALOGUE_READ;
	}
	if (d->service->synthesised) {
		d->near = NEAR_GREETED;
		if (d->service->near_tls == DIALOGUE_NEAR_IMPLICIT)
			greet(d, io);
		transaction_clear(d, io);
		return DIALOGUE_READ;
	}
	d->near = NEAR_UNGREETED;
	d->far = FAR_OPENING;
	return DIALOGUE_OPEN_FAR;
}

static const char *const fault_replies[] = {
	[BODY_FINE] = NULL,
	[BODY_NUL] = "550 5.6.0 The message holds NUL octets",
	[BODY_BARE] = "550 5.6.11 The message holds a CR or LF outside of CRLF",
	[BODY_TOO_LONG] = "552 5.3.4 The message is too big",
};
static_assert(
	sizeof(fault_replies) / sizeof(*fault_replies) == BODY_FAULTS, "a reply each");

static void data_end(struct dialogue *d, int fault, const struct dialogue_io *io)
{
	d->near = NEAR_READY;
	if (fault != BODY_FINE) {
		/*
		 * Far holds an unfinished message, which nothing but the loss of its leg
		 * can end.
		 */
		say(io, fault_replies[fault]);
		far_drop(d, "the message before was refused");
		transaction_clear(d, io);
	} else if (d->far == FAR_GONE) {
		say_lost(d, io);
		transaction_clear(d, io);
	} else {
		expect_push(d, EXPECT_EOD);
		d->near = NEAR_WAITING;
	}
}

/* Far does not know of chunks: but for the last one it is us who answer. */
static void recast_end(struct dialogue *d, const struct dialogue_io *io)
{
	if (!d->body_last) {
		say(io, "250 2.0.0 Ok");
		return;
	}
	d->recast = false;
	expect_push(d, EXPECT_EOD);
}

const char far_refusal[] = "";

static enum dialogue_want chunk_refused(struct dialogue *d, const struct dialogue_io *io)
{
	const char *refusal = d->refusal;
	bool ours = refusal && refusal != far_refusal;
	if (!refusal)
		say_lost(d, io);
	else if (!ours)
		buf_append(io->near_out, buf_head(io->held), buf_length(io->held));
	else if (!d->body_last)
		say(io, refusal);
	if (!d->body_last)
		return DIALOGUE_READ;
	transaction_abandon(d, io);
	return ours ? refuse(d, refusal, io) : DIALOGUE_READ;
}

static enum dialogue_want chunk_end(
	struct dialogue *d, int fault, const struct dialogue_io *io)
{
	if (d->recast && fault != BODY_FINE) {
		swallow_chunks(d, fault_replies[fault]);
		far_drop(d, "the message before was refused");
	}
	d->near = d->body_last && !d->refusing ? NEAR_WAITING : d->near_before;
	if (d->refusing)
		return chunk_refused(d, io);
	if (d->recast)
		recast_end(d, io);
	return DIALOGUE_READ;
}

enum dialogue_want dialogue_body_end(
	struct dialogue *d, int fault, const struct dialogue_io *io)
{
	d->events++;
	if (d->near == NEAR_CHUNK)
		return chunk_end(d, fault, io);
	data_end(d, fault, io);
	return DIALOGUE_READ;
}

enum dialogue_want dialogue_near_ended(struct dialogue *d)
{
	bool owed = d->near == NEAR_GREETED || d->near == NEAR_READY ||
		    d->near == NEAR_WAITING || d->near == NEAR_AUTH;
	if (owed && !drained(d))
		return DIALOGUE_HOLD;
	d->events++;
	return finish(d, NULL, DIALOGUE_END_CLIENT, "", NULL);
}

enum dialogue_want dialogue_timeout(struct dialogue *d, const struct dialogue_io *io)
{
	switch (dialogue_waiting(d)) {
	case DIALOGUE_WAIT_COMMAND:
	case DIALOGUE_WAIT_BODY:
		return hang_up(
			d, "421 4.4.2", DIALOGUE_END_TIMEOUT, "Timeout, closing", io);
	case DIALOGUE_WAIT_NEAR_TLS:
		return finish(d, NULL, DIALOGUE_END_TLS, "timeout", io);
	case DIALOGUE_WAIT_POLICY:
		return dialogue_policy(d, DIALOGUE_POLICY_REFUSED,
			"451 4.4.3 No answer about the domain in time", io);
	case DIALOGUE_WAIT_CONNECT: return dialogue_far_lost(d, "no answer in time", io);
	case DIALOGUE_WAIT_GREETING:
		return dialogue_far_lost(d, "the mail server did not greet in time", io);
	default:
		return dialogue_far_lost(d, "the mail server did not answer in time", io);
	}
}

enum dialogue_want dialogue_shutdown(
	struct dialogue *d, bool now, const struct dialogue_io *io)
{
	bool busy = d->mail || d->near == NEAR_WAITING || d->near == NEAR_AUTH;
	if (busy && !now)
		return DIALOGUE_READ;
	return hang_up(d, "421 4.3.2", DIALOGUE_END_SHUTDOWN, "Service closing", io);
}

enum dialogue_want dialogue_evict(
	struct dialogue *d, const char *reason, const struct dialogue_io *io)
{
	return hang_up(d, "421 4.7.0", DIALOGUE_END_ABUSE, reason, io);
}

/* ---- what the shell asks ---- */

enum dialogue_wait dialogue_waiting(const struct dialogue *d)
{
	if (d->near == NEAR_HANDSHAKE)
		return DIALOGUE_WAIT_NEAR_TLS;
	/* Between chunks far's DATA is under way, and far waits for it. */
	if (d->near == NEAR_BODY || d->near == NEAR_CHUNK || d->recast)
		return DIALOGUE_WAIT_BODY;
	if (d->policy == POLICY_ASKED)
		return DIALOGUE_WAIT_POLICY;
	if (d->far == FAR_OPENING)
		return DIALOGUE_WAIT_CONNECT;
	if (d->far == FAR_HANDSHAKE)
		return DIALOGUE_WAIT_FAR_TLS;
	switch (expect_tail(d)) {
	case EXPECT_NOTHING: return DIALOGUE_WAIT_COMMAND;
	case EXPECT_GREETING: return DIALOGUE_WAIT_GREETING;
	case EXPECT_DATA:
	case EXPECT_OWN_DATA: return DIALOGUE_WAIT_DATA;
	case EXPECT_EOD:
	case EXPECT_LAST_CHUNK: return DIALOGUE_WAIT_EOD;
	default: return DIALOGUE_WAIT_REPLY;
	}
}

size_t dialogue_line_limit(const struct dialogue *d)
{
	bool auth =
		(d->near_tls || d->service->auth_clear) && d->service->mechanisms != 0;
	return auth ? d->service->auth_length : d->service->command_length;
}

bool dialogue_takes_lines(const struct dialogue *d)
{
	return d->near == NEAR_GREETED || d->near == NEAR_READY || d->near == NEAR_AUTH;
}

bool dialogue_closed(const struct dialogue *d)
{
	return d->near == NEAR_CLOSED;
}

bool dialogue_needs_far(const struct dialogue *d)
{
	return d->far != FAR_NONE && d->far != FAR_GONE;
}

bool dialogue_far_waits(const struct dialogue *d)
{
	return d->far == FAR_WAITING;
}

bool dialogue_preparing(const struct dialogue *d)
{
	return d->service->synthesised && d->policy == POLICY_GRANTED && !d->far_ready;
}

bool dialogue_awaits_verdict(const struct dialogue *d)
{
	return dialogue_waiting(d) == DIALOGUE_WAIT_EOD && !d->cut;
}
