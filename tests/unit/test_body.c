/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "body_world.h"

/* ---- sequences ---- */

static const struct row {
	const char *octets; /* between "a" and "b CRLF . CRLF" */
	size_t n;
	const char *repaired; /* likewise; NULL: refused for its NUL */
	size_t content;	      /* octets in the sense of RFC 1870 */
	bool clean;	      /* nothing to repair or reject */
} rows[] = {
	/* T27 of the test plan */
	{ OCTETS("\n.\n"), "\r\n..\r\n", 3, false },
	{ OCTETS("\n.\r"), "\r\n..\r\n", 3, false },
	{ OCTETS("\r.\n"), "\r\n..\r\n", 3, false },
	{ OCTETS("\r.\r"), "\r\n..\r\n", 3, false },
	{ OCTETS("\n.\r\n"), "\r\n..\r\n", 4, false },
	{ OCTETS("\r.\r\n"), "\r\n..\r\n", 4, false },
	{ OCTETS("\r\n\0.\r\n"), NULL, 6, false },
	{ OCTETS("\r\n.\r\r\n"), "\r\n\r\n", 5, false },
	{ OCTETS("\r\r\n.\r\r\n"), "\r\n\r\n", 6, false },
	{ OCTETS("\r\n.\n"), "\r\n\r\n", 3, false },
	{ OCTETS("\r\n.\r"), "\r\n\r\n", 3, false },
	{ OCTETS("\r\n.\0\r\n"), NULL, 5, false },
	{ OCTETS("\r\n .\r\n"), "\r\n .\r\n", 6, true },
	{ OCTETS("\r\n.\t\r\n"), "\r\n.\t\r\n", 5, true },
	/* stuffing passes as it is, well done or not */
	{ OCTETS("\r\n..\r\n"), "\r\n..\r\n", 5, true },
	{ OCTETS("\r\n...\r\n"), "\r\n...\r\n", 6, true },
	{ OCTETS("\r\n..x\r\n"), "\r\n..x\r\n", 6, true },
	{ OCTETS("\r\n.x\r\n"), "\r\n.x\r\n", 5, true },
	{ OCTETS("\r\n..\n"), "\r\n..\r\n", 4, false },
	{ OCTETS("\r\n..\r"), "\r\n..\r\n", 4, false },
	{ OCTETS("."), ".", 1, true },
	{ OCTETS(".\r\n"), ".\r\n", 3, true },
	/* dots where a repaired line begins are the sender's own */
	{ OCTETS("\n..\r\n"), "\r\n...\r\n", 5, false },
	{ OCTETS("\n.x"), "\r\n..x", 3, false },
	{ OCTETS("\n\n.x"), "\r\n\r\n..x", 4, false },
	{ OCTETS("\r\n.\r.x"), "\r\n\r\n..x", 5, false },
	{ OCTETS("\r\n.\n.x"), "\r\n\r\n..x", 5, false },
	{ OCTETS("\r\n.\r.\r\n"), "\r\n\r\n..\r\n", 6, false },
	/* runs */
	{ OCTETS("\r\n\r\n"), "\r\n\r\n", 4, true },
	{ OCTETS("\r\r\r\r\n"), "\r\n", 5, false },
	{ OCTETS("\r\rx"), "\r\n\r\nx", 3, false },
	{ OCTETS("\n\r\n"), "\r\n\r\n", 3, false },
	{ OCTETS("\n\r"), "\r\n\r\n", 2, false },
	{ OCTETS("\r\n\n"), "\r\n\r\n", 3, false },
	{ OCTETS("\r\n\r"), "\r\n\r\n", 3, false },
	{ OCTETS("\n\n\n"), "\r\n\r\n\r\n", 3, false },
	{ OCTETS("\r\n.\r\rx"), "\r\n\r\n\r\nx", 5, false },
	{ OCTETS("\0"), NULL, 1, false },
	{ OCTETS("\t\v\f\x1b\x80\xff"), "\t\v\f\x1b\x80\xff", 6, true },
};

static void assert_out(const struct framing *f, const char *octets, size_t n)
{
	assert_int_equal(buf_length(&f->out), n);
	if (n > 0)
		assert_memory_equal(buf_head(&f->out), octets, n);
}

static void assert_row(const struct row *row, bool reject, const unsigned char *octets,
	size_t n, const unsigned char *cuts, size_t count)
{
	struct framing f;
	char expected[64] = "a";

	body_begin_data(&f.body, reject, 0);
	oracle_feed(&f, &pool, octets, n, cuts, count);
	assert_true(f.ended);
	assert_string_equal(body_state_name(&f.body), "end");
	assert_int_equal(n - f.taken, 4); /* what follows waits for its turn */
	assert_int_equal(f.body.octets, 1 + row->content + 3);
	assert_null(oracle_complaint(&f, octets, n));
	if (row->repaired == NULL) {
		assert_int_not_equal(f.body.fault, BODY_FINE);
		assert_true(reject || f.body.fault == BODY_NUL);
	} else if (reject && !row->clean) {
		assert_int_equal(f.body.fault, BODY_BARE);
		assert_false(f.body.repaired);
	} else {
		assert_int_equal(f.body.fault, BODY_FINE);
		assert_int_equal(f.body.repaired, !row->clean);
		strcat(expected, row->repaired);
		strcat(expected, "b\r\n.\r\n");
		assert_out(&f, expected, strlen(expected));
	}
	buf_release(&f.out);
}

static void test_sequences(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		unsigned char octets[64] = "a";
		size_t n = rows[i].n + 11;

		memcpy(octets + 1, rows[i].octets, rows[i].n);
		memcpy(octets + 1 + rows[i].n, "b\r\n.\r\nQUIT", 10);
		for (int reject = 0; reject < 2; reject++) {
			assert_row(&rows[i], reject, octets, n, NULL, 0);
			assert_row(
				&rows[i], reject, octets, n, (unsigned char[]){ 0 }, 1);
			for (unsigned char cut = 0; cut < n - 1; cut++)
				assert_row(&rows[i], reject, octets, n,
					(unsigned char[]){ cut, UINT8_MAX }, 2);
		}
	}
}

/* 255 CRs are each a line end; of more the rest is dropped. */
static void test_many_crs(void **state)
{
	(void)state;
	for (size_t crs = 250; crs < 260; crs++) {
		unsigned char octets[300];
		struct framing f;

		memset(octets, '\r', crs);
		memcpy(octets + crs, "x\r\n.\r\n", 6);
		body_begin_data(&f.body, false, 0);
		oracle_feed(&f, &pool, octets, crs + 6, (unsigned char[]){ 99 }, 1);
		assert_null(oracle_complaint(&f, octets, crs + 6));
		assert_int_equal(buf_length(&f.out), (crs < 255 ? crs : 255) * 2 + 6);
		buf_release(&f.out);
	}
}

/* ---- the end of data ---- */

static void test_end(void **state)
{
	static const struct {
		const char *octets;
		bool ended;
		const char *out, *name;
	} cases[] = {
		{ "", false, "", "start of line" },
		{ ".\r\n", true, ".\r\n", "end" },
		{ ".\r\n.\r\n", true, ".\r\n", "end" },
		{ "\r\n.\r\n", true, "\r\n.\r\n", "end" },
		{ "x\r\n.\r\nQUIT\r\n", true, "x\r\n.\r\n", "end" },
		{ "x\r\n", false, "x\r\n", "start of line" },
		{ "x", false, "x", "in a line" },
		{ "x\n", false, "x\r\n", "behind a repaired line end" },
		{ "x\r", false, "x", "CR" },
		{ "x\r\r\r", false, "x", "CR" },
		{ "x\r\n.", false, "x\r\n", "dot" },
		{ "x\r\n.\r", false, "x\r\n", "dot CR" },
		{ "x\r\n.\r\r", false, "x\r\n", "CR" },
		{ "x\r\r\n.\r\n", true, "x\r\n.\r\n", "end" },
		{ "x\n\r\n.\r\n", true, "x\r\n\r\n.\r\n", "end" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const unsigned char *octets = (const unsigned char *)cases[i].octets;
		struct framing f;

		body_begin_data(&f.body, false, 0);
		oracle_feed(&f, &pool, octets, strlen(cases[i].octets), NULL, 0);
		assert_int_equal(f.ended, cases[i].ended);
		assert_out(&f, cases[i].out, strlen(cases[i].out));
		assert_string_equal(body_state_name(&f.body), cases[i].name);
		buf_release(&f.out);
	}
}

/* Behind the end nothing is taken any more. */
static void test_after_end(void **state)
{
	struct body b;
	struct buf in, out;

	(void)state;
	buf_init(&in, &pool);
	buf_init(&out, &pool);
	body_begin_data(&b, false, 0);
	buf_puts(&in, ".\r\nRSET\r\n");
	assert_true(body_feed(&b, &in, &out));
	assert_true(body_feed(&b, &in, &out));
	assert_int_equal(buf_length(&in), 6);
	assert_int_equal(buf_length(&out), 3);
	buf_release(&in);
	buf_release(&out);
}

/* ---- faults ---- */

/* Only the first fault counts, nothing goes out behind it, and the end is still found. */
static void test_first_fault(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
		uint64_t max;
		enum body_fault fault;
		const char *out;
	} cases[] = {
		{ OCTETS("a\0b\nc\r\n.\r\n"), 0, BODY_NUL, "a" },
		{ OCTETS("a\nb\0c\r\n.\r\n"), 0, BODY_BARE, "a" },
		{ OCTETS("a\r\0c\r\n.\r\n"), 0, BODY_BARE, "a" },
		{ OCTETS("ab\nc\0\r\n.\r\n"), 1, BODY_TOO_LONG, "" },
		{ OCTETS("a\nbcdef\r\n.\r\n"), 4, BODY_BARE, "a" },
		{ OCTETS("a\r\n.\nb\r\n.\r\n"), 0, BODY_BARE, "a\r\n" },
		{ OCTETS("a\r\n.\rb\r\n.\r\n"), 0, BODY_BARE, "a\r\n" },
		{ OCTETS("a\r\r\nb\r\n.\r\n"), 0, BODY_BARE, "a" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct framing f;

		body_begin_data(&f.body, true, cases[i].max);
		oracle_feed(&f, &pool, (const unsigned char *)cases[i].octets, cases[i].n,
			NULL, 0);
		assert_true(f.ended);
		assert_int_equal(f.taken, cases[i].n);
		assert_int_equal(f.body.fault, cases[i].fault);
		assert_out(&f, cases[i].out, strlen(cases[i].out));
		buf_release(&f.out);
	}
}

/* The limit holds for the message: not for its stuffing, nor for the end of data. */
static void test_limit(void **state)
{
	static const unsigned char octets[] = "ab\r\n..\r\n.c\r\r\n\r\n.\r\n";
	const size_t n = sizeof(octets) - 1, size = 13;

	(void)state;
	for (uint64_t max = size - 2; max <= size + 1; max++)
		for (unsigned char cut = 0; cut < n; cut++) {
			struct framing f;

			body_begin_data(&f.body, false, max);
			oracle_feed(&f, &pool, octets, n,
				(unsigned char[]){ cut, UINT8_MAX }, 2);
			assert_null(oracle_complaint(&f, octets, n));
			assert_int_equal(f.body.octets, size);
			assert_int_equal(
				f.body.fault, max < size ? BODY_TOO_LONG : BODY_FINE);
			buf_release(&f.out);
		}
}

static void test_discard(void **state)
{
	static const unsigned char octets[] = "a\nb\r\n..\r\n.\r\nRSET";

	(void)state;
	for (unsigned char cut = 0; cut < sizeof(octets) - 1; cut++) {
		struct framing f;

		body_begin_data(&f.body, false, 0);
		f.body.discard = true;
		oracle_feed(&f, &pool, octets, sizeof(octets) - 1,
			(unsigned char[]){ cut, UINT8_MAX }, 2);
		assert_null(oracle_complaint(&f, octets, sizeof(octets) - 1));
		assert_true(f.ended);
		assert_int_equal(buf_length(&f.out), 0);
		assert_int_equal(f.body.octets, 8);
		buf_release(&f.out);
	}
}

/* ---- whole messages ---- */

enum { MAIL_MAX = 200 * 1000 };

/*
 * Lines of many lengths; every `stuffed`th of them begins with a stuffed dot. Returns the
 * length, which is at most MAIL_MAX.
 */
static size_t make_mail(unsigned char *mail, unsigned stuffed)
{
	size_t at = 0;

	for (unsigned line = 1;; line++) {
		size_t length = line * 7 % 300;

		if (at + 2 + length + 2 + 3 > MAIL_MAX)
			break;
		if (stuffed != 0 && line % stuffed == 0)
			for (int dots = 0; dots < 2; dots++)
				mail[at++] = '.';
		memset(mail + at, 'a' + (int)(line % 26), length);
		at += length;
		memcpy(mail + at, "\r\n", 2);
		at += 2;
	}
	memcpy(mail + at, ".\r\n", 3);
	return at + 3;
}

/* Feeds blocks of at most `block` octets; returns how many of them went over uncopied. */
static unsigned feed_blocks(const unsigned char *mail, size_t n, size_t block)
{
	unsigned swapped = 0;
	size_t at = 0, out_at = 0;
	struct body b;
	struct buf in, out;

	buf_init(&in, &pool);
	buf_init(&out, &pool);
	body_begin_data(&b, true, n);
	while (at < n) {
		size_t piece = n - at < block ? n - at : block;

		buf_append(&in, mail + at, piece);
		at += piece;

		const unsigned char *data = in.data;

		assert_int_equal(body_feed(&b, &in, &out), at == n);
		assert_int_equal(buf_length(&in), 0);
		swapped += out.data == data;
		assert_true(out_at + buf_length(&out) <= n);
		if (buf_length(&out) > 0)
			assert_memory_equal(
				buf_head(&out), mail + out_at, buf_length(&out));
		out_at += buf_length(&out);
		buf_release(&out);
	}
	assert_int_equal(b.fault, BODY_FINE);
	assert_int_equal(out_at, n);
	return swapped;
}

static void test_transparent(void **state)
{
	static const size_t blocks[] = { 1, 2, 3, 127, 129, 130, 131, 257, 1000, 16384,
		BUF_BLOCK, MAIL_MAX };
	static const unsigned stuffed[] = { 0, 1, 2, 10 };
	unsigned char *mail = malloc(MAIL_MAX);

	(void)state;
	assert_non_null(mail);
	for (size_t i = 0; i < LENGTH(stuffed); i++) {
		size_t n = make_mail(mail, stuffed[i]);

		for (size_t j = 0; j < LENGTH(blocks); j++)
			feed_blocks(mail, n, blocks[j]);
	}
	free(mail);
}

/* Clean blocks change hands, the end of data in them or not. */
static void test_no_copy(void **state)
{
	unsigned char *mail = malloc(MAIL_MAX);

	(void)state;
	assert_non_null(mail);

	size_t n = make_mail(mail, 10);
	unsigned blocks = (unsigned)((n + BUF_BLOCK - 1) / BUF_BLOCK);

	/* at the block's end a CR or a dot may have to be held back */
	assert_in_range(feed_blocks(mail, n, BUF_BLOCK), blocks - 2, blocks);
	assert_int_equal(
		feed_blocks((const unsigned char *)"a\r\n.\r\n", 6, BUF_BLOCK), 1);
	free(mail);
}

/* What is not clean is found wherever it stands in a stride, and nothing else is. */
static void test_every_place(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
	} dirt[] = {
		{ OCTETS("\r") },
		{ OCTETS("\n") },
		{ OCTETS("\n.") },
		{ OCTETS("\r\n.\r") },
		{ OCTETS("\r\n.\n") },
		{ OCTETS("\r\n..") },
		{ OCTETS("\r\n.x") },
		{ OCTETS("\r\n") },
		{ OCTETS("\r\n\r\n") },
		{ OCTETS("\r\r\n") },
		{ OCTETS("\n\r\n") },
		{ OCTETS("\0") },
		{ OCTETS("\r\n.\r\n") },
		{ OCTETS(".") },
		{ OCTETS("\r\n\0") },
		{ OCTETS("\r\n.\0") },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(dirt); i++)
		for (size_t at = 0; at <= 300; at++) {
			unsigned char octets[320];
			size_t n = 300 + dirt[i].n;
			struct framing f, g;

			memset(octets, 'a', sizeof(octets));
			memcpy(octets + at, dirt[i].octets, dirt[i].n);
			memcpy(octets + n, "\r\n.\r\n", 5);
			n += 5;
			body_begin_data(&f.body, false, 0);
			oracle_feed(&f, &pool, octets, n, NULL, 0);
			assert_null(oracle_complaint(&f, octets, n));
			body_begin_data(&g.body, false, 0);
			oracle_feed(&g, &pool, octets, n, (unsigned char[]){ 0 }, 1);
			assert_null(oracle_difference(&f, &g));
			buf_release(&f.out);
			buf_release(&g.out);
		}
}

/* ---- chunks ---- */

static void feed_text(struct body *b, const char *octets, size_t n, bool ended,
	const char *expected, size_t length, size_t rest)
{
	struct buf in, out;

	buf_init(&in, &pool);
	buf_init(&out, &pool);
	buf_append(&in, octets, n);
	assert_int_equal(body_feed(b, &in, &out), ended);
	assert_int_equal(buf_length(&out), length);
	if (length > 0)
		assert_memory_equal(buf_head(&out), expected, length);
	assert_int_equal(buf_length(&in), rest);
	buf_release(&in);
	buf_release(&out);
}

/* Chunks pass untouched: NUL, bare line ends, dots, what looks like an end of data. */
static void test_chunks(void **state)
{
	struct body b;

	(void)state;
	body_begin_data(&b, true, 0);
	body_begin_chunk(&b, 10);
	feed_text(&b, OCTETS("\0\r.\n"), false, OCTETS("\0\r.\n"), 0);
	feed_text(&b, OCTETS("\r\n.\r\nxBDAT 0"), true, OCTETS("\r\n.\r\nx"), 6);
	assert_int_equal(b.octets, 10);
	body_begin_chunk(&b, 3);
	feed_text(&b, OCTETS(".\r\n"), true, OCTETS(".\r\n"), 0);
	assert_int_equal(b.octets, 13);
	body_begin_chunk(&b, 0);
	feed_text(&b, OCTETS(""), true, OCTETS(""), 0);
	feed_text(&b, OCTETS("QUIT"), true, OCTETS(""), 4);
	assert_int_equal(b.octets, 13);
	assert_int_equal(b.fault, BODY_FINE);
}

static void test_huge_chunks(void **state)
{
	struct body b;

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint64_t huge = i == 0 ? UINT64_C(1) << 63 : UINT64_MAX;

		body_begin_data(&b, false, 0);
		body_begin_chunk(&b, huge);
		feed_text(&b, OCTETS("QUIT\r\n"), false, OCTETS("QUIT\r\n"), 0);
		assert_int_equal(b.left, huge - 6);
		body_begin_data(&b, false, 100);
		body_begin_chunk(&b, 1);
		feed_text(&b, OCTETS("x"), true, OCTETS("x"), 0);
		body_begin_chunk(&b, huge);
		assert_int_equal(b.fault, BODY_TOO_LONG);
		feed_text(&b, OCTETS("QUIT\r\n"), false, OCTETS(""), 0);
		assert_int_equal(b.left, huge - 6);
	}
}

static void test_chunk_limit(void **state)
{
	struct body b;

	(void)state;
	body_begin_data(&b, false, 5);
	body_begin_chunk(&b, 3);
	feed_text(&b, OCTETS("abc"), true, OCTETS("abc"), 0);
	body_begin_chunk(&b, 2);
	feed_text(&b, OCTETS("de"), true, OCTETS("de"), 0);
	assert_int_equal(b.fault, BODY_FINE);
	body_begin_chunk(&b, 1);
	assert_int_equal(b.fault, BODY_TOO_LONG);
	feed_text(&b, OCTETS("fBDAT"), true, OCTETS(""), 4);
	body_begin_chunk(&b, 0);
	feed_text(&b, OCTETS("RSET"), true, OCTETS(""), 4);
	assert_int_equal(b.fault, BODY_TOO_LONG);
}

static void test_chunk_discard(void **state)
{
	struct body b;

	(void)state;
	body_begin_data(&b, false, 0);
	body_begin_chunk(&b, 6);
	b.discard = true;
	feed_text(&b, OCTETS("QUIT"), false, OCTETS(""), 0);
	feed_text(&b, OCTETS("\r\nRSET"), true, OCTETS(""), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_many_crs),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_after_end),
		cmocka_unit_test(test_first_fault),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_transparent),
		cmocka_unit_test(test_no_copy),
		cmocka_unit_test(test_every_place),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_huge_chunks),
		cmocka_unit_test(test_chunk_limit),
		cmocka_unit_test(test_chunk_discard),
	};

	return cmocka_run_group_tests_name("body", tests, set_up, tear_down);
}
