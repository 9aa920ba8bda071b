/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STREAM_H
#define SEALPOST_STREAM_H

/*
 * A session without its sockets: four byte queues, the dialogue between them, and the
 * framer for message bodies. stream_run() cuts what has arrived into lines, replies and
 * pieces of body and brings them to the dialogue, until something is needed that only the
 * shell can do. The daemon's session, the playbooks and the fuzzer all drive this same
 * function. Pure: libc alone.
 */

#include "body.h"
#include "buf.h"
#include "dialogue.h"

#include <stdbool.h>
#include <stdint.h>

struct stream {
	struct buf near_in, near_out, far_in, far_out;
	struct buf held; /* a MAIL that waits for its far leg (dialogue_io.held) */
	struct body body;
	struct dialogue dialogue;
	/* Set by the shell: why far will send no more, or NULL; that near will not. */
	const char *far_end;
	bool near_end;
	struct dialogue_notes *notes; /* set by the shell: dialogue_io.notes, ... */
	bool tls_busy, ask_sender;    /* ... and these */
	bool in_body;
	bool near_held, far_held; /* the next line or reply waits for another event */
	bool skipping;		  /* the rest of a line that was too long */
	bool repaired;		  /* some body had a bare CR or LF */
	bool verdict_lost;	  /* far went without its answer to a whole message */
	bool fault_known;	  /* the body's: an earlier chunk had it */
	uint8_t fault;		  /* enum body_fault of the last body that ended */
	uint64_t octets;	  /* of bodies, all transactions */
};

void stream_init(
	struct stream *s, struct buf_pool *pool, const struct dialogue_service *service);
void stream_release(struct stream *s);

/* How the dialogue is to write: for the events that the shell itself brings. */
struct dialogue_io stream_io(struct stream *s, const struct trace *trace);

/*
 * Goes as far as the octets at hand allow. Returns DIALOGUE_READ when more octets, or
 * room in the out buffers, are needed; else what the shell must do (never HOLD or BODY).
 * After DIALOGUE_CLOSE it returns that for ever. Out of memory: DIALOGUE_CLOSE, and
 * stream_failed().
 */
enum dialogue_want stream_run(struct stream *s, const struct trace *trace);

/* A buffer had no memory: what is in them is incomplete and must not be sent. */
bool stream_failed(const struct stream *s);

/* Something may be waiting for room in the out buffers. */
bool stream_full(const struct stream *s);

/* A message or chunk has begun, and none of its octets has come yet. */
bool stream_body_awaited(const struct stream *s);

/* How many octets more of each side are of use now: 0 stops reading (back-pressure). */
size_t stream_near_room(const struct stream *s);
size_t stream_far_room(const struct stream *s);

#endif
