/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * accept() when one can't: a spare descriptor is given up for the moment that it takes to
 * tell one client to come back later (libev's manual, "accept()ing when you can't"). So
 * the queue empties, nobody waits for a timeout, and the loop does not spin.
 */

#include "listener.h"

#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BACKLOG = 1024,
	BURST = 32, /* connections taken in one turn */
	QUIET = 1,  /* seconds between two log lines, and of rest without a spare */
};

struct listener {
	const struct service *service;
	struct worker *worker; /* NULL until started */
	struct address address;
	ev_io io;
	ev_timer rest;
	int spare;	 /* a descriptor to give up; -1: lost to others */
	unsigned hushed; /* refusals not logged since the last one that was */
	double logged;
};

/*
 * TPROXY gives a listening socket what was sent to others, if it may take it. REDIRECT
 * works without: so it is not an error where nobody lets us.
 */
static void take_what_is_for_others(int fd, const struct address *address)
{
	bool ipv6 = address->family == AF_INET6;
	char text[ADDRESS_TEXT];
	int on = 1;
	if (setsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
		    ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)) < 0)
		log_message(LOG_LEVEL_DEBUG,
			"no TPROXY to %s (REDIRECT works): cannot make the socket "
			"transparent: %s",
			address_text(address, text), strerror(errno));
}

static int bind_to(const struct address *address, bool intercepts)
{
	struct sockaddr_storage ss;
	socklen_t size = address_to_sockaddr(address, &ss);
	int on = 1;
	int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* The sockets that accept4() makes inherit it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (address->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (intercepts)
		take_what_is_for_others(fd, address);
	if (bind(fd, (struct sockaddr *)&ss, size) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* What to do about it, where that is known. */
static const char *advice(int error)
{
	switch (error) {
	case EADDRINUSE: return " (another program listens there)";
	case EADDRNOTAVAIL: return " (this machine has no such address)";
	case EACCES: return " (a port below 1024 needs root or CAP_NET_BIND_SERVICE)";
	default: return "";
	}
}

struct listener *listener_open(const struct service *service,
	const struct address *address, char *reason, size_t size)
{
	char text[ADDRESS_TEXT];
	struct listener *l = calloc(1, sizeof(*l));
	bool intercepts =
		service->outbound && service->outbound->route == ROUTE_INTERCEPT;
	int fd = l ? bind_to(address, intercepts) : -1;
	if (fd < 0) {
		int error = l ? errno : ENOMEM;
		snprintf(reason, size, "cannot listen on %s: %s%s",
			address_text(address, text), strerror(error), advice(error));
		free(l);
		return NULL;
	}
	l->service = service;
	l->address = *address;
	l->spare = open_spare();
	l->io.fd = fd;
	return l;
}

/* Told only where the client expects clear text: inside TLS it could not read it. */
static void turn_away(struct listener *l, int fd, const char *why)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "421 4.3.2 %s %s\r\n",
		l->worker->config->hostname, why);
	if (l->service->dialogue.near_tls != DIALOGUE_NEAR_IMPLICIT)
		send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	double now = worker_clock();
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
		l->spare = open_spare();
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
	if (limits_connect(l->worker->limits) == LIMITS_FINE)
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
		l->spare = open_spare();
	ev_io_start(loop, &l->io);
}

void listener_start(struct listener *l, struct worker *worker)
{
	l->worker = worker;
	l->io.data = l->rest.data = l;
	int fd = l->io.fd;
	ev_io_init(&l->io, ready, fd, EV_READ);
	ev_timer_init(&l->rest, rested, 0, QUIET);
	ev_io_start(worker->loop, &l->io);
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	if (l->worker) {
		ev_io_stop(l->worker->loop, &l->io);
		ev_timer_stop(l->worker->loop, &l->rest);
	}
	close(l->io.fd);
	if (l->spare >= 0)
		close(l->spare);
	free(l);
}
