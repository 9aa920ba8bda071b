/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The half of fuzz_dialogue that is the server (far). */

#include "dialogue_play.h"

#include <stdio.h>
#include <string.h>

/* ---- the server reads ---- */

static bool begins(const char *line, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

static void server_chunk(struct server *s, const char *line, size_t n)
{
	struct span argument = { line + 5, n - 5 };
	bool last;
	must(s->chunking || s->confused);
	must(smtp_bdat(argument, &s->chunk, &last));
	s->chunk_at = 0;
	push(&s->asked, last ? LAST : CHUNK);
}

enum kind kind_of(const char *line, size_t n)
{
	static const struct {
		const char *word;
		enum kind kind;
	} kinds[] = { { "EHLO ", HELLO }, { "HELO ", HELLO }, { "AUTH ", AUTH },
		{ "DATA", DATA }, { "QUIT", QUIT }, { "STARTTLS", STARTTLS } };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const char *word = kinds[i].word;
		bool whole = n == strlen(word) || word[strlen(word) - 1] == ' ';
		if (whole && begins(line, n, word))
			return kinds[i].kind;
	}
	return COMMAND;
}

static void server_command(struct server *s, const char *line, size_t n)
{
	static const char *const others[] = { "MAIL FROM:<", "RCPT TO:<", "RSET", "NOOP",
		"XCLIENT " };
	enum kind kind = s->auth ? AUTH : kind_of(line, n);
	bool known = kind != COMMAND;
	if (!s->auth && begins(line, n, "BDAT ")) {
		server_chunk(s, line, n);
		return;
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		known |= begins(line, n, others[i]);
	must(known || s->confused);
	s->auth = false;
	push(&s->asked, kind);
}

/* Octets of a chunk are those that the client has sent, or those of our Received line. */
static size_t server_chunk_octets(struct server *s, bool rude, const char *at, size_t n)
{
	size_t most = n < s->chunk ? n : (size_t)s->chunk;
	for (size_t i = 0; i < most; i++, s->chunk_at++) {
		if (s->chunk_at == 0)
			s->ours = at[i] == 'R';
		bool nul = s->chunk_at == 0 && at[i] == '\0';
		must(s->ours || rude || nul || at[i] == magic[s->chunk_at % MAGIC]);
	}
	s->chunk -= most;
	return most;
}

/*
 * The message of a DATA ends with CRLF.CRLF, and holds no other CR, LF or NUL. Where it
 * can only be made of chunks, it holds none of our own commands either.
 */
static size_t server_body_octets(struct server *s, bool chunks, const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		must(at[i] != '\0');
		must(!chunks || strchr(magic, at[i]));
		must((at[i] == '\n') == (s->body_line > 0 && s->body_head[2] == '\r'));
		s->body_head[2] = at[i];
		if (s->body_line < 2)
			s->body_head[s->body_line] = at[i];
		s->body_line++;
		if (at[i] != '\n')
			continue;
		bool dot = s->body_line == 3 && s->body_head[0] == '.';
		s->body_line = 0;
		if (dot) {
			s->body = false;
			s->ends++;
			push(&s->asked, END);
			return i + 1;
		}
	}
	return n;
}

void server_reads(struct play *p)
{
	struct server *s = &p->server;
	struct octets *got = &p->stage.far.got;
	bool chunks = !p->client.rude && !p->client.said_data && !p->service.received;
	size_t n = 1;
	if (s->leg != p->stage.far_legs) {
		*s = (struct server){ .leg = p->stage.far_legs,
			.confused = s->confused,
			.accepted = s->accepted,
			.ends = s->ends };
		push(&s->asked, GREETING);
	}
	while (got->length > 0 && n > 0) {
		const char *at = octets_head(got);
		if (s->chunk > 0) {
			n = server_chunk_octets(s, p->client.rude, at, got->length);
		} else if (s->body) {
			n = server_body_octets(s, chunks, at, got->length);
		} else if (octets_line(got, &n)) {
			server_command(s, at, n);
			n += 2;
		} else {
			n = 0;
		}
		octets_drop(got, n);
	}
	must(p->client.rude || s->confused || s->ends <= p->client.ends);
}

/* ---- the server speaks ---- */

static void far_ehlo(struct play *p, unsigned keywords)
{
	static const char *const lines[] = { "250-PIPELINING\r\n", "250-CHUNKING\r\n",
		"250-SIZE 1000\r\n", "250-8BITMIME\r\n", "250-STARTTLS\r\n",
		"250-AUTH PLAIN LOGIN\r\n", "250-XCLIENT ADDR NAME\r\n",
		"250-SMTPUTF8\r\n" };
	struct octets *out = &p->stage.far.sent;
	octets_append(out, "250-far\r\n", 9);
	for (unsigned i = 0; i < 8; i++)
		if (keywords & 1u << i)
			octets_append(out, lines[i], strlen(lines[i]));
	p->server.chunking = keywords & 2;
	octets_append(out, "250 DSN\r\n", 9);
}

/* The server notes what it answers, at the moment when it does. */
static void far_notes(struct server *s, unsigned code)
{
	s->confused |= empty(&s->asked);
	if (s->confused)
		return;
	enum kind kind = s->asked.kind[s->asked.start++ % QUEUE];
	bool whole = kind == END || (kind == LAST && s->chunk == 0);
	if (whole && code / 100 == 2)
		s->accepted++;
	if (kind == DATA && code / 100 == 3) {
		s->body = true;
		s->body_line = 0;
	}
	s->auth |= kind == AUTH && code == 334;
	s->chunking &= kind != HELLO || code / 100 != 2;
}

static void far_replies(struct play *p, unsigned code)
{
	char line[32];
	snprintf(line, sizeof line, "%u text\r\n", code);
	octets_append(&p->stage.far.sent, line, strlen(line));
	far_notes(&p->server, code);
}

/* What a server says that means well. */
static void far_answers(struct play *p)
{
	static const unsigned good[] = { [COMMAND] = 250,
		[GREETING] = 220,
		[HELLO] = 250,
		[DATA] = 354,
		[END] = 250,
		[CHUNK] = 250,
		[LAST] = 250,
		[STARTTLS] = 220,
		[AUTH] = 235,
		[QUIT] = 221 };
	struct server *s = &p->server;
	unsigned keywords = take(&p->in);
	if (empty(&s->asked))
		return;
	enum kind kind = s->asked.kind[s->asked.start % QUEUE];
	if (kind == HELLO) {
		far_ehlo(p, keywords);
		s->asked.start++;
		return;
	}
	far_replies(p, kind == AUTH && keywords % 2 == 0 ? 334 : good[kind]);
}

static void far_says_something(struct play *p, unsigned what)
{
	static const unsigned codes[] = { 250, 220, 354, 421, 450, 451, 550, 554, 500,
		334, 235, 251, 199, 221 };
	struct octets *out = &p->stage.far.sent;
	if (!p->stage.far.open || p->stage.far.shaking)
		return;
	if (p->stage.far.stalled) /* it cannot accept what it has not read */
		far_replies(p, 400 + what % 155);
	else if (what >= 250)
		octets_append(out, "garbage\r\n", 9);
	else if (what >= 245)
		octets_append(out, "250-", 4), p->server.confused = true;
	else if (what >= 100 || (what >= 20 && empty(&p->server.asked)))
		far_answers(p);
	else
		far_replies(p, codes[what % (sizeof codes / sizeof *codes)]);
}

/* Inside a message it speaks while nothing else is on the way: else nobody could tell
 * whether it spoke before it had all. */
void server_speaks(struct play *p)
{
	struct server *s = &p->server;
	unsigned what = take(&p->in);
	server_reads(p);
	bool inside = s->body || s->chunk > 0;
	if (inside)
		settle(p);
	far_says_something(p, what);
	if (inside)
		settle(p);
}
