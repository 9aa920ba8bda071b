/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The texts of MTA-STS (RFC 8461 §3), and addresses that its hosts may not have. */

#include "reach.h"
#include "sts_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- TXT records ---- */

/* `text` in strings of at most `piece` octets each. */
static enum sts_record read_pieces(const char *text, size_t piece, char id[STS_ID])
{
	uint8_t data[4096];
	size_t at = 0, length = strlen(text);
	for (size_t i = 0; i < length; i += piece) {
		size_t n = length - i < piece ? length - i : piece;
		data[at++] = (uint8_t)n;
		memcpy(data + at, text + i, n);
		at += n;
	}
	return sts_text_record(data, at, id);
}

static void test_records(void **state)
{
	static const struct {
		const char *text;
		enum sts_record record;
		const char *id;
	} rows[] = {
		{ "v=STSv1; id=20160831085700Z;", STS_RECORD_FINE, "20160831085700Z" },
		{ "v=STSv1;id=1", STS_RECORD_FINE, "1" },
		{ "v=STSv1 ;\tid=1 ; ", STS_RECORD_FINE, "1" },
		{ "v=STSv1; ext=a:b; id=1", STS_RECORD_FINE, "1" },
		{ "v=STSv1; id=1; id=2", STS_RECORD_FINE, "1" },
		{ "v=STSv1; id=12345678901234567890123456789012", STS_RECORD_FINE,
			"12345678901234567890123456789012" },
		{ "v=STSv1; id=123456789012345678901234567890123", STS_RECORD_BROKEN,
			"" },
		{ "v=STSv1; id=", STS_RECORD_BROKEN, "" },
		{ "v=STSv1; id=a-b", STS_RECORD_BROKEN, "" },
		{ "v=STSv1; id=a b", STS_RECORD_BROKEN, "" },
		{ "v=STSv1; id=\xc3\xa4", STS_RECORD_BROKEN, "" },
		{ "v=STSv1; ID=1", STS_RECORD_BROKEN, "" },
		{ "v=STSv1; id", STS_RECORD_BROKEN, "" },
		{ "v=STSv1; id=1; ; x=1", STS_RECORD_BROKEN, "" },
		{ "v=STSv1;; id=1", STS_RECORD_BROKEN, "" },
		{ "v=STSv1; id=1; b\xff=1", STS_RECORD_BROKEN, "" },
		{ "v=STSv1;", STS_RECORD_BROKEN, "" },
		{ "v=STSv1", STS_RECORD_NONE, "" },
		{ "v=stsv1; id=1", STS_RECORD_NONE, "" },
		{ "v=STSv10; id=1", STS_RECORD_NONE, "" },
		{ "v=STSv2; id=1", STS_RECORD_NONE, "" },
		{ " v=STSv1; id=1", STS_RECORD_NONE, "" },
		{ ";v=STSv1; id=1", STS_RECORD_NONE, "" },
		{ "\"v=STSv1; id=1\"", STS_RECORD_NONE, "" },
		{ "id=1; v=STSv1;", STS_RECORD_NONE, "" },
		{ "v=spf1 -all", STS_RECORD_NONE, "" },
		{ "", STS_RECORD_NONE, "" },
	};
	char id[STS_ID];
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece < 64; piece++) {
			if (read_pieces(rows[i].text, piece, id) != rows[i].record)
				fail_msg("%s in pieces of %zu", rows[i].text, piece);
			assert_string_equal(id, rows[i].id);
		}
}

static void test_records_that_are_cut(void **state)
{
	static const uint8_t cut[] = "\17v=STSv1; id=1", empty[] = "\0\0\0";
	char id[STS_ID], text[2048] = "v=STSv1; id=1; x=";
	(void)state;
	assert_int_equal(sts_text_record(cut, 14, id), STS_RECORD_NONE);
	assert_int_equal(sts_text_record(empty, 3, id), STS_RECORD_NONE);
	assert_int_equal(sts_text_record(empty, 0, id), STS_RECORD_NONE);
	memset(text + strlen(text), 'x', 900);
	assert_int_equal(read_pieces(text, 255, id), STS_RECORD_FINE);
	memset(text + strlen(text), 'x', 900);
	assert_int_equal(read_pieces(text, 255, id), STS_RECORD_BROKEN);
	assert_string_equal(id, "");
}

/* ---- policies ---- */

#define HEAD "version: STSv1\n"
#define GOOD HEAD "mode: enforce\nmx: mx.a.lab\nmax_age: 86400\n"

static const char *fault_of(const char *text)
{
	struct sts sts;
	uint32_t age;
	size_t length = strlen(text);
	char *exactly = malloc(length + (length == 0));
	assert_non_null(exactly);
	memcpy(exactly, text, length);
	const char *fault = sts_text_policy(exactly, length, &sts, &age);
	free(exactly);
	return fault;
}

static void test_a_policy(void **state)
{
	static const char text[] = "version: STSv1\r\nmode:testing \r\n\r\n"
				   "x-new.key_1: what: it is\r\nmx: MX1.A.lab\r\n"
				   "mx:\t*.b.lab\t\r\nmax_age: 604800\r\n"
				   "mode: none\r\nversion: STSv2\r\nmax_age: -1";
	struct sts sts;
	uint32_t age;
	(void)state;
	assert_null(sts_text_policy(text, sizeof(text) - 1, &sts, &age));
	assert_int_equal(sts.mode, STS_TESTING);
	assert_int_equal(sts.mx_count, 2);
	assert_string_equal(sts.mx[0], "mx1.a.lab");
	assert_string_equal(sts.mx[1], "*.b.lab");
	assert_int_equal(age, 604800);
}

static void test_policies(void **state)
{
	static const struct {
		const char *text, *fault; /* NULL: fine */
	} rows[] = {
		{ GOOD, NULL },
		{ "max_age: 0\nmode: none\nversion: STSv1", NULL },
		{ HEAD "mode: none\nmax_age: 31557600\n", NULL },
		{ GOOD "\n\n  \n", NULL },
		{ "", "no version" },
		{ HEAD "mode: enforce\nmax_age: 1\n", "names no mx" },
		{ HEAD "mode: testing\nmax_age: 1\n", "names no mx" },
		{ HEAD "mx: a.lab\nmax_age: 1\n", "no mode" },
		{ HEAD "mode: none\n", "no max_age" },
		{ "mode: none\nmax_age: 1\n", "no version" },
		{ "version: STSv2\n" GOOD, "not STSv1" },
		{ "version: stsv1\n", "not STSv1" },
		{ "Version: STSv1\nmode: none\nmax_age: 1\n", "no version" },
		{ HEAD "mode: Enforce\n", "mode is none of" },
		{ HEAD "mode:\n", "mode is none of" },
		{ GOOD "mode: nonsense\n", NULL },
		{ HEAD "mode: none\nmax_age: 31557601\n", "max_age" },
		{ HEAD "mode: none\nmax_age: 99999999999999999999\n", "max_age" },
		{ HEAD "mode: none\nmax_age: -1\n", "max_age" },
		{ HEAD "mode: none\nmax_age: +1\n", "max_age" },
		{ HEAD "mode: none\nmax_age: 0x10\n", "max_age" },
		{ HEAD "mode: none\nmax_age: 1 2\n", "max_age" },
		{ HEAD "mode: none\nmax_age:\n", "max_age" },
		{ GOOD "mx: \n", "names no host" },
		{ GOOD "mx: *\n", "names no host" },
		{ GOOD "mx: *.\n", "names no host" },
		{ GOOD "mx: a.*.lab\n", "names no host" },
		{ GOOD "mx: *.*.lab\n", "names no host" },
		{ GOOD "mx: .a.lab\n", "names no host" },
		{ GOOD "mx: a.lab.\n", "names no host" },
		{ GOOD "mx: 192.0.2.1\n", "names no host" },
		{ GOOD "mx: a b.lab\n", "names no host" },
		{ GOOD "mx: a.lab, b.lab\n", "names no host" },
		{ GOOD "mx: b\xc3\xbc.lab\n", "names no host" },
		{ GOOD "nonsense\n", "no \"key: value\"" },
		{ GOOD ": value\n", "no \"key: value\"" },
		{ GOOD "a b: value\n", "no \"key: value\"" },
		{ "<html>\n", "no \"key: value\"" },
		{ GOOD "x: \x1b[31m\n", "control" },
		{ HEAD "mode: none\rmax_age: 1\n", "control" },
		{ HEAD "mode: none\nmax_age: 1\r", NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *fault = fault_of(rows[i].text);
		if (!fault != !rows[i].fault || (fault && !strstr(fault, rows[i].fault)))
			fail_msg("%s: %s", rows[i].text, fault ? fault : "fine");
	}
}

static void test_nul(void **state)
{
	static const char text[] = GOOD "mx: a.lab\0.evil.lab\n";
	struct sts sts;
	uint32_t age;
	(void)state;
	assert_non_null(sts_text_policy(text, sizeof(text) - 1, &sts, &age));
}

static void test_how_much_there_may_be(void **state)
{
	char *text = malloc(2 * STS_BODY);
	struct sts sts;
	uint32_t age;
	(void)state;
	assert_non_null(text);
	strcpy(text, HEAD "mode: enforce\nmax_age: 1\n");
	for (unsigned i = 1; i <= REQUIREMENT_STS_MX; i++) {
		sprintf(text + strlen(text), "mx: mx%u.lab\n", i);
		assert_null(sts_text_policy(text, strlen(text), &sts, &age));
		assert_int_equal(sts.mx_count, i);
	}
	strcat(text, "mx: one.more.lab\n");
	assert_non_null(sts_text_policy(text, strlen(text), &sts, &age));

	strcpy(text, GOOD "x: ");
	size_t length = strlen(text);
	memset(text + length, 'x', 2 * STS_BODY - length);
	assert_null(sts_text_policy(text, STS_BODY, &sts, &age));
	assert_non_null(sts_text_policy(text, STS_BODY + 1, &sts, &age));
	free(text);
}

/* ---- the file ---- */

static struct sts *sample(void)
{
	static struct sts sts;
	memset(&sts, 0, sizeof(sts));
	sts.mode = STS_ENFORCE;
	sts.mx_count = 2;
	strcpy(sts.mx[0], "mx.a.lab");
	strcpy(sts.mx[1], "*.b.lab");
	strcpy(sts.id, "20260101");
	sts.fetched = 1767225600;
	sts.expires = sts.fetched + 86400;
	return &sts;
}

static void test_file(void **state)
{
	struct sts is;
	char text[STS_FILE];
	size_t length = sts_text_write(text, sizeof(text), "a.lab", sample());
	(void)state;
	assert_true(length > 0);
	assert_true(sts_text_read(text, length, "a.lab", &is));
	assert_memory_equal(&is, sample(), sizeof(is));
	assert_false(sts_text_read(text, length, "b.lab", &is));
	for (size_t n = 0; n < length; n++)
		assert_false(sts_text_read(text, n, "a.lab", &is));
	for (size_t n = 0; n <= length; n++)
		assert_int_equal(sts_text_write(text, n, "a.lab", sample()), 0);
}

/* Each octet made any other: it is refused, or it is the file of another policy. */
static void test_file_altered(void **state)
{
	struct sts is;
	char text[STS_FILE], again[STS_FILE];
	size_t length = sts_text_write(text, sizeof(text), "a.lab", sample());
	(void)state;
	for (size_t n = 0; n < length; n++) {
		char was = text[n];
		for (unsigned x = 1; x < 256; x++) {
			text[n] = (char)(was ^ (char)x);
			if (!sts_text_read(text, length, "a.lab", &is))
				continue;
			assert_int_equal(
				sts_text_write(again, STS_FILE, "a.lab", &is), length);
			assert_memory_equal(text, again, length);
			assert_memory_not_equal(&is, sample(), sizeof(is));
		}
		text[n] = was;
	}
}

static void test_largest_file(void **state)
{
	struct sts *sts = sample(), is;
	char text[STS_FILE], domain[REQUIREMENT_NAME] = "", label[64];
	(void)state;
	memset(label, 'a', 63);
	label[63] = '\0';
	snprintf(domain, sizeof(domain), "%s.%s.%s.%.61s", label, label, label, label);
	sts->mx_count = REQUIREMENT_STS_MX;
	for (unsigned i = 0; i < REQUIREMENT_STS_MX; i++)
		memcpy(sts->mx[i], domain, sizeof(domain));
	strcpy(sts->id, "12345678901234567890123456789012");
	size_t length = sts_text_write(text, sizeof(text), domain, sts);
	assert_true(length > 0);
	assert_true(sts_text_read(text, length, domain, &is));
	assert_memory_equal(&is, sts, sizeof(is));
}

/* ---- addresses ---- */

static void test_private_addresses(void **state)
{
	static const struct {
		struct peer_address address;
		bool private;
	} rows[] = {
		{ { FAMILY_IPV4, { 127, 0, 0, 1 } }, true },
		{ { FAMILY_IPV4, { 10, 255, 0, 1 } }, true },
		{ { FAMILY_IPV4, { 172, 31, 255, 255 } }, true },
		{ { FAMILY_IPV4, { 172, 32, 0, 0 } }, false },
		{ { FAMILY_IPV4, { 169, 254, 169, 254 } }, true },
		{ { FAMILY_IPV4, { 8, 8, 8, 8 } }, false },
		{ { FAMILY_IPV6, { [15] = 1 } }, true },
		{ { FAMILY_IPV6, { 0xfe, 0x80, [15] = 1 } }, true },
		{ { FAMILY_IPV6, { 0xfd, [15] = 1 } }, true },
		{ { FAMILY_IPV6, { [10] = 0xff, 0xff, 10, 0, 0, 1 } }, true },
		{ { FAMILY_IPV6, { [10] = 0xff, 0xff, 8, 8, 8, 8 } }, false },
		{ { FAMILY_IPV6, { 0, 0x64, 0xff, 0x9b, [12] = 127, 0, 0, 1 } }, true },
		{ { FAMILY_IPV6, { 0x20, 0x02, 192, 168, 0, 1 } }, true },
		{ { FAMILY_IPV6, { 0x2a, 0x00, [15] = 1 } }, false },
		{ { FAMILY_NONE, { 8, 8, 8, 8 } }, true },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (reach_is_private(&rows[i].address) != rows[i].private)
			fail_msg("row %zu", i);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_records_that_are_cut),
		cmocka_unit_test(test_a_policy),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_how_much_there_may_be),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_altered),
		cmocka_unit_test(test_largest_file),
		cmocka_unit_test(test_private_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
