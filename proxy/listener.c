/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * accept() when one can't: a spare descriptor is given up for the moment that it takes to
 * tell one client to come back later (libev's manual, "accept()ing when you can't"). So
 * the queue empties, nobody waits for a timeout, and the loop does not spin.
 */

#include "listener.h"

#include "session.h"
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BURST = 32,   /* connections taken in one turn */
	CROWD = 1024, /* clients sent away at the end: no more wait at one time */
	QUIET = 1,    /* seconds between two log lines, and of rest without a spare */
};

struct listener {
	const struct service *service; /* NULL: not yet */
	struct worker *worker;
	bool lasting; /* the socket outlives us */
	ev_io io;
	ev_timer rest;
	int spare;	 /* a descriptor to give up; -1: lost to others */
	unsigned hushed; /* refusals not logged since the last one that was */
	double logged;
};

static int spare_of(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Told only where the client expects clear text: inside TLS it could not read it. */
static void turn_away(struct listener *l, int fd, const char *why)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "421 4.3.2 %s %s\r\n",
		l->service->setup->config->hostname, why);
	if (l->service->dialogue.near_tls != DIALOGUE_NEAR_IMPLICIT)
		send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	worker_count(l->worker, l->service->number, COUNTER_TURNED_AWAY, 1);
	double now = clock_steady();
	if (now < l->logged + QUIET) {
		l->hushed++;
		return;
	}
	log_message(LOG_LEVEL_WARNING, "client turned away: %s (and %u before it)", why,
		l->hushed);
	l->hushed = 0;
	l->logged = now;
}

/* To look again later instead of spinning. */
static void rest(struct listener *l)
{
	ev_io_stop(l->worker->loop, &l->io);
	ev_timer_again(l->worker->loop, &l->rest);
}

static void out_of_descriptors(struct listener *l)
{
	if (l->spare >= 0) {
		close(l->spare);
		int fd = accept4(l->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			turn_away(l, fd, "Too many open files, try again later");
		l->spare = spare_of(l->io.fd);
		return;
	}
	rest(l); /* others took even that one */
}

/* False when there is nobody to accept now. */
static bool accept_one(struct listener *l)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	int fd = accept4(
		l->io.fd, (struct sockaddr *)&ss, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		out_of_descriptors(l);
	else if (fd < 0 && (errno == ENOMEM || errno == ENOBUFS))
		rest(l);
	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED;
	struct address client = { .family = AF_UNSPEC };
	address_from_sockaddr(&client, (struct sockaddr *)&ss);
	if (limits_connect(&l->worker->limits) == LIMITS_FINE)
		session_start(l->worker, l->service, fd, &client);
	else
		turn_away(l, fd, "Too many connections, try again later");
	return true;
}

static void ready(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop, (void)events;
	for (unsigned i = 0; i < BURST && accept_one(io->data); i++)
		continue;
}

static void rested(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct listener *l = timer->data;
	(void)events;
	ev_timer_stop(loop, timer);
	if (l->spare < 0)
		l->spare = spare_of(l->io.fd);
	ev_io_start(loop, &l->io);
}

struct listener *listener_new(struct worker *worker, int fd, bool lasting)
{
	struct listener *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->worker = worker;
	l->lasting = lasting;
	l->spare = spare_of(fd);
	ev_io_init(&l->io, ready, fd, EV_READ);
	ev_timer_init(&l->rest, rested, 0, QUIET);
	l->io.data = l->rest.data = l;
	return l;
}

void listener_serve(struct listener *l, const struct service *service)
{
	l->service = service;
	if (!ev_is_active(&l->rest))
		ev_io_start(l->worker->loop, &l->io);
}

/* Whoever is still in the queue when the last of us closes it is reset. */
void listener_dismiss(struct listener *l)
{
	if (l->lasting || !l->service)
		return;
	if (l->spare >= 0)
		close(l->spare);
	l->spare = -1;
	for (unsigned i = 0; i < CROWD; i++) {
		int fd = accept4(l->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			turn_away(l, fd, "Service closing");
		else if (errno != EINTR && errno != ECONNABORTED)
			break;
	}
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	ev_io_stop(l->worker->loop, &l->io);
	ev_timer_stop(l->worker->loop, &l->rest);
	close(l->io.fd);
	if (l->spare >= 0)
		close(l->spare);
	free(l);
}
