/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A slot's clients are a hash table with linear probing in which nothing ever moves, for
 * others read it at any time. Its only writer reuses entries that have no connection, and
 * empties those that end a chain; so a client is always found where it was put.
 *
 * Why a limit is not passed: each worker first adds to its own slot and then reads all
 * others', in an order that all agree on (C11's sequential consistency). Of two who add
 * at the same time, the later one sees the earlier.
 */

#include "limits.h"

#include <assert.h>
#include <stdatomic.h>

enum {
	LINE = 64,    /* octets of a cache line: slots do not slow each other down */
	FEWEST = 256, /* entries of a table */
	WINDOW = 128, /* entries where a client may stand: no search is longer */
	TRIES = 1000,
	SHARE_UNDER_WAY = 8, /* nobody has more than an eighth of what is left */
	SHARE_OF_RATE = 4,
	BUCKETS = 4096,	     /* of clients; those who meet in one share what is one's */
	SECOND = 1000000000, /* in nanoseconds */
};

struct entry {
	_Atomic uint64_t key; /* 0: a chain ends here */
	_Atomic uint32_t connections, handshakes;
};

struct slot {
	_Alignas(LINE) _Atomic uint32_t connections;
	_Atomic uint32_t handshakes;
	struct entry clients[];
};

struct limits_shared {
	_Alignas(LINE) uint64_t seed; /* so that nobody can choose addresses that meet */
	/* Nanoseconds at which handshakes at no more than their rate would have ended. */
	_Atomic uint64_t paced;
	_Atomic uint64_t recent[BUCKETS]; /* handshakes of late, by client */
};

static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
	"a lock would be no good in memory that processes share");
static_assert((int)FEWEST > (int)WINDOW, "a search meets no entry twice");

/* ---- how the memory is divided ---- */

/* A power of two, and twice what is needed, so that chains are short. */
static size_t table_size(unsigned connections)
{
	size_t n = FEWEST;
	while (n < 2 * (size_t)connections)
		n *= 2;
	return n;
}

static size_t slot_size(unsigned connections)
{
	return sizeof(struct slot) + table_size(connections) * sizeof(struct entry);
}

size_t limits_size(unsigned slots, unsigned connections)
{
	return sizeof(struct limits_shared) + slots * slot_size(connections);
}

static struct slot *slot_of(const struct limits_board *board, unsigned number)
{
	char *first = (char *)(board->shared + 1);
	return (struct slot *)(void *)(first + number * slot_size(board->connections));
}

void limits_share(const struct limits_board *board, uint64_t seed)
{
	board->shared->seed = seed;
}

void limits_forget(const struct limits_board *board, unsigned slot)
{
	struct slot *dead = slot_of(board, slot);
	size_t n = table_size(board->connections);
	atomic_store(&dead->connections, 0);
	atomic_store(&dead->handshakes, 0);
	/* Pages that nothing was ever written to stay unwritten. */
	for (size_t i = 0; i < n; i++) {
		if (atomic_load(&dead->clients[i].connections) != 0)
			atomic_store(&dead->clients[i].connections, 0);
		if (atomic_load(&dead->clients[i].handshakes) != 0)
			atomic_store(&dead->clients[i].handshakes, 0);
		if (atomic_load(&dead->clients[i].key) != 0)
			atomic_store(&dead->clients[i].key, 0);
	}
}

/* ---- connections ---- */

static uint64_t all_connections(const struct limits_board *board)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < board->slots; i++)
		sum += atomic_load(&slot_of(board, i)->connections);
	return sum;
}

unsigned limits_connections(const struct limits_board *board)
{
	return (unsigned)all_connections(board);
}

static struct slot *own(const struct limits *limits)
{
	return slot_of(&limits->board, limits->slot);
}

enum limits_verdict limits_connect(struct limits *limits)
{
	atomic_fetch_add(&own(limits)->connections, 1);
	unsigned most = limits->most.connections;
	if (most == 0 || all_connections(&limits->board) <= most)
		return LIMITS_FINE;
	limits_disconnect(limits);
	return LIMITS_TOO_MANY;
}

void limits_disconnect(struct limits *limits)
{
	atomic_fetch_sub(&own(limits)->connections, 1);
}

/* ---- by address ---- */

/*
 * The /64 of an IPv6 client. No client's is within ff00::/8, which is multicast: there
 * are IPv4 addresses, and ::/64, whose own number is what ends a chain.
 */
static uint64_t client_key(const struct address *client)
{
	const uint64_t multicast = UINT64_C(0xff) << 56;
	size_t n = client->family == AF_INET6 ? 8 : 4;
	uint64_t number = 0;
	for (size_t i = 0; i < n; i++)
		number = number << 8 | client->octets[i];
	if (n == 4)
		return multicast | number;
	return number != 0 ? number : multicast | UINT64_C(1) << 32;
}

/* MurmurHash3's finalizer: each bit of the key and the seed moves each bit of it. */
static uint64_t hash(uint64_t key, uint64_t seed)
{
	uint64_t h = key ^ seed;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

/*
 * Where the client stands in a slot, or NULL. `vacant`, where it is not NULL, becomes the
 * first entry that its slot's worker may put it in, or NULL.
 */
static struct entry *client_find(const struct limits_board *board, unsigned number,
	uint64_t key, struct entry **vacant)
{
	struct slot *slot = slot_of(board, number);
	size_t mask = table_size(board->connections) - 1;
	size_t home = (size_t)hash(key, board->shared->seed);
	if (vacant)
		*vacant = NULL;
	for (size_t i = 0; i < WINDOW; i++) {
		struct entry *e = &slot->clients[(home + i) & mask];
		uint64_t there = atomic_load(&e->key);
		if (there == key)
			return e;
		if (vacant && !*vacant && atomic_load(&e->connections) == 0)
			*vacant = e;
		if (there == 0)
			return NULL;
	}
	return NULL;
}

struct held {
	uint64_t connections, handshakes;
};

/* What the client has of all workers. */
static struct held client_held(const struct limits_board *board, uint64_t key)
{
	struct held sum = { 0, 0 };
	for (unsigned i = 0; i < board->slots; i++) {
		const struct entry *e = client_find(board, i, key, NULL);
		sum.connections += e ? atomic_load(&e->connections) : 0;
		sum.handshakes += e ? atomic_load(&e->handshakes) : 0;
	}
	return sum;
}

/* The entry has lost its last connection: what now ends a chain is emptied. */
static void client_gone(const struct limits *limits, const struct entry *gone)
{
	struct entry *clients = own(limits)->clients;
	size_t mask = table_size(limits->board.connections) - 1;
	size_t at = (size_t)(gone - clients);
	if (atomic_load(&clients[(at + 1) & mask].key) != 0)
		return;
	for (size_t i = 0; i < mask; i++, at--) {
		struct entry *e = &clients[at & mask];
		if (atomic_load(&e->key) == 0 || atomic_load(&e->connections) != 0)
			return;
		atomic_store(&e->key, 0);
	}
}

static struct entry *own_entry(const struct limits *limits, const struct address *client)
{
	return client_find(&limits->board, limits->slot, client_key(client), NULL);
}

enum limits_verdict limits_enter(struct limits *limits, const struct address *client)
{
	uint64_t key = client_key(client);
	struct entry *vacant;
	struct entry *e = client_find(&limits->board, limits->slot, key, &vacant);
	if (!e && !vacant)
		return LIMITS_TOO_MANY;
	if (!e) {
		e = vacant;
		atomic_store(&e->key, key);
	}
	atomic_fetch_add(&e->connections, 1);
	unsigned most = limits->most.connections_per_address;
	if (most == 0 || client_held(&limits->board, key).connections <= most)
		return LIMITS_FINE;
	limits_leave(limits, client);
	return LIMITS_TOO_MANY_FROM_ADDRESS;
}

void limits_leave(struct limits *limits, const struct address *client)
{
	struct entry *e = own_entry(limits, client);
	if (!e || atomic_load(&e->connections) == 0)
		return;
	if (atomic_fetch_sub(&e->connections, 1) == 1)
		client_gone(limits, e);
}

/* ---- handshakes ---- */

/*
 * A few clients must not lock all others out, and one that is alone may have many. So a
 * client's own are held against what is left, not against a number: with each one who
 * takes all that he can get there is less for each of them, and still some left.
 */
static bool beyond_share(uint64_t own, uint64_t left, unsigned share)
{
	return left == 0 || own * share > left;
}

/* Under way, by whoever has begun them and does not end them. */
static bool under_way_full(const struct limits *limits, const struct address *client)
{
	const struct limits_board *board = &limits->board;
	uint64_t most = limits->most.handshakes, sum = 0;
	for (unsigned i = 0; most != 0 && i < board->slots; i++)
		sum += atomic_load(&slot_of(board, i)->handshakes);
	if (most == 0 || sum >= most)
		return most != 0;
	uint64_t left = most - sum;
	/* Its own are no more than all: mostly nobody need be looked up. */
	return client && beyond_share(sum, left, SHARE_UNDER_WAY) &&
	       beyond_share(client_held(board, client_key(client)).handshakes, left,
		       SHARE_UNDER_WAY);
}

/*
 * The generic cell rate algorithm: each handshake moves `paced` on by the time that one
 * may take, and the next may begin while it is less than a second ahead. No worker in
 * its senses moves it on by more than two.
 */
static uint64_t paced_at(uint64_t paced, uint64_t now)
{
	if (paced < now || paced > now + UINT64_C(3) * SECOND)
		return now;
	return paced < now + SECOND ? paced : now + SECOND;
}

static uint64_t nanoseconds(double seconds)
{
	return seconds > 0 ? (uint64_t)(seconds * SECOND) : 0;
}

static _Atomic uint64_t *recent_of(
	const struct limits *limits, const struct address *client)
{
	struct limits_shared *shared = limits->board.shared;
	return &shared->recent[hash(client_key(client), shared->seed) % BUCKETS];
}

/* The second at which it was counted, and the count, which each one since has halved. */
static uint32_t recent_at(uint64_t recent, uint32_t second)
{
	uint32_t age = second - (uint32_t)(recent >> 32);
	return age < 32 ? (uint32_t)recent >> age : 0;
}

static bool rate_full(
	const struct limits *limits, const struct address *client, double now)
{
	uint64_t rate = limits->most.handshakes_per_second, at = nanoseconds(now);
	if (rate == 0)
		return false;
	uint64_t paced = paced_at(atomic_load(&limits->board.shared->paced), at);
	uint64_t left = (at + SECOND - paced) / (SECOND / rate);
	uint64_t recent = client ? atomic_load(recent_of(limits, client)) : 0;
	return beyond_share(recent_at(recent, (uint32_t)now), left, SHARE_OF_RATE);
}

bool limits_handshakes_full(
	const struct limits *limits, const struct address *client, double now)
{
	return under_way_full(limits, client) || rate_full(limits, client, now);
}

static void pace(struct limits *limits, const struct address *client, double now)
{
	_Atomic uint64_t *paced = &limits->board.shared->paced;
	uint64_t each = SECOND / limits->most.handshakes_per_second;
	/* Others may begin one at the same time, but nobody keeps us here for ever. */
	uint64_t then = atomic_load(paced);
	for (unsigned i = 0; i < TRIES; i++)
		if (atomic_compare_exchange_weak(
			    paced, &then, paced_at(then, nanoseconds(now)) + each))
			break;
	if (!client)
		return;
	/* Here one that two workers count at once may be lost: it is a share, no sum. */
	_Atomic uint64_t *recent = recent_of(limits, client);
	uint32_t second = (uint32_t)now, count = recent_at(atomic_load(recent), second);
	atomic_store(recent, (uint64_t)second << 32 | (count + 1));
}

void limits_handshake_begin(
	struct limits *limits, const struct address *client, double now)
{
	struct entry *e = client ? own_entry(limits, client) : NULL;
	atomic_fetch_add(&own(limits)->handshakes, 1);
	if (e)
		atomic_fetch_add(&e->handshakes, 1);
	if (limits->most.handshakes_per_second != 0)
		pace(limits, client, now);
}

void limits_handshake_end(struct limits *limits, const struct address *client)
{
	struct entry *e = client ? own_entry(limits, client) : NULL;
	atomic_fetch_sub(&own(limits)->handshakes, 1);
	if (e && atomic_load(&e->handshakes) != 0)
		atomic_fetch_sub(&e->handshakes, 1);
}
