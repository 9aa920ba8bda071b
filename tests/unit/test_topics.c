/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What the policy process keeps, and how much of it. */

#include "topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LONG = 64 * 1024 };

static uint8_t packet[LONG];

static int setup(void **state)
{
	*state = topics_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	topics_free(*state);
	return 0;
}

static const char *name(unsigned i)
{
	static char domain[32];

	snprintf(domain, sizeof(domain), "d%u.example", i);
	return domain;
}

static struct topic *find(struct topics *topics, unsigned i, double now)
{
	return topics_find(topics, DIRECTION_OUTBOUND, name(i), now);
}

/* Asked and answered, for a minute. */
static void learn(struct topics *topics, unsigned i, size_t length)
{
	struct topic *topic = topics_add(topics, DIRECTION_OUTBOUND, name(i));

	assert_non_null(topic);
	topic->peer->lifetime = 60;
	topics_keep(topics, topic, packet, length, 1);
}

static void test_life(void **state)
{
	struct topics *topics = *state;

	struct topic *asked = topics_add(topics, DIRECTION_OUTBOUND, name(0));
	assert_non_null(asked);
	assert_string_equal(asked->peer->domain, name(0));
	assert_ptr_equal(find(topics, 0, 1), asked);
	assert_ptr_equal(topics_under_way(topics), asked);
	assert_null(topics_find(topics, DIRECTION_INBOUND, name(0), 1));
	topics_drop(topics, asked);
	assert_null(find(topics, 0, 1));

	learn(topics, 1, 10);
	assert_null(topics_under_way(topics));
	struct topic *kept = find(topics, 1, 60);
	assert_non_null(kept);
	assert_int_equal(kept->length, 10);
	assert_null(kept->peer);
	assert_null(find(topics, 1, 61));
	learn(topics, 2, 10);
	topics_forget(topics);
	assert_null(find(topics, 2, 1));
}

/* The one that was made first makes room. */
static void test_room(void **state)
{
	struct topics *topics = *state;

	for (unsigned i = 0; i < TOPICS_KEPT; i++)
		learn(topics, i, 10);
	assert_non_null(find(topics, 0, 2));
	learn(topics, TOPICS_KEPT, 10);
	assert_null(find(topics, 0, 2));
	assert_non_null(find(topics, 1, 2));
	assert_non_null(find(topics, TOPICS_KEPT, 2));
}

static void test_room_for_long_ones(void **state)
{
	enum { FIT = TOPICS_OCTETS / LONG };
	struct topics *topics = *state;

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < FIT; i++)
			learn(topics, i, LONG);
		assert_non_null(find(topics, 0, 2));
		learn(topics, FIT, 1);
		assert_null(find(topics, 0, 2));
		assert_non_null(find(topics, 1, 2));
		assert_non_null(find(topics, FIT, 2));
		/* What was dropped takes no room. */
		topics_forget(topics);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room_for_long_ones, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
