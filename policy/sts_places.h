/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STS_PLACES_H
#define SEALPOST_STS_PLACES_H

/*
 * Who may fetch: so many places, given in the order in which they are asked for. Who has
 * had his for `grace` seconds loses it to the first who waits, the oldest first: those
 * that are slow on purpose cannot keep the others waiting for longer than that.
 */

#include <ev.h>
#include <stdbool.h>

struct sts_place {
	struct sts_place *next, **at; /* in its line; NULL: in none */
	double since;		      /* taken; seconds */
	bool taken;
};

struct sts_places_line {
	struct sts_place *first, **end;
};

struct sts_places {
	struct ev_loop *loop;
	struct sts_places_line waiting, taken;
	unsigned left;
	double grace;
	ev_timer timer;
	/* Both from the loop; a place that is withdrawn is no longer in any line. */
	void (*given)(struct sts_place *place);
	void (*withdrawn)(struct sts_place *place);
};

void sts_places_init(struct sts_places *places, struct ev_loop *loop, unsigned most,
	double grace, void (*given)(struct sts_place *place),
	void (*withdrawn)(struct sts_place *place));

/* One that is in no line. */
void sts_places_want(struct sts_places *places, struct sts_place *place);

/* One that is taken, or waits, or neither. The loop may go once all have left. */
void sts_places_leave(struct sts_places *places, struct sts_place *place);

#endif
