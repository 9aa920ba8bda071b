/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SESSION_PRIVATE_H
#define SEALPOST_SESSION_PRIVATE_H

/*
 * Shared by session.c (life, events, watching), session_legs.c (what passes between legs
 * and stream), session_far.c (the far leg's connection and TLS), session_route.c (where
 * that leads, and what is demanded of it) and session_log.c (what is told about it).
 */

#include "domain.h"
#include "leg.h"
#include "route.h"
#include "session.h"
#include "setup.h"
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

enum { LEG_TEXT = 80 }; /* octets of "TLS1.3/..." */

/* What a session has only where a policy was asked. */
struct errand {
	struct route route;
	double deadline; /* by clock_steady(), for all the tries of one recipient */
	struct dialogue_notes notes;
	char asked[DOMAIN_TEXT]; /* whom the policy process is asked about */
	/* A domain that was refused a moment ago is refused again without a new walk. */
	char refused[REQUIREMENT_NAME];
	double refused_until;
	uint32_t told;	    /* transactions that the log has heard of */
	const char *clear;  /* why the leg in hand will be in clear, should it be so */
	char far[LEG_TEXT]; /* how far was spoken to when it took the last message, ... */
	const char *in_clear; /* ... and why in clear; NULL: it was not */
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
	double started, deadline, due; /* by clock_steady(); due: when the timer fires */
	struct address client, server; /* near's ends; server where something needs it */
	struct errand *errand;	       /* NULL: nobody was asked yet */
	uint64_t seen_octets;	       /* progress at the last arming */
	uint32_t seen_events;
	uint8_t phase, waiting;	   /* enum phase, enum dialogue_wait */
	uint8_t backend;	   /* index of the one in use or tried */
	bool entered, handshaking; /* counted so in limits */
	bool refused;		   /* at the door */
	bool connecting;	   /* far: connect() under way */
	bool asking;		   /* the policy process owes an answer */
	bool near_readable, far_readable;
	bool start_near_tls, start_far_tls; /* as soon as what was said is flushed */
	bool near_shaking, far_shaking;
	bool over; /* to be freed when the event that runs is done with it */
};
static_assert(
	sizeof(struct session) <= 1024, "idle, it costs its TLS state and little else");

/* What it began with, whatever is in force now. */
static inline const struct config *session_config(const struct session *s)
{
	return s->service->setup->config;
}

static inline void session_count(struct session *s, enum counter counter, uint64_t n)
{
	worker_count(s->worker, s->service->number, counter, n);
}

/* ---- session_legs.c ---- */

/* Near is known by its true address: the conversation begins. */
void session_begin(struct session *s);

/* Whether near's handshake would be one too many; it was, and what is told of that. */
bool session_tls_busy(const struct session *s);
void session_tls_refused(struct session *s);

/* Counts near's handshake as long as it is under way. */
void session_count_handshake(struct session *s, bool under_way);

/* Does what the dialogue asks for. */
void session_obey(struct session *s, enum dialogue_want want);

/* One round each, in PHASE_HEADER and in PHASE_TALK: whether anything moved. */
bool session_header(struct session *s);
bool session_read(struct session *s);
bool session_write(struct session *s);

/* The deadline of what the dialogue waits for has passed. */
void session_late(struct session *s);

/* Near cannot be told anything any more. `reason` is a constant. */
void session_near_lost(struct session *s, enum dialogue_end end, const char *reason);

/* ---- session_far.c ---- */

/* Connects to what comes next: a backend, or the try in hand of the route. */
void session_far_open(struct session *s);
void session_far_close(struct session *s);

/* Far failed: logs it, and tells the dialogue. `reason` is a constant. */
void session_far_lost(struct session *s, const char *what, const char *reason);

/* We have something to say to the backend before it greets: a PROXY header. */
bool session_speaks_first(const struct session *s);

/* An event of far while it is being connected to, or shakes hands. */
bool session_far_connected(struct session *s);
bool session_far_shake(struct session *s);

/* connect-timeout is over, and the backend has not said a word. */
void session_connect_late(struct session *s);

/* What far was told in clear is flushed: from here on it speaks TLS. */
bool session_far_start_tls(struct session *s);

enum config_client_address session_client_address(const struct session *s);

/* ---- session_route.c ---- */

/* An outbound session begins: why it must not, as a constant, or NULL. */
const char *session_route_begin(struct session *s);
void session_route_end(struct session *s);

/* Whether who far is was demanded, and proved. */
bool session_route_identified(const struct session *s);

/* Asks about the dialogue's `asked`, and brings it the answer if there is one already. */
void session_ask(struct session *s);

/* The answer has come, or did not in time. The reference is taken over. */
void session_answered(struct session *s, struct peer *peer);
void session_ask_late(struct session *s);

/* Nobody waits for the answer any more: it must not come. */
void session_ask_no_more(struct session *s);

/* The try in hand was no good: the next one, or a refusal. */
void session_next_far(struct session *s);

/*
 * A relay's far leg is due at once, and its address is the policy process's to find:
 * whether it is known already. False: it will be, or the dialogue has been told why not.
 */
bool session_relay_known(struct session *s);

/* TLS with far is up: whether it is what was demanded; the dialogue is told if not. */
bool session_route_judge(struct session *s);

/* The session ends: the route hears why, if it was a relay that was no good. */
void session_route_closed(struct session *s);

/* Far does without TLS from now on, as `may` allows. */
void session_route_in_clear(struct session *s);

struct tls_target session_route_target(const struct session *s);

/* ---- session_log.c ---- */

/* What the dialogue may tell of this session; valid until the session changes. */
struct trace session_trace(const struct session *s);

/* The line at a session's end. */
void session_log_end(struct session *s);

/* Far has taken a message, over a leg with TLS or without, that may be gone by the time
 * of its line. */
void session_log_note(struct session *s, bool tls);

/* The leg is to serve another domain: a line for the one before, if it got any mail. */
void session_log_leg(struct session *s);

/* A line for what MTA-STS in mode testing would have refused of the leg judged. */
void session_log_testing(struct session *s, const struct facts *facts);

/* Lines for what has gone wrong while the stream ran, and ended with `want`. */
void session_log_run(struct session *s, enum dialogue_want want);

/* RFC 1047: far was given a whole message, and nobody will know whether it kept it. */
void session_warn_of_duplicate(struct session *s);

/* Why, where far has ended: the one reason that is told when it is read. */
extern const char session_far_ended[];

/* A line for a failure when it happens; `why` may be NULL. */
void session_log_failure(struct session *s, const char *what, const char *why);

#endif
