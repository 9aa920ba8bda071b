/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_LIMITS_H
#define SEALPOST_LIMITS_H

/*
 * What the Internet may take of us at one time: connections in all and by address,
 * handshakes under way and by second. Counters only; who is refused and how is the
 * caller's business. Pure: libc alone.
 *
 * All workers count together, in memory that they share: each has a slot that it alone
 * writes and all read, so that there is no lock that a dead worker could hold, and what
 * it had counted goes with its slot. A client is counted before it is refused, so that
 * two workers cannot both let the last one in; both may refuse it in the same instant.
 */

#include "address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limits_most {
	unsigned connections, connections_per_address; /* 0: no limit */
	unsigned handshakes, handshakes_per_second;
};

struct limits_shared; /* in shared memory, zeroed at first */

/*
 * The memory, and how it is divided: for `slots` workers, any of which may have most of
 * all `connections`. This is not read from the memory, where a worker that somebody has
 * taken over could have written anything: it costs others their counts, no more.
 */
struct limits_board {
	struct limits_shared *shared;
	unsigned slots, connections; /* the same for all who share it; both at least 1 */
};

/* Octets that it needs; they begin where a cache line does. */
size_t limits_size(unsigned slots, unsigned connections);

/* To be called once, by whoever made the memory; nobody outside may know the seed. */
void limits_share(const struct limits_board *board, uint64_t seed);

/* A worker has died: what it had counted is over. */
void limits_forget(const struct limits_board *board, unsigned slot);

/* The connections of all workers. */
unsigned limits_connections(const struct limits_board *board);

/* As one worker sees it. Plain data; `most` may change at any time. */
struct limits {
	struct limits_board board;
	unsigned slot;
	struct limits_most most;
};

enum limits_verdict {
	LIMITS_FINE, /* counted */
	LIMITS_TOO_MANY,
	LIMITS_TOO_MANY_FROM_ADDRESS,
};

/* A connection, before anything is known of it; give it back by limits_disconnect(). */
enum limits_verdict limits_connect(struct limits *limits);
void limits_disconnect(struct limits *limits);

/*
 * The same connection by its client's address (an IPv6 client counts by its /64, which is
 * what one customer gets); give it back by limits_leave(). TOO_MANY: there are more
 * addresses than the memory was made for.
 */
enum limits_verdict limits_enter(struct limits *limits, const struct address *client);
void limits_leave(struct limits *limits, const struct address *client);

/*
 * Whether one more handshake would be too many at `now` (seconds, any steady clock that
 * all workers share): of all, or of a client that was entered (NULL: it was not), who has
 * no more than a part of what the others leave. Who was told to begin may do so: what
 * workers begin in the same instant comes on top.
 */
bool limits_handshakes_full(
	const struct limits *limits, const struct address *client, double now);
void limits_handshake_begin(
	struct limits *limits, const struct address *client, double now);
void limits_handshake_end(struct limits *limits, const struct address *client);

#endif
