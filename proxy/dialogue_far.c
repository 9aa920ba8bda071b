/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Far's replies: each is matched with the head of the FIFO. What answers near's command
 * is passed on as it is; what answers a command of ours is taken in here.
 */

#include "dialogue_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

typedef enum dialogue_want taker(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io);

static bool positive(const struct smtp_reply *reply)
{
	return reply->code / 100 == 2;
}

static bool negative(const struct smtp_reply *reply)
{
	return reply->code / 100 == 4 || reply->code / 100 == 5;
}

/* Far's own words, for the one who is told that it is unfit. */
static void note_said(const struct smtp_reply *reply, const struct dialogue_io *io)
{
	size_t cursor = 0;
	struct span text = { "", 0 };
	if (!io->notes)
		return;
	smtp_reply_line(reply, &cursor, &text);
	int n = (int)(text.length < DIALOGUE_SAID ? text.length : DIALOGUE_SAID);
	snprintf(io->notes->said, DIALOGUE_SAID, "%03u %.*s", reply->code, n, text.at);
}

/* Far says what no server may: it is not trusted with anything more. */
static enum dialogue_want nonsense(struct dialogue *d, const struct dialogue_io *io)
{
	return dialogue_far_unfit(
		d, "4.3.0", "the mail server gave an answer that makes no sense", io);
}

/* Far says no to what every session begins with. */
static enum dialogue_want refused(struct dialogue *d, const char *code,
	const char *reason, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	note_said(reply, io);
	return dialogue_far_unfit(d, code, reason, io);
}

/* ---- what near sees ---- */

static enum dialogue_want take_greeting(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	bool greeted = d->near != NEAR_UNGREETED;
	if (positive(reply) && reply->code != 220)
		return nonsense(d, io);
	/* What nobody has authenticated must not steer near. */
	bool ours = d->service->own_greeting;
	if (negative(reply) && (greeted || ours))
		return refused(d, "4.3.0", "the mail server refused to serve", reply, io);
	if (!greeted && !ours)
		smtp_reply_write(io->near_out, reply);
	if (negative(reply))
		return finish(d, NULL, DIALOGUE_END_SERVER,
			"the mail server refused to serve", io);
	if (!greeted && ours)
		greet(d, io);
	d->near = greeted ? d->near : NEAR_GREETED;
	if (d->service->synthesised || d->service->far_tls != DIALOGUE_FAR_CLEAR ||
		d->service->xclient)
		far_hello(d, "EHLO", EXPECT_OWN_EHLO, io);
	else
		d->far_ready = true;
	return DIALOGUE_READ;
}

/* Near's EHLO, with far's greeting and what is offered by both of us. */
static enum dialogue_want answer_ehlo(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	size_t cursor = 0;
	struct span greeting = { "", 0 };
	smtp_reply_line(reply, &cursor, &greeting);
	say_ehlo(d, greeting, io);
	d->near = NEAR_READY;
	return DIALOGUE_READ;
}

/*
 * OpenSMTPD takes one EHLO a connection, and cannot know that near's has begun anew under
 * TLS: RSET makes it forget as much (RFC 3207 §4.2), and what it offers is known.
 */
static enum dialogue_want answer_for_far(struct dialogue *d, const struct dialogue_io *io)
{
	buf_puts(io->far_out, "RSET\r\n");
	expect_push(d, EXPECT_OWN_RSET);
	d->near = NEAR_READY;
	say_hello(d, io);
	return DIALOGUE_READ;
}

static enum dialogue_want take_ehlo(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	d->near = NEAR_GREETED;
	if (reply->code == 503 && d->far_knows)
		return answer_for_far(d, io);
	if (!positive(reply)) {
		bool unknown =
			reply->code == 500 || reply->code == 502 || reply->code == 504;
		if (!unknown) {
			smtp_reply_write(io->near_out, reply);
			return DIALOGUE_READ;
		}
		/* A server from before ESMTP: near gets its STARTTLS all the same. */
		far_hello(d, "HELO", EXPECT_HELO_FALLBACK, io);
		d->near = NEAR_WAITING;
		return DIALOGUE_READ;
	}
	smtp_ehlo_read(reply, &d->far_ehlo);
	d->far_knows = true;
	return answer_ehlo(d, reply, io);
}

static enum dialogue_want take_helo(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (reply->code == 503 && d->far_knows)
		return answer_for_far(d, io);
	smtp_reply_write(io->near_out, reply);
	d->far_ehlo = (struct smtp_ehlo){ 0 };
	d->far_knows |= positive(reply);
	d->near = positive(reply) ? NEAR_READY : NEAR_GREETED;
	return DIALOGUE_READ;
}

static enum dialogue_want take_helo_fallback(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	d->far_ehlo = (struct smtp_ehlo){ 0 };
	d->far_knows |= positive(reply);
	return positive(reply) ? answer_ehlo(d, reply, io) : take_helo(d, reply, io);
}

static enum dialogue_want take_mail(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	smtp_reply_write(io->near_out, reply);
	d->mail = positive(reply);
	d->mail_refused = !positive(reply);
	return DIALOGUE_READ;
}

static enum dialogue_want take_rcpt(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	/* It went right behind a MAIL of ours that far did not take. */
	if (d->mail_refused && d->service->synthesised)
		return answer_refused_mail(io);
	smtp_reply_write(io->near_out, reply);
	if (positive(reply) && d->mail)
		d->recipients++;
	return DIALOGUE_READ;
}

/* Far takes a message that has nowhere to go: it gets an empty one, to refuse. */
static void end_empty(struct dialogue *d, const struct dialogue_io *io)
{
	buf_puts(io->far_out, ".\r\n");
	expect_push(d, EXPECT_OWN_EOD);
	say(io, no_recipients);
}

static enum dialogue_want take_data(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	d->near = NEAR_READY;
	if (!negative(reply) && d->recipients > 0) {
		/* One line, always: Exchange 2000 and 2003 break on more (KB 912341). */
		smtp_reply_write_last(io->near_out, reply);
		write_received(d, io, io->far_out);
		d->near = NEAR_BODY;
		d->body_chunk = d->body_discard = false;
		d->body_first = d->body_last = true;
		return DIALOGUE_BODY;
	}
	if (negative(reply))
		smtp_reply_write(io->near_out, reply);
	else
		end_empty(d, io);
	return data_refused(d, io);
}

static enum dialogue_want take_eod(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	bool cut = d->cut;
	if (cut && positive(reply))
		say(io, "451 4.3.0 The mail server answered before the end of the "
			"message");
	else
		smtp_reply_write(io->near_out, reply);
	if (positive(reply) && !cut)
		d->transactions++;
	d->near = NEAR_READY;
	transaction_clear(d, io);
	if (cut)
		far_drop(d, "the mail server answered before the end of the message");
	return DIALOGUE_READ;
}

static enum dialogue_want take_auth(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	smtp_reply_write(io->near_out, reply);
	d->near = reply->code == 334 ? NEAR_AUTH : NEAR_READY;
	d->authenticated = positive(reply);
	return DIALOGUE_READ;
}

static enum dialogue_want take_quit(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	smtp_reply_write(io->near_out, reply);
	return finish(d, NULL, DIALOGUE_END_QUIT, "", io);
}

static enum dialogue_want take_rset(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	smtp_reply_write(io->near_out, reply);
	transaction_clear(d, io);
	return DIALOGUE_READ;
}

static enum dialogue_want pass_on(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	(void)d;
	smtp_reply_write(io->near_out, reply);
	return DIALOGUE_READ;
}

/* ---- what near does not see ---- */

static enum dialogue_want swallow(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	(void)d, (void)reply, (void)io;
	return DIALOGUE_READ;
}

static enum dialogue_want take_own_eod(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	(void)reply;
	transaction_clear(d, io);
	return DIALOGUE_READ;
}

static void write_attribute(
	struct buf *out, enum smtp_xclient attribute, const char *value)
{
	buf_printf(out, " %s=", smtp_xclient_name(attribute));
	smtp_xtext_write(out, (struct span){ value, strlen(value) });
}

/* As XCLIENT wants an address. */
static const char *xclient_address(const struct address *a, char text[ADDRESS_TEXT + 5])
{
	char host[ADDRESS_TEXT];
	snprintf(text, ADDRESS_TEXT + 5, "%s%s", a->family == AF_INET6 ? "IPV6:" : "",
		address_host(a, host));
	return text;
}

/* Only what far says it knows. HELO and LOGIN are near's to say, later. */
static void write_xclient(const struct dialogue *d, const struct dialogue_io *io)
{
	char client[ADDRESS_TEXT + 5], server[ADDRESS_TEXT + 5];
	char client_port[12], server_port[12];
	snprintf(client_port, sizeof(client_port), "%u", io->trace->client->port);
	snprintf(server_port, sizeof(server_port), "%u", io->trace->server->port);
	const char *const values[SMTP_XCLIENT_ATTRIBUTES] = {
		[SMTP_XCLIENT_NAME] = "[UNAVAILABLE]",
		[SMTP_XCLIENT_ADDR] = xclient_address(io->trace->client, client),
		[SMTP_XCLIENT_PORT] = client_port,
		[SMTP_XCLIENT_DESTADDR] = xclient_address(io->trace->server, server),
		[SMTP_XCLIENT_DESTPORT] = server_port,
	};
	buf_puts(io->far_out, "XCLIENT");
	for (unsigned i = 0; i < SMTP_XCLIENT_ATTRIBUTES; i++)
		if (values[i] && (d->far_ehlo.xclient & (1u << i)))
			write_attribute(io->far_out, i, values[i]);
	buf_puts(io->far_out, "\r\n");
}

/* Far is told who we are: only under TLS, which credentials demand. */
static enum dialogue_want authenticate(struct dialogue *d, const struct dialogue_io *io)
{
	uint32_t offered = d->far_ehlo.mechanisms;
	if (offered & (1u << SMTP_AUTH_PLAIN))
		buf_printf(
			io->far_out, "AUTH PLAIN %s\r\n", d->service->credentials->plain);
	else if (offered & (1u << SMTP_AUTH_LOGIN))
		buf_puts(io->far_out, "AUTH LOGIN\r\n");
	else
		return dialogue_far_unfit(d, "4.7.0",
			"the mail server offers neither AUTH PLAIN nor LOGIN", io);
	d->auth_step = 0;
	expect_push(d, EXPECT_OWN_AUTH);
	return DIALOGUE_READ;
}

static enum dialogue_want take_own_auth(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	const struct dialogue_credentials *credentials = d->service->credentials;
	bool login = !(d->far_ehlo.mechanisms & (1u << SMTP_AUTH_PLAIN));
	if (reply->code == 334 && login && d->auth_step < 2) {
		buf_printf(io->far_out, "%s\r\n",
			d->auth_step++ == 0 ? credentials->user : credentials->password);
		expect_push(d, EXPECT_OWN_AUTH);
		return DIALOGUE_READ;
	}
	if (!positive(reply))
		return refused(
			d, "4.7.8", "the mail server refuses our credentials", reply, io);
	d->far_ready = true;
	return DIALOGUE_READ;
}

/*
 * Far's keywords are known: near may go on, after AUTH of our own or XCLIENT where that
 * is wanted and offered.
 */
static enum dialogue_want settle(struct dialogue *d, const struct dialogue_io *io)
{
	if (d->service->credentials && d->far_tls)
		return authenticate(d, io);
	uint32_t address = d->far_ehlo.xclient & (1u << SMTP_XCLIENT_ADDR);
	if (!d->service->xclient || !(d->far_ehlo.keywords & SMTP_KW(XCLIENT)) ||
		!address) {
		d->far_ready = true;
		return DIALOGUE_READ;
	}
	write_xclient(d, io);
	expect_push(d, EXPECT_OWN_XCLIENT);
	return DIALOGUE_READ;
}

static enum dialogue_want take_own_ehlo(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	bool clear = d->demand == DIALOGUE_FAR_CLEAR || d->far_clear;
	bool encrypt = d->demand == DIALOGUE_FAR_ENCRYPT && !d->far_tls;
	if (!positive(reply)) {
		if (encrypt)
			return refused(d, "4.7.4",
				"the mail server refuses EHLO, and TLS is demanded",
				reply, io);
		far_hello(d, "HELO", EXPECT_OWN_HELO, io);
		return DIALOGUE_READ;
	}
	smtp_ehlo_read(reply, &d->far_ehlo);
	d->far_knows = true;
	bool offered = d->far_ehlo.keywords & SMTP_KW(STARTTLS);
	if (clear || d->far_tls)
		return settle(d, io);
	if (!offered)
		return encrypt ? dialogue_far_unfit(d, "4.7.4",
					 "the mail server does not offer STARTTLS", io)
			       : settle(d, io);
	/* Nothing that was said in clear counts under TLS (RFC 3207 §4.2). */
	d->far_ehlo = (struct smtp_ehlo){ 0 };
	buf_puts(io->far_out, "STARTTLS\r\n");
	expect_push(d, EXPECT_OWN_STARTTLS);
	return DIALOGUE_READ;
}

static enum dialogue_want take_own_helo(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (!positive(reply))
		return refused(
			d, "4.3.0", "the mail server refuses EHLO and HELO", reply, io);
	d->far_ehlo = (struct smtp_ehlo){ 0 };
	d->far_ready = d->far_knows = true;
	return DIALOGUE_READ;
}

static enum dialogue_want take_own_starttls(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (reply->code == 220) {
		d->far = FAR_HANDSHAKE;
		return DIALOGUE_START_TLS_FAR;
	}
	if (d->demand == DIALOGUE_FAR_ENCRYPT)
		return refused(d, "4.7.4", "the mail server refuses STARTTLS", reply, io);
	/* The leg is still in clear and in step: no need for another. */
	d->far_clear = true;
	far_hello(d, "EHLO", EXPECT_OWN_EHLO, io);
	return DIALOGUE_READ;
}

/* Accepted, XCLIENT begins the session anew (220), and near's EHLO comes next. */
static enum dialogue_want take_own_xclient(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (reply->code != 220)
		return refused(d, "4.3.0",
			"the mail server refuses XCLIENT or this client", reply, io);
	d->far_knows = false;
	d->far_ehlo = (struct smtp_ehlo){ 0 };
	d->far_ready = true;
	return DIALOGUE_READ;
}

/* Near's first chunk waits for this. A far that says no forgets the recipients, too. */
static enum dialogue_want take_own_data(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (!negative(reply)) {
		write_received(d, io, io->far_out);
		d->recast = true;
		return DIALOGUE_READ;
	}
	smtp_reply_write(io->held, reply);
	swallow_chunks(d, far_refusal);
	buf_puts(io->far_out, "RSET\r\n");
	expect_push(d, EXPECT_OWN_RSET);
	return DIALOGUE_READ;
}

static enum dialogue_want take_own_mail(
	struct dialogue *d, const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (positive(reply))
		return DIALOGUE_READ;
	d->mail_refused = true;
	buf_release(io->held);
	smtp_reply_write(io->held, reply);
	return DIALOGUE_READ;
}

/* ---- the table ---- */

enum {
	CLASS_2 = 1 << 2,
	CLASS_3 = 1 << 3,
	CLASS_4 = 1 << 4,
	CLASS_5 = 1 << 5,
	USUAL = CLASS_2 | CLASS_4 | CLASS_5,
};

static const struct answer {
	taker *take;
	unsigned classes; /* first digits that make sense */
	bool visible;	  /* near awaits it */
} answers[] = {
	[EXPECT_GREETING] = { take_greeting, USUAL, false },
	[EXPECT_EHLO] = { take_ehlo, USUAL, true },
	[EXPECT_HELO] = { take_helo, USUAL, true },
	[EXPECT_HELO_FALLBACK] = { take_helo_fallback, USUAL, true },
	[EXPECT_MAIL] = { take_mail, USUAL, true },
	[EXPECT_RCPT] = { take_rcpt, USUAL, true },
	[EXPECT_DATA] = { take_data, CLASS_3 | CLASS_4 | CLASS_5, true },
	[EXPECT_EOD] = { take_eod, USUAL, true },
	[EXPECT_CHUNK] = { pass_on, USUAL, true },
	[EXPECT_LAST_CHUNK] = { take_eod, USUAL, true },
	[EXPECT_RSET] = { take_rset, USUAL, true },
	[EXPECT_NOOP] = { pass_on, USUAL, true },
	[EXPECT_QUIT] = { take_quit, USUAL, true },
	[EXPECT_AUTH] = { take_auth, USUAL | CLASS_3, true },
	[EXPECT_OWN_EHLO] = { take_own_ehlo, USUAL, false },
	[EXPECT_OWN_HELO] = { take_own_helo, USUAL, false },
	[EXPECT_OWN_STARTTLS] = { take_own_starttls, USUAL, false },
	[EXPECT_OWN_XCLIENT] = { take_own_xclient, USUAL, false },
	[EXPECT_OWN_AUTH] = { take_own_auth, USUAL | CLASS_3, false },
	[EXPECT_OWN_MAIL] = { take_own_mail, USUAL, false },
	[EXPECT_OWN_RSET] = { swallow, USUAL, false },
	[EXPECT_OWN_CHUNK] = { swallow, USUAL, false },
	[EXPECT_OWN_DATA] = { take_own_data, CLASS_3 | CLASS_4 | CLASS_5, false },
	[EXPECT_OWN_EOD] = { take_own_eod, USUAL, false },
};
static_assert(sizeof(answers) / sizeof(*answers) == EXPECTS, "an answer each");

bool is_visible(enum expect what)
{
	return what != EXPECT_NOTHING && answers[what].visible;
}

/* 421 at any time: far is about to close. */
static enum dialogue_want far_closes(struct dialogue *d, bool awaited,
	const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (dialogue_preparing(d))
		return refused(
			d, "4.3.0", "the mail server closed the session", reply, io);
	if (d->service->synthesised && !awaited)
		return dialogue_far_lost(
			d, "the mail server closed the session (421)", io);
	smtp_reply_write(io->near_out, reply);
	return finish(d, NULL, DIALOGUE_END_SERVER,
		"the mail server closed the session (421)", io);
}

/*
 * Far speaks while near's message is still coming: what it says is judged when that has
 * ended. Nothing more of the message goes to far then, but for a chunk that it refuses:
 * the rest of that keeps far in step.
 */
static bool too_early(struct dialogue *d, bool accepts)
{
	bool chunk = d->near == NEAR_CHUNK && d->fifo_count <= 1 && !d->recast;
	if (d->near != NEAR_BODY && !chunk && !d->recast)
		return false;
	if (!chunk || (accepts && expect_head(d) == EXPECT_LAST_CHUNK))
		d->cut = d->body_discard = true;
	return true;
}

/* 220 with nothing behind it, or a refusal that leaves the leg in step. */
static bool answers_starttls(enum smtp_reply_status status,
	const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (status != SMTP_REPLY_OK)
		return false;
	bool accepted = reply->code == 220 && io->far_behind == 0;
	return accepted || (negative(reply) && reply->code != 421);
}

enum dialogue_want dialogue_far_reply(struct dialogue *d, enum smtp_reply_status status,
	const struct smtp_reply *reply, const struct dialogue_io *io)
{
	if (d->near == NEAR_CLOSED)
		return DIALOGUE_CLOSE;
	if (d->far != FAR_UP)
		return DIALOGUE_READ;
	if (too_early(d, status == SMTP_REPLY_OK && positive(reply)))
		return DIALOGUE_HOLD;
	d->events++;
	if (expect_head(d) == EXPECT_OWN_STARTTLS && d->demand == DIALOGUE_FAR_MAY &&
		!answers_starttls(status, reply, io))
		return far_in_clear(d, "no answer to STARTTLS that makes sense");
	if (status != SMTP_REPLY_OK)
		return nonsense(d, io);
	enum expect head = expect_pop(d);
	bool awaited = is_visible(head);
	if (reply->code == 421 && head != EXPECT_GREETING)
		return far_closes(d, awaited, reply, io);
	/* An answer to nothing would be taken for the answer to near's next command. */
	if (head == EXPECT_NOTHING ||
		!(answers[head].classes & (1u << reply->code / 100)))
		return nonsense(d, io);
	/* RFC 3207 §6: what stands behind the 220 was said by nobody in TLS. */
	if (head == EXPECT_OWN_STARTTLS && reply->code == 220 && io->far_behind > 0)
		return dialogue_far_unfit(
			d, "4.7.5", "octets behind the answer to STARTTLS", io);
	return answers[head].take(d, reply, io);
}
