/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "body_oracle.h"

#include <stdlib.h>
#include <string.h>

void oracle_feed(struct framing *f, struct buf_pool *pool, const unsigned char *octets,
	size_t n, const unsigned char *cuts, size_t count)
{
	size_t fed = 0;
	struct buf in, out;

	buf_init(&in, pool);
	buf_init(&out, pool);
	buf_init(&f->out, pool);
	f->ended = false;
	for (size_t i = 0; fed < n && !f->ended; i++) {
		size_t piece = count > 0 ? cuts[i % count] + 1u : n;

		if (piece > n - fed)
			piece = n - fed;
		buf_append(&in, octets + fed, piece);
		fed += piece;
		f->ended = body_feed(&f->body, &in, &out);
		buf_move(&f->out, &out, buf_length(&out));
	}
	f->taken = fed - buf_length(&in);
	buf_release(&in);
	buf_release(&out);
}

void oracle_recast(struct framing *f, struct buf_pool *pool, const unsigned char *octets,
	size_t n, const unsigned char *chunks, size_t count, size_t piece)
{
	size_t fed = 0, left = n;
	struct buf in, out;

	buf_init(&in, pool);
	buf_init(&out, pool);
	buf_init(&f->out, pool);
	for (size_t i = 0; i <= count; i++) {
		size_t chunk = i < count && chunks[i] < left ? chunks[i] : left;

		left -= chunk;
		body_begin_recast(&f->body, chunk, i == count);
		while (!body_feed(&f->body, &in, &out) && fed < n) {
			size_t more = piece > 0 && piece < n - fed ? piece : n - fed;

			buf_append(&in, octets + fed, more);
			fed += more;
		}
	}
	buf_move(&f->out, &out, buf_length(&out));
	f->taken = fed - buf_length(&in);
	f->ended = f->body.left == 0;
	buf_release(&in);
	buf_release(&out);
}

/* ---- receivers, strict and lenient ---- */

enum {
	CRLF = 1,
	LF = 2,
	CR = 4,
};

/* The line ends that a receiver takes for one before the dot, and behind it. */
static const struct receiver {
	unsigned before, behind;
} receivers[] = {
	{ CRLF, CRLF },
	{ LF, LF },
	{ CR, CR },
	{ LF, CRLF },
	{ CR, CRLF },
	{ CRLF, LF },
	{ CRLF, CR },
	{ LF, CR },
	{ CR, LF },
	{ CRLF | LF | CR, CRLF | LF | CR },
};

static unsigned ends_before(const unsigned char *text, size_t i)
{
	if (i == 0)
		return CRLF | LF | CR;
	if (text[i - 1] == '\n')
		return i >= 2 && text[i - 2] == '\r' ? CRLF | LF : LF;
	return text[i - 1] == '\r' ? CR : 0;
}

static unsigned ends_at(const unsigned char *text, size_t n, size_t i)
{
	if (i < n && text[i] == '\n')
		return LF;
	if (i < n && text[i] == '\r')
		return i + 1 < n && text[i + 1] == '\n' ? CRLF | CR : CR;
	return 0;
}

/* How often this receiver sees an end of data. NULs do not stop it: some skip them. */
static unsigned count_ends(const struct receiver *r, const unsigned char *text, size_t n)
{
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		if (text[i] == '.' && (ends_before(text, i) & r->before) != 0 &&
			(ends_at(text, n, i + 1) & r->behind) != 0)
			count++;
	return count;
}

/* A receiver of CRLF.CRLF alone sees the end where it must be; all others only there. */
static const char *complain_of_ends(const unsigned char *text, size_t n, bool whole)
{
	for (size_t i = 0; i < sizeof(receivers) / sizeof(*receivers); i++) {
		unsigned ends = count_ends(&receivers[i], text, n);

		if (ends > whole || (i == 0 && ends < whole))
			return whole ? "a receiver sees another number of messages than "
				       "one"
				     : "a receiver sees a message that was not completed";
	}
	if (whole && (n < 3 || memcmp(text + n - 3, ".\r\n", 3) != 0))
		return "the end of data is not at the end";
	return NULL;
}

static const char *complain_of_octets(const unsigned char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\0')
			return "a NUL was emitted";
		if (text[i] == '\r' && (i + 1 == n || text[i + 1] != '\n'))
			return "a bare CR was emitted";
		if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
			return "a bare LF was emitted";
	}
	return NULL;
}

/* ---- what the message is ---- */

static bool at_line_start(const unsigned char *text, size_t i)
{
	return i == 0 || (i >= 2 && text[i - 2] == '\r' && text[i - 1] == '\n');
}

/* The length up to and with the first end of data; 0 where there is none. */
static size_t strict_end(const unsigned char *text, size_t n)
{
	for (size_t i = 0; i + 3 <= n; i++)
		if (at_line_start(text, i) && memcmp(text + i, ".\r\n", 3) == 0)
			return i + 3;
	return 0;
}

static bool has_bare(const unsigned char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
			return true;
		if (text[i] == '\r' && i + 1 < n && text[i + 1] != '\n')
			return true;
	}
	return false;
}

/*
 * The message in n octets without its end of data: unstuffed where it is `stuffed`, line
 * ends repaired.
 */
static size_t content(
	const unsigned char *text, size_t n, bool stuffed, unsigned char *message)
{
	size_t length = 0;

	for (size_t i = 0; i < n;) {
		size_t crs = 0;

		if (stuffed && text[i] == '.' && at_line_start(text, i)) {
			i++;
			continue;
		}
		while (i + crs < n && text[i + crs] == '\r')
			crs++;

		bool lf = i + crs < n && text[i + crs] == '\n';

		if (crs == 0 && !lf) {
			message[length++] = text[i++];
			continue;
		}
		i += crs + lf;
		crs = crs < UINT8_MAX ? crs : UINT8_MAX;
		for (size_t ends = lf ? 1 : crs; ends > 0; ends--) {
			message[length++] = '\r';
			message[length++] = '\n';
		}
	}
	return length;
}

static size_t stuffing(const unsigned char *text, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += text[i] == '.' && at_line_start(text, i);
	return count;
}

/* Whether what came (`stuffed` or not) is what goes, which is stuffed and ends in CRLF.
 */
static bool same_content(
	const unsigned char *a, size_t n, bool stuffed, const unsigned char *b, size_t m)
{
	unsigned char *came = malloc(2 * n + 2), *goes = malloc(2 * m + 1);
	bool same = false;

	if (came != NULL && goes != NULL) {
		size_t length = content(a, n, stuffed, came);

		if (length > 0 && came[length - 1] != '\n') {
			came[length++] = '\r';
			came[length++] = '\n';
		}
		same = content(b, m, true, goes) == length &&
		       memcmp(came, goes, length) == 0;
	}
	free(came);
	free(goes);
	return same;
}

/* ---- verdicts ---- */

static const char *complain_of_fault(
	const struct framing *f, const unsigned char *octets, bool bare)
{
	const struct body *b = &f->body;
	bool nul = memchr(octets, '\0', f->taken) != NULL;

	if (b->fault == BODY_NUL && !nul)
		return "refused for a NUL that is not there";
	if (b->fault == BODY_BARE && !(b->reject_bare && bare))
		return "refused for a bare line end without cause";
	if (b->fault == BODY_TOO_LONG &&
		(b->max_octets == 0 || b->octets <= b->max_octets))
		return "refused for its length without cause";
	if (b->fault != BODY_FINE)
		return NULL;
	if (nul)
		return "a NUL was not refused";
	if (b->max_octets != 0 && b->octets > b->max_octets)
		return "too long a message was not refused";
	if (f->ended && bare && (b->reject_bare || !b->repaired))
		return "a bare line end was neither refused nor said to be repaired";
	return b->repaired && !bare ? "said to be repaired without cause" : NULL;
}

static const char *complain_of_output(
	const struct framing *f, const unsigned char *out, bool whole)
{
	const char *complaint;

	if (f->out.failed)
		return "out of memory";
	if (f->body.discard && buf_length(&f->out) > 0)
		return "not discarded";
	complaint = complain_of_octets(out, buf_length(&f->out));
	return complaint != NULL ? complaint
				 : complain_of_ends(out, buf_length(&f->out), whole);
}

const char *oracle_complaint(
	const struct framing *f, const unsigned char *octets, size_t n)
{
	const unsigned char *out = buf_length(&f->out) > 0 ? buf_head(&f->out) : octets;
	size_t end = strict_end(octets, n);
	bool whole = end != 0 && f->body.fault == BODY_FINE && !f->body.discard;
	const char *complaint;

	if (f->ended != (end != 0) || f->taken != (end != 0 ? end : n))
		return "the end of data is not CRLF.CRLF";
	complaint = complain_of_output(f, out, whole);
	if (complaint == NULL)
		complaint = complain_of_fault(f, octets, has_bare(octets, f->taken));
	if (complaint != NULL || end == 0)
		return complaint;
	if (f->body.octets != end - 3 - stuffing(octets, end - 3))
		return "octets counted wrongly";
	if (whole && !same_content(octets, end - 3, true, out, buf_length(&f->out) - 3))
		return "the message is another";
	return NULL;
}

const char *oracle_recast_complaint(
	const struct framing *f, const unsigned char *octets, size_t n)
{
	const unsigned char *out = buf_length(&f->out) > 0 ? buf_head(&f->out) : octets;
	bool whole = f->body.fault == BODY_FINE && !f->body.discard;
	bool bare = has_bare(octets, n) || (n > 0 && octets[n - 1] == '\r');
	const char *complaint;

	if (!f->ended || f->taken != n || f->body.octets != n)
		return "chunks end elsewhere";
	complaint = complain_of_output(f, out, whole);
	if (complaint == NULL)
		complaint = complain_of_fault(f, octets, bare);
	if (complaint == NULL && whole &&
		!same_content(octets, n, false, out, buf_length(&f->out) - 3))
		complaint = "the message is another";
	return complaint;
}

const char *oracle_difference(const struct framing *f, const struct framing *g)
{
	size_t n = buf_length(&f->out);

	if (f->ended != g->ended || f->taken != g->taken)
		return "another end";
	if (f->body.fault != g->body.fault || f->body.octets != g->body.octets ||
		f->body.state != g->body.state || f->body.repaired != g->body.repaired ||
		f->body.left != g->body.left)
		return "another state";
	/* How much went out before a fault depends on how much came in with it. */
	if (f->body.fault == BODY_FINE &&
		(n != buf_length(&g->out) ||
			(n > 0 && memcmp(buf_head(&f->out), buf_head(&g->out), n) != 0)))
		return "another output";
	return NULL;
}
