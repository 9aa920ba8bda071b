/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "tls_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int *number(int n)
{
	int *value = malloc(sizeof(*value));

	assert_non_null(value);
	*value = n;
	return value;
}

static const uint8_t *key(int n)
{
	static uint8_t octets[TLS_CACHE_KEY];

	memset(octets, 0, sizeof(octets));
	memcpy(octets + TLS_CACHE_KEY - sizeof(n), &n, sizeof(n));
	return octets;
}

static void put(struct tls_cache *cache, int n, int64_t now, int64_t until)
{
	tls_cache_put(cache, key(n), now, until, number(n));
}

static void expect(struct tls_cache *cache, int n, int64_t now)
{
	const int *value = tls_cache_find(cache, key(n), now);

	assert_non_null(value);
	assert_int_equal(*value, n);
}

static void test_time(void **state)
{
	struct tls_cache *cache = tls_cache_new(4, 1, free);

	(void)state;
	assert_non_null(cache);
	assert_null(tls_cache_find(cache, key(1), 100));
	put(cache, 1, 100, 160);
	expect(cache, 1, 100);
	expect(cache, 1, 159);
	assert_null(tls_cache_find(cache, key(1), 160));
	assert_null(tls_cache_find(cache, key(1), 100)); /* gone, not hidden */
	put(cache, 2, 100, 160);
	assert_null(tls_cache_find(cache, key(2), 99)); /* the clock was set back */
	put(cache, 3, 100, 100);
	assert_null(tls_cache_find(cache, key(3), 100));
	tls_cache_free(cache);
}

static void test_room(void **state)
{
	struct tls_cache *cache = tls_cache_new(3, 1, free);

	(void)state;
	for (int i = 0; i < 3; i++)
		put(cache, i, 0, 10);
	expect(cache, 0, 1);
	put(cache, 3, 1, 10); /* 1 is what was not used for longest */
	assert_null(tls_cache_find(cache, key(1), 1));
	expect(cache, 0, 1);
	expect(cache, 2, 1);
	expect(cache, 3, 1);
	tls_cache_free(cache);
}

static void test_replaced(void **state)
{
	struct tls_cache *cache = tls_cache_new(2, 1, free);

	(void)state;
	put(cache, 1, 0, 10);
	tls_cache_put(cache, key(1), 5, 20, number(7));
	put(cache, 2, 5, 20);
	const int *value = tls_cache_find(cache, key(1), 15);
	assert_non_null(value);
	assert_int_equal(*value, 7);
	expect(cache, 2, 15);
	tls_cache_free(cache);
}

static void test_taken(void **state)
{
	struct tls_cache *cache = tls_cache_new(2, 1, free);

	(void)state;
	put(cache, 1, 0, 10);
	put(cache, 2, 0, 10);
	int *value = tls_cache_take(cache, key(1), 1);
	assert_non_null(value);
	assert_int_equal(*value, 1);
	free(value);
	assert_null(tls_cache_take(cache, key(1), 1));
	expect(cache, 2, 1);
	assert_null(tls_cache_take(cache, key(2), 10));
	tls_cache_free(cache);
	tls_cache_free(NULL);
}

static void take(struct tls_cache *cache, int n, int64_t now, int expected)
{
	int *value = tls_cache_take(cache, key(n), now);

	assert_non_null(value);
	assert_int_equal(*value, expected);
	free(value);
}

static void test_alike(void **state)
{
	struct tls_cache *cache = tls_cache_new(5, 3, free);

	(void)state;
	put(cache, 9, 0, 100);
	for (int value = 1; value <= 4; value++)
		tls_cache_put(cache, key(1), 0, 10 + value, number(value));
	/* 1 has made way for 4; 2 and 3 end by and by */
	expect(cache, 9, 12);
	take(cache, 1, 12, 4);
	take(cache, 1, 12, 3);
	assert_null(tls_cache_take(cache, key(1), 12));
	expect(cache, 9, 12);
	for (int value = 1; value <= 3; value++)
		tls_cache_put(cache, key(1), 20, 20 + value, number(value));
	take(cache, 1, 22, 3);
	assert_null(tls_cache_find(cache, key(1), 22));
	expect(cache, 9, 22);
	tls_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
