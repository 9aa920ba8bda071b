/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The mail transaction: MAIL, RCPT, and how the message begins by DATA or BDAT. Paths and
 * parameters are written anew from what was understood: what was judged is what far sees.
 *
 * Where words are mirrored MAIL and RCPT are passed on at once. Where they are
 * synthesised MAIL is answered here and held; the first RCPT asks the policy, opens the
 * far leg, and then MAIL goes before it.
 */

#include "dialogue_private.h"

#include <stdio.h>
#include <string.h>

/* ---- parameters ---- */

static const struct parameter {
	const char *name;
	uint32_t keyword; /* what near must have been offered for it */
	bool mail;	  /* of MAIL, else of RCPT */
} parameters[] = {
	{ "SIZE", SMTP_KW(SIZE), true },
	{ "BODY", SMTP_KW(8BITMIME), true },
	{ "SMTPUTF8", SMTP_KW(SMTPUTF8), true },
	{ "AUTH", SMTP_KW(AUTH), true },
	{ "RET", SMTP_KW(DSN), true },
	{ "ENVID", SMTP_KW(DSN), true },
	{ "NOTIFY", SMTP_KW(DSN), false },
	{ "ORCPT", SMTP_KW(DSN), false },
};

static const struct parameter *parameter_find(struct span name, bool mail)
{
	for (size_t i = 0; i < sizeof(parameters) / sizeof(*parameters); i++)
		if (parameters[i].mail == mail && span_is(name, parameters[i].name))
			return &parameters[i];
	return NULL;
}

/* What a MAIL asks for beyond its path. */
struct mail_wishes {
	bool utf8, binary;
	bool dsn_lost; /* far lacks DSN: a parameter of it was left out */
	uint64_t size;
};

static const char *wish(const struct dialogue *d, const struct parameter *p,
	struct span value, struct mail_wishes *wishes)
{
	if (p->keyword == SMTP_KW(SIZE)) {
		if (!span_number(value, &wishes->size))
			return "501 5.5.4 SIZE takes a number";
		if (d->service->message_size != 0 &&
			wishes->size > d->service->message_size)
			return "552 5.3.4 The message is too big";
	}
	if (p->keyword == SMTP_KW(8BITMIME) && span_is(value, "BINARYMIME")) {
		wishes->binary = true;
		if (!(d->near_keywords & SMTP_KW(BINARYMIME)))
			return "555 5.5.4 BODY=BINARYMIME is not offered";
	}
	if (p->keyword == SMTP_KW(SMTPUTF8))
		wishes->utf8 = true;
	return NULL;
}

/* What far lacks is dropped where only comfort is lost (NULL), else refused. */
static const char *lacking(uint32_t keyword)
{
	switch (keyword) {
	case SMTP_KW(8BITMIME):
		return "451 4.6.3 The next server does not take 8-bit text";
	case SMTP_KW(SMTPUTF8): return "550 5.6.7 The next server does not take SMTPUTF8";
	default: return NULL;
	}
}

/*
 * Reads the parameters in `rest`, and writes those that far knows to `out` (NULL: only
 * reads). Returns a refusal, or NULL when all is well.
 */
static const char *take_parameters(const struct dialogue *d, struct span rest, bool mail,
	struct buf *out, struct mail_wishes *wishes)
{
	struct span name, value;
	bool broken = false;
	while (smtp_parameter(&rest, &name, &value, &broken)) {
		const struct parameter *p = parameter_find(name, mail);
		if (!p || !(d->near_keywords & p->keyword))
			return "555 5.5.4 This parameter is not offered";
		const char *refusal = wish(d, p, value, wishes);
		bool known = p->keyword == SMTP_KW(AUTH) ||
			     (d->far_ehlo.keywords & p->keyword);
		if (!refusal && out && d->far_ehlo.size != 0 &&
			wishes->size > d->far_ehlo.size)
			refusal = "552 5.3.4 The message is too big for the next server";
		if (!refusal && out && !known && !span_is(value, "7BIT"))
			refusal = lacking(p->keyword);
		if (refusal)
			return refusal;
		wishes->dsn_lost |= out && !known && p->keyword == SMTP_KW(DSN);
		if (!out || !known)
			continue;
		buf_printf(out, " %s", p->name);
		if (value.at)
			buf_printf(out, "=%.*s", (int)value.length, value.at);
	}
	return broken ? "501 5.5.4 The parameters cannot be read" : NULL;
}

/* ---- MAIL ---- */

static size_t note(char *to, size_t room, const char *octets, size_t length)
{
	size_t n = length < room ? length : room;
	memcpy(to, octets, n);
	return n;
}

/* For the log alone, so a path too long for it is cut. */
static void note_path(char to[DIALOGUE_PATH], const struct smtp_path *path)
{
	size_t room = DIALOGUE_PATH - 1,
	       n = note(to, room, path->local.at, path->local.length);
	if (path->domain.length > 0) {
		n += note(to + n, room - n, "@", 1);
		n += note(to + n, room - n, path->domain.at, path->domain.length);
	}
	to[n] = '\0';
	if (n == room)
		memcpy(to + room - 3, "...", 3);
}

/* Reads all of MAIL's argument. Returns a refusal or NULL. */
static const char *read_mail(const struct dialogue *d, struct span argument,
	struct smtp_path *path, struct span *rest, struct mail_wishes *wishes)
{
	if (!argument.at)
		return "501 5.5.4 MAIL takes FROM:<path>";
	bool may_utf8 = d->near_keywords & SMTP_KW(SMTPUTF8);
	enum smtp_path_status status = smtp_path(argument, may_utf8, path, rest);
	if (status == SMTP_PATH_SYNTAX)
		return "501 5.1.7 The sender's address cannot be read";
	const char *refusal = NULL;
	if (status == SMTP_PATH_OK)
		refusal = take_parameters(d, *rest, true, NULL, wishes);
	struct span ignored;
	if (status == SMTP_PATH_NONASCII ||
		(!refusal && !wishes->utf8 && smtp_path(argument, false, path, &ignored)))
		return "553 5.6.7 An address beyond ASCII needs SMTPUTF8";
	return refusal;
}

/* MAIL goes to far. Returns a refusal where far lacks what it asks for. */
static const char *forward_mail(struct dialogue *d, const struct smtp_path *path,
	struct span rest, enum expect what, const struct dialogue_io *io)
{
	struct mail_wishes ignored = { 0 };
	struct buf line;
	buf_init(&line, io->far_out->pool);
	buf_puts(&line, "MAIL FROM:");
	smtp_path_write(&line, path);
	const char *refusal = take_parameters(d, rest, true, &line, &ignored);
	d->dsn_lost |= ignored.dsn_lost;
	buf_puts(&line, "\r\n");
	io->far_out->failed |= line.failed;
	if (!refusal) {
		buf_move(io->far_out, &line, buf_length(&line));
		expect_push(d, what);
	}
	buf_release(&line);
	return refusal;
}

/* The policy says no, for this recipient or (421) for all of the session. */
static enum dialogue_want say_refusal(struct dialogue *d, const struct dialogue_io *io)
{
	const char *refusal = d->refusal;
	d->policy = POLICY_NONE;
	if (strncmp(refusal, "421", 3) == 0)
		return finish(d, refusal, DIALOGUE_END_SERVER, refusal, io);
	say(io, refusal);
	return DIALOGUE_READ;
}

/* Whether the sender's domain allows this MAIL. If not, *want is what comes of it. */
static bool sender_allowed(struct dialogue *d, struct span domain,
	const struct dialogue_io *io, enum dialogue_want *want)
{
	switch (d->policy) {
	case POLICY_NONE:
		d->policy = POLICY_ASKED;
		d->asked = domain;
		*want = DIALOGUE_ASK_POLICY;
		return false;
	case POLICY_ASKED: *want = DIALOGUE_HOLD; return false;
	case POLICY_REFUSED: *want = say_refusal(d, io); return false;
	default: return true;
	}
}

enum dialogue_want near_mail(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	/* A RSET under way ends the transaction only when it is answered. */
	if (!drained(d))
		return DIALOGUE_HOLD;
	struct smtp_path path;
	struct span rest;
	struct mail_wishes wishes = { 0 };
	const char *refusal = d->mail ? "503 5.5.1 A transaction is under way already"
				      : read_mail(d, argument, &path, &rest, &wishes);
	if (refusal)
		return refuse(d, refusal, io);
	enum dialogue_want want;
	if (io->ask_sender && !sender_allowed(d, path.domain, io, &want))
		return want;
	transaction_clear(d, io); /* chunks refused or recipients taken without a MAIL */
	if (d->service->synthesised) {
		buf_printf(io->held, "%.*s\r\n", (int)argument.length, argument.at);
		say(io, "250 2.1.0 Ok");
	} else {
		refusal = forward_mail(d, &path, rest, EXPECT_MAIL, io);
		if (refusal)
			return refuse(d, refusal, io);
	}
	note_path(d->from, &path);
	d->to[0] = '\0';
	d->mail = true;
	d->utf8 = wishes.utf8;
	d->binary = wishes.binary;
	d->message_octets = 0;
	return DIALOGUE_READ;
}

/* ---- RCPT ---- */

enum dialogue_want answer_refused_mail(const struct dialogue_io *io)
{
	buf_append(io->near_out, buf_head(io->held), buf_length(io->held));
	return DIALOGUE_READ;
}

/* The held MAIL goes before the first RCPT that far gets to see. False: it cannot. */
static bool release_mail(struct dialogue *d, const struct dialogue_io *io)
{
	struct span argument = { (const char *)buf_head(io->held),
		buf_length(io->held) - 2 };
	struct smtp_path path;
	struct span rest;
	struct mail_wishes wishes = { 0 };
	read_mail(d, argument, &path, &rest, &wishes);
	const char *refusal = forward_mail(d, &path, rest, EXPECT_OWN_MAIL, io);
	buf_release(io->held);
	if (!refusal)
		return true;
	d->mail_refused = true;
	buf_printf(io->held, "%s\r\n", refusal);
	return false;
}

/* Synthesised: whether this RCPT may go now. If not, *want is what comes before. */
static bool decided(struct dialogue *d, const struct smtp_path *path,
	const struct dialogue_io *io, enum dialogue_want *want)
{
	*want = DIALOGUE_HOLD;
	if (d->mail_refused || transaction_lost(d, io)) {
		if (!drained(d))
			return false;
		d->policy = POLICY_NONE; /* it is not about the policy any more */
		if (d->mail_refused)
			answer_refused_mail(io);
		else
			say_lost(d, io);
		*want = DIALOGUE_READ;
		return false;
	}
	switch (d->policy) {
	case POLICY_NONE:
		d->policy = POLICY_ASKED;
		d->asked = path->domain;
		*want = DIALOGUE_ASK_POLICY;
		return false;
	case POLICY_ASKED: return false;
	case POLICY_REFUSED:
		if (drained(d))
			*want = say_refusal(d, io);
		return false;
	default:
		if (!d->far_ready)
			return false;
		if (buf_length(io->held) == 0 || release_mail(d, io))
			return true;
		*want = answer_refused_mail(io);
		return false;
	}
}

static const char *read_rcpt(const struct dialogue *d, struct span argument,
	struct smtp_path *path, struct span *rest)
{
	if (!d->mail)
		return "503 5.5.1 Send MAIL first";
	if (d->chunked)
		return "503 5.5.1 BDAT has begun: no recipient can follow";
	if (!argument.at)
		return "501 5.5.4 RCPT takes TO:<path>";
	struct mail_wishes ignored = { 0 };
	switch (smtp_path(argument, d->utf8, path, rest)) {
	case SMTP_PATH_NONASCII:
		return "553 5.6.7 An address beyond ASCII needs SMTPUTF8";
	case SMTP_PATH_OK:
		if (path->local.length > 0)
			return take_parameters(d, *rest, false, NULL, &ignored);
		/* fall through */
	default: return "501 5.1.3 The recipient's address cannot be read";
	}
}

static void forward_rcpt(struct dialogue *d, const struct smtp_path *path,
	struct span rest, const struct dialogue_io *io)
{
	struct mail_wishes ignored = { 0 };
	buf_puts(io->far_out, "RCPT TO:");
	smtp_path_write(io->far_out, path);
	take_parameters(d, rest, false, io->far_out, &ignored);
	d->dsn_lost |= ignored.dsn_lost;
	buf_puts(io->far_out, "\r\n");
	expect_push(d, EXPECT_RCPT);
	d->policy = POLICY_NONE;
	if (d->to[0] == '\0')
		note_path(d->to, path);
}

/*
 * Refuses a command when all before it is answered. What only follows from a refusal of
 * far's (`chained`) was pipelined in good faith, and does not count against near.
 */
static enum dialogue_want refuse_in_turn(
	struct dialogue *d, const char *line, bool chained, const struct dialogue_io *io)
{
	if (!drained(d))
		return DIALOGUE_HOLD;
	if (!chained)
		return refuse(d, line, io);
	say(io, line);
	return DIALOGUE_READ;
}

enum dialogue_want near_rcpt(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	struct smtp_path path;
	struct span rest;
	const char *refusal = read_rcpt(d, argument, &path, &rest);
	if (refusal)
		return refuse_in_turn(d, refusal, d->mail_refused, io);
	if (d->recipients + d->fifo_count >= d->service->recipients) {
		if (!drained(d))
			return DIALOGUE_HOLD;
		say(io, "452 4.5.3 Too many recipients");
		return DIALOGUE_READ;
	}
	enum dialogue_want want;
	if (d->service->synthesised && !decided(d, &path, io, &want))
		return want;
	if (!may_forward(d))
		return DIALOGUE_HOLD;
	forward_rcpt(d, &path, rest, io);
	return DIALOGUE_READ;
}

/* ---- DATA and BDAT ---- */

void write_received(
	const struct dialogue *d, const struct dialogue_io *io, struct buf *out)
{
	if (!d->service->received)
		return;
	struct trace trace = *io->trace;
	trace.helo = d->helo;
	trace.esmtp = d->esmtp;
	trace.auth = d->authenticated;
	trace.utf8 = d->utf8;
	trace_received(out, &trace);
}

const char no_recipients[] = "554 5.5.1 No valid recipients";

enum dialogue_want data_refused(struct dialogue *d, const struct dialogue_io *io)
{
	if (io->near_behind == 0)
		return DIALOGUE_READ;
	return hang_up(d, "421 4.7.0", DIALOGUE_END_ABUSE, "Octets behind DATA", io);
}

enum dialogue_want near_data(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	const char *refusal = NULL;
	if (transaction_lost(d, io)) {
		if (!drained(d))
			return DIALOGUE_HOLD;
		say_lost(d, io);
		return data_refused(d, io);
	}
	if (argument.length > 0)
		refusal = "501 5.5.4 DATA takes no parameter";
	else if (!d->mail)
		refusal = "503 5.5.1 Send MAIL first";
	else if (d->chunked)
		refusal = "503 5.5.1 BDAT has begun: DATA cannot follow";
	else if (d->binary)
		refusal = "503 5.5.1 BODY=BINARYMIME needs BDAT";
	else if (d->recipients == 0 && drained(d))
		refusal = no_recipients;
	if (refusal) {
		bool chained = d->mail_refused || refusal == no_recipients;
		enum dialogue_want want = refuse_in_turn(d, refusal, chained, io);
		return want == DIALOGUE_READ ? data_refused(d, io) : want;
	}
	if (!may_forward(d))
		return DIALOGUE_HOLD;
	buf_puts(io->far_out, "DATA\r\n");
	expect_push(d, EXPECT_DATA);
	d->near = NEAR_WAITING;
	return DIALOGUE_READ;
}

/* Why the chunk cannot be passed on, or NULL. */
static const char *chunk_fault(const struct dialogue *d, uint64_t octets)
{
	uint64_t max = d->service->message_size;
	if (d->near == NEAR_GREETED)
		return "503 5.5.1 Send EHLO first";
	if (!(d->near_keywords & SMTP_KW(CHUNKING)))
		return "503 5.5.1 BDAT is not offered";
	if (!d->mail)
		return "503 5.5.1 Send MAIL first";
	if (d->recipients == 0)
		return no_recipients;
	if (max != 0 && (octets > max || d->message_octets > max - octets))
		return "552 5.3.4 The message is too big";
	return NULL;
}

/*
 * We have offered CHUNKING for a far that may lack it. Then its DATA is made of near's
 * chunks, as lines and not as octets: BODY=BINARYMIME is never offered by ourselves.
 */
static bool recasts(const struct dialogue *d)
{
	return d->service->synthesised && !(d->far_ehlo.keywords & SMTP_KW(CHUNKING));
}

/* RFC 3030 §2: our own line is a chunk of its own, whose reply near does not see. */
static void insert_received(struct dialogue *d, const struct dialogue_io *io)
{
	struct buf line;
	d->traced = true;
	buf_init(&line, io->far_out->pool);
	write_received(d, io, &line);
	io->far_out->failed |= line.failed;
	if (buf_length(&line) > 0) {
		buf_printf(io->far_out, "BDAT %zu\r\n", buf_length(&line));
		buf_move(io->far_out, &line, buf_length(&line));
		expect_push(d, EXPECT_OWN_CHUNK);
	}
	buf_release(&line);
}

static enum dialogue_want begin_chunk(
	struct dialogue *d, uint64_t octets, bool last, const struct dialogue_io *io)
{
	d->near_before = d->near; /* perhaps nobody has said EHLO yet */
	d->near = NEAR_CHUNK;
	d->body_chunk = true;
	d->body_first = !d->chunked;
	d->body_last = last;
	d->body_octets = octets;
	d->body_discard = d->refusing || d->cut;
	d->chunked = true;
	if (d->refusing)
		return DIALOGUE_BODY;
	d->message_octets += octets;
	if (d->recast)
		return DIALOGUE_BODY;
	buf_printf(io->far_out, "BDAT %llu%s\r\n", (unsigned long long)octets,
		last ? " LAST" : "");
	expect_push(d, last ? EXPECT_LAST_CHUNK : EXPECT_CHUNK);
	return DIALOGUE_BODY;
}

/* The chunk is held until far has said that it takes the message. */
static enum dialogue_want begin_recast(struct dialogue *d, const struct dialogue_io *io)
{
	buf_puts(io->far_out, "DATA\r\n");
	expect_push(d, EXPECT_OWN_DATA);
	return DIALOGUE_HOLD;
}

enum dialogue_want near_bdat(
	struct dialogue *d, struct span argument, const struct dialogue_io *io)
{
	uint64_t octets;
	bool last;
	/* Only far's word on the recipients tells whether there is a transaction. */
	if (!drained(d) && (!d->chunked || d->refusing || !may_forward(d)))
		return DIALOGUE_HOLD;
	if (!smtp_bdat(argument, &octets, &last))
		/* How much follows is unknown: nothing behind it can be a command. */
		return finish(d, "501 5.5.4 BDAT takes a size, and LAST; closing",
			DIALOGUE_END_ABUSE, "BDAT without a size", io);
	if (!d->refusing) {
		const char *fault = chunk_fault(d, octets);
		if (d->far == FAR_GONE &&
			(!d->service->synthesised || transaction_lost(d, io)))
			swallow_chunks(d, NULL);
		else if (fault && !drained(d))
			return DIALOGUE_HOLD;
		else if (fault)
			swallow_chunks(d, fault);
	}
	if (!d->refusing && recasts(d))
		return d->recast ? begin_chunk(d, octets, last, io) : begin_recast(d, io);
	if (!d->refusing && !d->traced)
		insert_received(d, io);
	/* Where far lacks PIPELINING, our own chunk must be answered first. */
	if (!d->refusing && !may_forward(d))
		return DIALOGUE_HOLD;
	return begin_chunk(d, octets, last, io);
}
