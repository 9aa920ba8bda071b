/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Handshakes: how many of all, and what part of them one client may have. */

#include "limits_world.h"

static void test_handshakes(void **state)
{
	struct limits limits = make((struct limits_most){ .handshakes = 2 });

	(void)state;
	assert_false(limits_handshakes_full(&limits, NULL, 1));
	limits_handshake_begin(&limits, NULL, 1);
	limits_handshake_begin(&limits, NULL, 1);
	assert_true(limits_handshakes_full(&limits, NULL, 1));
	assert_true(limits_handshakes_full(&limits, NULL, 1000));
	limits_handshake_end(&limits, NULL);
	assert_false(limits_handshakes_full(&limits, NULL, 1000));
	unmake(&limits);
}

/* How many handshakes may begin and end at once at `now`. */
static unsigned burst(struct limits *limits, double now)
{
	unsigned n = 0;

	while (n < 10000 && !limits_handshakes_full(limits, NULL, now)) {
		limits_handshake_begin(limits, NULL, now);
		limits_handshake_end(limits, NULL);
		n++;
	}
	return n;
}

static void test_handshakes_per_second(void **state)
{
	struct limits limits = make((struct limits_most){ .handshakes_per_second = 10 });

	(void)state;
	assert_int_equal(burst(&limits, 100), 10);
	assert_int_equal(burst(&limits, 100), 0);
	assert_int_equal(burst(&limits, 100.55), 5);
	assert_int_equal(burst(&limits, 102), 10);
	/* What was not used is not saved up. */
	assert_int_equal(burst(&limits, 10000), 10);
	/* A clock that stands still gives nothing. */
	assert_int_equal(burst(&limits, 10000), 0);
	unmake(&limits);
}

/* Begins what the client can get, which has a connection for each; returns how many. */
static unsigned grab(struct limits *limits, struct address client, double now)
{
	unsigned n = 0;

	assert_enters(limits, client);
	while (n < 10000 && !limits_handshakes_full(limits, &client, now)) {
		limits_handshake_begin(limits, &client, now);
		n++;
	}
	return n;
}

/* One client alone has many; whatever a few take, there is one for everybody else. */
static void test_share_of_handshakes(void **state)
{
	struct limits limits = make((struct limits_most){ .handshakes = 500 });
	struct address one = ipv4(1), last = ipv4(400);
	unsigned sum = grab(&limits, one, 1);

	(void)state;
	assert_int_equal(sum, 56);
	for (unsigned i = 2; i <= 10; i++)
		sum += grab(&limits, ipv4(i), 1);
	assert_in_range(sum, 300, 360);
	for (unsigned i = 11; i < 400; i++)
		sum += grab(&limits, ipv4(i), 1);
	assert_int_equal(sum, 500);
	assert_true(limits_handshakes_full(&limits, &last, 1));
	limits_handshake_end(&limits, &one);
	assert_true(limits_handshakes_full(&limits, &one, 1));
	assert_int_equal(grab(&limits, last, 1), 1);
	unmake(&limits);
}

/* What they had before it grew scarce they lose in time: a hundred do not take all. */
static void test_shares_of_a_hundred(void **state)
{
	enum { CLIENTS = 100, MOST = 500 };
	struct limits limits = make((struct limits_most){ .handshakes = MOST });
	unsigned has[CLIENTS], sum = 0;

	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		sum += has[i] = grab(&limits, ipv4(i), 1);
	assert_int_equal(sum, MOST);
	for (unsigned i = 0; i < 100 * CLIENTS; i++) {
		struct address client = ipv4(i % CLIENTS);

		for (unsigned j = 0; j < has[i % CLIENTS]; j++)
			limits_handshake_end(&limits, &client);
		sum -= has[i % CLIENTS];
		sum += has[i % CLIENTS] = grab(&limits, client, 1);
	}
	assert_in_range(sum, MOST / 2, MOST - 20);
	unmake(&limits);
}

/* A share is given back, by its address: an IPv6 client's is that of its /64. */
static void test_share_given_back(void **state)
{
	struct limits limits = make((struct limits_most){ .handshakes = 10 });
	struct address six = ipv6(1, 1), neighbour = ipv6(1, 2), other = ipv6(2, 1);

	(void)state;
	assert_int_equal(grab(&limits, six, 1), 2);
	assert_true(limits_handshakes_full(&limits, &neighbour, 1));
	assert_false(limits_handshakes_full(&limits, &other, 1));
	assert_false(limits_handshakes_full(&limits, NULL, 1));
	limits_handshake_end(&limits, &six);
	assert_false(limits_handshakes_full(&limits, &neighbour, 1));
	unmake(&limits);
}

/* Of the rate, too: and what one has used is forgotten, by a half with each second. */
static void test_share_of_the_rate(void **state)
{
	struct limits limits =
		make((struct limits_most){ .handshakes_per_second = 1000 });
	struct address one = ipv4(1), other = ipv4(1000);
	unsigned sum = 0;

	(void)state;
	assert_int_equal(grab(&limits, one, 100), 201);
	assert_int_equal(grab(&limits, one, 100), 0);
	assert_int_equal(grab(&limits, one, 101), 121);
	assert_int_equal(grab(&limits, one, 140), 201);
	/* Ten who take all that they can get leave something for others at any time. */
	for (unsigned i = 0; i < 5000; i++) {
		sum += grab(&limits, ipv4(i % 10), 200 + i / 1000.);
		assert_false(limits_handshakes_full(&limits, &other, 200 + i / 1000.));
	}
	assert_in_range(sum, 4000, 6000);
	for (unsigned i = 100; i < 150; i++) {
		struct address client = ipv4(i);

		assert_false(limits_handshakes_full(&limits, &client, 204.999));
		limits_handshake_begin(&limits, &client, 204.999);
	}
	unmake(&limits);
}

/* Handshakes counted as far ahead as no worker in its senses counts them are nobody's. */
static void test_nonsense(void **state)
{
	struct limits limits = make((struct limits_most){ .handshakes_per_second = 10 });

	(void)state;
	limits_handshake_begin(&limits, NULL, 1e9);
	assert_int_equal(burst(&limits, 1), 10);
	for (unsigned i = 0; i < 100; i++)
		limits_handshake_begin(&limits, NULL, 2);
	assert_int_equal(burst(&limits, 2), 0);
	assert_int_equal(burst(&limits, 2.25), 1);
	unmake(&limits);
}

/* Whichever workers have let it in. */
static void test_share_of_all_workers(void **state)
{
	struct limits one = make((struct limits_most){ .handshakes = 10 });
	struct limits two = beside(&one, 1);
	struct address client = ipv4(1);

	(void)state;
	assert_int_equal(grab(&two, client, 1), 2);
	assert_true(limits_handshakes_full(&one, &client, 1));
	limits_forget(&one.board, 1);
	assert_int_equal(grab(&one, client, 1), 2);
	unmake(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_handshakes_per_second),
		cmocka_unit_test(test_share_of_handshakes),
		cmocka_unit_test(test_shares_of_a_hundred),
		cmocka_unit_test(test_share_given_back),
		cmocka_unit_test(test_share_of_the_rate),
		cmocka_unit_test(test_share_of_all_workers),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
