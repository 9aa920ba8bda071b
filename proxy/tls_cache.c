/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "tls_cache.h"

#include <stdlib.h>
#include <string.h>

struct kept {
	uint8_t key[TLS_CACHE_KEY];
	int64_t since, until;
	uint64_t used; /* when, counted in uses */
	void *value;
};

struct tls_cache {
	void (*forget)(void *value);
	uint64_t uses;
	unsigned capacity, alike, count;
	struct kept kept[]; /* the first `count` of them, in no order */
};

struct tls_cache *tls_cache_new(
	unsigned capacity, unsigned alike, void (*forget)(void *value))
{
	struct tls_cache *cache =
		calloc(1, sizeof(*cache) + capacity * sizeof(*cache->kept));

	if (!cache)
		return NULL;
	cache->forget = forget;
	cache->capacity = capacity;
	cache->alike = alike;
	return cache;
}

void tls_cache_free(struct tls_cache *cache)
{
	if (!cache)
		return;
	for (unsigned i = 0; i < cache->count; i++)
		cache->forget(cache->kept[i].value);
	free(cache);
}

static void *take_out(struct tls_cache *cache, struct kept *k)
{
	void *value = k->value;

	*k = cache->kept[--cache->count];
	return value;
}

/* What stands under a key: the last used one, the first used one, and how many. */
struct row {
	struct kept *newest, *oldest;
	unsigned count;
};

/* From the end: what is taken out on the way is replaced by one that was looked at. */
static struct row find(
	struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now)
{
	struct row row = { NULL, NULL, 0 };

	for (unsigned i = cache->count; i-- > 0;) {
		struct kept *k = &cache->kept[i], *last = &cache->kept[cache->count - 1];

		if (memcmp(k->key, key, TLS_CACHE_KEY) != 0)
			continue;
		if (now < k->since || now >= k->until) {
			cache->forget(take_out(cache, k));
			row.newest = row.newest == last ? k : row.newest;
			row.oldest = row.oldest == last ? k : row.oldest;
			continue;
		}
		row.count++;
		if (!row.newest || k->used > row.newest->used)
			row.newest = k;
		if (!row.oldest || k->used < row.oldest->used)
			row.oldest = k;
	}
	return row;
}

void *tls_cache_find(
	struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now)
{
	struct kept *k = find(cache, key, now).newest;

	if (!k)
		return NULL;
	k->used = ++cache->uses;
	return k->value;
}

void *tls_cache_take(
	struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now)
{
	struct kept *k = find(cache, key, now).newest;

	return k ? take_out(cache, k) : NULL;
}

static void make_room(struct tls_cache *cache)
{
	struct kept *oldest = cache->kept;

	if (cache->count < cache->capacity)
		return;
	for (unsigned i = 1; i < cache->count; i++)
		if (cache->kept[i].used < oldest->used)
			oldest = &cache->kept[i];
	cache->forget(take_out(cache, oldest));
}

void tls_cache_put(struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now,
	int64_t until, void *value)
{
	struct row row = find(cache, key, now);

	if (row.count >= cache->alike)
		cache->forget(take_out(cache, row.oldest));
	make_room(cache);
	struct kept *k = &cache->kept[cache->count++];
	*k = (struct kept){
		.since = now, .until = until, .used = ++cache->uses, .value = value
	};
	memcpy(k->key, key, TLS_CACHE_KEY);
}
