/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_BODY_WORLD_H
#define SEALPOST_TESTS_BODY_WORLD_H

/* What the tests of the framer share. */

#include "body_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))
#define OCTETS(text)  text, sizeof(text) - 1

static struct buf_pool pool;

static int set_up(void **state)
{
	(void)state;
	buf_pool_init(&pool, 4);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(pool.borrowed, 0);
	buf_pool_free(&pool);
	return 0;
}

/* The same strings in every run (xorshift64). */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* How many strings to try: what the environment says, or so many. */
static inline unsigned long rounds(
	const char *name, unsigned long many, unsigned long sanitized)
{
	const char *text = getenv(name), *slow = getenv("SANITIZED");

	if (text != NULL)
		return strtoul(text, NULL, 10);
	return slow != NULL && strcmp(slow, "yes") == 0 ? sanitized : many;
}

#endif
