/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The order is what matters: everything that needs a privilege happens first; then
 * privileges go; only then is there a process that the Internet can talk to.
 */

#include "supervisor.h"

#include "privileges.h"
#include "sandbox.h"
#include "supervisor_private.h"
#include "unit.h"

#include "log.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024 }; /* of our own, beside two a session */

/* Seconds between two looks at the files; those touched must be untouched for so long. */
static const double quiet = 2.;

/* Seconds between two lines of the unit's status. */
static const double beat = 5.;

/* ---- what systemd hears ---- */

static void tell_unit(struct supervisor *s)
{
	struct overview *overview = malloc(sizeof(*overview));
	char line[OVERVIEW_TEXT];
	if (!overview)
		return;
	supervisor_overview(overview, s);
	overview_line(overview, line, sizeof(line));
	unit_status("%s", line);
	free(overview);
}

/* ---- the end ---- */

void supervisor_fail(struct supervisor *s, const char *reason)
{
	if (!s->reason)
		return;
	snprintf(s->reason, SUPERVISOR_REASON, "%s", reason);
	s->reason = NULL;
	s->failed = true;
	ev_break(s->loop, EVBREAK_ALL);
}

static void close_sockets(struct supervisor *s)
{
	for (unsigned i = 0; i < s->sockets.count; i++)
		ev_io_stop(s->loop, &s->mute[i]);
	sockets_close(&s->sockets);
}

static void stop(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct supervisor *s = signal->data;
	(void)loop, (void)events;
	if (s->stopping) {
		log_message(
			LOG_LEVEL_WARNING, "told to stop a second time: ending at once");
		workers_tell(s, ORDER_ABORT);
		return;
	}
	log_message(LOG_LEVEL_INFO, "stopping; sessions still open: %u",
		limits_connections(&s->board.limits));
	s->stopping = true;
	unit_stopping();
	tell_unit(s);
	for (unsigned i = 0; i < s->worker_count; i++)
		child_dismiss(&s->workers[i]);
	close_sockets(s);
	workers_tell(s, ORDER_STOP);
	supervisor_progress(s);
}

void supervisor_progress(struct supervisor *s)
{
	if (s->stopping) {
		if (workers_ended(s) && policy_ended(s))
			ev_break(s->loop, EVBREAK_ALL);
		return;
	}
	/* Whatever was reloaded meanwhile: who serves is ready. */
	if (!workers_serve(s, s->reason ? 1 : s->generation))
		return;
	tell_unit(s);
	unit_ready();
	if (s->reason) {
		s->reason = NULL;
		s->announced = 1;
		log_message(LOG_LEVEL_INFO, "%s: ready", s->config->path);
		if (s->ready)
			s->ready(s->context);
	} else if (s->announced != s->generation) {
		s->announced = s->generation;
		log_message(LOG_LEVEL_INFO, "%s is in force (generation %u)%s",
			s->config->path, s->generation,
			workers_refusing(s) ? ", but not in all workers" : "");
	}
}

/* ---- what happens while it runs ---- */

static void on_reload(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct supervisor *s = signal->data;
	(void)loop, (void)events;
	if (!s->stopping)
		reload_configuration(s);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct supervisor *s = timer->data;
	(void)loop, (void)events;
	if (!s->stopping && !s->reason)
		reload_look(s);
}

static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct supervisor *s = timer->data;
	(void)events;
	unit_alive();
	for (unsigned i = 0; i < s->sockets.count; i++)
		if (sockets_look_after(&s->sockets.list[i]))
			ev_io_start(loop, &s->mute[i]);
	tell_unit(s);
}

/* That a socket can be written to is told of none that listens. */
static void on_mute(struct ev_loop *loop, ev_io *mute, int events)
{
	struct supervisor *s = mute->data;
	(void)events;
	if (!sockets_look_after(&s->sockets.list[mute - s->mute]))
		ev_io_stop(loop, mute); /* until the next beat */
}

/* Before there is a socket: whoever sees that we listen may tell us to stop. */
static void watch_signal(struct supervisor *s, ev_signal *watcher, int number,
	void (*act)(struct ev_loop *loop, ev_signal *signal, int events))
{
	ev_signal_init(watcher, act, number);
	watcher->data = s;
	ev_signal_start(s->loop, watcher);
}

static void watch(struct supervisor *s)
{
	double watchdog = unit_watchdog() / 3;
	double every = watchdog > 0 && watchdog < beat ? watchdog : beat;
	signal(SIGPIPE, SIG_IGN); /* whoever reads our log may go: mail need not */
	watch_signal(s, &s->terminate, SIGTERM, stop);
	watch_signal(s, &s->interrupt, SIGINT, stop);
	watch_signal(s, &s->reload, SIGHUP, on_reload);
	sigset_t held_back;
	sigemptyset(&held_back);
	sigaddset(&held_back, SIGHUP);
	sigprocmask(SIG_UNBLOCK, &held_back, NULL);
	ev_timer_init(&s->look, on_look, quiet, quiet);
	ev_timer_init(&s->beat, on_beat, every, every);
	s->look.data = s->beat.data = s;
	ev_timer_start(s->loop, &s->look);
	ev_timer_start(s->loop, &s->beat);
}

/* ---- preparing ---- */

static unsigned count_workers(const struct config *config)
{
	cpu_set_t set;
	unsigned count = config->workers;
	if (count == 0 && sched_getaffinity(0, sizeof(set), &set) == 0)
		count = (unsigned)CPU_COUNT(&set);
	if (count == 0)
		count = 1;
	return count < CONFIG_WORKERS_MAX ? count : CONFIG_WORKERS_MAX;
}

/* As many descriptors as the configured connections need and the system lets us have:
 * workers inherit it, and one of them may have all sessions. */
static void raise_descriptors(const struct config *config)
{
	struct rlimit limit;
	rlim_t need = 2 * (rlim_t)config->limits.connections + DESCRIPTORS;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < need)
		log_message(LOG_LEVEL_WARNING,
			"only %llu open files are allowed, enough for %llu of %u "
			"connections: raise ulimit -n (LimitNOFILE= in the unit)",
			(unsigned long long)limit.rlim_cur,
			(unsigned long long)(limit.rlim_cur - DESCRIPTORS) / 2,
			config->limits.connections);
}

static bool cannot(const char *what, char *reason, size_t size)
{
	snprintf(reason, size, "cannot make %s: %s", what, strerror(errno));
	return false;
}

static bool make_shared(struct supervisor *s, char *reason, size_t size)
{
	if (!board_new(&s->board, s->worker_count, s->config->limits.connections))
		return cannot("the shared memory", reason, size);
	if (!tls_ticket_key_put(s->bundle, NULL))
		return cannot("a key for session tickets", reason, size);
	s->packed = bundle_pack(s->bundle);
	return s->packed >= 0 || cannot("the workers' configuration", reason, size);
}

/* Whoever is not told how things stand can still have mail. */
static void open_control(struct supervisor *s)
{
	char reason[SUPERVISOR_REASON];
	s->control = control_open(s->loop, s->config->control, supervisor_overview, s,
		reason, sizeof(reason));
	if (!s->control)
		log_message(LOG_LEVEL_WARNING, "sealpost status has nobody to ask: %s",
			reason);
}

static bool prepare(struct supervisor *s, char *reason, size_t size)
{
	raise_descriptors(s->config);
	if (geteuid() == 0)
		control_make_directory(s->config->control, s->config->user);
	if (!sockets_open(&s->sockets, s->config, reason) ||
		!make_shared(s, reason, size) ||
		!privileges_drop_to_hand_on(s->config, reason, size))
		return false;
	/* What root has read and this user cannot even look at has not changed. */
	s->stamp_refused = bundle_stamp(s->bundle);
	open_control(s);
	return sandbox_supervisor(reason, size) && policy_renew(s, reason, size) &&
	       workers_start(s, reason, size);
}

/* ---- its life ---- */

static void tell_service(const struct supervisor *s, const struct listening *listening)
{
	char listen[ADDRESS_TEXT], backend[ADDRESS_TEXT] = "";
	const struct config_inbound *inbound = NULL;
	for (unsigned i = 0; i < s->config->inbound_count; i++)
		if (strcmp(s->config->inbound[i].name, listening->service) == 0)
			inbound = &s->config->inbound[i];
	if (inbound)
		address_text(&inbound->backend[0].address, backend);
	log_message(LOG_LEVEL_INFO, "serving %s on %s%s%s", listening->service,
		address_text(&listening->address, listen),
		inbound ? " for the backend " : " for mail that goes out", backend);
}

static void dismantle(struct supervisor *s)
{
	control_close(s->control);
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->workers[i].kind)
			child_forget(&s->workers[i]);
	for (unsigned i = 0; i < 2; i++)
		if (s->policies[i].kind)
			child_forget(&s->policies[i]);
	close_sockets(s);
	board_close(&s->board);
	if (s->packed >= 0)
		close(s->packed);
	if (s->held >= 0)
		close(s->held);
	bundle_free(s->bundle);
	config_free(s->config);
	free(s->told);
	ev_loop_destroy(s->loop);
}

static bool run(struct supervisor *s)
{
	char *reason = s->reason;
	watch(s);
	if (!prepare(s, reason, SUPERVISOR_REASON))
		return false;
	for (unsigned i = 0; i < s->sockets.count; i++) {
		tell_service(s, &s->sockets.list[i]);
		ev_io_init(&s->mute[i], on_mute, s->sockets.list[i].fd, EV_WRITE);
		s->mute[i].data = s;
		ev_io_start(s->loop, &s->mute[i]);
	}
	ev_run(s->loop, 0);
	if (!s->failed)
		log_message(LOG_LEVEL_INFO, "stopped");
	return !s->failed;
}

bool supervise(struct bundle *bundle, struct config *config, char *told,
	void (*ready)(void *context), void *context, char reason[SUPERVISOR_REASON])
{
	struct supervisor *s = calloc(1, sizeof(*s));
	struct ev_loop *loop = s ? ev_default_loop(EVFLAG_AUTO) : NULL;
	if (!loop) {
		snprintf(reason, SUPERVISOR_REASON, "cannot make the event loop");
		bundle_free(bundle);
		config_free(config);
		free(told);
		free(s);
		return false;
	}
	s->loop = loop;
	s->bundle = bundle;
	s->config = config;
	s->told = told;
	s->ready = ready;
	s->context = context;
	s->reason = reason;
	s->since = s->taken_up = time(NULL);
	s->generation = 1;
	s->worker_count = count_workers(config);
	s->packed = s->held = s->board.fd = -1;
	s->policy = &s->policies[0];
	log_open(config->log, config->log_level);
	bool fine = run(s);
	dismantle(s);
	free(s);
	return fine;
}
