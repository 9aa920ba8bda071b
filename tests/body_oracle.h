/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_BODY_ORACLE_H
#define SEALPOST_TESTS_BODY_ORACLE_H

/*
 * A second opinion on proxy/body.c, for the unit tests and the fuzzer: it looks at the
 * whole input and the whole output at once, has no states and knows nothing of buffers.
 */

#include "body.h"

struct framing {
	struct body body;
	struct buf out; /* all that was emitted; buf_release() it */
	size_t taken;	/* octets of the input; the rest stayed in `in` */
	bool ended;
};

/*
 * Feeds n octets to f->body, which the caller has begun, in pieces: of cuts[0] + 1
 * octets, of cuts[1] + 1 and so on, and round again; as one piece where count is 0.
 */
void oracle_feed(struct framing *f, struct buf_pool *pool, const unsigned char *octets,
	size_t n, const unsigned char *cuts, size_t count);

/*
 * The same for a message in count + 1 chunks that become DATA, of chunks[0] octets and so
 * on; the last one has what is left. They come in pieces of `piece` octets; 0: as one.
 */
void oracle_recast(struct framing *f, struct buf_pool *pool, const unsigned char *octets,
	size_t n, const unsigned char *chunks, size_t count, size_t piece);

/* What is wrong with how these octets of DATA were framed; NULL when all is well. */
const char *oracle_complaint(
	const struct framing *f, const unsigned char *octets, size_t n);

/* What is wrong with the DATA that came of a message in chunks; NULL likewise. */
const char *oracle_recast_complaint(
	const struct framing *f, const unsigned char *octets, size_t n);

/* What differs between two framings of the same octets; NULL for nothing that matters. */
const char *oracle_difference(const struct framing *f, const struct framing *g);

#endif
