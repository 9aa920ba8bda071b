/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SESSION_H
#define SEALPOST_SESSION_H

/*
 * One client's session: two legs, one stream with its dialogue, two ev_io and one
 * ev_timer. It is the only place where sockets, TLS, clock and log meet the conversation.
 * After each event one function derives anew what to watch (arm), and one place frees
 * (free_session).
 */

#include "requirement.h"
#include "services.h"
#include "worker.h"

/*
 * Serves a client on a connected descriptor, which it takes over. The connection was
 * counted by limits_connect(); the session gives that back. Without memory the descriptor
 * is closed.
 */
void session_start(struct worker *worker, const struct service *service, int fd,
	const struct address *client);

/* The worker is stopping: ends the session now if it is idle, else as soon as it is. */
void session_stop(struct session *session);

/* Ends it, whatever is under way: with a 421 where that can still be said. */
void session_abort(struct session *session);

/* A whole message was passed on, its reply is owed: to cut it off makes a duplicate. */
bool session_awaits_verdict(const struct session *session);

/*
 * The policy process's answer, whose reference the session takes over. Only for a session
 * that policylink_ask() was told of, and only later than that.
 */
void session_answer(struct session *session, struct peer *peer);

struct session *session_next(const struct session *session);

#endif
