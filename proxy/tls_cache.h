/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TLS_CACHE_H
#define SEALPOST_TLS_CACHE_H

/*
 * A few things kept by key, each for a time: what was not used for longest makes room.
 * Meant for some hundreds or a thousand: a search looks at all of them, in less than a
 * handshake's hundredth part.
 */

#include <stdint.h>

enum {
	TLS_CACHE_KEY = 32, /* octets of a key: a digest, or padded with zeros */
};

struct tls_cache;

/* `forget` frees a value; up to `alike` stand under one key. NULL without memory. */
struct tls_cache *tls_cache_new(
	unsigned capacity, unsigned alike, void (*forget)(void *value));
void tls_cache_free(struct tls_cache *cache); /* NULL is allowed */

/*
 * The newest value of the key, which stays the cache's, or NULL. Any clock of seconds
 * will do, if it is always the same: a clock that was set back makes what is younger than
 * it be forgotten.
 */
void *tls_cache_find(
	struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now);

/* Likewise, but the value goes over to the caller. */
void *tls_cache_take(
	struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now);

/*
 * Takes over the value, kept while now < until. The oldest of its key goes where there
 * are as many as may be, else the least used of all where there is no room.
 */
void tls_cache_put(struct tls_cache *cache, const uint8_t key[TLS_CACHE_KEY], int64_t now,
	int64_t until, void *value);

#endif
