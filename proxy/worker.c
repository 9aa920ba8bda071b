/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The life of a worker: orders come in, sessions run. The first setup is the moment after
 * which the Internet is let in: what the process could do before it can't do any more.
 */

#include "worker.h"

#include "board.h"
#include "bundle.h"
#include "child.h"
#include "listener.h"
#include "log.h"
#include "orders.h"
#include "policylink.h"
#include "privileges.h"
#include "sandbox.h"
#include "session.h"
#include "setup.h"
#include "status.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	KEPT_BLOCKS = 64, /* free buffers that a worker keeps: 2 MiB */
	ORDERS = 32,	  /* taken in one turn */
};

/* One more process; its sessions know `worker` alone. */
struct process {
	struct worker worker;
	struct board board;
	struct listener *listeners[CONFIG_SOCKETS_MAX];
	char *names[CONFIG_SOCKETS_MAX]; /* of their services */
	unsigned listener_count;	 /* as worker.listening_count, until the end */
	int status;
	bool confined;
	ev_io orders;
	ev_timer shutdown; /* first for the busy, then for those that await a verdict */
	bool cut;	   /* the first of the two has passed */
};

static struct process *process_of(struct worker *worker)
{
	return (struct process *)worker; /* its first member */
}

static void end(struct process *process, int status)
{
	process->status = status;
	ev_break(process->worker.loop, EVBREAK_ALL);
}

static void tell(enum order_type news, uint32_t number, const char *text)
{
	/* Whoever does not take it any more will be seen to hang up. */
	order_send(CHILD_DESCRIPTOR, news, number, text, -1);
}

/* ---- the end ---- */

static void drained(struct worker *worker)
{
	end(process_of(worker), STATUS_FINE);
}

static void for_each_session(struct worker *worker, void (*act)(struct session *s))
{
	for (struct session *s = worker->sessions, *next; s; s = next) {
		next = session_next(s);
		act(s);
	}
}

static void abort_unless_awaiting(struct session *s)
{
	if (!session_awaits_verdict(s))
		session_abort(s);
}

static void time_is_up(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct process *process = timer->data;
	const struct config_limits *limits = &process->worker.setup->config->limits;
	(void)events;
	if (process->cut || limits->eod_timeout <= limits->shutdown_timeout) {
		for_each_session(&process->worker, session_abort);
		return;
	}
	process->cut = true;
	ev_timer_set(timer, limits->eod_timeout - limits->shutdown_timeout, 0);
	ev_timer_start(loop, timer);
	for_each_session(&process->worker, abort_unless_awaiting);
}

static void stop(struct process *process)
{
	struct worker *worker = &process->worker;
	if (worker->stopping)
		return;
	worker->stopping = true;
	for (unsigned i = 0; i < process->listener_count; i++) {
		listener_dismiss(process->listeners[i]);
		listener_close(process->listeners[i]);
	}
	process->listener_count = 0;
	if (!worker->sessions) {
		drained(worker);
		return;
	}
	ev_timer_set(
		&process->shutdown, worker->setup->config->limits.shutdown_timeout, 0);
	ev_timer_start(worker->loop, &process->shutdown);
	for_each_session(worker, session_stop);
}

/* ---- what it is to do ---- */

static bool take_board(struct process *process, const struct order *order, int fd)
{
	struct worker *worker = &process->worker;
	unsigned slots, connections;
	bool fine = sscanf(order->text, "%u %u", &slots, &connections) == 2 &&
		    order->number < slots && !process->board.memory &&
		    board_open(&process->board, slots, connections, fd);
	close(fd);
	if (!fine)
		return false;
	worker->limits.board = process->board.limits;
	worker->limits.slot = order->number;
	worker->counters = process->board.counters;
	/* Unique over restarts and among workers. */
	worker->next_id = ((uint64_t)time(NULL) << 20) + order->number;
	worker->random = (uint32_t)worker->next_id;
	return true;
}

static bool take_socket(struct process *process, const struct order *order, int fd)
{
	struct worker *worker = &process->worker;
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	unsigned i = process->listener_count;
	if (i < CONFIG_SOCKETS_MAX && !process->names[i])
		process->names[i] = strdup(order->text);
	if (i == CONFIG_SOCKETS_MAX || !process->names[i] ||
		getsockname(fd, (struct sockaddr *)&ss, &size) != 0 ||
		!address_from_sockaddr(&worker->listening[i], (struct sockaddr *)&ss) ||
		!(process->listeners[i] = listener_new(worker, fd, order->number != 0))) {
		close(fd);
		return false;
	}
	worker->listening_count = ++process->listener_count;
	return true;
}

static bool take_policy(struct process *process, int fd)
{
	struct worker *worker = &process->worker;
	if (!worker->policy)
		worker->policy = policylink_new(worker);
	if (!worker->policy) {
		close(fd);
		return worker->setup; /* which asks nobody */
	}
	policylink_attach(worker->policy, fd);
	return true;
}

static void policy_lost(struct worker *worker)
{
	(void)worker;
	tell(NEWS_NO_POLICY, 0, NULL);
}

/* Nothing has come from the Internet yet; from here on it can do no more than it must. */
static bool confine(struct process *process, struct setup *setup, char *reason)
{
	log_open(setup->config->log, setup->config->log_level);
	if (process->confined)
		return true;
	process->confined =
		privileges_drop(setup->config, reason, SETUP_REASON) &&
		sandbox_worker(setup->config->log == LOG_TO_SYSLOG, reason, SETUP_REASON);
	return process->confined;
}

/* Sessions that run keep the setup under which they began. */
static void bring_into_force(struct process *process, struct setup *setup)
{
	struct worker *worker = &process->worker;
	const struct config_limits *limits = &setup->config->limits;
	setup_release(worker->setup);
	worker->setup = setup;
	worker->limits.most = (struct limits_most){
		.connections = limits->connections,
		.connections_per_address = limits->connections_per_address,
		.handshakes = limits->handshakes,
		.handshakes_per_second = limits->handshakes_per_second,
	};
	for (unsigned i = 0; i < process->listener_count; i++)
		listener_serve(
			process->listeners[i], setup_service(setup, process->names[i]));
}

static bool serves_all(const struct process *process, const struct setup *setup)
{
	for (unsigned i = 0; i < process->listener_count; i++)
		if (!setup_service(setup, process->names[i]))
			return false;
	return true;
}

/* The socket to the policy process has not come, or could not be taken. */
static bool ask_for_policy(struct worker *worker)
{
	worker->policy = policylink_new(worker);
	if (worker->policy)
		policy_lost(worker);
	return worker->policy;
}

static struct setup *unpack(
	struct process *process, const struct order *order, int fd, char *reason)
{
	struct bundle *bundle = bundle_unpack(fd);
	close(fd);
	if (!bundle) {
		snprintf(reason, SETUP_REASON, "what the supervisor sent: %s",
			strerror(errno));
		return NULL;
	}
	bool policy = order->text[0] != '\0';
	struct setup *setup =
		setup_new(bundle, order->number, policy, process->worker.setup, reason);
	bundle_free(bundle);
	if (setup && policy && !process->worker.policy &&
		!ask_for_policy(&process->worker))
		snprintf(reason, SETUP_REASON, "out of memory");
	else if (setup && !serves_all(process, setup))
		snprintf(reason, SETUP_REASON, "a service has gone");
	else
		return setup;
	setup_release(setup);
	return NULL;
}

static bool take_setup(struct process *process, const struct order *order, int fd)
{
	char reason[SETUP_REASON] = "";
	struct setup *setup = unpack(process, order, fd, reason);
	if (setup && confine(process, setup, reason)) {
		bring_into_force(process, setup);
		tell(NEWS_TAKEN, order->number, NULL);
		return true;
	}
	setup_release(setup);
	tell(NEWS_REFUSED, order->number, reason);
	return process->worker.setup;
}

/* False: no use going on. */
static bool obey(struct process *process, const struct order *order, int fd)
{
	switch ((enum order_type)order->type) {
	case ORDER_BOARD: return take_board(process, order, fd);
	case ORDER_LISTEN: return take_socket(process, order, fd);
	case ORDER_SETUP: return take_setup(process, order, fd);
	case ORDER_POLICY: return take_policy(process, fd);
	case ORDER_PING:
		tell(NEWS_PONG, 0, NULL);
		malloc_trim(0); /* a crowd that has gone left its memory in pieces */
		return true;
	case ORDER_STOP: stop(process); return true;
	case ORDER_ABORT:
		stop(process);
		for_each_session(&process->worker, session_abort);
		return true;
	default: return false;
	}
}

static void on_orders(struct ev_loop *loop, ev_io *io, int events)
{
	struct process *process = io->data;
	(void)events;
	for (unsigned i = 0; i < ORDERS && process->status < 0; i++) {
		struct order order;
		int fd;
		switch (order_receive(CHILD_DESCRIPTOR, &order, &fd)) {
		case ORDER_NONE: return;
		case ORDER_TAKEN:
			if (!obey(process, &order, fd))
				end(process, STATUS_CANNOT);
			break;
		default:
			/* The supervisor has died: sessions end in peace, and then we. */
			ev_io_stop(loop, io);
			stop(process);
			return;
		}
	}
}

/* ---- its life ---- */

static void dismantle(struct process *process)
{
	struct worker *worker = &process->worker;
	for (unsigned i = 0; i < process->listener_count; i++)
		listener_close(process->listeners[i]);
	for (unsigned i = 0; i < CONFIG_SOCKETS_MAX; i++)
		free(process->names[i]);
	policylink_free(worker->policy);
	setup_release(worker->setup);
	board_close(&process->board);
	buf_pool_free(&worker->pool);
	ev_loop_destroy(worker->loop);
	free(process);
}

int worker_process(void)
{
	struct process *process = calloc(1, sizeof(*process));
	struct ev_loop *loop = process ? ev_loop_new(EVFLAG_AUTO) : NULL;
	if (!loop) {
		free(process);
		return STATUS_CANNOT;
	}
	/* They mean the whole service: the supervisor tells us. */
	static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };
	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	process->worker.loop = loop;
	process->worker.drained = drained;
	process->worker.policy_lost = policy_lost;
	process->board.fd = -1;
	process->status = -1;
	buf_pool_init(&process->worker.pool, KEPT_BLOCKS);
	ev_init(&process->shutdown, time_is_up);
	ev_io_init(&process->orders, on_orders, CHILD_DESCRIPTOR, EV_READ);
	process->shutdown.data = process->orders.data = process;
	ev_io_start(loop, &process->orders);
	ev_run(loop, 0);
	int status = process->status;
	dismantle(process);
	return status;
}
