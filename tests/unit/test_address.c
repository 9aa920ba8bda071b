/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		const char *read;
		const char *host;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1:25", "192.0.2.1" },
		{ "192.0.2.1:2525", "192.0.2.1:2525", "192.0.2.1" },
		{ "192.0.2.1:90", "192.0.2.1:90", "192.0.2.1" },
		{ "192.0.2.1:0", "192.0.2.1:0", "192.0.2.1" },
		{ "192.0.2.1:65535", "192.0.2.1:65535", "192.0.2.1" },
		{ "2001:db8::1", "[2001:db8::1]:25", "2001:db8::1" },
		{ "2001:DB8:0::1", "[2001:db8::1]:25", "2001:db8::1" },
		{ "[2001:db8::1]", "[2001:db8::1]:25", "2001:db8::1" },
		{ "[2001:db8::1]:465", "[2001:db8::1]:465", "2001:db8::1" },
		{ "::", "[::]:25", "::" },
		{ "[::]:25", "[::]:25", "::" },
		{ "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:25", "::ffff:192.0.2.1" },
		{ "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
			"[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
			"1111:2222:3333:4444:5555:6666:7777:8888" },
	};
	char text[ADDRESS_TEXT];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct address a;

		assert_true(address_parse(&a, cases[i].text, 25));
		assert_string_equal(address_text(&a, text), cases[i].read);
		assert_string_equal(address_host(&a, text), cases[i].host);
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"mail.example.com",
		"localhost:25",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.1:",
		"192.0.2.1:65536",
		"192.0.2.1:99999999999999999999",
		"192.0.2.1:-1",
		"192.0.2.1:+25",
		"192.0.2.1: 25",
		" 192.0.2.1",
		"192.0.2.1 ",
		"[192.0.2.1]:25",
		"[]",
		"[]:25",
		"[2001:db8::1",
		"2001:db8::1]",
		"[2001:db8::1]25",
		"[2001:db8::1]:",
		"[2001:db8::1]:25:25",
		"[2001:db8::1%eth0]:25",
		"fe80::1%eth0",
		":25",
		"2001:db8::12345",
		"192.0.2.1:2:",
		"0000:0000:0000:0000:0000:0000:255.255.255.2555",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct address a = { .port = 7 };

		if (address_parse(&a, cases[i], 25))
			fail_msg("\"%s\" was taken for an address", cases[i]);
		assert_int_equal(a.port, 7);
	}
}

static void test_networks(void **state)
{
	static const struct {
		const char *network;
		const char *address;
		bool within;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", true },
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.99/24", "192.0.2.1", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.4/30", "192.0.2.7", true },
		{ "192.0.2.4/30", "192.0.2.8", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "203.0.113.9", false },
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/32", "2001:db9::1", false },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "2001:db8::1", "2001:db8::1", true },
		{ "2001:db8::1/128", "2001:db8::2", false },
		{ "192.0.2.0/24", "::ffff:192.0.2.7", true },
		{ "192.0.2.0/24", "::ffff:192.0.3.7", false },
		{ "::ffff:192.0.2.0/120", "192.0.2.7", true },
		{ "::ffff:192.0.2.0/120", "192.0.3.7", false },
		{ "::ffff:192.0.2.7", "192.0.2.7", true },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct network n;
		struct address a;

		assert_true(network_parse(&n, cases[i].network));
		assert_true(address_parse(&a, cases[i].address, 25));
		if (network_contains(&n, &a) != cases[i].within)
			fail_msg("%s in %s", cases[i].address, cases[i].network);
	}
}

static void test_networks_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"/",
		"/24",
		"192.0.2.0/",
		"192.0.2.0/33",
		"192.0.2.0/-1",
		"192.0.2.0/2 4",
		"192.0.2.0/24/24",
		"192.0.2.0:25/24",
		"192.0.2.0:25",
		"2001:db8::/129",
		"[2001:db8::]/32",
		"example.com/24",
		"192.0.2/24",
	};
	struct network n;

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		if (network_parse(&n, cases[i]))
			fail_msg("\"%s\" was taken for a network", cases[i]);
}

static void test_sockaddr(void **state)
{
	static const char *const cases[] = { "192.0.2.1:25", "[2001:db8::1]:465" };
	struct sockaddr_storage ss;
	char text[ADDRESS_TEXT];
	struct address a, b;

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		assert_true(address_parse(&a, cases[i], 0));
		socklen_t length = address_to_sockaddr(&a, &ss);
		assert_int_equal(length, i == 0 ? sizeof(struct sockaddr_in)
						: sizeof(struct sockaddr_in6));
		assert_true(address_from_sockaddr(&b, (const struct sockaddr *)&ss));
		assert_string_equal(address_text(&b, text), cases[i]);
		assert_true(address_same_host(&a, &b));
	}

	assert_true(address_parse(&a, "[::ffff:192.0.2.1]:25", 0));
	address_to_sockaddr(&a, &ss);
	assert_true(address_from_sockaddr(&b, (const struct sockaddr *)&ss));
	assert_string_equal(address_text(&b, text), "192.0.2.1:25");

	ss.ss_family = AF_UNIX;
	assert_false(address_from_sockaddr(&b, (const struct sockaddr *)&ss));
}

static void test_none(void **state)
{
	struct address none = { .family = AF_UNSPEC };
	struct sockaddr_storage ss;
	char text[ADDRESS_TEXT];
	struct network all;

	(void)state;
	assert_int_equal(address_to_sockaddr(&none, &ss), 0);
	assert_string_equal(address_text(&none, text), "unknown");
	assert_string_equal(address_host(&none, text), "unknown");
	assert_true(network_parse(&all, "0.0.0.0/0"));
	assert_false(network_contains(&all, &none));
}

static void test_wildcard(void **state)
{
	static const struct {
		const char *text;
		bool wildcard;
	} cases[] = {
		{ "0.0.0.0:25", true },
		{ "[::]:25", true },
		{ "0.0.0.1", false },
		{ "::1", false },
	};
	struct address a = { .family = AF_UNSPEC };

	(void)state;
	assert_false(address_is_wildcard(&a));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(address_parse(&a, cases[i].text, 25));
		assert_int_equal(address_is_wildcard(&a), cases[i].wildcard);
	}
}

static void test_same_host(void **state)
{
	struct address a, b;

	(void)state;
	assert_true(address_parse(&a, "192.0.2.1:25", 0));
	assert_true(address_parse(&b, "192.0.2.1:26", 0));
	assert_true(address_same_host(&a, &b));
	assert_true(address_parse(&b, "192.0.2.2:25", 0));
	assert_false(address_same_host(&a, &b));
	assert_true(address_parse(&b, "c000:201::", 0));
	assert_false(address_same_host(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_networks_refused),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_wildcard),
		cmocka_unit_test(test_same_host),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
