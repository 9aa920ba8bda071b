/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Workers: told all that they need when they begin, and what changes. */

#include "clock.h"
#include "supervisor_private.h"

#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	PATIENCE = 20, /* seconds without an answer: a turn of the loop takes far less */
	ROUND = 32,
	STARTING = 5000, /* milliseconds for a new one to take its next order in */
	AGAIN = 5,	 /* seconds until one that could not take up a setup may try */
	LOST = 10,	 /* policy processes that one can lose between two pings */
};

static bool cannot(const char *what, char *reason, size_t size)
{
	snprintf(reason, size, "cannot tell a worker of %s: %s", what, strerror(errno));
	return false;
}

static bool send_setup(struct supervisor *s, const struct child *worker)
{
	s->sent[worker->slot] = s->generation;
	return order_send(worker->fd, ORDER_SETUP, s->generation,
		s->policy->kind ? "policy" : NULL, s->packed);
}

/* It may have more sockets than fit into its end of the pair before it reads. */
static bool send_socket(const struct child *worker, const struct listening *listening)
{
	struct pollfd room = { .fd = worker->fd, .events = POLLOUT };
	while (!order_send(worker->fd, ORDER_LISTEN, listening->lasting,
		listening->service, listening->fd))
		if (errno != EAGAIN || poll(&room, 1, STARTING) <= 0)
			return false;
	return true;
}

static bool begin(struct child *worker, char *reason, size_t size)
{
	struct supervisor *s = worker->owner;
	char division[ORDER_TEXT];
	snprintf(division, sizeof(division), "%u %u", s->worker_count,
		s->config->limits.connections);
	if (!order_send(worker->fd, ORDER_BOARD, worker->slot, division, s->board.fd))
		return cannot("the shared memory", reason, size);
	for (unsigned i = 0; i < s->sockets.count; i++)
		if (!send_socket(worker, &s->sockets.list[i]))
			return cannot("a listening socket", reason, size);
	policy_introduce(s, worker);
	return send_setup(s, worker) || cannot("its configuration", reason, size);
}

/* What came to be in force meanwhile it is told now. */
static bool go_on(struct supervisor *s, struct child *worker, uint32_t generation)
{
	child_answered(worker);
	if (generation != s->generation)
		return send_setup(s, worker);
	supervisor_progress(s);
	return true;
}

/* It has not said so of this one before. */
static bool is_due(const struct supervisor *s, unsigned slot, uint32_t generation)
{
	return generation == s->sent[slot] && generation != s->taken[slot];
}

/* Said once: others hear of it. */
static bool take_taken(struct supervisor *s, struct child *worker, uint32_t generation)
{
	unsigned slot = worker->slot;
	if (!is_due(s, slot, generation))
		return false;
	s->taken[slot] = generation;
	if (s->refused[slot] > 0)
		log_message(LOG_LEVEL_INFO,
			"worker process %d has taken up the configuration as well",
			(int)worker->pid);
	s->refused[slot] = 0;
	return go_on(s, worker, generation);
}

/* It goes by the one before, and is not being told again now. */
static bool refuses(const struct supervisor *s, unsigned slot)
{
	return s->refused[slot] > 0 && s->sent[slot] == s->taken[slot];
}

/*
 * Its sessions need it, and it serves by what it has; it will be told again. Only one
 * that has nothing to serve by is of no use: another one may have the memory.
 */
static bool take_refused(
	struct supervisor *s, struct child *worker, const struct order *news)
{
	unsigned slot = worker->slot;
	if (!is_due(s, slot, news->number))
		return false;
	if (s->refused[slot] == 0)
		log_message(LOG_LEVEL_ERROR,
			"worker process %d cannot take up the configuration: %s",
			(int)worker->pid, news->text);
	if (s->taken[slot] == 0) {
		supervisor_fail(s, news->text);
		return false;
	}
	snprintf(s->fault_of_worker, sizeof(s->fault_of_worker), "%s", news->text);
	s->refused[slot] = clock_steady();
	s->sent[slot] = s->taken[slot];
	return go_on(s, worker, news->number);
}

static bool tell_again(struct supervisor *s, const struct child *worker)
{
	bool due = refuses(s, worker->slot) &&
		   clock_steady() >= s->refused[worker->slot] + AGAIN;
	return !due || send_setup(s, worker);
}

/* Whoever never takes up what it is told, all others wait for in vain. */
static bool take_pong(const struct supervisor *s, struct child *worker)
{
	if (s->taken[worker->slot] == s->sent[worker->slot])
		child_answered(worker);
	return true;
}

static bool take(struct supervisor *s, struct child *worker, const struct order *news)
{
	switch ((enum order_type)news->type) {
	case NEWS_PONG: return take_pong(s, worker);
	case NEWS_NO_POLICY:
		policy_introduce(s, worker);
		return ++s->lost[worker->slot] <= LOST;
	case NEWS_TAKEN: return take_taken(s, worker, news->number);
	case NEWS_REFUSED: return take_refused(s, worker, news);
	default: return false;
	}
}

static bool read_news(struct child *worker)
{
	for (unsigned i = 0; i < ROUND; i++) {
		struct order news;
		int fd;
		switch (order_receive(worker->fd, &news, &fd)) {
		case ORDER_TAKEN: break;
		case ORDER_NONE: return true;
		default: return false;
		}
		if (fd >= 0)
			close(fd); /* no news carries one */
		if (fd >= 0 || !take(worker->owner, worker, &news))
			return false;
	}
	return true;
}

static bool ping(struct child *worker)
{
	struct supervisor *s = worker->owner;
	s->lost[worker->slot] = 0;
	return order_send(worker->fd, ORDER_PING, 0, NULL, -1) && tell_again(s, worker);
}

static void gone(struct child *worker)
{
	struct supervisor *s = worker->owner;
	s->taken[worker->slot] = 0;
	s->refused[worker->slot] = 0;
	if (!s->stopping && worker->wanted)
		supervisor_fail(s, "a worker process ended at its start");
}

static void ended(struct child *worker)
{
	struct supervisor *s = worker->owner;
	board_forget(&s->board, worker->slot); /* it cannot write there any more */
	supervisor_progress(s);
}

static const struct child_kind kind = {
	.argument = "worker-process",
	.name = "worker",
	.meanwhile = "the others serve",
	.begin = begin,
	.read = read_news,
	.ping = ping,
	.gone = gone,
	.ended = ended,
};

bool workers_start(struct supervisor *s, char *reason, size_t size)
{
	for (unsigned i = 0; i < s->worker_count; i++) {
		struct child *worker = &s->workers[i];
		worker->kind = &kind;
		worker->owner = s;
		worker->slot = i;
		worker->patience = PATIENCE;
		if (!child_start(worker, s->loop, reason, size))
			return false;
	}
	return true;
}

/* Whoever cannot be told has stopped reading long ago. */
static void tell(struct child *worker, bool told)
{
	if (!told)
		child_kill(worker, "takes no orders");
}

void workers_tell(struct supervisor *s, enum order_type order)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->workers[i].fd >= 0)
			tell(&s->workers[i],
				order_send(s->workers[i].fd, order, 0, NULL, -1));
}

void workers_renew(struct supervisor *s)
{
	/* Whoever has not taken up the one before hears of this one when it has: orders
	 * do not heap up. */
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->workers[i].fd >= 0 && s->taken[i] == s->sent[i])
			tell(&s->workers[i], send_setup(s, &s->workers[i]));
}

bool workers_serve(const struct supervisor *s, uint32_t since)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->workers[i].fd >= 0 && s->taken[i] < since && !refuses(s, i))
			return false;
	return true;
}

const struct child *workers_refusing(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->refused[i] > 0)
			return &s->workers[i];
	return NULL;
}

bool workers_ended(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->workers[i].pid > 0)
			return false;
	return true;
}
