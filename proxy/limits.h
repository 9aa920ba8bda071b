/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_LIMITS_H
#define SEALPOST_LIMITS_H

/*
 * What the Internet may take of us at one time: connections in all and by address,
 * handshakes under way and by second. Counters only; who is refused and how is the
 * caller's business. Pure: libc alone.
 */

#include "address.h"

#include <stdbool.h>

struct limits_most {
	unsigned connections, connections_per_address; /* 0: no limit */
	unsigned handshakes, handshakes_per_second;
};

struct limits;

/* NULL without memory. */
struct limits *limits_new(const struct limits_most *most);
void limits_free(struct limits *limits);

enum limits_verdict {
	LIMITS_FINE, /* counted */
	LIMITS_TOO_MANY,
	LIMITS_TOO_MANY_FROM_ADDRESS,
	LIMITS_NO_MEMORY,
};

/* A connection, before anything is known of it; give it back by limits_disconnect(). */
enum limits_verdict limits_connect(struct limits *limits);
void limits_disconnect(struct limits *limits);

/*
 * The same connection by its client's address (an IPv6 client counts by its /64, which is
 * what one customer gets); give it back by limits_leave().
 */
enum limits_verdict limits_enter(struct limits *limits, const struct address *client);
void limits_leave(struct limits *limits, const struct address *client);

/* Whether one more handshake would be too many at `now` (seconds, any steady clock). */
bool limits_handshakes_full(struct limits *limits, double now);
void limits_handshake_begin(struct limits *limits);
void limits_handshake_end(struct limits *limits);

unsigned limits_connections(const struct limits *limits);

#endif
