/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* For scripts: sealpost(1) has every key, and each key is always there. */

#include "json.h"
#include "overview_private.h"

static void service(struct json *j, const struct overview_service *s)
{
	json_begin(j, '{');
	json_pair(j, "name", s->name);
	json_pair(j, "kind", s->kind);
	for (unsigned i = 0; i < COUNTERS; i++)
		json_number(j, counter_names[i], s->counts[i]);
	json_end(j, '}');
}

static void certificate(struct json *j, const struct overview_certificate *c)
{
	json_begin(j, '{');
	json_pair(j, "file", c->file);
	json_pair(j, "names", c->names);
	json_moment(j, "expires", c->expires);
	json_end(j, '}');
}

static void process(struct json *j, const struct overview_process *p)
{
	json_begin(j, '{');
	json_pair(j, "role", overview_role_name(p->role));
	if (p->pid != 0)
		json_number(j, "pid", (uint64_t)p->pid);
	else
		json_nothing(j, "pid");
	json_moment(j, "since", p->since);
	json_number(j, "restarts", p->restarts);
	json_number(j, "sessions", p->sessions);
	json_end(j, '}');
}

static void policy(struct json *j, const struct overview *o)
{
	if (!o->policy) {
		json_nothing(j, "policy");
		return;
	}
	json_key(j, "policy");
	json_begin(j, '{');
	json_number(j, "generation", o->policy_generation);
	json_number(j, "files", o->policy_files);
	json_number(j, "broken", o->policy_broken);
	json_number(j, "unanswered", o->unanswered);
	json_end(j, '}');
}

static void attend(void *json, const char *note)
{
	json_string(json, note);
}

static void lists(struct json *j, const struct overview *o)
{
	json_key(j, "services");
	json_begin(j, '[');
	for (unsigned i = 0; i < o->service_count; i++)
		service(j, &o->services[i]);
	json_end(j, ']');
	json_key(j, "certificates");
	json_begin(j, '[');
	for (unsigned i = 0; i < o->certificate_count; i++)
		certificate(j, &o->certificates[i]);
	json_end(j, ']');
	json_key(j, "processes");
	json_begin(j, '[');
	for (unsigned i = 0; i < o->process_count; i++)
		process(j, &o->processes[i]);
	json_end(j, ']');
}

void overview_json(const struct overview *o, FILE *to)
{
	struct json j = { .out = to };
	json_begin(&j, '{');
	json_pair(&j, "version", o->version);
	json_moment(&j, "now", o->now);
	json_moment(&j, "since", o->since);
	json_truth(&j, "stopping", o->stopping);
	json_key(&j, "attention");
	json_begin(&j, '[');
	overview_notes(o, attend, &j);
	json_end(&j, ']');
	json_pair(&j, "configuration", o->config);
	json_number(&j, "generation", o->generation);
	json_moment(&j, "taken_up", o->taken);
	json_pair(&j, "fault", o->fault);
	json_number(&j, "connections", o->connections);
	json_number(&j, "connections_most", o->connections_most);
	policy(&j, o);
	lists(&j, o);
	json_end(&j, '}');
	fputc('\n', to);
}
