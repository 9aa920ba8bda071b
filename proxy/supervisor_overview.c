/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* How things stand, for `sealpost status` and the unit's status line. */

#include "services.h"
#include "supervisor_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static_assert(
	(int)OVERVIEW_PROCESSES >= CONFIG_WORKERS_MAX + 2 &&
		(int)OVERVIEW_CERTIFICATES >= CONFIG_PAIR_MAX + CONFIG_IDENTITY_MAX &&
		(int)COUNTERS_SERVICES >= (int)CONFIG_SERVICES_MAX &&
		(int)COUNTERS_SLOTS >= (int)CONFIG_WORKERS_MAX,
	"room for all of them");

static void add_process(struct overview *o, enum overview_role role,
	const struct child *child, uint64_t sessions)
{
	o->processes[o->process_count++] = (struct overview_process){
		.role = role,
		.pid = child->pid,
		.since = child->since,
		.restarts = child->restarts,
		.sessions = sessions,
	};
}

static void add_service(const struct supervisor *s, struct overview *o, const char *name,
	const char *kind)
{
	unsigned number = service_number(s->config, name);
	struct overview_service *service = &o->services[o->service_count++];
	service->name = name;
	service->kind = kind;
	for (unsigned c = 0; c < COUNTERS; c++)
		service->counts[c] =
			counters_read(s->board.counters, number, (enum counter)c);
}

static void add_services(const struct supervisor *s, struct overview *o)
{
	const struct config *config = s->config;
	for (unsigned i = 0; i < config->inbound_count; i++)
		add_service(s, o, config->inbound[i].name, "inbound");
	for (unsigned i = 0; i < config->outbound_count; i++)
		add_service(s, o, config->outbound[i].name,
			config_route_names[config->outbound[i].route]);
}

static void add_certificate(
	const struct supervisor *s, struct overview *o, const struct tls_pair *pair)
{
	struct overview_certificate *c = &o->certificates[o->certificate_count];
	char reason[TLS_REASON];
	struct tls_about about;
	if (!tls_pair_about(s->bundle, pair, &about, reason))
		return;
	c->file = pair->certificate;
	c->expires = about.until;
	snprintf(c->names, sizeof(c->names), "%s", about.names);
	o->certificate_count++;
}

static void add_fault(struct overview *o, const char *fault)
{
	size_t length = strlen(o->fault);
	if (fault[0] != '\0')
		snprintf(o->fault + length, sizeof(o->fault) - length, "%s%s",
			length > 0 ? "; and " : "", fault);
}

static void add_refusal(const struct supervisor *s, struct overview *o)
{
	const struct child *worker = workers_refusing(s);
	char fault[OVERVIEW_TEXT];
	if (!worker)
		return;
	snprintf(fault, sizeof(fault), "worker process %d goes by the one before: %.500s",
		(int)worker->pid, s->fault_of_worker);
	add_fault(o, fault);
}

void supervisor_overview(struct overview *o, void *supervisor)
{
	const struct supervisor *s = supervisor;
	const struct child ourselves = { .pid = getpid(), .since = s->since };
	memset(o, 0, sizeof(*o));
	o->version = PACKAGE_VERSION;
	o->config = s->config->path;
	o->now = time(NULL);
	o->since = s->since;
	o->stopping = s->stopping;
	o->generation = s->generation;
	o->taken = s->taken_up;
	add_fault(o, s->fault);
	add_fault(o, s->fault_of_files);
	add_refusal(s, o);
	o->connections = limits_connections(&s->board.limits);
	o->connections_most = s->config->limits.connections;
	add_services(s, o);
	for (unsigned i = 0; i < s->config->pair_count; i++)
		add_certificate(s, o, &s->config->pairs[i]);
	for (unsigned i = 0; i < s->config->identity_count; i++)
		add_certificate(s, o, &s->config->identities[i].pair);
	o->policy = s->policy->kind;
	o->policy_generation = s->state.generation;
	o->policy_files = s->state.files;
	o->policy_broken = s->state.broken;
	o->unanswered = s->state.unanswered;
	add_process(o, ROLE_SUPERVISOR, &ourselves, 0);
	for (unsigned i = 0; i < s->worker_count; i++)
		add_process(o, ROLE_WORKER, &s->workers[i],
			counters_open(s->board.counters, i));
	if (s->policy->kind)
		add_process(o, ROLE_POLICY, s->policy, 0);
}
