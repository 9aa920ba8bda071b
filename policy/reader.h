/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_READER_H
#define SEALPOST_READER_H

/*
 * Those whom the policy process serves: the supervisor and its workers, each with a
 * socket and with packets of its own on their way. Whoever hangs up or does not take what
 * is sent is lost alone: he would go by policies that are no longer so, or wait for an
 * answer for ever, and is to begin anew.
 */

#include "message.h"

struct ev_loop;

enum {
	READERS = 1 + 64, /* the supervisor and the workers */
	READER_SUPERVISOR = 1,
	PLACE_SUPERVISOR = 0,
	PLACE_WORKERS = 1, /* the first one's */
};

/* A number names one reader, and nobody after him. 0 is nobody. */
struct readers_owner {
	/* A packet; of no octets where what came is none at all. `fd` is the callee's to
	 * close, or -1. */
	void (*take)(uint32_t number, const uint8_t *octets, size_t length, int fd,
		void *context);
	/* He is lost already. May be called from within readers_send(). */
	void (*lost)(uint32_t number, void *context);
	void *context;
};

struct readers;

/* NULL without memory. */
struct readers *readers_new(struct ev_loop *loop, const struct readers_owner *owner);
void readers_free(struct readers *readers); /* NULL is allowed; nobody is told */

/*
 * One more, whose socket is taken over; the first is READER_SUPERVISOR. Whoever has the
 * place is lost: so nobody has two, and a worker's successor does not wait until it is
 * seen to be gone. 0: there is no such place, and the socket is still the caller's.
 */
uint32_t readers_add(struct readers *readers, unsigned place, int fd);

/* To him, or to nobody where he is lost. `length` 0 is a packet that cannot be made: he
 * is lost. `fd` goes with it, stays the caller's, and is -1 for none. */
void readers_send(struct readers *readers, uint32_t number, const uint8_t *octets,
	size_t length, int fd);
void readers_send_all(struct readers *readers, const uint8_t *octets, size_t length);

void readers_drop(struct readers *readers, uint32_t number);

unsigned readers_count(const struct readers *readers);

#endif
