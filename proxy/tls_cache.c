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
	unsigned capacity, count;
	struct kept kept[]; /* the first `count` of them, in no order */
};

struct tls_cache *tls_cache_new(unsigned capacity, void (*forget)(void *value))
{
	struct tls_cache *cache =
		calloc(1, sizeof(*cache) + capacity * sizeof(*cache->kept));

	if (!cache)
		return NULL;
	cache->forget = forget;
	cache->capacity = capacity;
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

static struct kept *find(
	struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now)
{
	struct kept *k = cache->kept, *end = k + cache->count;

	while (k < end && memcmp(k->key, key, TLS_CACHE_KEY) != 0)
		k++;
	if (k == end)
		return NULL;
	if (now >= k->since && now < k->until)
		return k;
	cache->forget(take_out(cache, k));
	return NULL;
}

void *tls_cache_find(
	struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now)
{
	struct kept *k = find(cache, key, now);

	if (!k)
		return NULL;
	k->used = ++cache->uses;
	return k->value;
}

void *tls_cache_take(
	struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now)
{
	struct kept *k = find(cache, key, now);

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
	struct kept *k = find(cache, key, now);

	if (k)
		cache->forget(take_out(cache, k));
	make_room(cache);
	k = &cache->kept[cache->count++];
	*k = (struct kept){
		.since = now, .until = until, .used = ++cache->uses, .value = value
	};
	memcpy(k->key, key, TLS_CACHE_KEY);
}
