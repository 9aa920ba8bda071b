/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "proxyheader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

#define SIGNATURE    "\r\n\r\n\0\r\nQUIT\n"
#define V4	     "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x19"
#define V6_HOST	     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"
#define V6	     V6_HOST "\x01" V6_HOST "\x02\xdc\x04\x00\x19"
#define MAPPED	     "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02"
#define OCTETS(text) text, sizeof(text) - 1

struct row {
	const char *octets;
	size_t n;
	const char *source, *destination; /* NULL: local */
};

#define V4_PAIR "192.0.2.1:56324", "198.51.100.2:25"
#define V6_PAIR "[2001:db8::1]:56324", "[2001:db8::2]:25"

static const struct row good[] = {
	{ OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"), V4_PAIR },
	{ OCTETS("PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n"), V6_PAIR },
	{ OCTETS("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"),
		"255.255.255.255:65535", "0.0.0.0:0" },
	{ OCTETS("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 25\r\n"),
		V4_PAIR },
	{ OCTETS("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ OCTETS("PROXY UNKNOWN\r\n"), NULL, NULL },
	{ OCTETS("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x11\x00\x0c" V4), V4_PAIR },
	{ OCTETS(SIGNATURE "\x21\x21\x00\x24" V6), V6_PAIR },
	{ OCTETS(SIGNATURE "\x21\x21\x00\x24" MAPPED "\x01" MAPPED
			   "\x02\xdc\x04\x00\x19"),
		"192.0.2.1:56324", "192.0.2.2:25" },
	/* TLVs: an empty one, AUTHORITY, one of a type nobody knows */
	{ OCTETS(SIGNATURE "\x21\x11\x00\x0f" V4 "\x04\x00\x00"), V4_PAIR },
	{ OCTETS(SIGNATURE "\x21\x11\x00\x13" V4 "\x02\x00\x01z\xee\x00\x00"), V4_PAIR },
	/* LOCAL, with and without addresses; UNSPEC; UDP; a socket of Unix */
	{ OCTETS(SIGNATURE "\x20\x00\x00\x00"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x20\x11\x00\x0c" V4), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x00\x00\x00"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x12\x00\x0c" V4), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x31\x00\x02xx"), NULL, NULL },
};

static const struct row broken[] = {
	{ OCTETS("EHLO x\r\n"), NULL, NULL },
	{ OCTETS("proxy TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY\r\n"), NULL, NULL },
	{ OCTETS("PROXY \r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP5 192.0.2.1 198.51.100.2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY UNKNOWNS\r\n"), NULL, NULL },
	{ OCTETS("PROXY UNKNOWN\n"), NULL, NULL },
	{ OCTETS("PROXY UNKNOWN\rx"), NULL, NULL },
	{ OCTETS("PROXY UNKNOWN\0\r\n"), NULL, NULL },
	{ OCTETS("PROXY  TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4  192.0.2.1 198.51.100.2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25 \r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 56324 \r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 056324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 56324 025\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2.256 198.51.100.2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 192.0.2 198.51.100.2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP4 2001:db8::1 2001:db8::2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP6 192.0.2.1 198.51.100.2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY TCP6 [2001:db8::1] 2001:db8::2 56324 25\r\n"), NULL, NULL },
	{ OCTETS("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"),
		NULL, NULL },
	{ OCTETS("\r\n\r\n\0\r\nQUIT\r"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x11"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x22"), NULL, NULL },
	/* lengths that lie: too short, beyond our limit, TLVs that run out */
	{ OCTETS(SIGNATURE "\x21\x11\x00\x0b" V4), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x11\x00\x00"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x21\x00\x0c" V4), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x11\xff\xff"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x11\x0f\xf1"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x20\x00\x0f\xf1"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x11\x00\x0d" V4 "\x02"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x11\x00\x0e" V4 "\x02\x00"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x11\x00\x0f" V4 "\x02\x00\x01"), NULL, NULL },
	{ OCTETS(SIGNATURE "\x21\x11\x00\x10" V4 "\x02\xff\xffx"), NULL, NULL },
};

/* Reads from an array of the very size, so that a sanitizer sees one octet too many. */
static enum proxyheader_status read_copy(
	const char *octets, size_t n, struct proxyheader *header, size_t *consumed)
{
	unsigned char *copy = malloc(n > 0 ? n : 1);

	assert_non_null(copy);
	memcpy(copy, octets, n);

	enum proxyheader_status status = proxyheader_read(copy, n, header, consumed);

	free(copy);
	return status;
}

static void assert_addresses(
	const struct proxyheader *header, const char *source, const char *destination)
{
	char text[ADDRESS_TEXT];

	assert_int_equal(header->local, source == NULL);
	if (source == NULL)
		return;
	assert_string_equal(address_text(&header->source, text), source);
	assert_string_equal(address_text(&header->destination, text), destination);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(good); i++) {
		const struct row *row = &good[i];
		char behind[256];
		struct proxyheader header;
		size_t consumed = 0;

		memcpy(behind, row->octets, row->n);
		memcpy(behind + row->n, "EHLO x\r\n", 8);
		assert_int_equal(read_copy(row->octets, row->n, &header, &consumed),
			PROXYHEADER_OK);
		assert_int_equal(consumed, row->n);
		assert_addresses(&header, row->source, row->destination);
		assert_int_equal(read_copy(behind, row->n + 8, &header, &consumed),
			PROXYHEADER_OK);
		assert_int_equal(consumed, row->n);
		assert_addresses(&header, row->source, row->destination);
	}
}

static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(good); i++)
		for (size_t n = 0; n < good[i].n; n++) {
			struct proxyheader header;
			size_t consumed;

			assert_int_equal(read_copy(good[i].octets, n, &header, &consumed),
				PROXYHEADER_PARTIAL);
		}
}

static void test_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(broken); i++) {
		struct proxyheader header;
		size_t consumed;

		if (read_copy(broken[i].octets, broken[i].n, &header, &consumed) !=
			PROXYHEADER_BROKEN)
			fail_msg("row %zu is not broken", i);
	}
}

/* No end in sight: the reader says so before it has taken more than its limit. */
static void test_endless(void **state)
{
	unsigned char octets[PROXYHEADER_MAX] = "PROXY UNKNOWN ";
	struct proxyheader header;
	size_t consumed;

	(void)state;
	memset(octets + 14, 'x', sizeof(octets) - 14);
	assert_int_equal(
		proxyheader_read(octets, 105, &header, &consumed), PROXYHEADER_PARTIAL);
	assert_int_equal(
		proxyheader_read(octets, 106, &header, &consumed), PROXYHEADER_BROKEN);
	assert_int_equal(proxyheader_read(octets, sizeof(octets), &header, &consumed),
		PROXYHEADER_BROKEN);
}

static void test_largest(void **state)
{
	static const char start[] = SIGNATURE "\x21\x11\x0f\xf0" V4 "\x04\x0f\xe1";
	unsigned char octets[PROXYHEADER_MAX] = { 0 };
	struct proxyheader header;
	size_t consumed;

	(void)state;
	memcpy(octets, start, sizeof(start) - 1);
	assert_int_equal(proxyheader_read(octets, sizeof(octets) - 1, &header, &consumed),
		PROXYHEADER_PARTIAL);
	assert_int_equal(proxyheader_read(octets, sizeof(octets), &header, &consumed),
		PROXYHEADER_OK);
	assert_int_equal(consumed, sizeof(octets));
	assert_addresses(&header, V4_PAIR);
}

struct writer {
	struct buf_pool pool;
	struct buf out;
};

static void writer_begin(struct writer *w)
{
	buf_pool_init(&w->pool, 0);
	buf_init(&w->out, &w->pool);
}

static void assert_written(struct writer *w, const char *octets, size_t n)
{
	assert_int_equal(buf_length(&w->out), n);
	assert_memory_equal(buf_head(&w->out), octets, n);
	buf_release(&w->out);
	assert_int_equal(w->pool.borrowed, 0);
	buf_pool_free(&w->pool);
}

static struct address at(const char *text)
{
	struct address a;

	assert_true(address_parse(&a, text, 0));
	return a;
}

static void test_write_v1(void **state)
{
	static const struct address none = { .family = AF_UNSPEC };
	struct address v4[] = { at("192.0.2.1:56324"), at("198.51.100.2:25") };
	struct address v6[] = { at("[2001:db8::1]:56324"), at("[2001:db8::2]:25") };
	struct writer w;

	(void)state;
	writer_begin(&w);
	proxyheader_write_v1(&w.out, &v4[0], &v4[1]);
	assert_written(&w, good[0].octets, good[0].n);
	writer_begin(&w);
	proxyheader_write_v1(&w.out, &v6[0], &v6[1]);
	assert_written(&w, good[1].octets, good[1].n);
	writer_begin(&w);
	proxyheader_write_v1(&w.out, &v4[0], &v6[1]);
	assert_written(&w, OCTETS("PROXY UNKNOWN\r\n"));
	writer_begin(&w);
	proxyheader_write_v1(&w.out, &none, &none);
	assert_written(&w, OCTETS("PROXY UNKNOWN\r\n"));
}

static void test_write_v2(void **state)
{
	struct address v4[] = { at("192.0.2.1:56324"), at("198.51.100.2:25") };
	struct address v6[] = { at("[2001:db8::1]:56324"), at("[2001:db8::2]:25") };
	struct writer w;

	(void)state;
	writer_begin(&w);
	proxyheader_write_v2(&w.out, &v4[0], &v4[1], NULL, NULL, NULL);
	assert_written(&w, OCTETS(SIGNATURE "\x21\x11\x00\x0c" V4));
	writer_begin(&w);
	proxyheader_write_v2(&w.out, &v6[0], &v6[1], NULL, NULL, NULL);
	assert_written(&w, OCTETS(SIGNATURE "\x21\x21\x00\x24" V6));
	writer_begin(&w);
	proxyheader_write_v2(&w.out, &v4[0], &v6[1], "TLSv1.3", "C", "n");
	assert_written(&w, OCTETS(SIGNATURE "\x20\x00\x00\x00"));
}

/* Checked octet by octet against the layout of the specification, §2.2.7. */
static void test_write_v2_tlvs(void **state)
{
	struct address v4[] = { at("192.0.2.1:56324"), at("198.51.100.2:25") };
	char long_name[257] = { 0 };
	struct proxyheader header;
	size_t consumed;
	struct writer w;

	(void)state;
	writer_begin(&w);
	proxyheader_write_v2(&w.out, &v4[0], &v4[1], "TLSv1.3", "AES", "mx.example");
	assert_int_equal(proxyheader_read(buf_head(&w.out), buf_length(&w.out), &header,
				 &consumed),
		PROXYHEADER_OK);
	assert_int_equal(consumed, buf_length(&w.out));
	assert_addresses(&header, V4_PAIR);
	assert_written(&w, OCTETS(SIGNATURE "\x21\x11\x00\x31" V4 "\x02\x00\x0a"
					    "mx.example"
					    "\x20\x00\x15\x01\x00\x00\x00\x01"
					    "\x21\x00\x07"
					    "TLSv1.3"
					    "\x23\x00\x03"
					    "AES"));
	writer_begin(&w);
	proxyheader_write_v2(&w.out, &v4[0], &v4[1], NULL, "AES", "n");
	assert_written(&w, OCTETS(SIGNATURE "\x21\x11\x00\x10" V4 "\x02\x00\x01n"));
	/* no host name is that long */
	memset(long_name, 'n', 256);
	writer_begin(&w);
	proxyheader_write_v2(&w.out, &v4[0], &v4[1], NULL, NULL, long_name);
	assert_written(&w, OCTETS(SIGNATURE "\x21\x11\x00\x0c" V4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_write_v1),
		cmocka_unit_test(test_write_v2),
		cmocka_unit_test(test_write_v2_tlvs),
	};

	return cmocka_run_group_tests_name("proxyheader", tests, NULL, NULL);
}
