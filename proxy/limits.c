/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = 4096, /* chains stay short for any sane number of connections */
};

struct client {
	struct client *next;
	uint8_t key[9]; /* family, and as many octets of the address as count */
	unsigned connections;
};

struct limits {
	struct limits_most most;
	unsigned connections, handshakes;
	/* A token bucket: handshakes that may begin now, and when it was last filled. */
	double tokens, refilled;
	uint64_t seed; /* so that nobody can choose addresses that share a chain */
	struct client *buckets[BUCKETS];
};

struct limits *limits_new(const struct limits_most *most)
{
	struct limits *limits = calloc(1, sizeof(*limits));
	if (!limits)
		return NULL;
	limits->most = *most;
	limits->tokens = most->handshakes_per_second;
	limits->seed = (uint64_t)(uintptr_t)limits * 0x9e3779b97f4a7c15u;
	return limits;
}

void limits_free(struct limits *limits)
{
	for (unsigned i = 0; limits && i < BUCKETS; i++)
		for (struct client *c = limits->buckets[i], *next; c; c = next) {
			next = c->next;
			free(c);
		}
	free(limits);
}

enum limits_verdict limits_connect(struct limits *limits)
{
	if (limits->most.connections != 0 &&
		limits->connections >= limits->most.connections)
		return LIMITS_TOO_MANY;
	limits->connections++;
	return LIMITS_FINE;
}

void limits_disconnect(struct limits *limits)
{
	limits->connections--;
}

unsigned limits_connections(const struct limits *limits)
{
	return limits->connections;
}

static void client_key(const struct address *address, uint8_t key[9])
{
	memset(key, 0, 9);
	key[0] = address->family == AF_INET6 ? 6 : 4;
	memcpy(key + 1, address->octets, address->family == AF_INET6 ? 8 : 4);
}

/* The link that points to the client, or to the NULL where it would be added. */
static struct client **client_find(struct limits *limits, const uint8_t key[9])
{
	uint64_t hash = limits->seed;
	for (unsigned i = 0; i < 9; i++)
		hash = (hash ^ key[i]) * 0x100000001b3u;
	hash ^= hash >> 32;
	struct client **link = &limits->buckets[hash % BUCKETS];
	while (*link && memcmp((*link)->key, key, 9) != 0)
		link = &(*link)->next;
	return link;
}

enum limits_verdict limits_enter(struct limits *limits, const struct address *client)
{
	uint8_t key[9];
	client_key(client, key);
	struct client **link = client_find(limits, key);
	unsigned most = limits->most.connections_per_address;
	if (*link && most != 0 && (*link)->connections >= most)
		return LIMITS_TOO_MANY_FROM_ADDRESS;
	if (!*link) {
		*link = calloc(1, sizeof(**link));
		if (!*link)
			return LIMITS_NO_MEMORY;
		memcpy((*link)->key, key, 9);
	}
	(*link)->connections++;
	return LIMITS_FINE;
}

void limits_leave(struct limits *limits, const struct address *client)
{
	uint8_t key[9];
	client_key(client, key);
	struct client **link = client_find(limits, key);
	struct client *c = *link;
	if (!c || --c->connections > 0)
		return;
	*link = c->next;
	free(c);
}

bool limits_handshakes_full(struct limits *limits, double now)
{
	double rate = limits->most.handshakes_per_second;
	if (limits->most.handshakes != 0 && limits->handshakes >= limits->most.handshakes)
		return true;
	if (rate <= 0)
		return false;
	if (now > limits->refilled) {
		limits->tokens += (now - limits->refilled) * rate;
		limits->tokens = limits->tokens > rate ? rate : limits->tokens;
		limits->refilled = now;
	}
	return limits->tokens < 1;
}

void limits_handshake_begin(struct limits *limits)
{
	limits->handshakes++;
	limits->tokens -= 1;
}

void limits_handshake_end(struct limits *limits)
{
	limits->handshakes--;
}
