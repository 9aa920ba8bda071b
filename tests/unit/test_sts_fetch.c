/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Where a fetch connects to, whatever libcurl has come to believe: its list of addresses
 * is made to lie, and its sockets are counted (see -Wl,--wrap in Makefile.am).
 */

#include "sts_fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const char refusal[] = "its address may not be connected to";

static struct {
	const char *told; /* to libcurl, in place of each address; NULL: the truth */
	unsigned sockets; /* that were asked for */
} armed;

const char *__real_inet_ntop(int family, const void *octets, char *text, socklen_t size);
const char *__wrap_inet_ntop(int family, const void *octets, char *text, socklen_t size);
int __wrap_socket(int family, int type, int protocol);

const char *__wrap_inet_ntop(int family, const void *octets, char *text, socklen_t size)
{
	if (!armed.told)
		return __real_inet_ntop(family, octets, text, size);
	snprintf(text, size, "%s", armed.told);
	return text;
}

/* There is none to be had: nothing goes anywhere. */
int __wrap_socket(int family, int type, int protocol)
{
	(void)family, (void)type, (void)protocol;
	armed.sockets++;
	errno = EMFILE;
	return -1;
}

struct outcome {
	struct ev_loop *loop;
	char fault[400];
};

static void on_done(const char *fault, const char *body, size_t length, void *context)
{
	struct outcome *outcome = context;
	(void)body, (void)length;
	assert_non_null(fault);
	snprintf(outcome->fault, sizeof(outcome->fault), "%s", fault);
	ev_break(outcome->loop, EVBREAK_ALL);
}

static struct peer_address address_of(const char *text)
{
	struct peer_address address = { .family = FAMILY_IPV4 };
	if (strchr(text, ':'))
		address.family = FAMILY_IPV6;
	int family = address.family == FAMILY_IPV6 ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(family, text, address.octets), 1);
	return address;
}

/* How a fetch from there ends where libcurl was told another address, or NULL. */
static void fetch(const char *from, const char *told, struct outcome *outcome)
{
	char reason[256];
	struct peer_address address = address_of(from);
	outcome->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(outcome->loop);
	struct sts_fetcher *fetcher =
		sts_fetcher_new(outcome->loop, "system", reason, sizeof(reason));
	assert_non_null(fetcher);
	armed.told = told;
	armed.sockets = 0;
	assert_non_null(sts_fetch_begin(fetcher, "d.lab", &address, 1, on_done, outcome));
	ev_run(outcome->loop, 0);
	sts_fetcher_free(fetcher);
	ev_loop_destroy(outcome->loop);
}

static void test_another_address(void **state)
{
	static const char *const pairs[][2] = {
		{ "44.128.0.1", "44.128.0.2" },
		{ "44.128.0.1", "127.0.0.1" },
		{ "2600::1", "2600::2" },
		{ "2600::1", "::1" },
		{ "2600::1", "2600:0:1::" },
	};
	struct outcome outcome;
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		fetch(pairs[i][0], pairs[i][1], &outcome);
		assert_string_equal(outcome.fault, refusal);
		assert_int_equal(armed.sockets, 0);
	}
}

/* Even if it was given: whoever called has not looked. */
static void test_private_addresses(void **state)
{
	static const char *const addresses[] = { "127.0.0.1", "10.0.0.1", "192.168.0.1",
		"169.254.169.254", "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1" };
	struct outcome outcome;
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		fetch(addresses[i], NULL, &outcome);
		assert_string_equal(outcome.fault, refusal);
		assert_int_equal(armed.sockets, 0);
	}
}

static void test_its_own_address(void **state)
{
	static const char *const addresses[] = { "44.128.0.1", "2600::1" };
	struct outcome outcome;
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		fetch(addresses[i], NULL, &outcome);
		assert_string_not_equal(outcome.fault, refusal);
		assert_int_equal(armed.sockets, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_address),
		cmocka_unit_test(test_private_addresses),
		cmocka_unit_test(test_its_own_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
