/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_BODY_H
#define SEALPOST_BODY_H

/*
 * The framer of message bodies: finds the end of DATA (CRLF.CRLF and nothing else),
 * repairs or rejects bare CR, bare LF and NUL, counts octets, in one pass over a buffer.
 * What it emits never holds a bare CR, a bare LF or a NUL, and holds exactly one end of
 * data, at its end: no receiver, strict or lenient, can see two messages where the sender
 * meant one. BDAT chunks pass untouched to who takes chunks, and become such DATA for who
 * does not. Pure: libc alone.
 */

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

enum body_kind {
	BODY_DATA,   /* dot-stuffed lines up to CRLF.CRLF, which is passed on as well */
	BODY_CHUNK,  /* exactly `left` octets (RFC 3030) */
	BODY_RECAST, /* the same, but DATA comes out */
};

enum body_fault {
	BODY_FINE,
	BODY_NUL,  /* a NUL octet in what comes out as DATA: 550 5.6.0 */
	BODY_BARE, /* a bare CR or LF there, and they are to be rejected: 550 5.6.11 */
	BODY_TOO_LONG, /* more than max_octets: 552 5.3.4 */
	BODY_FAULTS
};

struct body {
	uint8_t kind;	  /* enum body_kind */
	uint8_t state;	  /* private to body.c */
	uint8_t crs;	  /* private: CRs held back; a longer run counts as 255 of them */
	uint8_t fault;	  /* enum body_fault: the first; nothing is emitted after it */
	bool reject_bare; /* else repaired: every bare CR or LF becomes CRLF */
	bool discard;	  /* emit nothing, only find the end */
	bool repaired;	  /* a bare CR or LF was repaired */
	bool last;	  /* BODY_RECAST: this chunk ends the message */
	uint64_t left;	  /* of a chunk: octets still to come */
	/*
	 * The size of the message so far in the sense of RFC 1870: line ends count, dots
	 * of the stuffing and the end of data do not; over all chunks of a transaction.
	 */
	uint64_t octets;
	uint64_t max_octets; /* 0: no limit */
};

/* A new transaction: counts from zero. */
void body_begin_data(struct body *b, bool reject_bare, uint64_t max_octets);

/*
 * The first or next chunk: call body_begin_data() at the start of the transaction. A
 * chunk that would exceed the limit is at fault from its beginning.
 */
void body_begin_chunk(struct body *b, uint64_t octets);

/*
 * Likewise, for chunks that are to come out as one DATA: dots are stuffed, line ends
 * repaired over the borders of chunks too, and behind the last one stand a CRLF, where
 * its last line has none, and the end of data. Not to be mixed with body_begin_chunk(),
 * but that `discard` or a fault may end in such chunks.
 */
void body_begin_recast(struct body *b, uint64_t octets, bool last);

/*
 * Moves octets from `in` to `out`, repaired, until `in` is used up or the body ends;
 * returns true when the end was reached, of the message or of the chunk (the octets
 * behind it stay in `in`). On a clean run whole blocks change hands without a copy. With
 * a fault or `discard` the octets are taken and nothing is emitted: what went out before
 * stands there without an end of data, and the caller must drop that leg.
 *
 * At most twice the octets of `in` and 520 more come out: feed a block at a time. The
 * last few octets (CRs, or a dot at the start of a line and a CR) may be held back until
 * the next call.
 *
 * Repairs: a bare CR or LF becomes CRLF, a run of CR before a LF one CRLF. A '.' that
 * then stands at the start of a line without having been stuffed is stuffed. "CRLF . CR
 * x" and "CRLF . LF" are no end of data: the dot is the sender's stuffing and goes.
 */
bool body_feed(struct body *b, struct buf *in, struct buf *out);

/* "NUL octets in the message", …: what was wrong, for the log. */
const char *body_fault_name(enum body_fault fault);

/* Where in a line of DATA the framer stands, for tests. */
const char *body_state_name(const struct body *b);

#endif
