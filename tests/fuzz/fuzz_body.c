/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Bodies from anybody, in pieces of any size. What comes out is the same however the
 * input was cut, and tests/body_oracle.c has nothing to complain of.
 *
 * An input is an octet of flags, one with the number of cuts (and the limit), the cuts,
 * and the body. The cuts are where pieces end, or the chunks that are to become DATA.
 */

#include "body_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	REJECT = 1,
	DISCARD = 2,
	CHUNK = 4,
	LIMIT = 8,
	LIMIT_LOW = 16,
	RECAST = 32, /* the cuts are the sizes of chunks; no limit */
};

static const unsigned char by_octets[] = { 0 };

struct input {
	unsigned flags, limit;
	const unsigned char *cuts, *octets;
	size_t count, n;
};

static void must_not(const char *complaint)
{
	if (complaint == NULL)
		return;
	fprintf(stderr, "fuzz_body: %s\n", complaint);
	abort();
}

static void feed(struct framing *f, struct buf_pool *pool, const struct input *input,
	const unsigned char *cuts, size_t count)
{
	body_begin_data(
		&f->body, input->flags & REJECT, input->flags & LIMIT ? input->limit : 0);
	f->body.discard = input->flags & DISCARD;
	if (input->flags & RECAST) {
		f->body.max_octets = 0;
		oracle_recast(f, pool, input->octets, input->n, input->cuts,
			cuts == NULL ? 0 : input->count, cuts == by_octets);
		return;
	}
	if (input->flags & CHUNK)
		body_begin_chunk(&f->body, input->limit * 3);
	oracle_feed(f, pool, input->octets, input->n, cuts, count);
}

static const char *chunk_complaint(const struct framing *f, const struct input *input)
{
	size_t chunk = input->limit * 3;
	size_t n = chunk < input->n ? chunk : input->n;
	bool refused = input->flags & LIMIT && chunk > input->limit;
	bool silent = refused || input->flags & DISCARD;

	if (input->n > 0 && f->ended != (chunk <= input->n))
		return "a chunk ends elsewhere";
	if (f->taken != n || f->body.octets != n || f->body.left != chunk - n)
		return "a chunk is counted wrongly";
	if (f->body.fault != (refused ? BODY_TOO_LONG : BODY_FINE))
		return "a chunk's limit is wrong";
	if (buf_length(&f->out) != (silent ? 0 : n))
		return "a chunk's length is another";
	if (!silent && n > 0 && memcmp(buf_head(&f->out), input->octets, n) != 0)
		return "a chunk's octets are others";
	return NULL;
}

static const char *complaint(const struct framing *f, const struct input *input)
{
	if (input->flags & RECAST)
		return oracle_recast_complaint(f, input->octets, input->n);
	if (input->flags & CHUNK)
		return chunk_complaint(f, input);
	return oracle_complaint(f, input->octets, input->n);
}

static void check(struct buf_pool *pool, const struct input *input)
{
	struct framing whole, pieces, octets;

	feed(&whole, pool, input, NULL, 0);
	feed(&pieces, pool, input, input->cuts, input->count);
	feed(&octets, pool, input, by_octets, 1);
	must_not(complaint(&whole, input));
	must_not(complaint(&pieces, input));
	must_not(complaint(&octets, input));
	must_not(oracle_difference(&whole, &pieces));
	must_not(oracle_difference(&whole, &octets));
	buf_release(&whole.out);
	buf_release(&pieces.out);
	buf_release(&octets.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct buf_pool pool = {
		.keep = 8
	}; /* fresh blocks each time cost most */
	struct input input;

	if (size < 2 || size < 2u + data[1] % 8 || size > BUF_BLOCK)
		return 0;
	input.flags = data[0];
	input.limit = input.flags & LIMIT_LOW ? data[1] / 8 : data[1] * 4u;
	input.cuts = data + 2;
	input.count = data[1] % 8;
	input.octets = input.cuts + input.count;
	input.n = size - 2 - input.count;

	check(&pool, &input);
	must_not(pool.borrowed != 0 ? "a block was not returned" : NULL);
	return 0;
}
