/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A topic is a domain in a direction that is being asked about or whose answer is kept:
 * one at a time for each, so that all who ask meanwhile wait for the same answer. A
 * waiter stands in its topic's line, and once there is an answer among those that are
 * due. What is kept is the packet, a fraction of the peer's size; the peer that it says
 * is there as long as somebody holds it, one for all who do.
 */

#include "client.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	KEPT = 1024,		       /* answers */
	KEPT_OCTETS = 4 * 1024 * 1024, /* of them all */
	ASKED = 4096,		       /* questions under way */
	BUCKETS = 1024,		       /* of each table */
	ROUND = 64,		       /* packets that are read in a row */
};

/* A ring of members, or of none but its head. */
struct ring {
	struct ring *next, *previous;
};

struct topic {
	struct ring by_name; /* in its bucket */
	struct ring by_id;   /* in its bucket, while it is asked about */
	struct ring by_age;  /* among what is kept, or what is asked */
	struct ring unsent;  /* among the questions that wait for room in the socket */
	struct ring waiters;
	enum direction direction;
	char domain[REQUIREMENT_NAME];
	uint32_t id;
	uint8_t *packet; /* the answer; NULL while it is asked about */
	size_t length;
	double since, until; /* it holds */
	struct peer *peer;   /* what it says; NULL: nobody holds it */
};

struct waiter {
	struct ring in_line; /* of its topic, or of those that are due */
	struct ring by_name; /* in its bucket */
	void *name;
	struct peer *answer; /* once it is due */
};

struct policy_client {
	int fd; /* -1: nobody is there */
	uint32_t last_id;
	uint64_t seed; /* so that nobody can choose domains that share a bucket */
	struct policy_state state;
	struct ring asked, kept; /* the oldest stand first */
	struct ring due;
	struct ring unsent; /* topics, in the order of their questions */
	unsigned asked_count, kept_count;
	size_t kept_octets;
	struct ring topics[BUCKETS], ids[BUCKETS], waiters[BUCKETS];
	uint8_t packet[MESSAGE_MAX];
};

/* What is answered where nobody can be asked; never freed. */
static const struct peer unavailable = {
	.status = PEER_UNAVAILABLE,
	.where = "default",
	.text = "the policy process is not there, or has too much to do",
};

/* ---- rings ---- */

static void ring_init(struct ring *ring)
{
	ring->next = ring->previous = ring;
}

static bool ring_is_empty(const struct ring *ring)
{
	return ring->next == ring;
}

static void ring_append(struct ring *ring, struct ring *member)
{
	member->next = ring;
	member->previous = ring->previous;
	ring->previous->next = member;
	ring->previous = member;
}

static void ring_remove(struct ring *member)
{
	member->next->previous = member->previous;
	member->previous->next = member->next;
	ring_init(member);
}

#define HOLDER(type, link, member) ((type *)((char *)(member)-offsetof(type, link)))

/* ---- answers ---- */

struct peer *peer_hold(struct peer *peer)
{
	if (peer != &unavailable)
		peer->references++;
	return peer;
}

/* `references` counts who holds it beside the first, so that a new peer is held once. */
void peer_release(struct peer *peer)
{
	if (!peer || peer == &unavailable)
		return;
	if (peer->references > 0) {
		peer->references--;
		return;
	}
	if (peer->shared)
		*peer->shared = NULL;
	peer_free(peer);
}

static struct peer *nobody_answers(void)
{
	return (struct peer *)&unavailable;
}

/* ---- topics ---- */

static struct ring *topic_bucket(
	struct policy_client *client, enum direction direction, const char *domain)
{
	uint64_t hash = client->seed ^ direction;
	for (; *domain; domain++)
		hash = (hash ^ (uint8_t)*domain) * 0x100000001b3u;
	return &client->topics[(hash ^ hash >> 32) % BUCKETS];
}

static struct topic *topic_find(
	struct policy_client *client, enum direction direction, const char *domain)
{
	struct ring *bucket = topic_bucket(client, direction, domain);
	for (struct ring *r = bucket->next; r != bucket; r = r->next) {
		struct topic *topic = HOLDER(struct topic, by_name, r);
		if (topic->direction == direction && strcmp(topic->domain, domain) == 0)
			return topic;
	}
	return NULL;
}

static struct topic *topic_find_asked(struct policy_client *client, uint32_t id)
{
	struct ring *bucket = &client->ids[id % BUCKETS];
	for (struct ring *r = bucket->next; r != bucket; r = r->next) {
		struct topic *topic = HOLDER(struct topic, by_id, r);
		if (topic->id == id)
			return topic;
	}
	return NULL;
}

/* It is asked about from now on. NULL without memory. */
static struct topic *topic_new(
	struct policy_client *client, enum direction direction, const char *domain)
{
	struct topic *topic = calloc(1, sizeof(*topic));
	if (!topic)
		return NULL;
	topic->direction = direction;
	strncpy(topic->domain, domain, sizeof(topic->domain) - 1);
	topic->id = ++client->last_id;
	ring_init(&topic->waiters);
	ring_init(&topic->unsent);
	ring_append(topic_bucket(client, direction, domain), &topic->by_name);
	ring_append(&client->ids[topic->id % BUCKETS], &topic->by_id);
	ring_append(&client->asked, &topic->by_age);
	client->asked_count++;
	return topic;
}

/* Nobody may be waiting for it. */
static void topic_free(struct policy_client *client, struct topic *topic)
{
	if (topic->packet)
		client->kept_count--;
	else
		client->asked_count--;
	client->kept_octets -= topic->length;
	ring_remove(&topic->by_name);
	ring_remove(&topic->by_id);
	ring_remove(&topic->by_age);
	ring_remove(&topic->unsent);
	if (topic->peer)
		topic->peer->shared = NULL;
	free(topic->packet);
	free(topic);
}

static struct topic *oldest(struct ring *by_age)
{
	return HOLDER(struct topic, by_age, by_age->next);
}

/* Used just now: the last to be dropped. */
static void topic_touch(struct policy_client *client, struct topic *topic)
{
	ring_remove(&topic->by_age);
	ring_append(&client->kept, &topic->by_age);
}

static bool is_worth_keeping(const struct policy_client *client, const struct peer *peer)
{
	switch ((enum peer_status)peer->status) {
	case PEER_FINE:
	case PEER_NO_DOMAIN:
	case PEER_NULL_MX: break;
	default: return false;
	}
	return peer->lifetime > 0 && peer->generation == client->state.generation;
}

/* From asked to kept, or to nothing: `answer` is what the packet in hand says. */
static void topic_answered(struct policy_client *client, struct topic *topic,
	struct peer *answer, size_t length, double now)
{
	uint8_t *packet = is_worth_keeping(client, answer) ? malloc(length) : NULL;
	if (!packet) {
		topic_free(client, topic);
		return;
	}
	memcpy(packet, client->packet, length);
	topic->packet = packet;
	topic->length = length;
	topic->since = now;
	topic->until = now + answer->lifetime;
	topic->peer = answer;
	answer->shared = &topic->peer;
	client->asked_count--;
	client->kept_count++;
	client->kept_octets += length;
	ring_remove(&topic->by_id);
	topic_touch(client, topic);
	while (client->kept_count > KEPT || client->kept_octets > KEPT_OCTETS)
		topic_free(client, oldest(&client->kept));
}

static void drop_kept(struct policy_client *client)
{
	while (!ring_is_empty(&client->kept))
		topic_free(client, oldest(&client->kept));
}

/* A clock that was set back does not make an answer live longer. */
static bool is_fresh(const struct topic *topic, double now)
{
	return now < topic->until && now >= topic->since;
}

/* Held once more. NULL without memory. */
static struct peer *topic_peer(struct topic *topic)
{
	uint32_t id;
	if (topic->peer)
		return peer_hold(topic->peer);
	topic->peer = message_read_answer(topic->packet, topic->length, &id);
	if (topic->peer)
		topic->peer->shared = &topic->peer;
	return topic->peer;
}

/* ---- waiters ---- */

static struct ring *waiter_bucket(struct policy_client *client, const void *name)
{
	uint64_t hash = (uint64_t)(uintptr_t)name * 0x9e3779b97f4a7c15u;
	return &client->waiters[(hash >> 32) % BUCKETS];
}

/* NULL without memory. */
static struct waiter *waiter_new(
	struct policy_client *client, struct topic *topic, void *name)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		return NULL;
	waiter->name = name;
	ring_append(&topic->waiters, &waiter->in_line);
	ring_append(waiter_bucket(client, name), &waiter->by_name);
	return waiter;
}

static void waiter_free(struct waiter *waiter)
{
	ring_remove(&waiter->in_line);
	ring_remove(&waiter->by_name);
	peer_release(waiter->answer);
	free(waiter);
}

/* All who wait for this topic have their answer. */
static void waiters_due(
	struct policy_client *client, struct topic *topic, struct peer *answer)
{
	while (!ring_is_empty(&topic->waiters)) {
		struct waiter *waiter =
			HOLDER(struct waiter, in_line, topic->waiters.next);
		waiter->answer = peer_hold(answer);
		ring_remove(&waiter->in_line);
		ring_append(&client->due, &waiter->in_line);
	}
}

void policy_client_cancel(struct policy_client *client, const void *name)
{
	struct ring *bucket = waiter_bucket(client, name);
	for (struct ring *r = bucket->next; r != bucket; r = r->next) {
		struct waiter *waiter = HOLDER(struct waiter, by_name, r);
		if (waiter->name == name) {
			waiter_free(waiter);
			return;
		}
	}
}

struct peer *policy_client_next(struct policy_client *client, void **name)
{
	if (ring_is_empty(&client->due))
		return NULL;
	struct waiter *waiter = HOLDER(struct waiter, in_line, client->due.next);
	struct peer *answer = waiter->answer;
	*name = waiter->name;
	waiter->answer = NULL;
	waiter_free(waiter);
	return answer;
}

/* ---- its life ---- */

struct policy_client *policy_client_new(void)
{
	struct policy_client *client = calloc(1, sizeof(*client));
	if (!client)
		return NULL;
	client->fd = -1;
	client->seed = (uint64_t)(uintptr_t)client * 0x9e3779b97f4a7c15u;
	client->state.inbound_demands = client->state.client_certificates = true;
	ring_init(&client->asked);
	ring_init(&client->kept);
	ring_init(&client->due);
	ring_init(&client->unsent);
	for (unsigned i = 0; i < BUCKETS; i++) {
		ring_init(&client->topics[i]);
		ring_init(&client->ids[i]);
		ring_init(&client->waiters[i]);
	}
	return client;
}

static void ask_all_again(struct policy_client *client)
{
	for (struct ring *r = client->asked.next; r != &client->asked; r = r->next) {
		struct topic *topic = HOLDER(struct topic, by_age, r);
		ring_remove(&topic->unsent);
		ring_append(&client->unsent, &topic->unsent);
	}
}

void policy_client_attach(struct policy_client *client, int fd)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = fd;
	if (fd >= 0) {
		ask_all_again(client);
		return;
	}
	while (!ring_is_empty(&client->asked)) {
		struct topic *topic = oldest(&client->asked);
		waiters_due(client, topic, nobody_answers());
		topic_free(client, topic);
	}
}

void policy_client_free(struct policy_client *client)
{
	void *name;
	if (!client)
		return;
	policy_client_attach(client, -1);
	drop_kept(client);
	for (struct peer *p; (p = policy_client_next(client, &name));)
		peer_release(p);
	free(client);
}

/* ---- asking ---- */

enum sent { SENT, LATER, NEVER };

static enum sent send_question(struct policy_client *client, const struct topic *topic)
{
	struct question question = { .id = topic->id, .direction = topic->direction };
	uint8_t packet[MESSAGE_QUESTION_MAX];
	memcpy(question.domain, topic->domain, sizeof(question.domain));
	size_t length = message_write_question(packet, sizeof(packet), &question);
	if (length == 0)
		return NEVER;
	if (send(client->fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return SENT;
	return errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? LATER : NEVER;
}

/* Behind those that wait, if any do. False: it cannot be asked. */
static bool send_or_wait(struct policy_client *client, struct topic *topic)
{
	enum sent sent = LATER;
	if (ring_is_empty(&client->unsent))
		sent = send_question(client, topic);
	if (sent == LATER)
		ring_append(&client->unsent, &topic->unsent);
	return sent != NEVER;
}

bool policy_client_flush(struct policy_client *client)
{
	while (!ring_is_empty(&client->unsent)) {
		struct topic *topic = HOLDER(struct topic, unsent, client->unsent.next);
		if (client->fd < 0 || send_question(client, topic) != SENT)
			return false;
		ring_remove(&topic->unsent);
	}
	return true;
}

/* Asks about a topic that is new. False: it cannot be. */
static bool ask(struct policy_client *client, enum direction direction,
	const char *domain, void *name)
{
	if (client->fd < 0 || client->asked_count >= ASKED ||
		strlen(domain) >= REQUIREMENT_NAME)
		return false;
	struct topic *topic = topic_new(client, direction, domain);
	if (!topic)
		return false;
	struct waiter *waiter = waiter_new(client, topic, name);
	if (waiter && send_or_wait(client, topic))
		return true;
	if (waiter)
		waiter_free(waiter);
	topic_free(client, topic);
	return false;
}

struct peer *policy_client_ask(struct policy_client *client, enum direction direction,
	const char *domain, void *name, double now)
{
	struct topic *topic = topic_find(client, direction, domain);
	if (topic && topic->packet && is_fresh(topic, now)) {
		topic_touch(client, topic);
		struct peer *peer = topic_peer(topic);
		return peer ? peer : nobody_answers();
	}
	if (topic && topic->packet) {
		topic_free(client, topic);
		topic = NULL;
	}
	bool asked = topic ? waiter_new(client, topic, name) != NULL
			   : ask(client, direction, domain, name);
	return asked ? NULL : nobody_answers();
}

/* ---- what the process says ---- */

static bool take_answer(struct policy_client *client, size_t length, double now)
{
	uint32_t id;
	struct peer *answer = message_read_answer(client->packet, length, &id);
	struct topic *topic = answer ? topic_find_asked(client, id) : NULL;
	bool fits = topic && answer->direction == topic->direction &&
		    strcmp(answer->domain, topic->domain) == 0;
	if (!fits) {
		peer_free(answer);
		return false;
	}
	waiters_due(client, topic, answer);
	topic_answered(client, topic, answer, length, now);
	peer_release(answer);
	return true;
}

static bool take_state(struct policy_client *client, size_t length)
{
	struct policy_state state;
	if (!message_read_state(client->packet, length, &state))
		return false;
	client->state = state;
	/* Other files, or a new process, which counts its generations anew. */
	drop_kept(client);
	return true;
}

static bool take(struct policy_client *client, size_t length, double now)
{
	switch (message_type(client->packet, length)) {
	case MESSAGE_ANSWER: return take_answer(client, length, now);
	case MESSAGE_STATE: return take_state(client, length);
	default: return false;
	}
}

bool policy_client_receive(struct policy_client *client, double now)
{
	for (unsigned i = 0; i < ROUND; i++) {
		ssize_t length = recv(client->fd, client->packet, sizeof(client->packet),
			MSG_DONTWAIT | MSG_TRUNC);
		if (length < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
		if (length == 0 || (size_t)length > sizeof(client->packet) ||
			!take(client, (size_t)length, now))
			return false;
	}
	return true;
}

struct policy_state policy_client_state(const struct policy_client *client)
{
	return client->state;
}
