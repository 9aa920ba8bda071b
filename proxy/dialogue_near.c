/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Near's commands: one rule a verb says what must be so before it is taken, one function
 * does it. What is not in the table is answered here and never passed on: an unknown verb
 * may switch the stream to something that nobody can frame.
 */

#include "dialogue_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

typedef enum dialogue_want handler(
	struct dialogue *d, struct span argument, const struct dialogue_io *io);

/* ---- greeting ---- */

static bool printable(struct span s)
{
	for (size_t i = 0; i < s.length; i++)
		if ((unsigned char)s.at[i] < ' ' || s.at[i] == 127)
			return false;
	return true;
}

static enum dialogue_want hello(
	struct dialogue *d, struct span name, bool esmtp, const struct dialogue_io *io)
{
	if (name.length == 0 || !printable(name))
		return refuse(d, "501 5.5.4 A host name is needed", io);
	snprintf(d->helo, sizeof(d->helo), "%.*s", (int)name.length, name.at);
	d->esmtp = esmtp;
	d->near_keywords = 0;
	if (d->service->synthesised) {
		transaction_abandon(d, io);
		d->near = NEAR_READY;
		say_hello(d, io);
		return DIALOGUE_READ;
	}
	/* RFC 5321 §4.1.4: a new EHLO resets the transaction, at far as well. */
	transaction_clear(d, io);
	buf_printf(io->far_out, "%s %.*s\r\n", esmtp ? "EHLO" : "HELO", (int)name.length,
		name.at);
	expect_push(d, esmtp ? EXPECT_EHLO : EXPECT_HELO);
	d->near = NEAR_WAITING;
	return DIALOGUE_READ;
}

static enum dialogue_want near_ehlo(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	return hello(d, argument, true, io);
}

static enum dialogue_want near_helo(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	return hello(d, argument, false, io);
}

void say_ehlo(struct dialogue *d, struct span greeting, const struct dialogue_io *io)
{
	const struct dialogue_service *service = d->service;
	struct smtp_ehlo ehlo = { .size = service->message_size };
	if (service->synthesised) {
		ehlo.keywords = service->offer;
	} else {
		const struct smtp_ehlo *far = &d->far_ehlo;
		ehlo.keywords = (far->keywords & SMTP_KW_MIRRORED) | SMTP_KW(PIPELINING);
		if (!(far->keywords & SMTP_KW(CHUNKING)))
			ehlo.keywords &= ~SMTP_KW(BINARYMIME);
		if (ehlo.size == 0 || (far->size != 0 && far->size < ehlo.size))
			ehlo.size = far->size;
		if (ehlo.size != 0)
			ehlo.keywords |= SMTP_KW(SIZE);
		if (d->near_tls || service->auth_clear)
			ehlo.mechanisms = far->mechanisms & service->mechanisms;
		if (ehlo.mechanisms != 0)
			ehlo.keywords |= SMTP_KW(AUTH);
	}
	bool offers_tls = service->near_tls == DIALOGUE_NEAR_OFFER ||
			  service->near_tls == DIALOGUE_NEAR_REQUIRE;
	if (offers_tls && !d->near_tls)
		ehlo.keywords |= SMTP_KW(STARTTLS);
	d->near_keywords = ehlo.keywords;
	smtp_ehlo_write(io->near_out, greeting, &ehlo);
}

void say_hello(struct dialogue *d, const struct dialogue_io *io)
{
	const char *hostname = d->service->hostname;
	if (d->esmtp)
		say_ehlo(d, (struct span){ hostname, strlen(hostname) }, io);
	else
		buf_printf(io->near_out, "250 %s\r\n", hostname);
}

/* ---- STARTTLS and AUTH ---- */

static enum dialogue_want near_starttls(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	if (argument.length > 0)
		return refuse(d, "501 5.5.4 STARTTLS takes no parameter", io);
	if (d->near_tls)
		return refuse(d, "503 5.5.1 TLS is up already", io);
	if (!(d->near_keywords & SMTP_KW(STARTTLS)))
		return refuse(d, "502 5.5.1 STARTTLS is not offered", io);
	/*
	 * RFC 3207 §5: whoever can slip octets in behind STARTTLS is not the client.
	 * They are never looked at, under TLS or before it.
	 */
	if (io->near_behind > 0)
		return hang_up(
			d, "421 4.7.0", DIALOGUE_END_ABUSE, "Octets behind STARTTLS", io);
	/*
	 * RFC 3207 §4 has 454 for it, behind which most go on in clear: then whoever
	 * keeps us busy would read everybody's mail. Behind 421 they keep it and come
	 * again.
	 */
	if (io->tls_busy)
		return hang_up(d, "421 4.7.0", DIALOGUE_END_TLS,
			"Too many TLS handshakes, try again later", io);
	say(io, "220 2.0.0 Ready to start TLS");
	d->near = NEAR_HANDSHAKE;
	return DIALOGUE_START_TLS_NEAR;
}

static enum dialogue_want near_auth(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	size_t length = 0;
	while (length < argument.length && argument.at[length] != ' ')
		length++;
	struct span name = { argument.at, length };
	int mechanism = smtp_mechanism_find(name);
	if (!d->near_tls && d->service->mechanisms != 0 && !d->service->auth_clear)
		return refuse(d, "538 5.7.11 AUTH needs TLS: say STARTTLS first", io);
	if (!(d->near_keywords & SMTP_KW(AUTH)))
		return refuse(d, "502 5.5.1 AUTH is not offered", io);
	if (d->authenticated || d->mail)
		return refuse(d, "503 5.5.1 AUTH is not allowed now", io);
	if (mechanism < 0 ||
		!(d->far_ehlo.mechanisms & d->service->mechanisms & (1u << mechanism)))
		return refuse(d, "504 5.5.4 This mechanism is not offered", io);
	buf_printf(io->far_out, "AUTH %.*s\r\n", (int)argument.length, argument.at);
	expect_push(d, EXPECT_AUTH);
	d->near = NEAR_WAITING;
	return DIALOGUE_READ;
}

/* The response to a 334 is opaque: nothing in it is a command. */
static enum dialogue_want near_auth_response(struct dialogue *d,
	enum smtp_line_status status, struct span line, const struct dialogue_io *io)
{
	if (status != SMTP_LINE_OK)
		line = (struct span){ "*", 1 }; /* cancels, RFC 4954 §4 */
	buf_append(io->far_out, line.at, line.length);
	buf_puts(io->far_out, "\r\n");
	expect_push(d, EXPECT_AUTH);
	d->near = NEAR_WAITING;
	return DIALOGUE_READ;
}

/* ---- the rest ---- */

static enum dialogue_want near_rset(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	if (argument.length > 0)
		return refuse(d, "501 5.5.4 RSET takes no parameter", io);
	if (d->service->synthesised) {
		transaction_abandon(d, io);
		say(io, "250 2.0.0 Ok");
		return DIALOGUE_READ;
	}
	d->chunked = false; /* a chunk behind it waits until far has answered */
	buf_puts(io->far_out, "RSET\r\n");
	expect_push(d, EXPECT_RSET);
	return DIALOGUE_READ;
}

/* Passed on, so that far's idle timer sees that somebody is there. */
static enum dialogue_want near_noop(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	(void)argument;
	if (d->service->synthesised) {
		say(io, "250 2.0.0 Ok");
		return DIALOGUE_READ;
	}
	buf_puts(io->far_out, "NOOP\r\n");
	expect_push(d, EXPECT_NOOP);
	return DIALOGUE_READ;
}

static enum dialogue_want near_quit(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	if (argument.length > 0)
		return refuse(d, "501 5.5.4 QUIT takes no parameter", io);
	if (d->far == FAR_UP && d->far_ready && !d->recast)
		buf_puts(io->far_out, "QUIT\r\n");
	if (d->service->synthesised || d->far != FAR_UP || !d->far_ready)
		return finish(d, "221 2.0.0 Bye", DIALOGUE_END_QUIT, d->reason, io);
	expect_push(d, EXPECT_QUIT);
	d->near = NEAR_WAITING;
	return DIALOGUE_READ;
}

static enum dialogue_want near_vrfy(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	(void)d, (void)argument;
	say(io, "252 2.5.0 Send some mail, and it will be tried");
	return DIALOGUE_READ;
}

static enum dialogue_want near_help(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	(void)d, (void)argument;
	say(io, "214 2.0.0 RFC 5321 tells");
	return DIALOGUE_READ;
}

static enum dialogue_want near_refused(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	(void)argument;
	return refuse(d, "502 5.5.1 Command not offered", io);
}

static enum dialogue_want near_unknown(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	(void)argument;
	return refuse(d, "500 5.5.1 Command not known", io);
}

/* ALPACA: somebody makes a browser speak to us. Nothing that it sends is read on. */
static enum dialogue_want near_http(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	(void)argument;
	return hang_up(d, "421 4.7.0", DIALOGUE_END_ABUSE, "This is SMTP, not HTTP", io);
}

/* ---- rules ---- */

enum {
	FORWARDED = 1, /* goes to far where words are mirrored, when that may be */
	ANSWERED = 2,  /* waits until all before it is answered */
	AFTER_HELLO = 4,
	IN_CLEAR = 8, /* also where TLS is required and not yet up (RFC 3207 §4) */
};

static const struct rule {
	handler *take;
	unsigned flags;
} rules[] = {
	[SMTP_UNKNOWN] = { near_unknown, ANSWERED },
	[SMTP_EHLO] = { near_ehlo, FORWARDED | ANSWERED | IN_CLEAR },
	[SMTP_HELO] = { near_helo, FORWARDED | ANSWERED },
	[SMTP_MAIL] = { near_mail, AFTER_HELLO },
	[SMTP_RCPT] = { near_rcpt, AFTER_HELLO },
	[SMTP_DATA] = { near_data, AFTER_HELLO },
	[SMTP_BDAT] = { near_bdat, 0 },
	[SMTP_RSET] = { near_rset, FORWARDED },
	[SMTP_NOOP] = { near_noop, FORWARDED | IN_CLEAR },
	[SMTP_QUIT] = { near_quit, ANSWERED | IN_CLEAR },
	[SMTP_STARTTLS] = { near_starttls, ANSWERED | AFTER_HELLO | IN_CLEAR },
	[SMTP_AUTH] = { near_auth, FORWARDED | ANSWERED | AFTER_HELLO },
	[SMTP_VRFY] = { near_vrfy, ANSWERED },
	[SMTP_EXPN] = { near_vrfy, ANSWERED },
	[SMTP_HELP] = { near_help, ANSWERED },
	[SMTP_TURN] = { near_refused, ANSWERED },
	[SMTP_ATRN] = { near_refused, ANSWERED },
	[SMTP_ETRN] = { near_refused, ANSWERED },
	[SMTP_HTTP] = { near_http, 0 },
};
static_assert(sizeof(rules) / sizeof(*rules) == SMTP_VERBS, "a rule each");

/* Whether the command must wait for far; our word on a fault waits for its turn too. */
static bool must_wait(const struct dialogue *d, unsigned flags, bool fault)
{
	bool forwards = !fault && (flags & FORWARDED) && !d->service->synthesised;
	bool answers = fault || (flags & ANSWERED) || ((flags & FORWARDED) && !forwards);
	return (answers && !drained(d)) || (forwards && !may_forward(d));
}

static const char *fault_of(
	const struct dialogue *d, enum smtp_line_status status, unsigned flags)
{
	if (status == SMTP_LINE_LONG)
		return "500 5.5.2 Line too long";
	if (status == SMTP_LINE_BARE)
		return "500 5.5.2 A line ends in CRLF, and holds no other CR, LF or NUL";
	if (d->service->near_tls == DIALOGUE_NEAR_REQUIRE && !d->near_tls &&
		!(flags & IN_CLEAR))
		return "530 5.7.0 Must issue a STARTTLS command first";
	if ((flags & AFTER_HELLO) && d->near == NEAR_GREETED)
		return "503 5.5.1 Send EHLO or HELO first";
	return NULL;
}

/*
 * A line with a fault is no command. But if it would have been BDAT then octets follow,
 * and nobody knows how many: that is as good as one without a size.
 */
static struct smtp_command read_command(enum smtp_line_status status, struct span line)
{
	struct smtp_command command = { .verb = SMTP_UNKNOWN };
	if (status == SMTP_LINE_LONG)
		return command;
	smtp_command(line, &command);
	if (status == SMTP_LINE_BARE)
		command = (struct smtp_command){
			.verb = command.verb == SMTP_BDAT ? SMTP_BDAT : SMTP_UNKNOWN,
			.argument = { "", 0 },
		};
	return command;
}

enum dialogue_want dialogue_near_line(struct dialogue *d, enum smtp_line_status status,
	struct span line, const struct dialogue_io *io)
{
	if (d->near == NEAR_CLOSED)
		return DIALOGUE_CLOSE;
	if (d->near == NEAR_AUTH) {
		d->events++;
		return near_auth_response(d, status, line, io);
	}
	struct smtp_command command = read_command(status, line);
	const struct rule *rule = &rules[command.verb];
	const char *fault = fault_of(d, status, rule->flags);
	if (command.verb == SMTP_BDAT)
		fault = NULL; /* its octets must be swallowed whatever we answer */
	bool lost = d->far == FAR_GONE && !d->service->synthesised;
	if (lost && command.verb != SMTP_QUIT && command.verb != SMTP_BDAT)
		return hang_up(d, "421 4.4.2", DIALOGUE_END_SERVER, d->reason, io);
	if (must_wait(d, rule->flags, fault))
		return DIALOGUE_HOLD;
	enum dialogue_want want =
		fault ? refuse(d, fault, io) : rule->take(d, command.argument, io);
	if (want != DIALOGUE_HOLD && want != DIALOGUE_ASK_POLICY)
		d->events++;
	return want;
}
