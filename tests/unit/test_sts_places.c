/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Who fetches when, in a loop of its own, with a grace of few milliseconds. */

#include "sts_places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 2, USERS = 64 };

static const double grace = 0.02, patience = 30;

enum fate { NOTHING, GIVEN, WITHDRAWN };

struct user {
	struct sts_place place; /* first: a place is its user */
	struct world *world;
	enum fate fate;
	bool leaves_at_once, comes_again;
	unsigned turn; /* when it was given a place */
};

struct world {
	struct ev_loop *loop;
	ev_timer timer;
	struct sts_places places;
	struct user users[USERS];
	unsigned turns, withdrawn;
	const struct user *awaited;
};

static void on_given(struct sts_place *place)
{
	struct user *user = (struct user *)(void *)place;
	struct world *w = user->world;
	user->fate = GIVEN;
	user->turn = ++w->turns;
	if (user->leaves_at_once)
		sts_places_leave(&w->places, place);
	if (user == w->awaited)
		ev_break(w->loop, EVBREAK_ALL);
}

static void on_withdrawn(struct sts_place *place)
{
	struct user *user = (struct user *)(void *)place;
	user->fate = WITHDRAWN;
	user->world->withdrawn++;
	if (user->comes_again)
		sts_places_want(&user->world->places, place);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void run(struct world *w, double seconds)
{
	ev_timer_set(&w->timer, seconds, 0.);
	ev_timer_start(w->loop, &w->timer);
	ev_run(w->loop, 0);
	ev_timer_stop(w->loop, &w->timer);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(w->loop);
	ev_init(&w->timer, on_timer);
	sts_places_init(&w->places, w->loop, MOST, grace, on_given, on_withdrawn);
	for (unsigned i = 0; i < USERS; i++)
		w->users[i].world = w;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < USERS; i++)
		sts_places_leave(&w->places, &w->users[i].place);
	ev_loop_destroy(w->loop);
	free(w);
	return 0;
}

static void want(struct world *w, unsigned user)
{
	sts_places_want(&w->places, &w->users[user].place);
}

static void leave(struct world *w, unsigned user)
{
	sts_places_leave(&w->places, &w->users[user].place);
}

/* Until this one has its place. */
static void await(struct world *w, unsigned user)
{
	w->awaited = &w->users[user];
	run(w, patience);
	assert_int_equal(w->users[user].fate, GIVEN);
}

/* ---- tests ---- */

static void test_in_the_order_of_asking(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 5; i++)
		want(w, i);
	assert_int_equal(w->turns, 0); /* never from within */
	await(w, 1);
	assert_int_equal(w->turns, MOST);
	leave(w, 3); /* that still waits */
	leave(w, 3);
	leave(w, 1);
	await(w, 2);
	leave(w, 0);
	await(w, 4);
	assert_int_equal(w->users[2].turn, 3);
	assert_int_equal(w->users[4].turn, 4);
	assert_int_equal(w->users[3].fate, NOTHING);
	assert_int_equal(w->withdrawn, 0);
}

static void test_nobody_waits(void **state)
{
	struct world *w = *state;
	want(w, 0);
	want(w, 1);
	run(w, 3 * grace);
	assert_int_equal(w->turns, MOST);
	assert_int_equal(w->withdrawn, 0);
	want(w, 2);
	await(w, 2); /* who has waited for nothing */
	assert_int_equal(w->users[0].fate, WITHDRAWN);
	assert_int_equal(w->users[1].fate, GIVEN);
}

static void test_all_leave_at_once(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < USERS; i++) {
		w->users[i].leaves_at_once = true;
		want(w, i);
	}
	await(w, USERS - 1);
	assert_int_equal(w->turns, USERS);
	assert_int_equal(w->withdrawn, 0);
}

/* However many there are and however often they come again. */
static void test_the_slow_hold_nobody_up(void **state)
{
	struct world *w = *state;
	unsigned last = USERS - 1;
	for (unsigned i = 0; i < last; i++) {
		w->users[i].comes_again = true;
		want(w, i);
	}
	want(w, last);
	await(w, last);
	assert_int_equal(w->users[last].turn, USERS);
	assert_int_equal(w->withdrawn, USERS - MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_in_the_order_of_asking, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_all_leave_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_the_slow_hold_nobody_up, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
