/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "policylink.h"

#include "session.h"

#include <stdlib.h>
#include <unistd.h>

struct policylink {
	struct worker *worker;
	struct policy_client *client;
	int fd; /* our end; the client's to close. -1: nobody is there */
	ev_io io, out;
};

static void hand_out_answers(struct policylink *link)
{
	void *waiter;
	for (struct peer *p; (p = policy_client_next(link->client, &waiter));)
		session_answer(waiter, p);
}

/* Whoever waits for an answer is told that there is none. */
static void detach(struct policylink *link)
{
	ev_io_stop(link->worker->loop, &link->io);
	ev_io_stop(link->worker->loop, &link->out);
	link->fd = -1;
	policy_client_attach(link->client, -1);
	hand_out_answers(link);
}

static void on_packets(struct ev_loop *loop, ev_io *io, int events)
{
	struct policylink *link = io->data;
	(void)loop, (void)events;
	bool alive = policy_client_receive(link->client, clock_steady());
	hand_out_answers(link);
	if (alive)
		return;
	detach(link);
	link->worker->policy_lost(link->worker);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	struct policylink *link = io->data;
	(void)events;
	if (policy_client_flush(link->client))
		ev_io_stop(loop, io);
}

struct policylink *policylink_new(struct worker *worker)
{
	struct policylink *link = calloc(1, sizeof(*link));
	if (link)
		link->client = policy_client_new();
	if (!link || !link->client) {
		free(link);
		return NULL;
	}
	link->worker = worker;
	link->fd = -1;
	ev_init(&link->io, on_packets);
	ev_init(&link->out, on_writable);
	link->io.data = link->out.data = link;
	return link;
}

void policylink_free(struct policylink *link)
{
	if (!link)
		return;
	ev_io_stop(link->worker->loop, &link->io);
	ev_io_stop(link->worker->loop, &link->out);
	policy_client_free(link->client);
	free(link);
}

void policylink_attach(struct policylink *link, int fd)
{
	struct ev_loop *loop = link->worker->loop;
	ev_io_stop(loop, &link->io);
	ev_io_stop(loop, &link->out);
	link->fd = fd;
	policy_client_attach(link->client, fd);
	ev_io_set(&link->io, fd, EV_READ);
	ev_io_start(loop, &link->io);
	ev_io_set(&link->out, fd, EV_WRITE);
	if (!policy_client_flush(link->client))
		ev_io_start(loop, &link->out);
}

struct peer *policylink_ask(struct policylink *link, enum direction direction,
	const char *domain, struct session *waiter)
{
	struct peer *peer = policy_client_ask(
		link->client, direction, domain, waiter, clock_steady());
	if (!peer && !policy_client_flush(link->client))
		ev_io_start(link->worker->loop, &link->out);
	return peer;
}

void policylink_cancel(struct policylink *link, const struct session *waiter)
{
	policy_client_cancel(link->client, waiter);
}

struct policy_state policylink_state(const struct policylink *link)
{
	return policy_client_state(link->client);
}
