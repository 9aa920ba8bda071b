/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "policylink.h"

#include "log.h"
#include "session.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SETTINGS_OCTETS = sizeof(struct settings) + 1024,
	REASON = 256,
};

/* Seconds before a new process is started, and of a life after which all is well. */
static const double delay_least = 1., delay_most = 30., long_life = 60.;

struct policylink {
	struct worker *worker;
	struct policy_client *client;
	int fd; /* our end; the client's to close. -1: the process is gone */
	ev_io io, out;
	ev_child child;
	ev_timer restart;
	double delay, began;
	bool ending; /* it was killed, and is not gone yet */
};

/* ---- starting the process ---- */

static bool cannot(const char *what, int error, char *reason, size_t size)
{
	snprintf(reason, size, "cannot start the policy process: %s: %s", what,
		strerror(error));
	return false;
}

/* `theirs` becomes its descriptor 3, and there is no other beyond the standard ones. */
static bool spawn(int theirs, pid_t *pid, char *reason, size_t size)
{
	char *const arguments[] = { "sealpost", "policy-process", NULL };
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return cannot("out of memory", error, reason, size);
	error = posix_spawn_file_actions_adddup2(&actions, theirs, POLICYLINK_DESCRIPTOR);
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(
			&actions, POLICYLINK_DESCRIPTOR + 1);
	if (error == 0)
		error = posix_spawn(
			pid, "/proc/self/exe", &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error == 0 || cannot("/proc/self/exe", error, reason, size);
}

static bool send_settings(
	const struct policylink *link, int fd, char *reason, size_t size)
{
	struct settings settings;
	uint8_t packet[SETTINGS_OCTETS];
	if (!policylink_settings(link->worker->config, &settings)) {
		snprintf(reason, size, "a setting of [policy] is too long");
		return false;
	}
	size_t length = message_write_settings(packet, sizeof(packet), &settings);
	return send(fd, packet, length, MSG_NOSIGNAL) == (ssize_t)length ||
	       cannot("its settings", errno, reason, size);
}

static bool start_process(struct policylink *link, char *reason, size_t size)
{
	int pair[2];
	pid_t pid;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return cannot("a pair of sockets", errno, reason, size);
	bool fine = send_settings(link, pair[0], reason, size) &&
		    spawn(pair[1], &pid, reason, size);
	close(pair[1]);
	if (!fine) {
		close(pair[0]);
		return false;
	}
	link->fd = pair[0];
	link->began = worker_clock();
	link->ending = false;
	policy_client_attach(link->client, link->fd);
	ev_io_set(&link->io, link->fd, EV_READ);
	ev_io_start(link->worker->loop, &link->io);
	ev_io_set(&link->out, link->fd, EV_WRITE);
	ev_child_set(&link->child, pid, 0);
	ev_child_start(link->worker->loop, &link->child);
	return true;
}

/* ---- events ---- */

static void hand_out_answers(struct policylink *link)
{
	void *waiter;
	for (struct peer *p; (p = policy_client_next(link->client, &waiter));)
		session_answer(waiter, p);
}

static void write_log(struct policylink *link)
{
	struct message_log log;
	while (policy_client_log(link->client, &log))
		log_message(log.level < LOG_LEVELS ? (enum log_level)log.level
						   : LOG_LEVEL_DEBUG,
			"policy: %s", log.text);
}

/* Whoever waits for an answer is told that there is none. */
static void detach(struct policylink *link)
{
	if (link->fd < 0)
		return;
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
	bool alive = policy_client_receive(link->client, worker_clock());
	write_log(link);
	hand_out_answers(link);
	if (alive)
		return;
	/* It hung up and so must end, in whatever state it is; on_end() is next. */
	detach(link);
	if (!ev_is_pending(&link->child))
		kill(link->child.pid, SIGKILL);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	struct policylink *link = io->data;
	(void)events;
	if (policy_client_flush(link->client))
		ev_io_stop(loop, io);
}

static void restart_later(struct policylink *link)
{
	if (worker_clock() - link->began >= long_life)
		link->delay = delay_least;
	ev_timer_set(&link->restart, link->delay, 0.);
	ev_timer_start(link->worker->loop, &link->restart);
	link->delay = link->delay * 2 < delay_most ? link->delay * 2 : delay_most;
}

static void on_end(struct ev_loop *loop, ev_child *child, int events)
{
	struct policylink *link = child->data;
	int status = child->rstatus;
	(void)events;
	ev_child_stop(loop, child);
	detach(link);
	restart_later(link);
	log_message(LOG_LEVEL_ERROR,
		"the policy process ended (%s %d); another one is started in %.0f s, and "
		"mail is answered 451 until then",
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		ev_timer_remaining(loop, &link->restart));
}

static void on_restart(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct policylink *link = timer->data;
	char reason[REASON];
	(void)loop, (void)events;
	if (start_process(link, reason, sizeof(reason))) {
		log_message(LOG_LEVEL_INFO, "the policy process was started again");
		return;
	}
	log_message(LOG_LEVEL_ERROR, "%s", reason);
	restart_later(link);
}

/* ---- its life ---- */

struct policylink *policylink_start(struct worker *worker, char *reason, size_t size)
{
	struct policylink *link = calloc(1, sizeof(*link));
	if (link)
		link->client = policy_client_new();
	if (!link || !link->client) {
		snprintf(reason, size, "cannot start the policy process: out of memory");
		free(link);
		return NULL;
	}
	link->worker = worker;
	link->fd = -1;
	link->delay = delay_least;
	ev_init(&link->io, on_packets);
	ev_init(&link->out, on_writable);
	ev_init(&link->child, on_end);
	ev_init(&link->restart, on_restart);
	link->io.data = link->out.data = link->child.data = link->restart.data = link;
	if (start_process(link, reason, size))
		return link;
	policylink_stop(link);
	return NULL;
}

void policylink_stop(struct policylink *link)
{
	if (!link)
		return;
	ev_io_stop(link->worker->loop, &link->io);
	ev_io_stop(link->worker->loop, &link->out);
	ev_child_stop(link->worker->loop, &link->child);
	ev_timer_stop(link->worker->loop, &link->restart);
	policy_client_free(link->client);
	free(link);
}

/*
 * It answers within policy-timeout whatever the DNS does. If it has had twice as long
 * something holds it up, or an answer was lost: on_end() sees to another one.
 */
static void end_if_stuck(struct policylink *link, double now)
{
	double most = 2. * link->worker->config->limits.policy_timeout;
	if (link->fd < 0 || link->ending || policy_client_waits(link->client, now) < most)
		return;
	link->ending = true;
	log_message(LOG_LEVEL_ERROR,
		"the policy process has not answered for %.0f s: it is ended", most);
	if (!ev_is_pending(&link->child))
		kill(link->child.pid, SIGKILL);
}

struct peer *policylink_ask(struct policylink *link, enum direction direction,
	const char *domain, struct session *waiter)
{
	double now = worker_clock();
	end_if_stuck(link, now);
	struct peer *answer =
		policy_client_ask(link->client, direction, domain, waiter, now);
	/* So many at once that the socket does not hold them. */
	if (link->fd >= 0 && !policy_client_flush(link->client))
		ev_io_start(link->worker->loop, &link->out);
	return answer;
}

void policylink_cancel(struct policylink *link, const struct session *waiter)
{
	policy_client_cancel(link->client, waiter);
}

struct policy_state policylink_state(const struct policylink *link)
{
	return policy_client_state(link->client);
}

void policylink_reload(struct policylink *link)
{
	uint8_t packet[MESSAGE_QUESTION_MAX];
	size_t length = message_write_reload(packet, sizeof(packet));
	if (link->fd >= 0 && send(link->fd, packet, length, MSG_NOSIGNAL) < 0)
		log_message(LOG_LEVEL_WARNING,
			"the policy process cannot be told to read its files again: %s",
			strerror(errno));
}
