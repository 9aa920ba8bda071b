/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SESSION_PRIVATE_H
#define SEALPOST_SESSION_PRIVATE_H

/*
 * Shared by session.c (life, events, watching), session_legs.c (what passes between legs
 * and stream) and session_log.c (what is told about it).
 */

#include "leg.h"
#include "session.h"
#include "stream.h"

#include <assert.h>

enum phase {
	PHASE_HEADER, /* a balancer's PROXY header comes first */
	PHASE_TALK,
	PHASE_CLOSING, /* the last words are being sent */
	PHASE_LINGER,  /* ... and were; near is to take them before the descriptor goes */
};

enum {
	LAST_WORDS = 10, /* seconds to get our last words sent */
};

struct session {
	struct worker *worker;
	const struct service *service;
	struct session *next, *previous;
	ev_io near_io, far_io;
	ev_timer timer;
	struct leg near, far;
	struct stream stream;
	uint64_t id;
	double started, deadline, due; /* by worker_clock(); due: when the timer fires */
	struct address client, server; /* near's ends; server where something needs it */
	uint64_t seen_octets;	       /* progress at the last arming */
	uint32_t seen_events;
	uint8_t phase, waiting;	   /* enum phase, enum dialogue_wait */
	uint8_t backend;	   /* index of the one in use or tried */
	bool entered, handshaking; /* counted so in limits */
	bool connecting;	   /* far: connect() under way */
	bool near_readable, far_readable;
	bool start_near_tls, start_far_tls; /* as soon as what was said is flushed */
	bool near_shaking, far_shaking;
	bool over; /* to be freed when the event that runs is done with it */
};
static_assert(
	sizeof(struct session) <= 1024, "idle, it costs its TLS state and little else");

/* ---- session_legs.c ---- */

/* Near is known by its true address: the conversation begins. */
void session_begin(struct session *s);

/* Does what the dialogue asks for. */
void session_obey(struct session *s, enum dialogue_want want);

/* One round each, in PHASE_HEADER and in PHASE_TALK: whether anything moved. */
bool session_header(struct session *s);
bool session_read(struct session *s);
bool session_write(struct session *s);

/* We have something to say to the backend before it greets: a PROXY header. */
bool session_speaks_first(const struct session *s);

/* The deadline of what the dialogue waits for has passed. */
void session_late(struct session *s);

/* connect-timeout is over, and the backend has not said a word. */
void session_connect_late(struct session *s);

/* Far failed: logs it, and tells the dialogue. `reason` is a constant. */
void session_far_lost(struct session *s, const char *what, const char *reason);

/* Near cannot be told anything any more. `reason` is a constant. */
void session_near_lost(struct session *s, enum dialogue_end end, const char *reason);

/* ---- session_log.c ---- */

/* What the dialogue may tell of this session; valid until the session changes. */
struct trace session_trace(const struct session *s);

/* The line at a session's end. */
void session_log_end(struct session *s);

/* Lines for what has gone wrong while the stream ran, and ended with `want`. */
void session_log_run(struct session *s, enum dialogue_want want);

/* RFC 1047: far was given a whole message, and nobody will know whether it kept it. */
void session_warn_of_duplicate(struct session *s);

/* Why, where far has ended: the one reason that is told when it is read. */
extern const char session_far_ended[];

/* A line for a failure when it happens; `why` may be NULL. */
void session_log_failure(struct session *s, const char *what, const char *why);

#endif
