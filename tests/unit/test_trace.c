/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

static const struct trace plain = {
	.hostname = "mx.example.com",
	.client =
		&(const struct address){ .family = AF_INET, .octets = { 192, 0, 2, 1 } },
	.id = 0x4f2a,
	.helo = "mail.example.net",
	.esmtp = true,
	.when = 1795309323, /* 2026-11-22 01:02:03 UTC */
};

static void assert_line(const struct trace *trace, const char *expected)
{
	struct buf_pool pool;
	struct buf out;

	buf_pool_init(&pool, 0);
	buf_init(&out, &pool);
	trace_received(&out, trace);
	buf_append(&out, "", 1);
	assert_string_equal((char *)buf_head(&out), expected);
	buf_release(&out);
	assert_int_equal(pool.borrowed, 0);
	buf_pool_free(&pool);
}

static void test_plain(void **state)
{
	(void)state;
	assert_line(&plain, "Received: from mail.example.net ([192.0.2.1])\r\n"
			    "\tby mx.example.com with ESMTP\r\n"
			    "\tid 000000004f2a; Sun, 22 Nov 2026 01:02:03 +0000\r\n");
}

static void test_tls(void **state)
{
	struct trace trace = plain;

	(void)state;
	struct address client;
	assert_true(address_parse(&client, "2001:db8::1", 25));
	trace.client = &client;
	trace.helo = "[IPv6:2001:db8::1]";
	trace.tls = "TLS1.3";
	trace.cipher = "TLS_AES_256_GCM_SHA384";
	assert_line(&trace,
		"Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n"
		"\tby mx.example.com with ESMTPS (TLS1.3 TLS_AES_256_GCM_SHA384)\r\n"
		"\tid 000000004f2a; Sun, 22 Nov 2026 01:02:03 +0000\r\n");
}

static void test_dates(void **state)
{
	static const struct {
		time_t when;
		const char *date;
	} rows[] = {
		{ 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ 951782399, "Mon, 28 Feb 2000 23:59:59 +0000" },
		{ 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ 4102444799, "Thu, 31 Dec 2099 23:59:59 +0000" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct trace trace = plain;
		char expected[256] =
			"Received: from mail.example.net ([192.0.2.1])\r\n"
			"\tby mx.example.com with ESMTP\r\n\tid 000000004f2a; ";

		trace.when = rows[i].when;
		strcat(expected, rows[i].date);
		strcat(expected, "\r\n");
		assert_line(&trace, expected);
	}
}

static void test_protocols(void **state)
{
	static const struct {
		bool esmtp, utf8, tls, auth;
		const char *name;
	} rows[] = {
		{ false, false, false, false, "SMTP\r\n" },
		{ false, false, true, false, "SMTP (T C)\r\n" },
		{ true, false, false, false, "ESMTP\r\n" },
		{ true, false, false, true, "ESMTPA\r\n" },
		{ true, false, true, false, "ESMTPS (T C)\r\n" },
		{ true, false, true, true, "ESMTPSA (T C)\r\n" },
		{ true, true, false, false, "UTF8SMTP\r\n" },
		{ true, true, false, true, "UTF8SMTPA\r\n" },
		{ true, true, true, false, "UTF8SMTPS (T C)\r\n" },
		{ true, true, true, true, "UTF8SMTPSA (T C)\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct trace trace = plain;
		char expected[256] = "Received: from mail.example.net ([192.0.2.1])\r\n"
				     "\tby mx.example.com with ";

		trace.esmtp = rows[i].esmtp;
		trace.utf8 = rows[i].utf8;
		trace.tls = rows[i].tls ? "T" : NULL;
		trace.cipher = "C";
		trace.auth = rows[i].auth;
		strcat(expected, rows[i].name);
		strcat(expected,
			"\tid 000000004f2a; Sun, 22 Nov 2026 01:02:03 +0000\r\n");
		assert_line(&trace, expected);
	}
}

#define TEN   "0123456789"
#define FIFTY TEN TEN TEN TEN TEN

static void test_helo(void **state)
{
	static const struct {
		const char *helo, *from;
	} rows[] = {
		{ "localhost", "localhost ([192.0.2.1])" },
		{ "EXCH_01.corp-x.example", "EXCH_01.corp-x.example ([192.0.2.1])" },
		{ "[192.0.2.7]", "[192.0.2.7] ([192.0.2.1])" },
		{ FIFTY FIFTY FIFTY FIFTY FIFTY "abcde",
			FIFTY FIFTY FIFTY FIFTY FIFTY "abcde ([192.0.2.1])" },
		/* no domain, and nothing of it may end the comment or the line */
		{ NULL, "unknown ([192.0.2.1])" },
		{ "", "unknown ([192.0.2.1])" },
		{ "a b", "unknown ([192.0.2.1]) (HELO a b)" },
		{ ".", "unknown ([192.0.2.1]) (HELO .)" },
		{ "a..b", "unknown ([192.0.2.1]) (HELO a..b)" },
		{ ".a", "unknown ([192.0.2.1]) (HELO .a)" },
		{ "a.", "unknown ([192.0.2.1]) (HELO a.)" },
		{ "[]", "unknown ([192.0.2.1]) (HELO [])" },
		{ "[192.0.2.7", "unknown ([192.0.2.1]) (HELO [192.0.2.7)" },
		{ "[192.0.2.7]x", "unknown ([192.0.2.1]) (HELO [192.0.2.7]x)" },
		{ "[a b]", "unknown ([192.0.2.1]) (HELO [a b])" },
		{ "x) by y (\\", "unknown ([192.0.2.1]) (HELO x_ by y __)" },
		{ "x\r\nTo: y", "unknown ([192.0.2.1]) (HELO x__To: y)" },
		{ "\x1b[2J\x7f\xc3\xa9\t", "unknown ([192.0.2.1]) (HELO _[2J____)" },
		{ FIFTY TEN "abc?", "unknown ([192.0.2.1]) (HELO " FIFTY TEN "abc?)" },
		{ FIFTY TEN "abc?d",
			"unknown ([192.0.2.1]) (HELO " FIFTY TEN "abc?...)" },
		{ FIFTY FIFTY FIFTY FIFTY FIFTY "abcdef",
			"unknown ([192.0.2.1]) (HELO " FIFTY TEN "0123...)" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct trace trace = plain;
		char expected[512] = "Received: from ";

		trace.helo = rows[i].helo;
		strcat(expected, rows[i].from);
		strcat(expected,
			"\r\n\tby mx.example.com with ESMTP\r\n"
			"\tid 000000004f2a; Sun, 22 Nov 2026 01:02:03 +0000\r\n");
		assert_line(&trace, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_helo),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
