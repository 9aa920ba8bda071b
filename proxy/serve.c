/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * From the configuration to a running loop, and back. The order is what matters:
 * everything that needs a name, a file or a privilege happens first; then privileges go;
 * only then does the first untrusted octet come in.
 */

#include "serve.h"

#include "check.h"
#include "listener.h"
#include "policylink.h"
#include "privileges.h"
#include "services.h"
#include "session.h"
#include "status.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	KEPT_BLOCKS = 64, /* free buffers that a worker keeps: 2 MiB */
	DESCRIPTORS = 64, /* of our own, beside two a session */
	SERVICES = CONFIG_INBOUND_MAX + CONFIG_OUTBOUND_MAX,
	LISTENERS = SERVICES * CONFIG_LISTEN_MAX,
};

struct server {
	struct worker worker;
	struct tls_server *tls;
	struct service services[SERVICES];
	unsigned service_count;
	struct listener *listeners[LISTENERS];
	unsigned listener_count;
	ev_signal terminate, interrupt, reload;
	ev_timer shutdown; /* first for the busy, then for those that await a verdict */
	bool cut;	   /* the first of the two has passed */
};

/* ---- what the configuration makes ---- */

static_assert((int)SERVE_REASON >= (int)TLS_REASON, "tls writes to our reason");
static_assert((int)SERVE_REASON >= (int)SERVICE_REASON, "and so do services");

static bool make_listeners(
	struct server *server, const struct service *service, char *reason)
{
	for (unsigned i = 0; i < service->listen_count; i++) {
		struct listener *l =
			listener_open(service, &service->listen[i], reason, SERVE_REASON);
		if (!l)
			return false;
		server->listeners[server->listener_count++] = l;
	}
	return true;
}

static bool load_tls(struct server *server, const struct config *config, char *reason)
{
	const struct tls_server_options options = {
		.pairs = config->pairs,
		.pair_count = config->pair_count,
		.min_version = config->min_version,
		.priority = config->priority,
		.ticket_key = config->ticket_key,
	};
	if (config->pair_count == 0)
		return true; /* no service uses TLS: config_read() has seen to that */
	server->tls = tls_server_new(&options, reason);
	return server->tls;
}

static bool make_services(
	struct server *server, const struct config *config, char *reason)
{
	for (unsigned i = 0; i < config->inbound_count; i++)
		service_inbound(&server->services[server->service_count++], config,
			&config->inbound[i], server->tls);
	for (unsigned i = 0; i < config->outbound_count; i++)
		if (!service_outbound(&server->services[server->service_count++], config,
			    &config->outbound[i], server->tls, reason))
			return false;
	return true;
}

/* Policy files may say something of those who come in, too. */
static bool needs_policy(const struct config *config)
{
	return config->outbound_count > 0 || access(config->policy.directory, F_OK) == 0;
}

/* The public CAs are many: only who may be asked about chains has them. */
static bool make_client(struct server *server, const struct config *config, char *reason)
{
	struct tls_identity identities[CONFIG_IDENTITY_MAX];
	for (unsigned i = 0; i < config->identity_count; i++)
		identities[i] = (struct tls_identity){ config->identities[i].name,
			config->identities[i].pair };
	const struct tls_client_options options = {
		.ca = needs_policy(config) ? config->policy.ca : NULL,
		.identities = identities,
		.identity_count = config->identity_count,
	};
	server->worker.client = tls_client_new(&options, reason);
	return server->worker.client;
}

static bool make_worker(struct worker *worker, const struct config *config, char *reason)
{
	const struct limits_most most = {
		.connections = config->limits.connections,
		.connections_per_address = config->limits.connections_per_address,
		.handshakes = config->limits.handshakes,
		.handshakes_per_second = config->limits.handshakes_per_second,
	};
	worker->config = config;
	worker->loop = ev_default_loop(EVFLAG_AUTO);
	worker->limits = limits_new(&most);
	/* Unique over restarts too: the second of the start, then a counter. */
	worker->next_id = (uint64_t)time(NULL) << 20;
	worker->random = (uint32_t)time(NULL);
	buf_pool_init(&worker->pool, KEPT_BLOCKS);
	if (worker->loop && worker->limits)
		return true;
	snprintf(reason, SERVE_REASON, "cannot make the event loop: %s", strerror(errno));
	return false;
}

/* As many descriptors as the configured connections need and the system lets us have. */
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

static bool prepare(struct server *server, const struct config *config, char *reason)
{
	raise_descriptors(config);
	if (!load_tls(server, config, reason))
		return false;
	if (!make_services(server, config, reason) ||
		!make_client(server, config, reason))
		return false;
	for (unsigned i = 0; i < server->service_count; i++)
		if (!make_listeners(server, &server->services[i], reason))
			return false;
	if (!privileges_drop(config, reason, SERVE_REASON))
		return false;
	if (!needs_policy(config))
		return true;
	server->worker.policy = policylink_start(&server->worker, reason, SERVE_REASON);
	return server->worker.policy;
}

static void dismantle(struct server *server)
{
	struct worker *worker = &server->worker;
	for (unsigned i = 0; i < server->listener_count; i++)
		listener_close(server->listeners[i]);
	for (unsigned i = 0; i < server->service_count; i++)
		service_release(&server->services[i]);
	policylink_stop(worker->policy);
	tls_client_free(worker->client);
	tls_server_free(server->tls);
	limits_free(worker->limits);
	buf_pool_free(&worker->pool);
	if (worker->loop)
		ev_loop_destroy(worker->loop);
}

/* ---- the end ---- */

static void drained(struct worker *worker)
{
	ev_break(worker->loop, EVBREAK_ALL);
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
	struct server *server = timer->data;
	const struct config_limits *limits = &server->worker.config->limits;
	(void)events;
	if (server->cut || limits->eod_timeout <= limits->shutdown_timeout) {
		for_each_session(&server->worker, session_abort);
		return;
	}
	server->cut = true;
	ev_timer_set(timer, limits->eod_timeout - limits->shutdown_timeout, 0);
	ev_timer_start(loop, timer);
	for_each_session(&server->worker, abort_unless_awaiting);
}

static void stop(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct server *server = signal->data;
	struct worker *worker = &server->worker;
	(void)events;
	if (worker->stopping) {
		log_message(
			LOG_LEVEL_WARNING, "told to stop a second time: ending at once");
		for_each_session(worker, session_abort);
		return;
	}
	log_message(LOG_LEVEL_INFO, "stopping; sessions still open: %u",
		limits_connections(worker->limits));
	worker->stopping = true;
	for (unsigned i = 0; i < server->listener_count; i++)
		listener_close(server->listeners[i]);
	server->listener_count = 0;
	ev_timer_init(&server->shutdown, time_is_up,
		worker->config->limits.shutdown_timeout, 0);
	server->shutdown.data = server;
	ev_timer_start(loop, &server->shutdown);
	if (worker->sessions)
		for_each_session(worker, session_stop);
	else
		drained(worker);
}

static void reload(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct server *server = signal->data;
	(void)loop, (void)events;
	log_message(LOG_LEVEL_WARNING,
		"SIGHUP: a new configuration is read at a restart only");
	if (server->worker.policy)
		policylink_reload(server->worker.policy);
}

static void watch_signal(struct server *server, ev_signal *watcher, int number,
	void (*act)(struct ev_loop *loop, ev_signal *signal, int events))
{
	ev_signal_init(watcher, act, number);
	watcher->data = server;
	ev_signal_start(server->worker.loop, watcher);
}

static void tell_service(const struct service *service)
{
	char listen[ADDRESS_TEXT], backend[ADDRESS_TEXT] = "";
	if (service->inbound)
		address_text(&service->inbound->backend[0].address, backend);
	for (unsigned i = 0; i < service->listen_count; i++)
		log_message(LOG_LEVEL_INFO, "serving %s on %s%s%s", service->name,
			address_text(&service->listen[i], listen),
			service->inbound ? " for the backend "
					 : " for mail that goes out",
			backend);
}

/* Before there is a socket: whoever sees that we listen may tell us to stop. */
static void watch_signals(struct server *server)
{
	signal(SIGPIPE, SIG_IGN); /* whoever reads our log may go: mail need not */
	watch_signal(server, &server->terminate, SIGTERM, stop);
	watch_signal(server, &server->interrupt, SIGINT, stop);
	watch_signal(server, &server->reload, SIGHUP, reload);
}

static void serve(struct server *server)
{
	server->worker.drained = drained;
	for (unsigned i = 0; i < server->listener_count; i++)
		listener_start(server->listeners[i], &server->worker);
	for (unsigned i = 0; i < server->service_count; i++)
		tell_service(&server->services[i]);
	ev_run(server->worker.loop, 0);
	log_message(LOG_LEVEL_INFO, "stopped");
}

bool serve_config(const struct config *config, void (*ready)(void *context),
	void *context, char reason[SERVE_REASON])
{
	struct server *server = calloc(1, sizeof(*server));
	if (!server) {
		snprintf(reason, SERVE_REASON, "out of memory");
		return false;
	}
	log_open(config->log, config->log_level);
	bool fine = make_worker(&server->worker, config, reason);
	if (fine)
		watch_signals(server);
	fine = fine && prepare(server, config, reason);
	if (fine) {
		if (ready)
			ready(context);
		serve(server);
	}
	dismantle(server);
	free(server);
	return fine;
}

int serve_run(const char *config_path)
{
	struct config *config = config_read(config_path, stderr);
	char reason[SERVE_REASON];
	int status = STATUS_FINE;
	if (!config)
		return errno != 0 ? STATUS_CANNOT : STATUS_NO;
	if (!config_verify(config, stderr)) {
		status = STATUS_NO;
	} else if (!serve_config(config, NULL, NULL, reason)) {
		fprintf(stderr, "sealpost: cannot serve: %s\n", reason);
		status = STATUS_CANNOT;
	}
	config_free(config);
	return status;
}
