/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct address ipv4(unsigned number)
{
	struct address a = { .family = AF_INET };
	a.octets[0] = 192;
	a.octets[1] = (uint8_t)(number >> 16);
	a.octets[2] = (uint8_t)(number >> 8);
	a.octets[3] = (uint8_t)number;
	return a;
}

/* 2001:db8:0:NET::HOST */
static struct address ipv6(uint8_t net, uint8_t host)
{
	struct address a = { .family = AF_INET6, .octets = { 0x20, 0x01, 0x0d, 0xb8 } };
	a.octets[7] = net;
	a.octets[15] = host;
	return a;
}

static struct limits *make(struct limits_most most)
{
	struct limits *limits = limits_new(&most);
	assert_non_null(limits);
	return limits;
}

static void assert_enters(struct limits *limits, struct address client)
{
	assert_int_equal(limits_enter(limits, &client), LIMITS_FINE);
}

static void assert_too_many(struct limits *limits, struct address client)
{
	assert_int_equal(limits_enter(limits, &client), LIMITS_TOO_MANY_FROM_ADDRESS);
}

static void test_connections(void **state)
{
	struct limits *limits = make((struct limits_most){ .connections = 2 });

	(void)state;
	assert_int_equal(limits_connect(limits), LIMITS_FINE);
	assert_int_equal(limits_connect(limits), LIMITS_FINE);
	assert_int_equal(limits_connect(limits), LIMITS_TOO_MANY);
	assert_int_equal(limits_connections(limits), 2);
	limits_disconnect(limits);
	assert_int_equal(limits_connect(limits), LIMITS_FINE);
	assert_int_equal(limits_connections(limits), 2);
	limits_free(limits);
}

static void test_no_limit(void **state)
{
	struct limits *limits = make((struct limits_most){ 0 });

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(limits_connect(limits), LIMITS_FINE);
		assert_enters(limits, ipv4(1));
		assert_false(limits_handshakes_full(limits, 1));
		limits_handshake_begin(limits);
	}
	limits_free(limits);
}

static void test_per_address(void **state)
{
	struct limits *limits =
		make((struct limits_most){ .connections_per_address = 2 });
	struct address one = ipv4(1);

	(void)state;
	assert_enters(limits, one);
	assert_enters(limits, one);
	assert_too_many(limits, one);
	assert_enters(limits, ipv4(2));
	limits_leave(limits, &one);
	assert_enters(limits, one);
	assert_too_many(limits, one);
	limits_free(limits);
}

/* Another port is the same client. */
static void test_ports(void **state)
{
	struct limits *limits =
		make((struct limits_most){ .connections_per_address = 1 });
	struct address one = ipv4(1);

	(void)state;
	one.port = 1;
	assert_enters(limits, one);
	one.port = 2;
	assert_too_many(limits, one);
	limits_leave(limits, &one);
	assert_enters(limits, one);
	limits_free(limits);
}

/* One customer has a /64: its hosts count as one, and its neighbour for itself. */
static void test_ipv6(void **state)
{
	struct limits *limits =
		make((struct limits_most){ .connections_per_address = 1 });
	struct address second = ipv6(1, 2);

	(void)state;
	assert_enters(limits, ipv6(1, 1));
	assert_too_many(limits, ipv6(1, 2));
	assert_enters(limits, ipv6(2, 1));
	limits_leave(limits, &second);
	assert_enters(limits, ipv6(1, 3));
	limits_free(limits);
}

/* An IPv4 client whose octets are those of an IPv6 prefix is somebody else. */
static void test_families(void **state)
{
	struct limits *limits =
		make((struct limits_most){ .connections_per_address = 1 });
	struct address four = { .family = AF_INET, .octets = { 0x20, 0x01, 0x0d, 0xb8 } };

	(void)state;
	assert_enters(limits, four);
	assert_enters(limits, ipv6(0, 1));
	assert_too_many(limits, four);
	limits_free(limits);
}

/* Far more clients than chains: each is found again, and gone when it has left. */
static void test_many(void **state)
{
	enum { CLIENTS = 20000 };
	struct limits *limits =
		make((struct limits_most){ .connections_per_address = 1 });

	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_enters(limits, ipv4(i));
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_too_many(limits, ipv4(i));
	for (unsigned i = 0; i < CLIENTS; i += 2) {
		struct address client = ipv4(i);

		limits_leave(limits, &client);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		if (i % 2 == 0)
			assert_enters(limits, ipv4(i));
		else
			assert_too_many(limits, ipv4(i));
	limits_free(limits);
}

static void test_leave_without_enter(void **state)
{
	struct limits *limits =
		make((struct limits_most){ .connections_per_address = 1 });
	struct address one = ipv4(1);

	(void)state;
	limits_leave(limits, &one);
	assert_enters(limits, one);
	limits_free(limits);
}

static void test_handshakes(void **state)
{
	struct limits *limits = make((struct limits_most){ .handshakes = 2 });

	(void)state;
	assert_false(limits_handshakes_full(limits, 1));
	limits_handshake_begin(limits);
	limits_handshake_begin(limits);
	assert_true(limits_handshakes_full(limits, 1));
	assert_true(limits_handshakes_full(limits, 1000));
	limits_handshake_end(limits);
	assert_false(limits_handshakes_full(limits, 1000));
	limits_free(limits);
}

/* How many handshakes may begin and end at once at `now`. */
static unsigned burst(struct limits *limits, double now)
{
	unsigned n = 0;

	while (n < 10000 && !limits_handshakes_full(limits, now)) {
		limits_handshake_begin(limits);
		limits_handshake_end(limits);
		n++;
	}
	return n;
}

static void test_handshakes_per_second(void **state)
{
	struct limits *limits = make((struct limits_most){ .handshakes_per_second = 10 });

	(void)state;
	assert_int_equal(burst(limits, 100), 10);
	assert_int_equal(burst(limits, 100), 0);
	assert_int_equal(burst(limits, 100.55), 5);
	assert_int_equal(burst(limits, 102), 10);
	/* What was not used is not saved up. */
	assert_int_equal(burst(limits, 10000), 10);
	/* A clock that stands still gives nothing. */
	assert_int_equal(burst(limits, 10000), 0);
	limits_free(limits);
}

static void test_free_nothing(void **state)
{
	(void)state;
	limits_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_per_address),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_leave_without_enter),
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_handshakes_per_second),
		cmocka_unit_test(test_free_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
