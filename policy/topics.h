/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TOPICS_H
#define SEALPOST_TOPICS_H

/*
 * What the policy process is being asked, and what it has answered: a topic is a domain
 * in a direction. Whoever asks about one that is under way waits for the same answer, and
 * answers are kept as long as they live. Bounded, in number and octets; when there is no
 * room the answer that was made first goes.
 */

#include "inquiry.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	TOPICS_ASKED = 1024,		 /* under way */
	TOPICS_KEPT = 512,		 /* answered */
	TOPICS_OCTETS = 4 * 1024 * 1024, /* of them */
	TOPIC_WAITERS = 64,
};

/* Who asked: question `id` of that reader (reader.h). */
struct topic_waiter {
	uint32_t reader, id;
};

struct topic {
	enum direction direction;
	char domain[REQUIREMENT_NAME];
	struct peer *peer; /* of that direction and domain; NULL once answered */
	/* Answered: the peer as message_write_answer() has it, a fraction of its size. */
	uint8_t *packet;
	size_t length;
	double until;		/* answered: how long that holds */
	struct inquiry inquiry; /* the owner's, of the peer */
	unsigned waiter_count;
	struct topic_waiter waiters[TOPIC_WAITERS];
	struct topic *next, **at;      /* in its bucket */
	struct topic *newer, **behind; /* among those under way, or those kept */
};

struct topics;

struct topics *topics_new(void); /* NULL without memory */

/* No inquiry of any topic may be under way. NULL is allowed. */
void topics_free(struct topics *topics);

/* The topic if it is under way, or answered and that still holds; else NULL. */
struct topic *topics_find(
	struct topics *topics, enum direction direction, const char *domain, double now);

/* A new one, under way. NULL without room or memory. */
struct topic *topics_add(
	struct topics *topics, enum direction direction, const char *domain);

/* False: there are too many, or this reader waits for it already. */
bool topic_wait(struct topic *topic, struct topic_waiter waiter);

/* This reader waits for nothing any more. */
void topics_leave(struct topics *topics, uint32_t reader);

/*
 * Its peer is the answer, for peer->lifetime seconds, and this its packet. Nobody waits
 * for it any more, and without memory it is dropped.
 */
void topics_keep(struct topics *topics, struct topic *topic, const uint8_t *packet,
	size_t length, double now);
void topics_drop(struct topics *topics, struct topic *topic);

/* All that are kept: the policy is another. */
void topics_forget(struct topics *topics);

/* One that is under way, or NULL. */
struct topic *topics_under_way(const struct topics *topics);

#endif
