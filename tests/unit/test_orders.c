/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "orders.h"

#include "parcel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int begin(void **state)
{
	static int pair[2];
	*state = pair;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair);
}

static int end(void **state)
{
	int *pair = *state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void test_there_and_back(void **state)
{
	int *pair = *state, fd;
	struct order order;

	assert_int_equal(order_receive(pair[1], &order, &fd), ORDER_NONE);
	assert_true(order_send(pair[0], ORDER_SETUP, 7, "policy", STDIN_FILENO));
	assert_true(order_send(pair[0], NEWS_PONG, 0, NULL, -1));
	assert_int_equal(order_receive(pair[1], &order, &fd), ORDER_TAKEN);
	assert_int_equal(order.type, ORDER_SETUP);
	assert_int_equal(order.number, 7);
	assert_string_equal(order.text, "policy");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(order_receive(pair[1], &order, &fd), ORDER_TAKEN);
	assert_string_equal(order.text, "");
	assert_int_equal(fd, -1);
}

static void test_a_long_text_is_cut(void **state)
{
	int *pair = *state, fd;
	char text[2 * ORDER_TEXT];
	struct order order;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_true(order_send(pair[0], NEWS_REFUSED, 1, text, -1));
	assert_int_equal(order_receive(pair[1], &order, &fd), ORDER_TAKEN);
	assert_int_equal(strlen(order.text), ORDER_TEXT - 1);
}

static void test_nonsense(void **state)
{
	int *pair = *state, fd;
	const struct {
		struct order order;
		size_t text; /* octets of it that are sent */
		int fd;
	} cases[] = {
		{ { .type = 0 }, 1, -1 },
		{ { .type = ORDER_TYPES }, 1, -1 },
		{ { .type = ORDER_PING }, 0, -1 },		  /* no text at all */
		{ { .type = ORDER_PING, .text = "abc" }, 3, -1 }, /* that never ends */
		{ { .type = ORDER_PING, .text = "abc" }, 5, -1 }, /* or too early */
		{ { .type = ORDER_PING }, 1, STDIN_FILENO },
		{ { .type = ORDER_SETUP }, 1, -1 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct order order;
		assert_true(parcel_send(pair[0], &cases[i].order,
			offsetof(struct order, text) + cases[i].text, cases[i].fd));
		assert_int_equal(order_receive(pair[1], &order, &fd), ORDER_NONSENSE);
		assert_int_equal(fd, -1);
	}
	assert_true(parcel_send(pair[0], "x", 1, -1));
	struct order order;
	assert_int_equal(order_receive(pair[1], &order, &fd), ORDER_NONSENSE);
}

static void test_the_end(void **state)
{
	int *pair = *state, fd;
	struct order order;

	shutdown(pair[0], SHUT_WR);
	assert_int_equal(order_receive(pair[1], &order, &fd), ORDER_HUNG_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, begin, end),
		cmocka_unit_test_setup_teardown(test_a_long_text_is_cut, begin, end),
		cmocka_unit_test_setup_teardown(test_nonsense, begin, end),
		cmocka_unit_test_setup_teardown(test_the_end, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
