/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_COUNTERS_H
#define SEALPOST_COUNTERS_H

/*
 * What has been done, a count each, service by service. In memory shared as that of
 * limits: a slot a worker, which it alone writes. Pure: libc alone.
 */

#include <stddef.h>
#include <stdint.h>

enum { COUNTERS_SERVICES = 32, COUNTERS_SLOTS = 64 };

/* The first is how many there are now; all others only grow. */
enum counter {
	COUNTER_OPEN,		   /* sessions now */
	COUNTER_SESSIONS,	   /* sessions begun */
	COUNTER_TURNED_AWAY,	   /* connections refused for a limit */
	COUNTER_NEAR_TLS,	   /* sessions that had TLS with the client */
	COUNTER_MESSAGES,	   /* that the next host has taken (250 after the end) */
	COUNTER_MESSAGES_TLS,	   /* ... over TLS to that host */
	COUNTER_MESSAGES_VERIFIED, /* ... whose identity was demanded and proved */
	COUNTER_OCTETS,		   /* of the bodies of messages passed on */
	COUNTER_REFUSED, /* recipients or senders refused for what is demanded */
	COUNTERS
};

/* Lower case with underscores, as `status --json` has them. */
extern const char *const counter_names[COUNTERS];

struct counters_shared; /* in shared memory, zeroed at first */

/* Octets that it needs; they begin where a cache line does. */
size_t counters_size(void);

/* A worker has died: it has no sessions now; what it has done stays counted. */
void counters_forget(struct counters_shared *shared, unsigned slot);

/* By the worker of `slot`. */
void counters_add(struct counters_shared *shared, unsigned slot, unsigned service,
	enum counter counter, uint64_t n);
void counters_subtract(struct counters_shared *shared, unsigned slot, unsigned service,
	enum counter counter, uint64_t n);

/* The sum over all workers, the dead ones too. */
uint64_t counters_read(
	const struct counters_shared *shared, unsigned service, enum counter counter);

/* Of one worker alone: how many sessions it has now. */
uint64_t counters_open(const struct counters_shared *shared, unsigned slot);

#endif
