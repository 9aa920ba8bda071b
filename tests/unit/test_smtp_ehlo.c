/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Replies, and EHLO replies above all: those of real servers, as they were seen. */

#include "smtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spans.h"

/* A literal, NULs inside and all. */
#define TEXT(literal)                                                                    \
	{                                                                                \
		literal, sizeof(literal) - 1                                             \
	}

static const struct smtp_reply_limits limits = { .length = 2048, .lines = 32 };

static void assert_written(struct buf *out, const char *text)
{
	assert_false(out->failed);
	assert_span((struct span){ (const char *)buf_head(out), buf_length(out) }, text);
	buf_release(out);
}

static enum smtp_reply_status read_reply(
	struct span text, const struct smtp_reply_limits *most, struct smtp_reply *reply)
{
	return smtp_reply((const unsigned char *)text.at, text.length, most, reply);
}

static void test_replies(void **state)
{
	static const struct {
		struct span octets;
		enum smtp_reply_status status;
		unsigned code;
		unsigned lines;
		size_t length;
	} cases[] = {
		{ TEXT(""), SMTP_REPLY_PARTIAL, 0, 0, 0 },
		{ TEXT("250 OK"), SMTP_REPLY_PARTIAL, 0, 0, 0 },
		{ TEXT("250 OK\r"), SMTP_REPLY_PARTIAL, 0, 0, 0 },
		{ TEXT("250-OK\r\n"), SMTP_REPLY_PARTIAL, 0, 0, 0 },
		{ TEXT("250 OK\r\n"), SMTP_REPLY_OK, 250, 1, 8 },
		{ TEXT("250 OK\n"), SMTP_REPLY_OK, 250, 1, 7 },
		{ TEXT("250 OK\r\n550 no\r\n"), SMTP_REPLY_OK, 250, 1, 8 },
		{ TEXT("250\r\n"), SMTP_REPLY_OK, 250, 1, 5 },
		{ TEXT("250\n"), SMTP_REPLY_OK, 250, 1, 4 },
		{ TEXT("250 \r\n"), SMTP_REPLY_OK, 250, 1, 6 },
		{ TEXT("250-a\r\n250-\r\n250 c\r\n"), SMTP_REPLY_OK, 250, 3, 20 },
		{ TEXT("250-a\n250\r\n"), SMTP_REPLY_OK, 250, 2, 11 },
		{ TEXT("100 x\r\n"), SMTP_REPLY_OK, 100, 1, 7 },
		{ TEXT("599 x\r\n"), SMTP_REPLY_OK, 599, 1, 7 },
		{ TEXT("412 Exchange\r\n"), SMTP_REPLY_OK, 412, 1, 14 },
		{ TEXT("220 ****************200**\r\n"), SMTP_REPLY_OK, 220, 1, 27 },
		{ TEXT("250 a\0b\033\r\r\n"), SMTP_REPLY_OK, 250, 1, 11 },
		{ TEXT("099 x\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("600 x\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("25 x\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("2500 x\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("250x\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT(" 250 x\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("+25 x\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("SSH-2.0-OpenSSH_9.2\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("250-a\r\n251 b\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
		{ TEXT("250-a\r\nb\r\n"), SMTP_REPLY_BROKEN, 0, 0, 0 },
	};
	struct smtp_reply reply;

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		say(cases[i].octets);
		assert_int_equal(
			read_reply(cases[i].octets, &limits, &reply), cases[i].status);
		if (cases[i].status != SMTP_REPLY_OK)
			continue;
		assert_int_equal(reply.code, cases[i].code);
		assert_int_equal(reply.lines, cases[i].lines);
		assert_int_equal(reply.length, cases[i].length);
		assert_ptr_equal(reply.octets, cases[i].octets.at);
	}
}

static void test_reply_cut_anywhere(void **state)
{
	struct span whole = span_of("250-first\r\n250-second\n250-\r\n250 last\r\n");
	struct smtp_reply reply;

	(void)state;
	for (size_t n = 0; n < whole.length; n++) {
		struct span cut = { whole.at, n };

		assert_int_equal(read_reply(cut, &limits, &reply), SMTP_REPLY_PARTIAL);
	}
	assert_int_equal(read_reply(whole, &limits, &reply), SMTP_REPLY_OK);
}

static void test_reply_limits(void **state)
{
	static const struct {
		const char *octets;
		enum smtp_reply_status status;
	} cases[] = {
		{ "250 7890\r\n", SMTP_REPLY_OK },
		{ "250 78901\r\n", SMTP_REPLY_LONG },
		{ "250 7890\r", SMTP_REPLY_PARTIAL },
		{ "250 789012", SMTP_REPLY_LONG },
		{ "250\n250 x\n", SMTP_REPLY_OK },
		{ "250-\n250\n", SMTP_REPLY_OK },
		{ "250-\n250-\n", SMTP_REPLY_LONG },
		{ "1-\n", SMTP_REPLY_BROKEN },
	};
	struct smtp_reply_limits ten = { .length = 10, .lines = 2 };
	struct smtp_reply_limits two = { .length = 100, .lines = 2 };
	struct smtp_reply reply;

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		say(span_of(cases[i].octets));
		assert_int_equal(read_reply(span_of(cases[i].octets), &ten, &reply),
			cases[i].status);
	}
	assert_int_equal(
		read_reply(span_of("250-\n250 b\n"), &two, &reply), SMTP_REPLY_OK);
	assert_int_equal(
		read_reply(span_of("250-\n250-\n"), &two, &reply), SMTP_REPLY_PARTIAL);
	assert_int_equal(read_reply(span_of("250-\n250-\n250 c\n"), &two, &reply),
		SMTP_REPLY_LONG);
}

static void test_reply_lines(void **state)
{
	struct span text = span_of("250-first\r\n250-\n250-  x \r\n250\r\n250 next\r\n");
	static const char *const lines[] = { "first", "", "  x ", "" };
	struct smtp_reply reply;
	size_t cursor = 0;
	struct span line;

	(void)state;
	assert_int_equal(read_reply(text, &limits, &reply), SMTP_REPLY_OK);
	for (size_t i = 0; i < LENGTH(lines); i++) {
		assert_true(smtp_reply_line(&reply, &cursor, &line));
		assert_span(line, lines[i]);
	}
	assert_false(smtp_reply_line(&reply, &cursor, &line));
}

static void test_reply_write(void **state)
{
	static const struct {
		struct span octets;
		const char *whole;
		const char *last;
	} cases[] = {
		{ TEXT("250 2.1.0 u@d....Sender OK\r\n"),
			"250 2.1.0 u@d....Sender OK\r\n",
			"250 2.1.0 u@d....Sender OK\r\n" },
		{ TEXT("354-one\n354-two\n354 go\n"), "354-one\r\n354-two\r\n354 go\r\n",
			"354 go\r\n" },
		{ TEXT("354\r\n"), "354 \r\n", "354 \r\n" },
		{ TEXT("250-\r\n250\r\n"), "250-\r\n250 \r\n", "250 \r\n" },
		{ TEXT("550 a\0b\033c\td\r\r\n"), "550 a?b?c?d?\r\n",
			"550 a?b?c?d?\r\n" },
		{ TEXT("550 \303\274\r\n"), "550 \303\274\r\n", "550 \303\274\r\n" },
	};
	struct buf_pool pool;
	struct buf out;

	(void)state;
	buf_pool_init(&pool, 1);
	buf_init(&out, &pool);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct smtp_reply reply;

		say(cases[i].octets);
		assert_int_equal(
			read_reply(cases[i].octets, &limits, &reply), SMTP_REPLY_OK);
		smtp_reply_write(&out, &reply);
		assert_written(&out, cases[i].whole);
		smtp_reply_write_last(&out, &reply);
		assert_written(&out, cases[i].last);
	}
	buf_pool_free(&pool);
}

#define KW(name)      SMTP_KW(name)
#define AUTH(name)    (1u << SMTP_AUTH_##name)
#define XCLIENT(name) (1u << SMTP_XCLIENT_##name)

#define EXCHANGE_2000_KEYWORDS                                                           \
	(KW(SIZE) | KW(PIPELINING) | KW(DSN) | KW(ENHANCEDSTATUSCODES) | KW(8BITMIME) |  \
		KW(BINARYMIME) | KW(CHUNKING) | KW(AUTH))

static const struct {
	const char *name;
	const char *octets;
	struct smtp_ehlo read;
} servers[] = {
	{ "Exchange 5.5",
		"250-h Hello "
		"[server2]\r\n250-XEXCH50\r\n250-HELP\r\n250-ETRN\r\n250-DSN\r\n"
		"250-SIZE 0\r\n250-AUTH LOGIN\r\n250 AUTH=LOGIN\r\n",
		{ KW(DSN) | KW(SIZE) | KW(AUTH), AUTH(LOGIN), 0, 0 } },
	{ "Exchange 2000",
		"250-h Hello [192.0.2.1]\r\n250-TURN\r\n250-ATRN\r\n250-SIZE 2097152\r\n"
		"250-ETRN\r\n250-PIPELINING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n"
		"250-8bitmime\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250-VRFY\r\n"
		"250-X-EXPS GSSAPI NTLM LOGIN\r\n250-X-EXPS=LOGIN\r\n"
		"250-AUTH GSSAPI NTLM LOGIN\r\n250-AUTH=LOGIN\r\n250-XEXCH50\r\n"
		"250-X-LINK2STATE\r\n250 OK\r\n",
		{ EXCHANGE_2000_KEYWORDS, AUTH(NTLM) | AUTH(LOGIN), 0, 2097152 } },
	{ "Exchange 2003",
		"250-h Hello [192.0.2.1]\r\n250-TURN\r\n250-SIZE\r\n250-ETRN\r\n"
		"250-PIPELINING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-8bitmime\r\n"
		"250-BINARYMIME\r\n250-CHUNKING\r\n250-VRFY\r\n250-TLS\r\n250-"
		"STARTTLS\r\n"
		"250-X-EXPS GSSAPI NTLM LOGIN\r\n250-X-EXPS=LOGIN\r\n"
		"250-AUTH GSSAPI NTLM LOGIN\r\n250-AUTH=LOGIN\r\n250-X-LINK2STATE\r\n"
		"250-XEXCH50\r\n250 OK\r\n",
		{ EXCHANGE_2000_KEYWORDS | KW(STARTTLS), AUTH(NTLM) | AUTH(LOGIN), 0,
			0 } },
	{ "Exchange 2007",
		"250-h Hello [192.0.2.1]\r\n250-SIZE "
		"10485760\r\n250-PIPELINING\r\n250-DSN\r\n"
		"250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-X-ANONYMOUSTLS\r\n"
		"250-AUTH NTLM LOGIN\r\n250-X-EXPS GSSAPI NTLM\r\n250-8BITMIME\r\n"
		"250-BINARYMIME\r\n250-CHUNKING\r\n250 XEXCH50\r\n",
		{ EXCHANGE_2000_KEYWORDS | KW(STARTTLS), AUTH(NTLM) | AUTH(LOGIN), 0,
			10485760 } },
	{ "Exchange 2007 with an empty AUTH",
		"250-h Hello [192.0.2.1]\r\n250-SIZE\r\n250-PIPELINING\r\n250-DSN\r\n"
		"250-ENHANCEDSTATUSCODES\r\n250-AUTH\r\n250-8BITMIME\r\n250-"
		"BINARYMIME\r\n"
		"250 CHUNKING\r\n",
		{ EXCHANGE_2000_KEYWORDS, 0, 0, 0 } },
	{ "Exchange 2010",
		"250-h Hello [192.0.2.1]\r\n250-SIZE\r\n250-PIPELINING\r\n250-DSN\r\n"
		"250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-X-ANONYMOUSTLS\r\n"
		"250-AUTH NTLM\r\n250-X-EXPS GSSAPI "
		"NTLM\r\n250-8BITMIME\r\n250-BINARYMIME\r\n"
		"250-CHUNKING\r\n250-XEXCH50\r\n250-XRDST\r\n250 XSHADOW\r\n",
		{ EXCHANGE_2000_KEYWORDS | KW(STARTTLS), AUTH(NTLM), 0, 0 } },
	{ "Exchange 2016",
		"250-h Hello [192.0.2.1]\r\n250-SIZE "
		"37748736\r\n250-PIPELINING\r\n250-DSN\r\n"
		"250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-X-ANONYMOUSTLS\r\n"
		"250-AUTH NTLM\r\n250-X-EXPS GSSAPI "
		"NTLM\r\n250-8BITMIME\r\n250-BINARYMIME\r\n"
		"250-CHUNKING\r\n250-SMTPUTF8\r\n250 XRDST\r\n",
		{ EXCHANGE_2000_KEYWORDS | KW(STARTTLS) | KW(SMTPUTF8), AUTH(NTLM), 0,
			37748736 } },
	{ "Outlook.com",
		"250-h Hello [192.0.2.1]\r\n250-SIZE "
		"157286400\r\n250-PIPELINING\r\n250-DSN\r\n"
		"250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-"
		"BINARYMIME\r\n"
		"250-CHUNKING\r\n250 SMTPUTF8\r\n",
		{ (EXCHANGE_2000_KEYWORDS & ~KW(AUTH)) | KW(STARTTLS) | KW(SMTPUTF8), 0,
			0, 157286400 } },
	{ "Gmail",
		"250-mx.google.com at your service, [192.0.2.1]\r\n250-SIZE 157286400\r\n"
		"250-8BITMIME\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-"
		"PIPELINING\r\n"
		"250-CHUNKING\r\n250 SMTPUTF8\r\n",
		{ KW(SIZE) | KW(8BITMIME) | KW(STARTTLS) | KW(ENHANCEDSTATUSCODES) |
				KW(PIPELINING) | KW(CHUNKING) | KW(SMTPUTF8),
			0, 0, 157286400 } },
	{ "Cisco ASA before an Exchange",
		"250-h Hello [192.0.2.1]\r\n250-SIZE "
		"10485760\r\n250-XXXXXXXA\r\n250-DSN\r\n"
		"250-XXXXXXXXXXXXXXXXXXB\r\n250-XXXXXXXC\r\n250-8BITMIME\r\n250 "
		"XXXXXXXD\r\n",
		{ KW(SIZE) | KW(DSN) | KW(8BITMIME), 0, 0, 10485760 } },
	{ "Postfix",
		"250-h\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n250-ETRN\r\n"
		"250-STARTTLS\r\n250-XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT "
		"LOGIN "
		"DESTADDR DESTPORT\r\n250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT "
		"IDENT\r\n"
		"250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n"
		"250 CHUNKING\r\n",
		{ KW(PIPELINING) | KW(SIZE) | KW(STARTTLS) | KW(XCLIENT) |
				KW(ENHANCEDSTATUSCODES) | KW(8BITMIME) | KW(DSN) |
				KW(SMTPUTF8) | KW(CHUNKING),
			0, 0xff, 10240000 } },
	{ "Exim with limits",
		"250-h Hello [192.0.2.1]\r\n250-SIZE 52428800\r\n250-LIMITS MAILMAX=1000 "
		"RCPTMAX=50000\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-PIPECONNECT\r\n"
		"250-CHUNKING\r\n250-PRDR\r\n250 HELP\r\n",
		{ KW(SIZE) | KW(LIMITS) | KW(8BITMIME) | KW(PIPELINING) | KW(CHUNKING), 0,
			0, 52428800 } },
	{ "one line", "250 h\r\n", { 0, 0, 0, 0 } },
	{ "a greeting that looks like a keyword", "250-SIZE 1\r\n250 DSN\r\n",
		{ KW(DSN), 0, 0, 0 } },
	{ "oddities",
		"250-h\n250-  size   1000  \n250-SIZE 900\n250-SIZE\n250-SIZE "
		"0\n250-SIZE x\n"
		"250-SIZE 99999999999999999999\n250-auth= plain\tlogin LOGIN GSSAPI\n"
		"250-AUTHENTICATE PLAIN\n250-AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n"
		"250-\n250-=\n250-= SIZE\n250-DSN \n250-DSN\n250-PIPELININ\n250\n",
		{ KW(SIZE) | KW(AUTH) | KW(DSN),
			AUTH(PLAIN) | AUTH(LOGIN) | AUTH(SCRAM_SHA_256), 0, 900 } },
};

static void test_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(servers); i++) {
		struct smtp_reply reply;
		struct smtp_ehlo ehlo;

		say(span_of(servers[i].name));
		assert_int_equal(read_reply(span_of(servers[i].octets), &limits, &reply),
			SMTP_REPLY_OK);
		smtp_ehlo_read(&reply, &ehlo);
		assert_int_equal(ehlo.keywords, servers[i].read.keywords);
		assert_int_equal(ehlo.mechanisms, servers[i].read.mechanisms);
		assert_int_equal(ehlo.xclient, servers[i].read.xclient);
		assert_true(ehlo.size == servers[i].read.size);
	}
}

static void test_ehlo_write(void **state)
{
	static const struct {
		struct span greeting;
		struct smtp_ehlo ehlo;
		const char *text;
	} cases[] = {
		{ TEXT("h"), { 0, 0, 0, 0 }, "250 h\r\n" },
		{ TEXT(""), { KW(DSN), 0, 0, 0 }, "250-\r\n250 DSN\r\n" },
		{ TEXT("h\r\n250 x\033\0"), { KW(SIZE), 0, 0, 0 },
			"250-h??250 x??\r\n250 SIZE\r\n" },
		{ TEXT("h"), { KW(SIZE), 0, 0, UINT64_MAX },
			"250-h\r\n250 SIZE 18446744073709551615\r\n" },
		{ TEXT("h"), { KW(AUTH), 0, 0, 0 }, "250 h\r\n" },
		{ TEXT("h"), { KW(DSN) | KW(AUTH), 0, 0, 7 }, "250-h\r\n250 DSN\r\n" },
		{ TEXT("h"), { KW(AUTH), AUTH(EXTERNAL) | AUTH(PLAIN), 0, 0 },
			"250-h\r\n250 AUTH PLAIN EXTERNAL\r\n" },
		{ TEXT("h"), { KW(XCLIENT), 0, XCLIENT(ADDR) | XCLIENT(NAME), 0 },
			"250-h\r\n250 XCLIENT NAME ADDR\r\n" },
		{ TEXT("h"), { UINT32_MAX, UINT32_MAX, UINT32_MAX, 10 },
			"250-h\r\n250-SIZE 10\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
			"250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n"
			"250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n"
			"250-LIMITS RCPTDOMAINMAX=1\r\n"
			"250-AUTH PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
			"SCRAM-SHA-256 "
			"XOAUTH2 OAUTHBEARER NTLM EXTERNAL\r\n250-STARTTLS\r\n"
			"250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR "
			"DESTPORT\r\n" },
	};
	struct buf_pool pool;
	struct buf out;

	(void)state;
	buf_pool_init(&pool, 1);
	buf_init(&out, &pool);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		say(span_of(cases[i].text));
		smtp_ehlo_write(&out, cases[i].greeting, &cases[i].ehlo);
		assert_written(&out, cases[i].text);
	}
	buf_pool_free(&pool);
}

static void test_find(void **state)
{
	(void)state;
	assert_int_equal(smtp_keyword_find(span_of("size")), SMTP_KW_SIZE);
	assert_int_equal(smtp_keyword_find(span_of("Xclient")), SMTP_KW_XCLIENT);
	assert_int_equal(smtp_keyword_find(span_of("XEXCH50")), -1);
	assert_int_equal(smtp_keyword_find(span_of("TLS")), -1);
	assert_int_equal(smtp_keyword_find(span_of("")), -1);
	assert_int_equal(smtp_mechanism_find(span_of("plain")), SMTP_AUTH_PLAIN);
	assert_int_equal(smtp_mechanism_find(span_of("GSSAPI")), -1);
	assert_int_equal(smtp_xclient_find(span_of("DestPort")), SMTP_XCLIENT_DESTPORT);
	assert_int_equal(smtp_xclient_find(span_of("REVERSE_NAME")), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_reply_cut_anywhere),
		cmocka_unit_test(test_reply_limits),
		cmocka_unit_test(test_reply_lines),
		cmocka_unit_test(test_reply_write),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_ehlo_write),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests_name("smtp_ehlo", tests, NULL, NULL);
}
