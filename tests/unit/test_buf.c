/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_content(const struct buf *b, const char *text)
{
	assert_int_equal(buf_length(b), strlen(text));
	if (*text != '\0')
		assert_memory_equal(buf_head(b), text, strlen(text));
}

static void test_empty_holds_nothing(void **state)
{
	struct buf_pool pool;
	struct buf b;

	(void)state;
	buf_pool_init(&pool, 2);
	buf_init(&b, &pool);
	assert_content(&b, "");
	buf_append(&b, NULL, 0);
	buf_puts(&b, "");
	assert_null(b.data);
	assert_null(buf_head(&b));

	buf_puts(&b, "hello");
	assert_int_equal(pool.borrowed, 1);
	buf_consume(&b, 5);
	assert_null(b.data);
	assert_int_equal(pool.borrowed, 0);
	assert_int_equal(pool.kept, 1);
	buf_release(&b);
	buf_release(&b);
	buf_pool_free(&pool);
	assert_int_equal(pool.kept, 0);
	assert_null(pool.free);
}

static void test_reserve_and_commit(void **state)
{
	struct buf_pool pool;
	struct buf b;

	(void)state;
	buf_pool_init(&pool, 2);
	buf_init(&b, &pool);
	unsigned char *to = buf_reserve(&b, 10);
	assert_non_null(to);
	assert_int_equal(buf_room(&b), BUF_BLOCK);
	assert_ptr_equal(buf_reserve(&b, BUF_BLOCK), to);
	buf_commit(&b, 0);
	assert_int_equal(pool.borrowed, 0);

	to = buf_reserve(&b, 3);
	memcpy(to, "abc", 3);
	buf_commit(&b, 3);
	assert_content(&b, "abc");
	assert_int_equal(buf_room(&b), BUF_BLOCK - 3);

	/* Room is found by moving the bytes to the front before more is borrowed. */
	buf_consume(&b, 1);
	assert_non_null(buf_reserve(&b, BUF_BLOCK - 2));
	assert_int_equal(b.size, BUF_BLOCK);
	assert_content(&b, "bc");

	assert_non_null(buf_reserve(&b, BUF_BLOCK - 1));
	assert_int_equal(b.size, 2 * BUF_BLOCK);
	assert_content(&b, "bc");
	assert_int_equal(pool.borrowed, 1);
	buf_release(&b);
	buf_pool_free(&pool);
}

static void test_the_most(void **state)
{
	static const unsigned char block[BUF_BLOCK];
	struct buf_pool pool;
	struct buf b;

	(void)state;
	buf_pool_init(&pool, 2);
	buf_init(&b, &pool);
	for (int i = 0; i < BUF_MAX / BUF_BLOCK; i++)
		buf_append(&b, block, sizeof(block));
	assert_false(b.failed);
	assert_int_equal(buf_length(&b), BUF_MAX);

	buf_append(&b, "x", 1);
	assert_true(b.failed);
	assert_int_equal(buf_length(&b), BUF_MAX);
	buf_consume(&b, BUF_MAX);
	assert_true(b.failed);
	assert_null(buf_reserve(&b, 1));
	buf_puts(&b, "dropped");
	buf_printf(&b, "%d", 1);
	assert_content(&b, "");

	buf_release(&b);
	assert_false(b.failed);
	assert_non_null(buf_reserve(&b, BUF_MAX));
	assert_int_equal(buf_room(&b), BUF_MAX);
	buf_release(&b);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	buf_release(&b);
	assert_int_equal(pool.borrowed, 0);
	buf_pool_free(&pool);
}

static void test_printf(void **state)
{
	char text[2000];
	struct buf_pool pool;
	struct buf b;

	(void)state;
	buf_pool_init(&pool, 2);
	buf_init(&b, &pool);
	buf_printf(&b, "%d %s", 250, "OK");
	assert_content(&b, "250 OK");
	buf_release(&b);

	for (size_t n = 510; n < 515; n++) {
		memset(text, 'a', n);
		text[n] = '\0';
		buf_printf(&b, "%s", text);
		assert_content(&b, text);
		buf_release(&b);
	}

	buf_printf(&b, "%0*d", BUF_BLOCK, 7);
	assert_int_equal(buf_length(&b), BUF_BLOCK);
	assert_int_equal(buf_head(&b)[BUF_BLOCK - 1], '7');
	buf_release(&b);
	assert_int_equal(pool.borrowed, 0);
	buf_pool_free(&pool);
}

static void test_move_whole(void **state)
{
	struct buf_pool pool;
	struct buf from, to;

	(void)state;
	buf_pool_init(&pool, 2);
	buf_init(&from, &pool);
	buf_init(&to, &pool);
	buf_puts(&from, "hello");
	const unsigned char *head = buf_head(&from);
	buf_move(&to, &from, 5);
	assert_ptr_equal(buf_head(&to), head);
	assert_content(&to, "hello");
	assert_content(&from, "");
	assert_int_equal(pool.borrowed, 1);

	/* Reserved room of an empty target is no reason to copy, nor is it lost. */
	buf_release(&to);
	buf_puts(&from, "again");
	assert_non_null(buf_reserve(&to, 1));
	buf_move(&to, &from, 5);
	assert_content(&to, "again");
	assert_int_equal(pool.borrowed, 1);
	buf_release(&to);
	buf_pool_free(&pool);
}

static void test_move_part(void **state)
{
	struct buf_pool pool;
	struct buf from, to;

	(void)state;
	buf_pool_init(&pool, 2);
	buf_init(&from, &pool);
	buf_init(&to, &pool);
	buf_puts(&from, "hello, world");
	buf_move(&to, &from, 0);
	assert_null(to.data);
	buf_move(&to, &from, 5);
	assert_content(&to, "hello");
	assert_content(&from, ", world");
	buf_move(&to, &from, 7);
	assert_content(&to, "hello, world");
	assert_content(&from, "");

	to.failed = true;
	buf_puts(&from, "lost");
	buf_move(&to, &from, 4);
	assert_content(&from, "");
	assert_content(&to, "hello, world");
	buf_release(&to);
	assert_int_equal(pool.borrowed, 0);
	buf_pool_free(&pool);
}

static void test_pool_keeps_few(void **state)
{
	struct buf_pool pool;
	struct buf b[4];

	(void)state;
	buf_pool_init(&pool, 2);
	for (int i = 0; i < 4; i++) {
		buf_init(&b[i], &pool);
		buf_puts(&b[i], "x");
	}
	assert_int_equal(pool.borrowed, 4);
	for (int i = 0; i < 4; i++)
		buf_release(&b[i]);
	assert_int_equal(pool.borrowed, 0);
	assert_int_equal(pool.kept, 2);

	/* What is larger than a block is not kept. */
	assert_non_null(buf_reserve(&b[0], BUF_BLOCK + 1));
	buf_release(&b[0]);
	assert_int_equal(pool.kept, 2);
	buf_pool_free(&pool);
}

enum { STEPS = 20000, MODEL = 200 * 1024 };

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* A random walk of all operations beside a flat array. */
static void test_against_a_model(void **state)
{
	static unsigned char model[MODEL];
	static unsigned char bytes[50 * 1024];
	size_t length = 0;
	uint32_t seed = 25;
	struct buf_pool pool;
	struct buf b, other;

	(void)state;
	buf_pool_init(&pool, 1);
	buf_init(&b, &pool);
	buf_init(&other, &pool);
	for (int step = 0; step < STEPS; step++) {
		uint32_t limit = next_random(&seed) % 8 == 0 ? sizeof(bytes) : 300;
		size_t n = next_random(&seed) % limit;

		if (next_random(&seed) % 2 == 0 && length + n <= MODEL) {
			memset(bytes, (int)next_random(&seed), n);
			buf_append(&b, bytes, n);
			memcpy(model + length, bytes, n);
			length += n;
		} else {
			n = n < length ? n : length;
			buf_move(&other, &b, n);
			assert_int_equal(buf_length(&other), n);
			if (n > 0)
				assert_memory_equal(buf_head(&other), model, n);
			buf_release(&other);
			length -= n;
			memmove(model, model + n, length);
		}
		assert_int_equal(buf_length(&b), length);
		assert_int_equal(pool.borrowed, length > 0);
	}
	if (length > 0)
		assert_memory_equal(buf_head(&b), model, length);
	assert_false(b.failed);
	buf_release(&b);
	buf_pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_holds_nothing),
		cmocka_unit_test(test_reserve_and_commit),
		cmocka_unit_test(test_the_most),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_move_whole),
		cmocka_unit_test(test_move_part),
		cmocka_unit_test(test_pool_keeps_few),
		cmocka_unit_test(test_against_a_model),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
