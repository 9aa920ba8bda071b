/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "topics.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BUCKETS = 1024 };

/* The oldest stands first; `end` is where the next one goes. */
struct line {
	struct topic *first, **end;
	unsigned count;
};

struct topics {
	struct topic *buckets[BUCKETS];
	struct line asked, kept;
	size_t kept_octets;
	uint64_t seed; /* so that nobody can choose domains that share a bucket */
};

/* ---- lines ---- */

static void line_append(struct line *line, struct topic *topic)
{
	topic->newer = NULL;
	topic->behind = line->end;
	*line->end = topic;
	line->end = &topic->newer;
	line->count++;
}

static void line_remove(struct line *line, struct topic *topic)
{
	*topic->behind = topic->newer;
	if (topic->newer)
		topic->newer->behind = topic->behind;
	else
		line->end = topic->behind;
	line->count--;
}

/* ---- topics ---- */

static struct topic **bucket(
	struct topics *topics, enum direction direction, const char *domain)
{
	uint64_t hash = topics->seed ^ direction;
	for (; *domain; domain++)
		hash = (hash ^ (uint8_t)*domain) * 0x100000001b3u;
	return &topics->buckets[(hash ^ hash >> 32) % BUCKETS];
}

struct topics *topics_new(void)
{
	struct topics *topics = calloc(1, sizeof(*topics));
	if (!topics)
		return NULL;
	/* Early in the machine's life there may be none: then a constant has to do. */
	if (getrandom(&topics->seed, sizeof(topics->seed), GRND_NONBLOCK) < 0)
		topics->seed = 0xcbf29ce484222325u;
	topics->asked.end = &topics->asked.first;
	topics->kept.end = &topics->kept.first;
	return topics;
}

void topics_drop(struct topics *topics, struct topic *topic)
{
	line_remove(topic->packet ? &topics->kept : &topics->asked, topic);
	topics->kept_octets -= topic->length;
	*topic->at = topic->next;
	if (topic->next)
		topic->next->at = topic->at;
	peer_free(topic->peer);
	free(topic->packet);
	free(topic);
}

void topics_free(struct topics *topics)
{
	if (!topics)
		return;
	topics_forget(topics);
	while (topics->asked.first)
		topics_drop(topics, topics->asked.first);
	free(topics);
}

struct topic *topics_find(
	struct topics *topics, enum direction direction, const char *domain, double now)
{
	struct topic *topic = *bucket(topics, direction, domain);
	while (topic &&
		(topic->direction != direction || strcmp(topic->domain, domain) != 0))
		topic = topic->next;
	if (topic && topic->packet && now >= topic->until) {
		topics_drop(topics, topic);
		return NULL;
	}
	return topic;
}

struct topic *topics_add(
	struct topics *topics, enum direction direction, const char *domain)
{
	struct topic *topic =
		topics->asked.count < TOPICS_ASKED ? calloc(1, sizeof(*topic)) : NULL;
	if (topic)
		topic->peer = calloc(1, sizeof(*topic->peer));
	if (!topic || !topic->peer) {
		free(topic);
		return NULL;
	}
	topic->direction = direction;
	topic->peer->direction = (uint8_t)direction;
	strncpy(topic->domain, domain, sizeof(topic->domain) - 1);
	memcpy(topic->peer->domain, topic->domain, sizeof(topic->domain));
	topic->at = bucket(topics, direction, domain);
	topic->next = *topic->at;
	if (topic->next)
		topic->next->at = &topic->next;
	*topic->at = topic;
	line_append(&topics->asked, topic);
	return topic;
}

static struct topic_waiter *find_waiter(struct topic *topic, uint32_t reader)
{
	for (unsigned i = 0; i < topic->waiter_count; i++)
		if (topic->waiters[i].reader == reader)
			return &topic->waiters[i];
	return NULL;
}

bool topic_wait(struct topic *topic, struct topic_waiter waiter)
{
	if (topic->waiter_count == TOPIC_WAITERS || find_waiter(topic, waiter.reader))
		return false;
	topic->waiters[topic->waiter_count++] = waiter;
	return true;
}

void topics_leave(struct topics *topics, uint32_t reader)
{
	for (struct topic *topic = topics->asked.first; topic; topic = topic->newer) {
		struct topic_waiter *waiter = find_waiter(topic, reader);
		if (waiter)
			*waiter = topic->waiters[--topic->waiter_count];
	}
}

void topics_keep(struct topics *topics, struct topic *topic, const uint8_t *packet,
	size_t length, double now)
{
	uint8_t *copy = malloc(length);
	if (!copy) {
		topics_drop(topics, topic);
		return;
	}
	while (topics->kept.count == TOPICS_KEPT ||
		topics->kept_octets > TOPICS_OCTETS - length)
		topics_drop(topics, topics->kept.first);
	line_remove(&topics->asked, topic);
	line_append(&topics->kept, topic);
	topics->kept_octets += length;
	memcpy(copy, packet, length);
	topic->packet = copy;
	topic->length = length;
	topic->until = now + topic->peer->lifetime;
	topic->waiter_count = 0;
	peer_free(topic->peer);
	topic->peer = NULL;
}

void topics_forget(struct topics *topics)
{
	while (topics->kept.first)
		topics_drop(topics, topics->kept.first);
}

struct topic *topics_under_way(const struct topics *topics)
{
	return topics->asked.first;
}
