/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STS_CACHE_H
#define SEALPOST_STS_CACHE_H

/*
 * The MTA-STS policies that were fetched, in memory and on disk, and the fetches that
 * failed of late, in memory. Bounded, policies in octets, too: what was not asked for
 * longest goes; of a domain's many subdomains, for the sake of another of them. Times are
 * seconds since 1970.
 */

#include "sts_text.h"

#include <stdbool.h>

enum {
	STS_CACHE_POLICIES = 10000,
	STS_CACHE_OCTETS = 8 * 1024 * 1024, /* of their files */
	STS_CACHE_KIN = 100, /* that share two labels: more of them make room first */
	STS_CACHE_FAILURES = 1000,
	STS_CACHE_RETRY = 300, /* seconds between fetches that fail (RFC 8461 §3.3) */
	STS_CACHE_REFRESH = 24 * 3600, /* the age at which a policy is fetched again */
	STS_CACHE_REFRESH_RETRY = 3600,
};

struct sts_cache;

/*
 * `directory` as for sts_store_open(), "" for memory alone. Files that are not sound, and
 * disks that are not, are told to `warn`. NULL without memory.
 */
struct sts_cache *sts_cache_new(const char *directory, bool writes, int64_t now,
	void (*warn)(const char *text, void *context), void *context);
void sts_cache_free(struct sts_cache *cache); /* NULL is allowed */

/* The policy of a domain, if there is one that holds. */
bool sts_cache_find(
	struct sts_cache *cache, const char *domain, int64_t now, struct sts *sts);

/* Keeps one in place of what was there. It need not hold any more. */
void sts_cache_keep(struct sts_cache *cache, const char *domain, const struct sts *sts);

/* A fetch has failed: says so for STS_CACHE_RETRY seconds. */
void sts_cache_blame(
	struct sts_cache *cache, const char *domain, int64_t now, const char *why);

/* Why the last fetch failed, "" where none did of late. */
void sts_cache_blamed(struct sts_cache *cache, const char *domain, int64_t now,
	char why[REQUIREMENT_TEXT]);

/* Whether a policy ought to be fetched again by now. */
bool sts_cache_is_due(struct sts_cache *cache, const char *domain, int64_t now);

/*
 * The domain of a policy that is due although nobody asks, once in
 * STS_CACHE_REFRESH_RETRY seconds: one that ends sooner is not kept alive.
 */
bool sts_cache_take_due(
	struct sts_cache *cache, int64_t now, char domain[REQUIREMENT_NAME]);

/* Forgets what does not hold any more. */
void sts_cache_expire(struct sts_cache *cache, int64_t now);

#endif
