/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sts_cache.h"

#include "sts_store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	BUCKETS = 4096,
	DAY = 24 * 3600,
};

/* A policy as its file has it, or why a fetch failed. */
struct entry {
	struct entry *next, **at;      /* in its bucket */
	struct entry *newer, **behind; /* by when it was last asked for */
	int64_t from, until, due;
	int64_t swept; /* not due before, unless somebody asks */
	size_t length;
	char *text;
	char domain[];
};

struct table {
	struct entry *buckets[BUCKETS];
	struct entry *first, **end;
	unsigned count, most;
	size_t octets; /* of all texts */
	uint64_t seed; /* so that nobody can choose domains that share a bucket */
};

struct sts_cache {
	struct table policies, failures;
	struct sts_store *store; /* NULL: memory alone */
	bool complained;
	int64_t opened;
	void (*warn)(const char *text, void *context);
	void *context;
};

/* ---- tables ---- */

static void table_init(struct table *table, unsigned most)
{
	/* Early in the machine's life there may be none: then a constant has to do. */
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) < 0)
		table->seed = 0xcbf29ce484222325u;
	table->end = &table->first;
	table->most = most;
}

static struct entry **bucket(struct table *table, const char *domain)
{
	uint64_t hash = table->seed;
	for (; *domain; domain++)
		hash = (hash ^ (uint8_t)*domain) * 0x100000001b3u;
	return &table->buckets[(hash ^ hash >> 32) % BUCKETS];
}

static void append(struct table *table, struct entry *entry)
{
	entry->newer = NULL;
	entry->behind = table->end;
	*table->end = entry;
	table->end = &entry->newer;
}

static void take_out(struct table *table, struct entry *entry)
{
	*entry->behind = entry->newer;
	if (entry->newer)
		entry->newer->behind = entry->behind;
	else
		table->end = entry->behind;
}

static void drop(struct table *table, struct entry *entry)
{
	take_out(table, entry);
	*entry->at = entry->next;
	if (entry->next)
		entry->next->at = entry->at;
	table->count--;
	table->octets -= entry->length;
	free(entry->text);
	free(entry);
}

static struct entry *find(struct table *table, const char *domain)
{
	struct entry *entry = *bucket(table, domain);
	while (entry && strcmp(entry->domain, domain) != 0)
		entry = entry->next;
	return entry;
}

/* The entry of this domain, now with this text, the last to go. NULL without memory. */
static struct entry *put(
	struct table *table, const char *domain, const char *text, size_t length)
{
	struct entry *entry = find(table, domain);
	size_t size = strlen(domain) + 1;
	char *copy = malloc(length + 1);
	if (copy && !entry && (entry = calloc(1, sizeof(*entry) + size))) {
		memcpy(entry->domain, domain, size);
		entry->at = bucket(table, domain);
		entry->next = *entry->at;
		if (entry->next)
			entry->next->at = &entry->next;
		*entry->at = entry;
		append(table, entry);
		table->count++;
	}
	if (!copy || !entry) {
		free(copy);
		return NULL;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	table->octets += length;
	table->octets -= entry->length;
	free(entry->text);
	entry->text = copy;
	entry->length = length;
	take_out(table, entry);
	append(table, entry);
	return entry;
}

/* ---- policies ---- */

static void warn(struct sts_cache *cache, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void warn(struct sts_cache *cache, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* Files may have any name. */
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	cache->warn(text, cache->context);
}

static void drop_policy(struct sts_cache *cache, struct entry *entry)
{
	if (cache->store)
		sts_store_remove(cache->store, entry->domain, entry->text, entry->length);
	drop(&cache->policies, entry);
}

/* Its last two labels. */
static const char *family(const char *domain)
{
	const char *at = strrchr(domain, '.');
	while (at && at > domain && at[-1] != '.')
		at--;
	return at ? at : domain;
}

static bool is_overfull(const struct table *policies)
{
	return policies->count > policies->most || policies->octets > STS_CACHE_OCTETS;
}

/*
 * Makes room where there is too little. It costs nothing to have thousands of names below
 * one of one's own: where many are kept these make room for each other.
 */
static void make_room(struct sts_cache *cache, const char *domain)
{
	const struct table *policies = &cache->policies;
	const char *name = family(domain);
	unsigned kin = 0;
	if (!is_overfull(policies))
		return;
	for (struct entry *entry = policies->first; entry; entry = entry->newer)
		kin += strcmp(family(entry->domain), name) == 0;
	for (struct entry *entry = policies->first, *newer;
		kin > STS_CACHE_KIN && is_overfull(policies); entry = newer) {
		newer = entry->newer;
		if (strcmp(family(entry->domain), name) == 0) {
			drop_policy(cache, entry);
			kin--;
		}
	}
	while (is_overfull(policies))
		drop_policy(cache, policies->first);
}

/* In memory; NULL without. */
static struct entry *take_in(struct sts_cache *cache, const char *domain,
	const struct sts *sts, const char *text, size_t length)
{
	int64_t age = sts->expires - sts->fetched;
	struct entry *entry = put(&cache->policies, domain, text, length);
	if (!entry)
		return NULL;
	entry->from = INT64_MIN;
	entry->until = sts->expires;
	entry->due = sts->fetched +
		     (age / 2 < STS_CACHE_REFRESH ? age / 2 : STS_CACHE_REFRESH);
	entry->swept = sts->fetched + STS_CACHE_REFRESH_RETRY;
	make_room(cache, domain);
	return entry;
}

static void pass_over(
	struct sts_cache *cache, const struct sts_found *found, const char *why)
{
	warn(cache, "the kept MTA-STS policy of %.255s is passed over: %s", found->domain,
		why);
}

/*
 * One that is dated tomorrow would hold for longer than its domain has said. But perhaps
 * it is our clock that is late, and will be set.
 */
static void on_file(const struct sts_found *found, void *context)
{
	struct sts_cache *cache = context;
	const struct sts *sts = found->sts;
	if (found->fault) {
		pass_over(cache, found, found->fault);
		return;
	}
	if (sts->expires <= cache->opened) {
		sts_store_remove(cache->store, found->domain, found->text, found->length);
		return;
	}
	struct entry *entry =
		take_in(cache, found->domain, sts, found->text, found->length);
	if (!entry || sts->fetched <= cache->opened + DAY)
		return;
	entry->from = sts->fetched - DAY;
	pass_over(cache, found, "it comes from the future, which it waits for");
}

struct sts_cache *sts_cache_new(const char *directory, bool writes, int64_t now,
	void (*warn_of)(const char *text, void *context), void *context)
{
	struct sts_cache *cache = calloc(1, sizeof(*cache));
	char reason[400];
	if (!cache)
		return NULL;
	table_init(&cache->policies, STS_CACHE_POLICIES);
	table_init(&cache->failures, STS_CACHE_FAILURES);
	cache->warn = warn_of;
	cache->context = context;
	cache->opened = now;
	if (directory[0] == '\0')
		return cache;
	cache->store = sts_store_open(directory, writes, reason, sizeof(reason));
	if (cache->store)
		sts_store_load(cache->store, on_file, cache);
	else if (reason[0] != '\0')
		warn(cache, "MTA-STS policies %s: cache: %s",
			writes ? "do not outlive this process"
			       : "that are kept are not known here",
			reason);
	if (!writes) {
		sts_store_close(cache->store);
		cache->store = NULL;
	}
	return cache;
}

static void clear(struct table *table)
{
	while (table->first)
		drop(table, table->first);
}

void sts_cache_free(struct sts_cache *cache)
{
	if (!cache)
		return;
	clear(&cache->policies);
	clear(&cache->failures);
	sts_store_close(cache->store);
	free(cache);
}

bool sts_cache_find(
	struct sts_cache *cache, const char *domain, int64_t now, struct sts *sts)
{
	struct entry *entry = find(&cache->policies, domain);
	if (!entry || now < entry->from || entry->until <= now)
		return false;
	take_out(&cache->policies, entry);
	append(&cache->policies, entry);
	return sts_text_read(entry->text, entry->length, domain, sts);
}

/* Once, until it goes well again. */
static void complain(struct sts_cache *cache)
{
	if (!cache->complained)
		warn(cache,
			"cannot write MTA-STS policies to the cache, and keep them in "
			"memory alone: %s",
			strerror(errno));
	cache->complained = true;
}

void sts_cache_keep(struct sts_cache *cache, const char *domain, const struct sts *sts)
{
	char text[STS_FILE];
	size_t length = sts_text_write(text, sizeof(text), domain, sts);
	if (length == 0 || !take_in(cache, domain, sts, text, length))
		return;
	struct entry *failure = find(&cache->failures, domain);
	if (failure)
		drop(&cache->failures, failure);
	if (!cache->store)
		return;
	if (sts_store_write(cache->store, domain, text, length))
		cache->complained = false;
	else
		complain(cache);
}

/* ---- times ---- */

/* Still to come. What is further away than it was put stems from a clock gone wrong. */
static bool is_ahead(int64_t when, int64_t now, int64_t most)
{
	return when > now && when <= now + most;
}

/* ---- failures ---- */

void sts_cache_blame(
	struct sts_cache *cache, const char *domain, int64_t now, const char *why)
{
	struct entry *policy = find(&cache->policies, domain);
	struct entry *failure = put(&cache->failures, domain, why, strlen(why));
	if (policy)
		policy->due = now + STS_CACHE_REFRESH_RETRY;
	if (failure)
		failure->until = now + STS_CACHE_RETRY;
	if (cache->failures.count > cache->failures.most)
		drop(&cache->failures, cache->failures.first);
}

void sts_cache_blamed(struct sts_cache *cache, const char *domain, int64_t now,
	char why[REQUIREMENT_TEXT])
{
	struct entry *failure = find(&cache->failures, domain);
	bool holds = failure && is_ahead(failure->until, now, STS_CACHE_RETRY);
	snprintf(why, REQUIREMENT_TEXT, "%s", holds ? failure->text : "");
}

/* ---- time ---- */

bool sts_cache_is_due(struct sts_cache *cache, const char *domain, int64_t now)
{
	const struct entry *entry = find(&cache->policies, domain);
	return entry && !is_ahead(entry->due, now, STS_CACHE_REFRESH);
}

bool sts_cache_take_due(
	struct sts_cache *cache, int64_t now, char domain[REQUIREMENT_NAME])
{
	for (struct entry *entry = cache->policies.first; entry; entry = entry->newer)
		if (!is_ahead(entry->due, now, STS_CACHE_REFRESH) &&
			!is_ahead(entry->swept, now, STS_CACHE_REFRESH_RETRY) &&
			entry->until > now) {
			entry->due = now + STS_CACHE_REFRESH_RETRY;
			memcpy(domain, entry->domain, strlen(entry->domain) + 1);
			return true;
		}
	return false;
}

void sts_cache_expire(struct sts_cache *cache, int64_t now)
{
	for (struct entry *next, *entry = cache->policies.first; entry; entry = next) {
		next = entry->newer;
		if (entry->until <= now)
			drop_policy(cache, entry);
	}
	for (struct entry *next, *entry = cache->failures.first; entry; entry = next) {
		next = entry->newer;
		if (entry->until <= now)
			drop(&cache->failures, entry);
	}
}
