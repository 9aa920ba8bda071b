/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "counters.h"

#include <assert.h>
#include <stdatomic.h>

const char *const counter_names[] = {
	[COUNTER_OPEN] = "open",
	[COUNTER_SESSIONS] = "sessions",
	[COUNTER_TURNED_AWAY] = "turned_away",
	[COUNTER_NEAR_TLS] = "near_tls",
	[COUNTER_MESSAGES] = "messages",
	[COUNTER_MESSAGES_TLS] = "messages_tls",
	[COUNTER_MESSAGES_VERIFIED] = "messages_verified",
	[COUNTER_OCTETS] = "octets",
	[COUNTER_REFUSED] = "refused",
};
static_assert(sizeof(counter_names) / sizeof(counter_names[0]) == COUNTERS,
	"each counter has a name");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
	"a lock would be no good in memory that processes share");

/* Each slot by itself in its cache lines: workers do not slow each other down. */
struct slot {
	_Alignas(64) _Atomic uint64_t counts[COUNTERS_SERVICES][COUNTERS];
};

struct counters_shared {
	struct slot slots[COUNTERS_SLOTS];
};

size_t counters_size(void)
{
	return sizeof(struct counters_shared);
}

void counters_forget(struct counters_shared *shared, unsigned slot)
{
	for (unsigned i = 0; i < COUNTERS_SERVICES; i++)
		atomic_store(&shared->slots[slot].counts[i][COUNTER_OPEN], 0);
}

/* Nothing hangs on the order in which others see one counter and another. */
void counters_add(struct counters_shared *shared, unsigned slot, unsigned service,
	enum counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(
		&shared->slots[slot].counts[service][counter], n, memory_order_relaxed);
}

void counters_subtract(struct counters_shared *shared, unsigned slot, unsigned service,
	enum counter counter, uint64_t n)
{
	atomic_fetch_sub_explicit(
		&shared->slots[slot].counts[service][counter], n, memory_order_relaxed);
}

uint64_t counters_read(
	const struct counters_shared *shared, unsigned service, enum counter counter)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < COUNTERS_SLOTS; i++)
		sum += shared->slots[i].counts[service][counter];
	return sum;
}

uint64_t counters_open(const struct counters_shared *shared, unsigned slot)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < COUNTERS_SERVICES; i++)
		sum += shared->slots[slot].counts[i][COUNTER_OPEN];
	return sum;
}
