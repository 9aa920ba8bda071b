/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

static struct address address_of(const char *text)
{
	struct address a;

	if (!address_parse(&a, text, 25))
		fail_msg("%s is no address", text);
	return a;
}

/* ---- pure ---- */

static void test_private(void **state)
{
	static const char *const cases[] = {
		"0.0.0.0",
		"0.255.255.255",
		"10.0.0.0",
		"10.255.255.255",
		"100.64.0.0",
		"100.127.255.255",
		"127.0.0.1",
		"127.255.255.255",
		"169.254.0.1",
		"169.254.169.254",
		"172.16.0.0",
		"172.31.255.255",
		"192.0.0.8",
		"192.0.2.1",
		"192.88.99.1",
		"192.168.0.0",
		"192.168.255.255",
		"198.18.0.0",
		"198.19.255.255",
		"198.51.100.1",
		"203.0.113.1",
		"224.0.0.1",
		"239.255.255.255",
		"240.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"::127.0.0.1", /* IPv4-compatible: deprecated, routed nowhere */
		"::8.8.8.8",
		"::ffff:10.0.0.1",
		"::ffff:127.0.0.1",
		"64:ff9b::10.0.0.1",
		"64:ff9b::127.0.0.1",
		"64:ff9b:1::8.8.8.8",
		"100::1",
		"1fff:ffff::1",
		"2001::1",
		"2001:0:808:808::1",
		"2001:1ff:ffff::1",
		"2001:db8::1",
		"2001:db8:ffff::1",
		"2002:a00:1::1", /* 10.0.0.1 */
		"2002:7f00:1::1",
		"3fff::1",
		"3fff:fff:ffff::1",
		"4000::1",
		"5f00::1",
		"8000::1",
		"fc00::1",
		"fdff::1",
		"fe80::1",
		"febf::1",
		"fec0::1",
		"ff02::1",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct address a = address_of(cases[i]);

		if (!origin_is_private(&a))
			fail_msg("%s is said to be public", cases[i]);
	}
	assert_true(origin_is_private(&(struct address){ .family = AF_UNSPEC }));
}

static void test_public(void **state)
{
	static const char *const cases[] = {
		"1.0.0.0",
		"8.8.8.8",
		"9.255.255.255",
		"11.0.0.0",
		"100.63.255.255",
		"100.128.0.0",
		"126.255.255.255",
		"128.0.0.0",
		"169.253.255.255",
		"169.255.0.0",
		"172.15.255.255",
		"172.32.0.0",
		"192.0.1.255",
		"192.0.3.0",
		"192.88.98.255",
		"192.88.100.0",
		"192.167.255.255",
		"192.169.0.0",
		"198.17.255.255",
		"198.20.0.0",
		"198.51.99.255",
		"198.51.101.0",
		"203.0.112.255",
		"203.0.114.0",
		"223.255.255.255",
		"::ffff:8.8.8.8",
		"64:ff9b::8.8.8.8",
		"2000::1",
		"2001:200::1",
		"2001:db7:ffff::1",
		"2001:db9::1",
		"2002:808:808::1",
		"2003::1",
		"2a00:1450::1b",
		"3ffe:ffff::1",
		"3fff:1000::1",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct address a = address_of(cases[i]);

		if (origin_is_private(&a))
			fail_msg("%s is said to be private", cases[i]);
	}
}

static void test_reasons(void **state)
{
	(void)state;
	for (int v = 0; v < ORIGIN_VERDICTS; v++)
		assert_true(strlen(origin_reason((enum origin_verdict)v)) > 0);
	assert_string_equal(
		origin_reason(ORIGIN_UNKNOWN), "it was not intercepted but sent to us");
}

/* ---- on this machine ---- */

static void test_check(void **state)
{
	static const struct {
		const char *text;
		bool allow_private;
		enum origin_verdict verdict;
	} cases[] = {
		{ "8.8.8.8:25", false, ORIGIN_FINE },
		{ "8.8.8.8:587", false, ORIGIN_NOT_SMTP },
		{ "8.8.8.8:587", true, ORIGIN_NOT_SMTP },
		{ "[2a00:1450::1b]:25", false, ORIGIN_FINE },
		{ "127.0.0.1:25", false, ORIGIN_OURSELVES },
		{ "127.0.0.1:25", true, ORIGIN_OURSELVES },
		{ "127.1.2.3:25", true, ORIGIN_OURSELVES },
		{ "127.0.0.1:2525", true, ORIGIN_NOT_SMTP },
		{ "192.0.2.1:25", false, ORIGIN_PRIVATE },
		{ "192.0.2.1:25", true, ORIGIN_FINE },
		{ "[2001:db8::1]:25", false, ORIGIN_PRIVATE },
		{ "[2001:db8::1]:25", true, ORIGIN_FINE },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct address a = address_of(cases[i].text);
		enum origin_verdict verdict = origin_check(&a, cases[i].allow_private);

		if (verdict != cases[i].verdict)
			fail_msg("%s: %s", cases[i].text, origin_reason(verdict));
	}
}

/* Who comes to our own address was intercepted by nobody. */
static void test_find_unknown(void **state)
{
	struct address loopback = address_of("127.0.0.1:0"), found, name;
	struct sockaddr_storage ss;
	socklen_t size = address_to_sockaddr(&loopback, &ss);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&ss, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&ss, &size), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&ss, size), 0);
	int accepted = accept(listener, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(origin_find(accepted, &found), ORIGIN_UNKNOWN);
	assert_true(address_from_sockaddr(&name, (struct sockaddr *)&ss));
	assert_true(address_same_host(&found, &name));
	assert_int_equal(found.port, name.port);
	close(accepted);
	close(client);
	close(listener);
	assert_int_equal(origin_find(-1, &found), ORIGIN_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_find_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
