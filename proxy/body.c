/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Three layers, each of which can be checked by itself. step() takes one octet through
 * the state machine; it alone repairs, rejects and holds octets back: the whole truth is
 * there, and a buffer's end means nothing to it. clean_run() tells how many of the next
 * octets step() would pass on as they are; clean_bulk() does so for most of what mail is
 * made of, 16 octets at a time. body_feed() moves what is clean and steps over the rest.
 */

#include "body.h"

#include <assert.h>
#include <string.h>

enum state {
	BODY_START,    /* behind a CRLF of the sender's, or at the very beginning */
	BODY_MIDDLE,   /* anywhere in a line */
	BODY_REPAIRED, /* behind a CRLF of ours: no dot of the sender's is stuffed here */
	BODY_CR,       /* b->crs CRs are held back, behind anything */
	BODY_DOT,      /* a '.' of DATA is held back, behind BODY_START */
	BODY_DOT_CR,   /* a '.' of DATA and a CR are held back, behind BODY_START */
	BODY_END,      /* the end of data was passed on, or written */
	BODY_STATES
};

static const char *const state_names[] = {
	[BODY_START] = "start of line",
	[BODY_MIDDLE] = "in a line",
	[BODY_REPAIRED] = "behind a repaired line end",
	[BODY_CR] = "CR",
	[BODY_DOT] = "dot",
	[BODY_DOT_CR] = "dot CR",
	[BODY_END] = "end",
};

static_assert(sizeof(state_names) / sizeof(*state_names) == BODY_STATES, "a name each");

const char *body_state_name(const struct body *b)
{
	return state_names[b->state];
}

void body_begin_data(struct body *b, bool reject_bare, uint64_t max_octets)
{
	*b = (struct body){
		.kind = BODY_DATA,
		.state = BODY_START,
		.reject_bare = reject_bare,
		.max_octets = max_octets,
	};
}

static void fail(struct body *b, enum body_fault fault)
{
	if (b->fault == BODY_FINE)
		b->fault = fault;
}

void body_begin_chunk(struct body *b, uint64_t octets)
{
	b->kind = BODY_CHUNK;
	b->left = octets;
	if (b->max_octets != 0 && octets > b->max_octets - b->octets)
		fail(b, BODY_TOO_LONG);
}

void body_begin_recast(struct body *b, uint64_t octets, bool last)
{
	body_begin_chunk(b, octets);
	b->kind = BODY_RECAST;
	b->last = last;
}

static bool mute(const struct body *b)
{
	return b->discard || b->fault != BODY_FINE;
}

static void emit(const struct body *b, struct buf *out, const char *octets, size_t n)
{
	if (!mute(b))
		buf_append(out, octets, n);
}

/* The first n octets of `in` may go out as they are. */
static void pass(const struct body *b, struct buf *in, struct buf *out, size_t n)
{
	if (mute(b))
		buf_consume(in, n);
	else
		buf_move(out, in, n);
}

static void check_size(struct body *b)
{
	if (b->max_octets != 0 && b->octets > b->max_octets)
		fail(b, BODY_TOO_LONG);
}

/* Call it before the CRLF is emitted: a rejected body must not get it. */
static void found_bare(struct body *b)
{
	if (b->reject_bare)
		fail(b, BODY_BARE);
	else
		b->repaired = true;
}

static bool settle_dot(struct body *b, unsigned char c, struct buf *out)
{
	if (c == '\r') {
		b->state = BODY_DOT_CR;
		return true;
	}
	if (c != '\n') /* before a bare LF the dot goes, like any stuffing */
		emit(b, out, ".", 1);
	b->state = BODY_MIDDLE;
	return false;
}

static bool settle_crs(struct body *b, unsigned char c, struct buf *out)
{
	if (c == '\r') {
		if (b->crs < UINT8_MAX)
			b->crs++;
		b->octets++;
		return true;
	}
	if (c == '\n') {
		if (b->crs > 1)
			found_bare(b);
		emit(b, out, "\r\n", 2);
		b->octets++;
		b->state = BODY_START;
		return true;
	}
	found_bare(b);
	for (unsigned i = 0; i < b->crs; i++)
		emit(b, out, "\r\n", 2);
	b->state = BODY_REPAIRED;
	return false;
}

static bool settle_dot_cr(struct body *b, unsigned char c, struct buf *out)
{
	if (c == '\n') {
		emit(b, out, ".\r\n", 3);
		b->state = BODY_END;
		return true;
	}
	/* The dot was stuffing and goes; the CR is content. */
	b->octets++;
	b->crs = 1;
	b->state = BODY_CR;
	return settle_crs(b, c, out);
}

/*
 * Decides what becomes of the octets held back, now that c comes behind them. Returns
 * true if that settles c as well, false if c is still to be taken, in the state left
 * here.
 */
static bool settle(struct body *b, unsigned char c, struct buf *out)
{
	switch (b->state) {
	case BODY_DOT: return settle_dot(b, c, out);
	case BODY_DOT_CR: return settle_dot_cr(b, c, out);
	case BODY_CR: return settle_crs(b, c, out);
	default: return false;
	}
}

/* Takes one octet. */
static void step(struct body *b, unsigned char c, struct buf *out)
{
	if (settle(b, c, out))
		return;
	if (c == '.' && b->state == BODY_START && b->kind == BODY_DATA) {
		b->state = BODY_DOT;
		return;
	}
	b->octets++;
	switch (c) {
	case '\r':
		b->crs = 1;
		b->state = BODY_CR;
		break;
	case '\n':
		found_bare(b);
		emit(b, out, "\r\n", 2);
		b->state = BODY_REPAIRED;
		break;
	case '\0':
		fail(b, BODY_NUL);
		b->state = BODY_MIDDLE;
		break;
	default:
		if (c == '.' && b->state != BODY_MIDDLE)
			emit(b, out, ".", 1);
		emit(b, out, (const char *)&c, 1);
		b->state = BODY_MIDDLE;
	}
}

/* GNU C vectors: one SSE2 or NEON register each, without a word of assembler. */
typedef unsigned char octets16 __attribute__((vector_size(16)));

enum {
	STRIDE = 128,	     /* octets judged at once */
	WINDOW = STRIDE + 2, /* and those that the last of them is compared with */
};

static inline octets16 load(const unsigned char *p)
{
	octets16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * Whether of the STRIDE octets at p none is NUL, each is a CR if and only if the next one
 * is a LF, and no such LF has a '.' behind it. No branch depends on where lines end: mail
 * has no pattern there that a processor could learn.
 */
static inline bool clean_stride(const unsigned char *p)
{
	octets16 bad = { 0 };
	uint64_t halves[2];

	for (size_t i = 0; i < STRIDE; i += sizeof(bad)) {
		octets16 here = load(p + i);
		octets16 lf = (octets16)(load(p + i + 1) == '\n');
		octets16 dot = (octets16)(load(p + i + 2) == '.');

		bad |= (octets16)(here == '\0') | ((octets16)(here == '\r') ^ lf) |
		       (lf & dot);
	}
	memcpy(halves, &bad, sizeof(halves));
	return (halves[0] | halves[1]) == 0;
}

/*
 * The clean strides at p, to where a CRLF ends or a line goes on, never inside a CRLF. 0
 * where the first stride is not clean: its line must be walked.
 */
static size_t clean_bulk(struct body *b, const unsigned char *p, size_t n)
{
	size_t i = 0;

	/* What no stride compares with the octet before it. */
	if (n < WINDOW || p[0] == '\n' || (p[0] == '.' && b->state == BODY_START))
		return 0;
	while (n - i >= WINDOW && clean_stride(p + i))
		i += STRIDE;
	if (i == 0)
		return 0;
	if (p[i - 1] == '\r')
		i--;
	b->state = p[i - 1] == '\n' ? BODY_START : BODY_MIDDLE;
	b->octets += i;
	return i;
}

/*
 * The length of what stands at p and is clean: 3 for an end of data, 2 for a CRLF, 1 for
 * text or the dot of a stuffed line (where dots are `stuffed`). 0 where it is not clean,
 * or not to be known yet.
 */
static size_t clean_token(const unsigned char *p, size_t n, bool start, bool stuffed)
{
	switch (p[0]) {
	case '\0':
	case '\n': return 0;
	case '\r': return n >= 2 && p[1] == '\n' ? 2 : 0;
	case '.':
		if (!start)
			return 1;
		if (!stuffed)
			return 0;
		if (n >= 3 && p[1] == '\r' && p[2] == '\n')
			return 3;
		return n >= 2 && p[1] != '\r' && p[1] != '\n' ? 1 : 0;
	default: return 1;
	}
}

/* Walks to the end of the line, or to where it is not clean. */
static size_t clean_line(struct body *b, const unsigned char *p, size_t n)
{
	static const uint8_t next[] = { 0, BODY_MIDDLE, BODY_START, BODY_END };
	const bool stuffed = b->kind == BODY_DATA;
	size_t i = 0;

	do {
		bool start = b->state == BODY_START;
		size_t token = clean_token(p + i, n - i, start, stuffed);

		if (token == 0)
			break;
		if (p[i] != '.' || !start) /* else stuffing or the end: no content */
			b->octets += token;
		b->state = next[token];
		i += token;
	} while (i < n && b->state == BODY_MIDDLE);
	return i;
}

/*
 * How many of the n octets at p step() would pass on as they are, the end of data among
 * them; b is left as step() would leave it. An answer too small costs time and nothing
 * else.
 */
static size_t clean_run(struct body *b, const unsigned char *p, size_t n)
{
	size_t run = 0;
	size_t line;

	if (b->state != BODY_START && b->state != BODY_MIDDLE)
		return 0;
	do {
		run += clean_bulk(b, p + run, n - run);
		line = clean_line(b, p + run, n - run);
		run += line;
	} while (run < n && line > 0 && b->state == BODY_START);
	return run;
}

static bool feed_chunk(struct body *b, struct buf *in, struct buf *out)
{
	size_t n = buf_length(in);

	if (n > b->left)
		n = (size_t)b->left;
	if (n > 0)
		pass(b, in, out, n);
	b->left -= n;
	b->octets += n;
	return b->left == 0;
}

/* Takes what is clean of the n octets, or one that is not; returns how many it took. */
static size_t feed_some(struct body *b, struct buf *in, struct buf *out, size_t n)
{
	size_t clean = clean_run(b, buf_head(in), n);

	check_size(b);
	if (clean > 0) {
		pass(b, in, out, clean);
		return clean;
	}
	step(b, *buf_head(in), out);
	check_size(b);
	buf_consume(in, 1);
	return 1;
}

/* The chunks are over. A line that they did not end is ended here. */
static void end_recast(struct body *b, struct buf *out)
{
	settle(b, '.', out);
	if (b->state == BODY_MIDDLE)
		emit(b, out, "\r\n", 2);
	emit(b, out, ".\r\n", 3);
	b->state = BODY_END;
}

static bool feed_recast(struct body *b, struct buf *in, struct buf *out)
{
	while (b->left > 0 && buf_length(in) > 0) {
		size_t n = buf_length(in);

		b->left -= feed_some(b, in, out, n < b->left ? n : (size_t)b->left);
	}
	if (b->left == 0 && b->last && b->state != BODY_END)
		end_recast(b, out);
	return b->left == 0;
}

bool body_feed(struct body *b, struct buf *in, struct buf *out)
{
	if (b->kind == BODY_CHUNK)
		return feed_chunk(b, in, out);
	if (b->kind == BODY_RECAST)
		return feed_recast(b, in, out);
	while (b->state != BODY_END && buf_length(in) > 0)
		feed_some(b, in, out, buf_length(in));
	return b->state == BODY_END;
}

static const char *const fault_names[] = {
	[BODY_FINE] = "none",
	[BODY_NUL] = "NUL octets in the message",
	[BODY_BARE] = "bare CR or LF in the message",
	[BODY_TOO_LONG] = "the message is longer than message-size",
};
static_assert(sizeof(fault_names) / sizeof(*fault_names) == BODY_FAULTS, "a name each");

const char *body_fault_name(enum body_fault fault)
{
	return fault_names[fault];
}
