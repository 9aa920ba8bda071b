/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "sts_places.h"

#include "clock.h"

#include <stddef.h>

static void append(struct sts_places_line *line, struct sts_place *place)
{
	place->next = NULL;
	place->at = line->end;
	*line->end = place;
	line->end = &place->next;
}

static void take_out(struct sts_places_line *line, struct sts_place *place)
{
	*place->at = place->next;
	if (place->next)
		place->next->at = place->at;
	else
		line->end = place->at;
	place->at = NULL;
}

/* Seconds until the first that waits may have a place. */
static double until_next(const struct sts_places *places)
{
	if (places->left > 0)
		return 0;
	double left = places->taken.first->since + places->grace - clock_steady();
	return left > 0 ? left : 0;
}

static void set_timer(struct sts_places *places)
{
	ev_timer_stop(places->loop, &places->timer);
	if (!places->waiting.first)
		return;
	ev_timer_set(&places->timer, until_next(places), 0.);
	ev_timer_start(places->loop, &places->timer);
}

static void give(struct sts_places *places, struct sts_place *place)
{
	take_out(&places->waiting, place);
	append(&places->taken, place);
	places->left--;
	place->taken = true;
	place->since = clock_steady();
	places->given(place);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sts_places *places = timer->data;
	(void)loop, (void)events;
	while (places->waiting.first && until_next(places) <= 0) {
		struct sts_place *oldest = places->taken.first;
		if (places->left == 0) {
			sts_places_leave(places, oldest);
			places->withdrawn(oldest);
		} else {
			give(places, places->waiting.first);
		}
	}
	set_timer(places);
}

void sts_places_init(struct sts_places *places, struct ev_loop *loop, unsigned most,
	double grace, void (*given)(struct sts_place *place),
	void (*withdrawn)(struct sts_place *place))
{
	*places = (struct sts_places){ .loop = loop,
		.left = most,
		.grace = grace,
		.given = given,
		.withdrawn = withdrawn };
	places->waiting.end = &places->waiting.first;
	places->taken.end = &places->taken.first;
	ev_init(&places->timer, on_timer);
	places->timer.data = places;
}

void sts_places_want(struct sts_places *places, struct sts_place *place)
{
	place->taken = false;
	append(&places->waiting, place);
	set_timer(places);
}

void sts_places_leave(struct sts_places *places, struct sts_place *place)
{
	if (!place->at)
		return;
	take_out(place->taken ? &places->taken : &places->waiting, place);
	places->left += place->taken;
	set_timer(places);
}
