/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LAST_SLOT = COUNTERS_SLOTS - 1, LAST_SERVICE = COUNTERS_SERVICES - 1 };

static struct counters_shared *make(void)
{
	void *memory = mmap(NULL, counters_size(), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

static void unmake(struct counters_shared *shared)
{
	munmap(shared, counters_size());
}

/* Each is a count of its own, and that of all workers. */
static void test_counts(void **state)
{
	struct counters_shared *shared = make();

	(void)state;
	for (unsigned i = 0; i < COUNTERS_SERVICES; i++)
		for (unsigned k = 0; k < COUNTERS; k++) {
			counters_add(shared, 0, i, k, 1000 * i + k);
			counters_add(shared, LAST_SLOT, i, k, 1000000);
		}
	for (unsigned i = 0; i < COUNTERS_SERVICES; i++)
		for (unsigned k = 0; k < COUNTERS; k++)
			assert_int_equal(
				counters_read(shared, i, k), 1000000 + 1000 * i + k);
	unmake(shared);
}

static void test_open(void **state)
{
	struct counters_shared *shared = make();

	(void)state;
	counters_add(shared, 1, 0, COUNTER_OPEN, 2);
	counters_add(shared, 1, LAST_SERVICE, COUNTER_OPEN, 3);
	counters_add(shared, 2, 0, COUNTER_OPEN, 10);
	counters_add(shared, 1, 0, COUNTER_SESSIONS, 100);
	counters_subtract(shared, 1, 0, COUNTER_OPEN, 1);
	assert_int_equal(counters_open(shared, 1), 4);
	assert_int_equal(counters_open(shared, 2), 10);
	assert_int_equal(counters_read(shared, 0, COUNTER_OPEN), 11);
	unmake(shared);
}

/* A dead worker has no sessions, but has done what it did. */
static void test_forget(void **state)
{
	struct counters_shared *shared = make();

	(void)state;
	for (unsigned slot = 1; slot < 3; slot++) {
		counters_add(shared, slot, 0, COUNTER_OPEN, 5);
		counters_add(shared, slot, LAST_SERVICE, COUNTER_OPEN, 5);
		counters_add(shared, slot, 0, COUNTER_MESSAGES, 7);
	}
	counters_forget(shared, 1);
	assert_int_equal(counters_open(shared, 1), 0);
	assert_int_equal(counters_open(shared, 2), 10);
	assert_int_equal(counters_read(shared, 0, COUNTER_OPEN), 5);
	assert_int_equal(counters_read(shared, 0, COUNTER_MESSAGES), 14);
	unmake(shared);
}

/* What other processes count is seen here. */
static void test_shared(void **state)
{
	struct counters_shared *shared = make();
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		for (unsigned i = 0; i < 1000; i++)
			counters_add(shared, LAST_SLOT, 0, COUNTER_OCTETS, UINT32_MAX);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(
		counters_read(shared, 0, COUNTER_OCTETS), UINT64_C(1000) * UINT32_MAX);
	unmake(shared);
}

/* Names are keys of JSON, too. */
static void test_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNTERS; i++) {
		assert_non_null(counter_names[i]);
		assert_int_equal(strspn(counter_names[i], "abcdefghijklmnopqrstuvwxyz_"),
			strlen(counter_names[i]));
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(counter_names[i], counter_names[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
