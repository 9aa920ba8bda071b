/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Paths and parameters: the domain that is judged is the domain that is sent. */

#include "smtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spans.h"

static void assert_written(const struct smtp_path *path, const char *text)
{
	struct buf_pool pool;
	struct buf out;

	buf_pool_init(&pool, 1);
	buf_init(&out, &pool);
	smtp_path_write(&out, path);
	assert_span(
		(struct span){ (const char *)buf_head(&out), buf_length(&out) }, text);
	buf_release(&out);
	buf_pool_free(&pool);
}

static void test_good_paths(void **state)
{
	static const struct {
		const char *text;
		const char *domain;
		const char *written;
		const char *rest;
	} cases[] = {
		{ "<u@d.example>", "d.example", "<u@d.example>", "" },
		{ "<u@d> SIZE=1 BODY=8BITMIME", "d", "<u@d>", "SIZE=1 BODY=8BITMIME" },
		{ "<u@d>\t SIZE=1 ", "d", "<u@d>", "SIZE=1" },
		{ "  <u@d>", "d", "<u@d>", "" },
		{ "<>", "", "<>", "" },
		{ "<> AUTH=<>", "", "<>", "AUTH=<>" },
		{ "<postmaster>", "", "<postmaster>", "" },
		{ "<Postmaster>", "", "<Postmaster>", "" },
		{ "u@d", "d", "<u@d>", "" },
		{ "u@d SIZE=1", "d", "<u@d>", "SIZE=1" },
		{ "<\"a@b\"@c.example>", "c.example", "<\"a@b\"@c.example>", "" },
		{ "\"a b\"@c SIZE=1", "c", "<\"a b\"@c>", "SIZE=1" },
		{ "<\"a\\\"@b>\"@c>", "c", "<\"a\\\"@b>\"@c>", "" },
		{ "<\"\"@c>", "c", "<\"\"@c>", "" },
		{ "<@r1,@r2:u@d>", "d", "<u@d>", "" },
		{ "<@[192.0.2.1]:u@d>", "d", "<u@d>", "" },
		{ "<u%d2@d1>", "d1", "<u%d2@d1>", "" },
		{ "<d2!u@d1>", "d1", "<d2!u@d1>", "" },
		{ "<u@d.>", "d", "<u@d>", "" },
		{ "<u@D.EXAMPLE>", "D.EXAMPLE", "<u@D.EXAMPLE>", "" },
		{ "<u@[192.0.2.1]>", "[192.0.2.1]", "<u@[192.0.2.1]>", "" },
		{ "<u@[IPv6:2001:db8::1]>", "[IPv6:2001:db8::1]",
			"<u@[IPv6:2001:db8::1]>", "" },
		{ "<u@a_b-c.1d>", "a_b-c.1d", "<u@a_b-c.1d>", "" },
		{ "<a..b.@d>", "d", "<a..b.@d>", "" },
		{ "<!#$%&'*+-/=?^_`{|}~@d>", "d", "<!#$%&'*+-/=?^_`{|}~@d>", "" },
		{ "<IMCEAEX-_O=FIRST+20ORG_OU=SITE_CN=RECIPIENTS_CN=U@d>", "d",
			"<IMCEAEX-_O=FIRST+20ORG_OU=SITE_CN=RECIPIENTS_CN=U@d>", "" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct smtp_path path;
		struct span rest;

		say(span_of(cases[i].text));
		assert_int_equal(smtp_path(span_of(cases[i].text), false, &path, &rest),
			SMTP_PATH_OK);
		assert_span(path.domain, cases[i].domain);
		assert_span(rest, cases[i].rest);
		assert_written(&path, cases[i].written);
	}
}

static void test_bad_paths(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		"<",
		">",
		"<<>",
		"< >",
		"<u",
		"u",
		"SIZE=1",
		"<u@d",
		"u@d>",
		"<u@>",
		"u@",
		"<@d>",
		"@d",
		"<@d:>",
		"<@r u@d>",
		"<@r,:u@d>",
		"<@r,r2:u@d>",
		"<a@b@c>",
		"a@b@c",
		"<a@b>@c",
		"<\"a@b@c>",
		"<\"a\"b@c>",
		"<a\"b\"@c>",
		"<\"a@c>",
		"<\"a\\\"@c>",
		"<\"a\\",
		"<\"a\tb\"@c>",
		"<\"a\\\033\"@c>",
		"<a b@c>",
		"< u@d>",
		"<u@d >",
		"<u@d>SIZE=1",
		"<u@d><u@e>",
		"<u\\@e@d>",
		"<u(c)@d>",
		"<u@d(c)>",
		"<a,b@d>",
		"<a;b@d>",
		"<a:b@d>",
		"<u@.>",
		"<u@.d>",
		"<u@d..>",
		"<u@d..e>",
		"<u@d/e>",
		"<u@d\033>",
		"<u\177@d>",
		"<u@[]>",
		"<u@[192.0.2.1>",
		"<u@192.0.2.1]>",
		"<u@[192.0.2.1].>",
		"<u@[192.0.2.1]x>",
		"<u@[a[b]>",
		"<u@[fe80::1%eth0]>",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct smtp_path path;
		struct span rest;

		say(span_of(cases[i]));
		assert_int_equal(smtp_path(span_of(cases[i]), false, &path, &rest),
			SMTP_PATH_SYNTAX);
		assert_int_equal(rest.length, 0);
	}
}

static void test_path_octets(void **state)
{
	static const struct {
		const char *text;
		enum smtp_path_status ascii;
		enum smtp_path_status utf8;
	} cases[] = {
		{ "<u@d>", SMTP_PATH_OK, SMTP_PATH_OK },
		{ "<\303\274@d>", SMTP_PATH_NONASCII, SMTP_PATH_OK },
		{ "<u@\303\274.example>", SMTP_PATH_NONASCII, SMTP_PATH_OK },
		{ "<\"\303\274 x\"@d>", SMTP_PATH_NONASCII, SMTP_PATH_OK },
		{ "<\360\237\223\247@d>", SMTP_PATH_NONASCII, SMTP_PATH_OK },
		{ "<\364\217\277\277@d>", SMTP_PATH_NONASCII, SMTP_PATH_OK },
		{ "<\374@d>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<\303@d>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<\200@d>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<\300\200@d>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<\340\200\200@d>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<\355\240\200@d>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<\360\200\200\200@d>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<\364\220\200\200@d>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<u@d\342\202>", SMTP_PATH_NONASCII, SMTP_PATH_SYNTAX },
		{ "<\303\274@d@e>", SMTP_PATH_SYNTAX, SMTP_PATH_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct smtp_path path;
		struct span text = span_of(cases[i].text);
		struct span rest;

		say(span_of(cases[i].text));
		assert_int_equal(smtp_path(text, false, &path, &rest), cases[i].ascii);
		assert_int_equal(smtp_path(text, true, &path, &rest), cases[i].utf8);
	}
}

/* Reads "<lll…@ddd…>" with parts of these lengths. */
static enum smtp_path_status path_of(size_t local, size_t domain)
{
	char text[2000];
	size_t length = local + domain + 3;
	struct smtp_path path;
	struct span rest;

	memset(text, 'x', length);
	text[0] = '<';
	text[1 + local] = '@';
	text[length - 1] = '>';
	return smtp_path((struct span){ text, length }, false, &path, &rest);
}

static void test_path_lengths(void **state)
{
	(void)state;
	assert_int_equal(path_of(1500, 255), SMTP_PATH_OK);
	assert_int_equal(path_of(1, 256), SMTP_PATH_SYNTAX);
	assert_int_equal(path_of(0, 10), SMTP_PATH_SYNTAX);
	assert_int_equal(path_of(10, 0), SMTP_PATH_SYNTAX);
}

/* Reads "<u@[ddd…]>" with a domain of this length. */
static enum smtp_path_status literal_of(size_t domain)
{
	char text[2000];
	struct smtp_path path;
	struct span rest;

	memset(text, '1', sizeof(text));
	memcpy(text, "<u@[", 4);
	memcpy(text + 3 + domain - 1, "]>", 2);
	return smtp_path((struct span){ text, domain + 4 }, false, &path, &rest);
}

static void test_literal_lengths(void **state)
{
	(void)state;
	assert_int_equal(literal_of(3), SMTP_PATH_OK);
	assert_int_equal(literal_of(255), SMTP_PATH_OK);
	assert_int_equal(literal_of(256), SMTP_PATH_SYNTAX);
}

static void test_parameters(void **state)
{
	bool broken;
	struct span rest = span_of(" SIZE=100  BODY=8BITMIME\tSMTPUTF8 ORCPT=rfc822;a=b "
				   "X-1=\303\274 AUTH=<> ");
	static const char *const expected[][2] = {
		{ "SIZE", "100" },
		{ "BODY", "8BITMIME" },
		{ "SMTPUTF8", NULL },
		{ "ORCPT", "rfc822;a=b" },
		{ "X-1", "\303\274" },
		{ "AUTH", "<>" },
	};
	struct span name, value;

	(void)state;
	for (size_t i = 0; i < LENGTH(expected); i++) {
		assert_true(smtp_parameter(&rest, &name, &value, &broken));
		assert_false(broken);
		assert_span(name, expected[i][0]);
		if (expected[i][1] == NULL)
			assert_null(value.at);
		else
			assert_span(value, expected[i][1]);
	}
	assert_false(smtp_parameter(&rest, &name, &value, &broken));
	assert_false(broken);
	rest = (struct span){ NULL, 0 };
	assert_false(smtp_parameter(&rest, &name, &value, &broken));
	assert_false(broken);
}

static void test_broken_parameters(void **state)
{
	static const char *const cases[] = {
		"=",
		"=1",
		"SIZE=",
		"-A=1",
		"A_B",
		"<u@d>",
		"A\033",
		"A=\033",
		"A=b\177",
		"A=\374",
		"\303\274=1",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct span rest = span_of(cases[i]);
		struct span name, value;
		bool broken;

		say(span_of(cases[i]));
		assert_false(smtp_parameter(&rest, &name, &value, &broken));
		assert_true(broken);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_paths),
		cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_path_octets),
		cmocka_unit_test(test_path_lengths),
		cmocka_unit_test(test_literal_lengths),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_broken_parameters),
	};

	return cmocka_run_group_tests_name("smtp_path", tests, NULL, NULL);
}
