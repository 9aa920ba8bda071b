/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_LIMITS_WORLD_H
#define SEALPOST_TESTS_LIMITS_WORLD_H

/* What the tests of limits share: clients, and workers around one memory. */

#include "limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static inline struct address ipv4(unsigned number)
{
	struct address a = { .family = AF_INET };
	a.octets[0] = 192;
	a.octets[1] = (uint8_t)(number >> 16);
	a.octets[2] = (uint8_t)(number >> 8);
	a.octets[3] = (uint8_t)number;
	return a;
}

/* 2001:db8:0:NET::HOST */
static inline struct address ipv6(uint8_t net, uint8_t host)
{
	struct address a = { .family = AF_INET6, .octets = { 0x20, 0x01, 0x0d, 0xb8 } };
	a.octets[7] = net;
	a.octets[15] = host;
	return a;
}

enum { SLOTS = 3, CONNECTIONS = 1000 };

/* Another worker's view of the same memory. */
static inline struct limits beside(const struct limits *limits, unsigned slot)
{
	struct limits other = *limits;
	other.slot = slot;
	return other;
}

static inline void *share(size_t size)
{
	void *memory = mmap(
		NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

static inline struct limits make_for(
	unsigned slots, unsigned connections, struct limits_most most)
{
	struct limits limits = { .slot = 0, .most = most };
	void *memory = share(limits_size(slots, connections));
	limits.board = (struct limits_board){ memory, slots, connections };
	limits_share(&limits.board, 1); /* the same clients meet, always */
	return limits;
}

static inline struct limits make(struct limits_most most)
{
	return make_for(SLOTS, CONNECTIONS, most);
}

static inline void unmake(struct limits *limits)
{
	struct limits_board *board = &limits->board;
	munmap(board->shared, limits_size(board->slots, board->connections));
}

static inline void assert_enters(struct limits *limits, struct address client)
{
	assert_int_equal(limits_enter(limits, &client), LIMITS_FINE);
}

static inline void assert_too_many(struct limits *limits, struct address client)
{
	assert_int_equal(limits_enter(limits, &client), LIMITS_TOO_MANY_FROM_ADDRESS);
}

#endif
