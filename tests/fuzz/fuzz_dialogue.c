/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A client and a server that do what the input says, around one whole stream. The client
 * (near) obeys the RFCs or, in rude mode, says anything; the server (far) does as it
 * likes. Both keep their own books, and whatever happens these must agree:
 *
 *	each command of a client that obeys is answered once, and in order;
 *	a 2xx to a message says that the server gave one to that message, whole;
 *	the server reads only commands that we know, never the octets of a chunk as one,
 *	and gets chunks only where it has offered to take them;
 *	the server sees no more ends of messages than the client has said;
 *	what was said before STARTTLS is forgotten behind it, and nothing is read
 *	in between;
 *	no command is left lying, no buffer grows, no memory is lost.
 */

#include "dialogue_play.h"

#include "dialogue_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	QUEUES_MOST = 256 * 1024, /* octets that any buffer may ever hold */
};

void must_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

unsigned take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

void push(struct queue *q, enum kind kind)
{
	q->kind[q->end++ % QUEUE] = kind;
	must(q->end - q->start <= QUEUE);
}

/* ---- the client reads ---- */

static bool client_takes(struct client *c, enum kind kind, unsigned code)
{
	switch (kind) {
	case DATA: c->body = code / 100 == 3; break;
	case AUTH: c->auth = code == 334; break;
	case STARTTLS: return code == 220;
	case END:
	case LAST: c->accepted += code / 100 == 2; break;
	default: must(code / 100 != 3);
	}
	return false;
}

static void client_reads(struct play *p)
{
	static const struct smtp_reply_limits limits = { 1 << 20, 1 << 16 };
	struct client *c = &p->client;
	struct octets *got = &p->stage.near.got;
	struct smtp_reply reply;
	while (got->length > 0) {
		enum smtp_reply_status status =
			smtp_reply((const unsigned char *)octets_head(got), got->length,
				&limits, &reply);
		must(status == SMTP_REPLY_OK);
		octets_drop(got, reply.length);
		must(!c->closing);
		c->closing = reply.code == 421;
		if (c->closing || c->rude)
			continue;
		must(!empty(&c->asked));
		enum kind kind = c->asked.kind[c->asked.start++ % QUEUE];
		if (client_takes(c, kind, reply.code))
			must(p->stage.near.shaking && got->length == 0);
	}
	c->waits &= !empty(&c->asked);
	must(c->rude || p->server.confused || c->accepted <= p->server.accepted);
}

/* ---- what must be so whenever nothing moves ---- */

static void check(struct play *p)
{
	const struct stream *s = &p->stage.stream;
	const struct dialogue *d = &s->dialogue;
	const struct buf *const bufs[] = { &s->near_in, &s->near_out, &s->far_in,
		&s->far_out, &s->held };
	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		must(buf_length(bufs[i]) <= QUEUES_MOST && !bufs[i]->failed);
	must(d->fifo_count <= DIALOGUE_FIFO);
	must(p->server.confused || d->transactions <= p->server.accepted);
	must(!dialogue_closed(d) || p->stage.over);
	bool other = d->fifo_count > 0 || p->stage.asked || p->stage.connecting ||
		     p->stage.near.shaking || p->stage.far.shaking || p->stage.over ||
		     p->stage.near.stalled || p->stage.far.stalled;
	if (other)
		return;
	/* Nothing is waited for but near: then it has its answers, and left no line. */
	must(!dialogue_takes_lines(d) || buf_length(&s->near_in) == 0 ||
		!memchr(buf_head(&s->near_in), '\n', buf_length(&s->near_in)));
	bool sending = p->client.body || p->stage.stream.in_body;
	must(p->client.rude || sending || empty(&p->client.asked));
}

void settle(struct play *p)
{
	stage_run(&p->stage);
	server_reads(p);
	client_reads(p);
	check(p);
}

/* ---- the client speaks ---- */

static void near_says(struct play *p, const char *text, enum kind kind)
{
	octets_append(&p->stage.near.sent, text, strlen(text));
	octets_append(&p->stage.near.sent, "\r\n", 2);
	if (p->client.rude)
		return;
	push(&p->client.asked, kind);
	p->client.said_data |= kind == DATA;
	p->client.ends += kind == END || kind == LAST || kind == DATA;
	/* RFC 2920 §3.1: what must stand last in a group. */
	p->client.waits = kind != COMMAND && kind != END && kind != CHUNK && kind != LAST;
}

/* One in sixteen holds a NUL, which DATA can't. */
static void near_chunk(struct play *p)
{
	char line[64];
	unsigned size = take(&p->in), last = size & 1;
	snprintf(line, sizeof line, "BDAT %u%s", size, last ? " LAST" : "");
	near_says(p, line, last ? LAST : CHUNK);
	for (unsigned i = 0; i < size; i++) {
		bool nul = i == 0 && size / 16 == 7;
		octets_append(&p->stage.near.sent, nul ? "" : &magic[i % MAGIC], 1);
	}
}

/* Raw octets of the input; a client that obeys stuffs dots, or has none. */
static void near_octets(struct play *p)
{
	for (unsigned n = take(&p->in); n > 0 && p->in.left > 0; n--) {
		char c = (char)take(&p->in);
		if (c != '.' || p->client.rude)
			octets_append(&p->stage.near.sent, &c, 1);
	}
}

static void near_body(struct play *p)
{
	if (take(&p->in) & 1) {
		octets_append(&p->stage.near.sent, magic, MAGIC_LINE);
		near_octets(p);
		return;
	}
	octets_append(&p->stage.near.sent, "\r\n", 2);
	near_says(p, ".", END);
	p->client.body = false;
}

static const char *const sayings[] = {
	"EHLO client.example", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA",
	"RSET", "NOOP", "HELO client.example", "QUIT", "STARTTLS",
	"AUTH PLAIN AGEAYg==", "MAIL FROM:<> SIZE=100 BODY=8BITMIME RET=HDRS",
	"MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8 BODY=BINARYMIME",
	"RCPT TO:<c@e.example> NOTIFY=NEVER", "RCPT TO:<broken", "VRFY a", "XEXCH50 2 2",
	"MAIL FROM:<a@b.example> AUTH=<>", "AUTH LOGIN", "DATA now", "STARTTLS now",
	"EHLO", "HELP", "TURN", "GET / HTTP/1.1", "MAIL", "MAIL FROM:<broken",
	"MAIL FROM:<a@b.example> SIZE=x", "RSET now", "MAIL FROM:<a@b.example> SIZE=1000",
	"AUTH CRAM-MD5", "RCPT TO:<\xc3\xa4@b.example>", "QUIT now", "NOOP \r",
	"NOOP 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 01234567"
};

static void near_speaks(struct play *p)
{
	struct client *c = &p->client;
	unsigned what = take(&p->in);
	const char *say = sayings[what / 4 % (sizeof sayings / sizeof *sayings)];
	if (c->rude && what >= 200)
		near_octets(p);
	else if (c->body && !c->rude)
		near_body(p);
	else if (c->auth && !c->rude)
		c->auth = false, near_says(p, "QUIT", AUTH);
	else if ((c->waits || p->stage.near.shaking) && !c->rude)
		return;
	else if (what % 4 == 3)
		near_chunk(p);
	else
		near_says(p, say, kind_of(say, strlen(say)));
}

/* ---- everything else that may happen ---- */

static void near_tls(struct play *p)
{
	struct dialogue *d = &p->stage.stream.dialogue;
	settle(p); /* what was sent before is no ClientHello */
	if (!p->stage.near.shaking || p->stage.near.stalled || p->stage.over)
		return;
	must(!dialogue_takes_lines(d) && buf_length(&p->stage.stream.near_in) == 0);
	stage_tls(&p->stage, true);
	must(d->near_tls || dialogue_closed(d));
	must(d->helo[0] == '\0' && d->from[0] == '\0' && d->to[0] == '\0');
	must(!d->mail && !d->esmtp && !d->authenticated && !d->chunked && !d->binary);
	must(d->near_keywords == 0 && d->recipients == 0);
}

static void policy_answers(struct play *p)
{
	static const enum dialogue_verdict verdicts[] = { DIALOGUE_POLICY_OPEN,
		DIALOGUE_POLICY_OPEN, DIALOGUE_POLICY_SERVED, DIALOGUE_POLICY_REFUSED };
	struct dialogue *d = &p->stage.stream.dialogue;
	enum dialogue_verdict verdict = verdicts[take(&p->in) % 4];
	if (!p->stage.asked)
		return;
	/* A leg with recipients on it is never given up for another (dialogue.h). */
	if (verdict == DIALOGUE_POLICY_OPEN && d->recipients + d->fifo_count > 0)
		verdict = DIALOGUE_POLICY_SERVED;
	p->stage.asked = false;
	struct dialogue_io io = stage_io(&p->stage);
	stage_obey(&p->stage, dialogue_policy(d, verdict, "451 4.7.5 not there", &io));
}

static void timeout(struct play *p)
{
	struct dialogue_io io = stage_io(&p->stage);
	stage_obey(&p->stage, dialogue_timeout(&p->stage.stream.dialogue, &io));
}

static void evict(struct play *p)
{
	struct dialogue_io io = stage_io(&p->stage);
	if (!dialogue_awaits_verdict(&p->stage.stream.dialogue))
		stage_obey(&p->stage,
			dialogue_evict(&p->stage.stream.dialogue, "Enough", &io));
}

static void far_tls(struct play *p)
{
	if (p->stage.far.shaking && !p->stage.over)
		stage_tls(&p->stage, false);
}

static void happens(struct play *p)
{
	struct stage *stage = &p->stage;
	switch (take(&p->in) % 24) {
	case 0: near_tls(p); break;
	case 1: far_tls(p); break;
	case 2: stage->near.ended = true; break;
	case 3: stage->far.ended = stage->far.open; break;
	case 4: timeout(p); break;
	case 5: evict(p); break;
	case 6: stage->stopping = true; break;
	case 7: stage->stream.tls_busy ^= true; break;
	case 8: stage->piece = take(&p->in); break;
	case 9: stage->near.stalled ^= true; break;
	case 10: stage->far.stalled ^= stage->far.open; break;
	case 11: stage->far_refused ^= true; break;
	case 12: policy_answers(p); break;
	default: near_tls(p), far_tls(p), policy_answers(p);
	}
}

static void step(struct play *p)
{
	unsigned what = take(&p->in);
	if (what < 100)
		near_speaks(p);
	else if (what < 230)
		server_speaks(p);
	else
		happens(p);
	if (what % 4 != 0)
		settle(p);
}

static struct dialogue_service service(struct input *in)
{
	static const struct dialogue_credentials credentials = { "AHVzZXIAc2VjcmV0",
		"dXNlcg==", "c2VjcmV0" };
	unsigned flags = take(in), tls = take(in), limit = take(in), more = take(in);
	return (struct dialogue_service){
		.hostname = "proxy.example",
		.near_tls = tls % 4,
		.far_tls = tls / 4 % 3,
		.synthesised = flags & 1,
		.early = (flags & 1) && (more & 1),
		.client_helo = more & 2,
		.own_greeting = more & 4,
		.far_implicit = !(flags & 1) && (more & 8),
		.credentials = !(flags & 1) && (more & 16) ? &credentials : NULL,
		.auth_clear = more & 32,
		.xclient = flags & 2,
		.received = flags & 4,
		.reject_bare = flags & 8,
		.offer = (SMTP_KW_MIRRORED & ~SMTP_KW(BINARYMIME)) | SMTP_KW(PIPELINING),
		.mechanisms =
			flags & 32 ? 1u << SMTP_AUTH_PLAIN | 1u << SMTP_AUTH_LOGIN : 0,
		.message_size = flags & 64 ? 200 : 0,
		.command_length = 80,
		.auth_length = 600,
		.recipients = 1 + limit % 16,
		.disorder = 1 + limit / 16,
		.reply = { .length = 512, .lines = 20 },
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play *p = calloc(1, sizeof *p);
	if (!p)
		abort();
	p->in = (struct input){ data, size };
	p->service = service(&p->in);
	p->client.rude = size > 0 && (data[0] & 16);
	push(&p->client.asked, GREETING);
	p->stage.ask_sender = !p->service.synthesised && size > 3 && (data[3] & 64);
	stage_begin(&p->stage, &p->service);
	settle(p);
	while (p->in.left > 0 && !p->stage.over)
		step(p);
	p->stage.near.stalled = p->stage.far.stalled = false;
	settle(p);
	stage_end(&p->stage);
	must(p->stage.pool.borrowed == 0);
	free(p);
	return 0;
}
