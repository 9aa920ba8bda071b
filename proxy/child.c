/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "child.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REASON = 512 };

/* Seconds before a new process is started, of a life after which all is well, and between
 * two questions whether it lives. */
static const double delay_least = 1., delay_most = 30., long_life = 60., every = 1.;

/* ---- starting ---- */

static bool cannot(
	const struct child *child, const char *what, int error, char *reason, size_t size)
{
	snprintf(reason, size, "cannot start the %s process: %s: %s", child->kind->name,
		what, strerror(error));
	return false;
}

/* `theirs` becomes its descriptor, and it has no other beyond the standard ones. */
static bool spawn(struct child *child, int theirs, char *reason, size_t size)
{
	char argument[32];
	char *const arguments[] = { "sealpost", argument, NULL };
	posix_spawn_file_actions_t actions;
	snprintf(argument, sizeof(argument), "%s", child->kind->argument);
	int error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return cannot(child, "out of memory", error, reason, size);
	error = posix_spawn_file_actions_adddup2(&actions, theirs, CHILD_DESCRIPTOR);
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(
			&actions, CHILD_DESCRIPTOR + 1);
	if (error == 0)
		error = posix_spawn(&child->pid, "/proc/self/exe", &actions, NULL,
			arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error == 0)
		return true;
	child->pid = 0;
	return cannot(child, "/proc/self/exe", error, reason, size);
}

static bool start_process(struct child *child, char *reason, size_t size)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return cannot(child, "a pair of sockets", errno, reason, size);
	bool fine = spawn(child, pair[1], reason, size);
	close(pair[1]);
	if (!fine) {
		close(pair[0]);
		return false;
	}
	child->fd = pair[0];
	child->since = time(NULL);
	child->began = clock_steady();
	child->unanswered = 0;
	ev_io_set(&child->io, child->fd, EV_READ);
	ev_io_start(child->loop, &child->io);
	ev_child_set(&child->ended, child->pid, 0);
	ev_child_start(child->loop, &child->ended);
	ev_timer_again(child->loop, &child->question);
	return child->kind->begin(child, reason, size);
}

/* ---- its end ---- */

static void hang_up(struct child *child)
{
	if (child->fd < 0)
		return;
	ev_io_stop(child->loop, &child->io);
	ev_timer_stop(child->loop, &child->question);
	close(child->fd);
	child->fd = -1;
	child->kind->gone(child);
}

static void kill_process(struct child *child)
{
	hang_up(child);
	if (child->pid > 0 && !ev_is_pending(&child->ended))
		kill(child->pid, SIGKILL);
}

void child_kill(struct child *child, const char *why)
{
	log_message(LOG_LEVEL_ERROR, "the %s process %d %s: it is ended",
		child->kind->name, (int)child->pid, why);
	kill_process(child);
}

static void restart_later(struct child *child)
{
	if (clock_steady() - child->began >= long_life)
		child->delay = delay_least;
	ev_timer_set(&child->restart, child->delay, 0.);
	ev_timer_start(child->loop, &child->restart);
	child->delay = child->delay * 2 < delay_most ? child->delay * 2 : delay_most;
}

static void on_end(struct ev_loop *loop, ev_child *ended, int events)
{
	struct child *child = ended->data;
	pid_t pid = child->pid;
	int status = ended->rstatus;
	(void)events;
	ev_child_stop(loop, ended);
	ev_timer_stop(loop, &child->late);
	child->pid = 0;
	hang_up(child);
	child->kind->ended(child);
	if (!child->wanted)
		return;
	restart_later(child);
	log_message(LOG_LEVEL_ERROR,
		"the %s process %d ended (%s %d); another one is started in %.0f s, and "
		"%s until then",
		child->kind->name, (int)pid, WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		ev_timer_remaining(loop, &child->restart), child->kind->meanwhile);
}

static void on_restart(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct child *child = timer->data;
	char reason[REASON];
	(void)loop, (void)events;
	child->restarts++;
	if (start_process(child, reason, sizeof(reason))) {
		log_message(LOG_LEVEL_INFO, "the %s process was started again",
			child->kind->name);
		return;
	}
	log_message(LOG_LEVEL_ERROR, "%s", reason);
	if (child->pid > 0)
		kill_process(child);
	else
		restart_later(child);
}

/* ---- its life ---- */

static void on_packets(struct ev_loop *loop, ev_io *io, int events)
{
	struct child *child = io->data;
	(void)loop, (void)events;
	/* Whoever hung up is about to end, or must, in whatever state it is. */
	if (!child->kind->read(child))
		kill_process(child);
}

static void on_question(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct child *child = timer->data;
	char why[80];
	(void)loop, (void)events;
	/* Counted, not timed: we ourselves may have been held up. */
	snprintf(why, sizeof(why), "has not answered for %u s", child->patience);
	if (child->unanswered++ >= child->patience)
		child_kill(child, why);
	else if (!child->kind->ping(child))
		child_kill(child, "takes no questions");
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct child *child = timer->data;
	(void)loop, (void)events;
	log_message(LOG_LEVEL_WARNING, "the %s process %d does not end: it is killed",
		child->kind->name, (int)child->pid);
	kill_process(child);
}

bool child_start(struct child *child, struct ev_loop *loop, char *reason, size_t size)
{
	child->loop = loop;
	child->fd = -1;
	child->delay = delay_least;
	ev_init(&child->io, on_packets);
	ev_init(&child->ended, on_end);
	ev_init(&child->restart, on_restart);
	ev_init(&child->late, on_late);
	ev_timer_init(&child->question, on_question, 0., every);
	child->io.data = child->ended.data = child->late.data = child;
	child->restart.data = child->question.data = child;
	child->wanted = start_process(child, reason, size);
	if (!child->wanted)
		child_forget(child);
	return child->wanted;
}

void child_answered(struct child *child)
{
	child->unanswered = 0;
}

void child_dismiss(struct child *child)
{
	child->wanted = false;
	ev_timer_stop(child->loop, &child->restart);
}

void child_leave(struct child *child, double seconds)
{
	child_dismiss(child);
	hang_up(child);
	if (child->pid == 0)
		return;
	ev_timer_set(&child->late, seconds, 0.);
	ev_timer_start(child->loop, &child->late);
}

void child_forget(struct child *child)
{
	child_dismiss(child);
	hang_up(child);
	ev_child_stop(child->loop, &child->ended);
	ev_timer_stop(child->loop, &child->late);
	child->pid = 0;
}
