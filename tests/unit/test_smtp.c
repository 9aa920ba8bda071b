/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Lines, commands, numbers and xtext. */

#include "smtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spans.h"

/* A literal, NULs inside and all. */
#define TEXT(literal)                                                                    \
	{                                                                                \
		literal, sizeof(literal) - 1                                             \
	}

static void test_span_is(void **state)
{
	(void)state;
	assert_true(span_is(span_of("aAzZ09@["), "AaZz09@["));
	assert_false(span_is(span_of("@["), "`{"));
	assert_false(span_is(span_of("ab"), "abc"));
	assert_false(span_is(span_of("abc"), "ab"));
	assert_true(span_is(span_of(""), ""));
	assert_true(span_is((struct span){ NULL, 0 }, ""));
}

static void test_line(void **state)
{
	static const struct {
		struct span octets;
		enum smtp_line_status status;
		size_t line;
		size_t consumed;
	} cases[] = {
		{ TEXT(""), SMTP_LINE_PARTIAL, 0, 0 },
		{ TEXT("QUIT"), SMTP_LINE_PARTIAL, 0, 0 },
		{ TEXT("QUIT\r"), SMTP_LINE_PARTIAL, 0, 0 },
		{ TEXT("QUIT\r\n"), SMTP_LINE_OK, 4, 6 },
		{ TEXT("\r\n"), SMTP_LINE_OK, 0, 2 },
		{ TEXT("QUIT\r\nNOOP\r\n"), SMTP_LINE_OK, 4, 6 },
		{ TEXT("12345678\r\n"), SMTP_LINE_OK, 8, 10 },
		{ TEXT("h\303\251lo\033\r\n"), SMTP_LINE_OK, 6, 8 },
		{ TEXT("\n"), SMTP_LINE_BARE, 0, 1 },
		{ TEXT("QUIT\n"), SMTP_LINE_BARE, 4, 5 },
		{ TEXT("QUIT\r\r\n"), SMTP_LINE_BARE, 5, 7 },
		{ TEXT("QU\rIT\r\n"), SMTP_LINE_BARE, 5, 7 },
		{ TEXT("QU\rIT\n"), SMTP_LINE_BARE, 5, 6 },
		{ TEXT("QU\0IT\r\n"), SMTP_LINE_BARE, 5, 7 },
		{ TEXT("\0\r\n"), SMTP_LINE_BARE, 1, 3 },
		{ TEXT("123456789"), SMTP_LINE_PARTIAL, 0, 0 },
		{ TEXT("1234567890"), SMTP_LINE_LONG, 0, 10 },
		{ TEXT("123456789\r\n"), SMTP_LINE_LONG, 0, 11 },
		{ TEXT("1234567890123"), SMTP_LINE_LONG, 0, 13 },
		{ TEXT("1234567890123\r\nQUIT\r\n"), SMTP_LINE_LONG, 0, 15 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct span octets = cases[i].octets;
		struct span line;
		size_t consumed;

		say(octets);
		assert_int_equal(smtp_line((const unsigned char *)octets.at,
					 octets.length, 10, &line, &consumed),
			cases[i].status);
		assert_int_equal(line.length, cases[i].line);
		assert_int_equal(consumed, cases[i].consumed);
		assert_ptr_equal(line.at, octets.at);
	}
}

static void test_command(void **state)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
		const char *argument; /* NULL: FROM: or TO: is missing */
	} cases[] = {
		{ "", SMTP_UNKNOWN, "" },
		{ " ", SMTP_UNKNOWN, "" },
		{ "EHLO mail.example", SMTP_EHLO, "mail.example" },
		{ "ehlo  mail.example  ", SMTP_EHLO, "mail.example" },
		{ "EHLO\tmail.example", SMTP_EHLO, "mail.example" },
		{ "HELO", SMTP_HELO, "" },
		{ "Data", SMTP_DATA, "" },
		{ "DATA ", SMTP_DATA, "" },
		{ "DATA x", SMTP_DATA, "x" },
		{ "BDAT 10 LAST", SMTP_BDAT, "10 LAST" },
		{ "RSET", SMTP_RSET, "" },
		{ "NOOP anything", SMTP_NOOP, "anything" },
		{ "qUiT", SMTP_QUIT, "" },
		{ "STARTTLS", SMTP_STARTTLS, "" },
		{ "STARTTLS now", SMTP_STARTTLS, "now" },
		{ "AUTH PLAIN =", SMTP_AUTH, "PLAIN =" },
		{ "VRFY u", SMTP_VRFY, "u" },
		{ "EXPN l", SMTP_EXPN, "l" },
		{ "HELP", SMTP_HELP, "" },
		{ "TURN", SMTP_TURN, "" },
		{ "ATRN a,b", SMTP_ATRN, "a,b" },
		{ "ETRN a", SMTP_ETRN, "a" },
		{ "MAIL FROM:<u@d> SIZE=1", SMTP_MAIL, "<u@d> SIZE=1" },
		{ "mail from:<>", SMTP_MAIL, "<>" },
		{ "MAIL FROM: <u@d>", SMTP_MAIL, "<u@d>" },
		{ "MAIL  FROM  :  <u@d>  ", SMTP_MAIL, "<u@d>" },
		{ "MAIL FROM:", SMTP_MAIL, "" },
		{ "MAIL", SMTP_MAIL, NULL },
		{ "MAIL <u@d>", SMTP_MAIL, NULL },
		{ "MAIL FROM <u@d>", SMTP_MAIL, NULL },
		{ "MAIL FROMAGE:<u@d>", SMTP_MAIL, NULL },
		{ "MAIL TO:<u@d>", SMTP_MAIL, NULL },
		{ "RCPT TO:<u@d>", SMTP_RCPT, "<u@d>" },
		{ "RCPT To : u@d", SMTP_RCPT, "u@d" },
		{ "RCPT FROM:<u@d>", SMTP_RCPT, NULL },
		{ "MAILFROM:<u@d>", SMTP_UNKNOWN, "" },
		{ "DATA\033", SMTP_UNKNOWN, "" },
		{ " QUIT", SMTP_UNKNOWN, "QUIT" },
		{ "QUI", SMTP_UNKNOWN, "" },
		{ "QUITE", SMTP_UNKNOWN, "" },
		{ "unknown", SMTP_UNKNOWN, "" },
		{ "HTTP", SMTP_UNKNOWN, "" },
		{ "XEXCH50 1234 2", SMTP_UNKNOWN, "1234 2" },
		{ "X-LINK2STATE FIRST CHUNK={", SMTP_UNKNOWN, "FIRST CHUNK={" },
		{ "X-EXPS GSSAPI", SMTP_UNKNOWN, "GSSAPI" },
		{ "X-ANONYMOUSTLS", SMTP_UNKNOWN, "" },
		{ "XCLIENT ADDR=192.0.2.1", SMTP_UNKNOWN, "ADDR=192.0.2.1" },
		{ "BURL imap://x LAST", SMTP_UNKNOWN, "imap://x LAST" },
		{ "TLS", SMTP_UNKNOWN, "" },
		{ "GET / HTTP/1.1", SMTP_HTTP, "/ HTTP/1.1" },
		{ "POST /x HTTP/1.0", SMTP_HTTP, "/x HTTP/1.0" },
		{ "PUT / HTTP/1.1", SMTP_HTTP, "/ HTTP/1.1" },
		{ "HEAD / HTTP/1.1", SMTP_HTTP, "/ HTTP/1.1" },
		{ "OPTIONS * HTTP/1.1", SMTP_HTTP, "* HTTP/1.1" },
		{ "CONNECT h:25 HTTP/1.1", SMTP_HTTP, "h:25 HTTP/1.1" },
		{ "PRI * HTTP/2.0", SMTP_HTTP, "* HTTP/2.0" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct smtp_command command;

		say(span_of(cases[i].line));
		smtp_command(span_of(cases[i].line), &command);
		assert_int_equal(command.verb, cases[i].verb);
		if (cases[i].argument == NULL)
			assert_null(command.argument.at);
		else
			assert_span(command.argument, cases[i].argument);
	}
}

static void test_number(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t number;
	} cases[] = {
		{ "0", true, 0 },
		{ "1", true, 1 },
		{ "0010", true, 10 },
		{ "9223372036854775808", true, UINT64_C(1) << 63 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "99999999999999999999", false, 0 },
		{ "000000000000000000001", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ "0x10", false, 0 },
		{ "1 ", false, 0 },
		{ "1e3", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		uint64_t number = 0;

		say(span_of(cases[i].text));
		assert_int_equal(
			span_number(span_of(cases[i].text), &number), cases[i].good);
		assert_true(number == cases[i].number);
	}
}

static void test_bdat(void **state)
{
	static const struct {
		const char *argument;
		bool good;
		uint64_t octets;
		bool last;
	} cases[] = {
		{ "0", true, 0, false },
		{ "0 LAST", true, 0, true },
		{ "86", true, 86, false },
		{ "86 last", true, 86, true },
		{ "86  LAST", true, 86, true },
		{ "9223372036854775808", true, UINT64_C(1) << 63, false },
		{ "18446744073709551615 LAST", true, UINT64_MAX, true },
		{ "18446744073709551616", false, 0, false },
		{ "", false, 0, false },
		{ "LAST", false, 0, false },
		{ "LAST 1", false, 0, false },
		{ "-1", false, 0, false },
		{ "+1", false, 0, false },
		{ "0x10", false, 0, false },
		{ "1,000", false, 0, false },
		{ "1LAST", false, 0, false },
		{ "1 LASTING", false, 0, false },
		{ "1 2", false, 0, false },
		{ "1 LAST LAST", false, 0, false },
		{ "1 LAST SIZE=1", false, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		uint64_t octets = 0;
		bool last = false;

		say(span_of(cases[i].argument));
		assert_int_equal(smtp_bdat(span_of(cases[i].argument), &octets, &last),
			cases[i].good);
		if (cases[i].good) {
			assert_true(octets == cases[i].octets);
			assert_int_equal(last, cases[i].last);
		}
	}
}

static void test_xtext(void **state)
{
	struct buf_pool pool;
	struct buf out;

	(void)state;
	buf_pool_init(&pool, 1);
	buf_init(&out, &pool);
	smtp_xtext_write(&out, span_of("a+b=c d\r\n\303\244\177~!"));
	assert_span((struct span){ (const char *)buf_head(&out), buf_length(&out) },
		"a+2Bb+3Dc+20d+0D+0A+C3+A4+7F~!");
	buf_release(&out);
	buf_pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_span_is),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_xtext),
	};

	return cmocka_run_group_tests_name("smtp", tests, NULL, NULL);
}
