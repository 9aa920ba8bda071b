/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STAGE_H
#define SEALPOST_STAGE_H

/*
 * A session whose sockets are byte queues: what playbooks and the fuzzer play on. The
 * stream's wants are obeyed here as proxy/session_legs.c obeys them.
 */

#include "stream.h"

#include <stdbool.h>
#include <stddef.h>

/* ---- queues of octets without a bound ---- */

struct octets {
	char *data;
	size_t start, length, size;
};

void octets_append(struct octets *o, const char *at, size_t n);
void octets_take(struct octets *o, struct buf *from); /* all of it */
void octets_drop(struct octets *o, size_t n);
void octets_clear(struct octets *o);

/* Whether a whole line stands at the head; *length is without its CRLF. */
bool octets_line(const struct octets *o, size_t *length);

static inline const char *octets_head(const struct octets *o)
{
	return o->data ? o->data + o->start : "";
}

/* ---- the stage ---- */

struct side {
	struct octets sent; /* what the peer has sent and the stream has not taken */
	struct octets got;  /* what the peer has received and nobody has looked at */
	bool open, ended, stalled;
	bool shaking; /* the peer is to call stage_tls() now; octets are no ClientHello */
};

struct stage {
	size_t piece; /* octets taken from a side at once; 0: all there is room for */
	bool far_refused, far_silent, ask_sender;
	struct buf_pool pool;
	struct stream stream;
	struct trace trace;
	struct side near, far;
	unsigned far_legs; /* opened so far */
	bool connecting, asked, stopping, over;
};

/* `stage` holds zeros but for what stands before its pool. `service` must stay. */
void stage_begin(struct stage *stage, const struct dialogue_service *service);
void stage_end(struct stage *stage);

/* Goes on until nothing moves any more. */
void stage_run(struct stage *stage);

struct dialogue_io stage_io(struct stage *stage);
void stage_obey(struct stage *stage, enum dialogue_want want);

/* The handshake of a side that is shaking has succeeded. */
void stage_tls(struct stage *stage, bool near);

#endif
