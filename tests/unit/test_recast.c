/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Chunks that become DATA. Where a chunk ends must not matter, nor where a read does.
 *
 * RECAST_ROUNDS in the environment says how many strings to try.
 */

#include "body_world.h"

static const struct row {
	const char *octets;
	size_t n;
	const char *data; /* without the end of data; NULL: refused for its NUL */
	bool clean;	  /* nothing to repair or reject */
} rows[] = {
	{ OCTETS(""), "", true },
	{ OCTETS("a\r\n"), "a\r\n", true },
	{ OCTETS("\r\n"), "\r\n", true },
	{ OCTETS("a\r\n\r\nb\r\n"), "a\r\n\r\nb\r\n", true },
	/* a last line without an end is no fault: chunks need no line ends */
	{ OCTETS("a"), "a\r\n", true },
	{ OCTETS("a\r\nb"), "a\r\nb\r\n", true },
	{ OCTETS("."), "..\r\n", true },
	/* dots */
	{ OCTETS(".\r\n"), "..\r\n", true },
	{ OCTETS("a\r\n.\r\nb\r\n"), "a\r\n..\r\nb\r\n", true },
	{ OCTETS("..\r\n...\r\n"), "...\r\n....\r\n", true },
	{ OCTETS(".a\r\n .\r\na.\r\n"), "..a\r\n .\r\na.\r\n", true },
	{ OCTETS("\r\n.\r\n.\r\n"), "\r\n..\r\n..\r\n", true },
	{ OCTETS("\r\n.\r\nMAIL"), "\r\n..\r\nMAIL\r\n", true },
	/* bare line ends */
	{ OCTETS("a\n"), "a\r\n", false },
	{ OCTETS("a\r"), "a\r\n", false },
	{ OCTETS("\n.\n"), "\r\n..\r\n", false },
	{ OCTETS("\r.\r"), "\r\n..\r\n", false },
	{ OCTETS("\r\n.\r"), "\r\n..\r\n", false },
	{ OCTETS("\r\n.\n"), "\r\n..\r\n", false },
	{ OCTETS("a\n.\r\nb"), "a\r\n..\r\nb\r\n", false },
	{ OCTETS("a\r.\r\nb"), "a\r\n..\r\nb\r\n", false },
	{ OCTETS("a\r\n.\nb"), "a\r\n..\r\nb\r\n", false },
	{ OCTETS("a\r\n.\rb"), "a\r\n..\r\nb\r\n", false },
	{ OCTETS("a\r\r\n.b"), "a\r\n..b\r\n", false },
	{ OCTETS("a\r\r"), "a\r\n\r\n", false },
	{ OCTETS("\r\rb"), "\r\n\r\nb\r\n", false },
	{ OCTETS("\n\r"), "\r\n\r\n", false },
	{ OCTETS("\0"), NULL, true },
	{ OCTETS("a\r\n\0.\r\n"), NULL, true },
};

static void assert_row(
	const struct row *row, bool reject, const unsigned char *chunks, size_t count)
{
	const unsigned char *octets = (const unsigned char *)row->octets;
	char data[64] = "";

	if (row->data != NULL)
		strcat(strcpy(data, row->data), ".\r\n");
	for (size_t piece = 0; piece < 2; piece++) {
		struct framing f;

		body_begin_data(&f.body, reject, 0);
		oracle_recast(&f, &pool, octets, row->n, chunks, count, piece);
		assert_null(oracle_recast_complaint(&f, octets, row->n));
		if (row->data == NULL) {
			assert_int_equal(f.body.fault, BODY_NUL);
		} else if (reject && !row->clean) {
			assert_int_equal(f.body.fault, BODY_BARE);
		} else {
			assert_int_equal(f.body.fault, BODY_FINE);
			assert_int_equal(f.body.repaired, !row->clean);
			assert_int_equal(buf_length(&f.out), strlen(data));
			assert_memory_equal(buf_head(&f.out), data, strlen(data));
		}
		buf_release(&f.out);
	}
}

static void test_sequences(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		for (int reject = 0; reject < 2; reject++) {
			unsigned char size = (unsigned char)rows[i].n, cut, next;

			assert_row(&rows[i], reject, NULL, 0);
			for (cut = 0; cut <= size; cut++)
				for (next = 0; next <= size - cut; next++)
					assert_row(&rows[i], reject,
						(unsigned char[]){ cut, next }, 2);
		}
}

/* A receiver of any leniency sees one message, and it is what the chunks hold. */
static void test_any(void **state)
{
	static const unsigned char alphabet[] = "\r\r\n\n..ab";
	uint64_t random = 20261122;
	unsigned long count = rounds("RECAST_ROUNDS", 300000, 20000);

	(void)state;
	for (unsigned long round = 0; round < count; round++) {
		unsigned char octets[200], chunks[3];
		size_t n = next_random(&random) % 24;
		struct framing f;

		for (size_t i = 0; i < n; i++)
			octets[i] = alphabet[next_random(&random) % 8];
		if (round % 4 == 0) { /* strides as well */
			memset(octets + n, 'a', 150);
			memcpy(octets + n + 150, octets, n);
			n += 150 + n;
		}
		for (size_t i = 0; i < 3; i++)
			chunks[i] = (unsigned char)(next_random(&random) % (n + 1));
		body_begin_data(&f.body, round % 3 == 0, 0);
		oracle_recast(&f, &pool, octets, n, chunks, 3, round % 5);
		assert_null(oracle_recast_complaint(&f, octets, n));
		buf_release(&f.out);
	}
}

/* What is not clean is found wherever it stands in a stride. */
static void test_every_place(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
	} dirt[] = {
		{ OCTETS(".") },
		{ OCTETS("\r\n.") },
		{ OCTETS("\r\n..") },
		{ OCTETS("\r\n.\r\n") },
		{ OCTETS("\r\n.\r") },
		{ OCTETS("\n.") },
		{ OCTETS("\r") },
		{ OCTETS("\0") },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(dirt); i++)
		for (size_t at = 0; at <= 300; at++) {
			unsigned char octets[320], cut = (unsigned char)(at % 256);
			size_t n = 300 + dirt[i].n;
			struct framing f, g;

			memset(octets, 'a', sizeof(octets));
			memcpy(octets + at, dirt[i].octets, dirt[i].n);
			body_begin_data(&f.body, false, 0);
			oracle_recast(&f, &pool, octets, n, &cut, 1, 0);
			assert_null(oracle_recast_complaint(&f, octets, n));
			body_begin_data(&g.body, false, 0);
			oracle_recast(&g, &pool, octets, n, NULL, 0, 1);
			assert_null(oracle_difference(&f, &g));
			buf_release(&f.out);
			buf_release(&g.out);
		}
}

/* Nothing goes out behind a fault, in this chunk or in a later one: no end of data. */
static void test_faults(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
		unsigned char chunk;
		uint64_t max;
		enum body_fault fault;
		const char *out;
	} cases[] = {
		{ OCTETS("a\0b\r\nc"), 4, 0, BODY_NUL, "a" },
		{ OCTETS("a\r\nb\nc"), 5, 0, BODY_BARE, "a\r\nb" },
		{ OCTETS("a\r\nb\r"), 3, 0, BODY_BARE, "a\r\nb" },
		{ OCTETS("a\rb"), 2, 0, BODY_BARE, "a" },
		{ OCTETS("ab\r\ncd\r\n"), 4, 7, BODY_TOO_LONG, "ab\r\n" },
		{ OCTETS("ab\r\ncd\r\n"), 4, 8, BODY_FINE, "ab\r\ncd\r\n.\r\n" },
		/* the limit is one of what near has sent, not of what comes of it */
		{ OCTETS(".\r\n."), 3, 4, BODY_FINE, "..\r\n..\r\n.\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct framing f;

		body_begin_data(&f.body, true, cases[i].max);
		oracle_recast(&f, &pool, (const unsigned char *)cases[i].octets,
			cases[i].n, &cases[i].chunk, 1, 0);
		assert_int_equal(f.body.fault, cases[i].fault);
		assert_int_equal(f.taken, cases[i].n);
		assert_int_equal(buf_length(&f.out), strlen(cases[i].out));
		assert_memory_equal(buf_head(&f.out), cases[i].out, strlen(cases[i].out));
		buf_release(&f.out);
	}
}

static void test_discard(void **state)
{
	static const unsigned char octets[] = "a\r\n.\r\nQUIT\n";
	struct framing f;

	(void)state;
	body_begin_data(&f.body, false, 0);
	f.body.discard = true;
	oracle_recast(
		&f, &pool, octets, sizeof(octets) - 1, (unsigned char[]){ 4 }, 1, 3);
	assert_null(oracle_recast_complaint(&f, octets, sizeof(octets) - 1));
	assert_int_equal(buf_length(&f.out), 0);
	buf_release(&f.out);
}

/* The octets behind a chunk stay, and clean blocks change hands. */
static void test_chunk_end(void **state)
{
	struct buf in, out;
	struct body b;

	(void)state;
	buf_init(&in, &pool);
	buf_init(&out, &pool);
	body_begin_data(&b, true, 0);
	for (unsigned i = 0; i < 1000; i++)
		buf_puts(&in, "text\r\n");

	const unsigned char *data = in.data;

	body_begin_recast(&b, 6001, false);
	assert_false(body_feed(&b, &in, &out));
	assert_ptr_equal(out.data, data);
	assert_int_equal(buf_length(&out), 6000);
	buf_release(&out);
	buf_puts(&in, ".BDAT 0 LAST\r\n");
	assert_true(body_feed(&b, &in, &out));
	assert_int_equal(buf_length(&in), 13);
	assert_int_equal(buf_length(&out), 2);
	body_begin_recast(&b, 0, true);
	assert_true(body_feed(&b, &in, &out));
	assert_int_equal(buf_length(&in), 13);
	assert_int_equal(buf_length(&out), 7);
	assert_memory_equal(buf_head(&out), "..\r\n.\r\n", 7);
	assert_string_equal(body_state_name(&b), "end");
	buf_release(&in);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_every_place),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_chunk_end),
	};

	return cmocka_run_group_tests_name("recast", tests, set_up, tear_down);
}
