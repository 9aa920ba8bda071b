/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The answers of the policy process in words, for people at a terminal. */

#include "explain.h"

#include "directory.h"
#include "dns.h"
#include "explain_text.h"
#include "inquiry.h"
#include "judge.h"
#include "sts.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PROBE = 5,
	REASON = 512,
	AT_ONCE = 20, /* domains that are asked about */
};

struct explanation {
	struct sources sources;
	FILE *out;
	enum dns_validation validation;
};

/* A domain that is asked about, both ways. */
struct subject {
	int64_t began;
	unsigned awaited; /* answers */
	struct inquiry inquiries[2];
	struct peer outbound, inbound;
};

/* ---- its life ---- */

static void on_sts_says(bool warning, const char *text, void *context)
{
	(void)context;
	if (warning)
		fprintf(stderr, "sealpost: warning: %s\n", text);
}

static void close_all(struct explanation *e)
{
	struct ev_loop *loop = e->sources.loop;
	sources_close(&e->sources);
	if (loop)
		ev_loop_destroy(loop);
}

/* False: `reason` says what cannot be had. MTA-STS's cache is left to the service. */
static bool open_all(struct explanation *e, const struct settings *settings, FILE *faults,
	char *reason, size_t size)
{
	struct sources *sources = &e->sources;
	sources->settings = *settings;
	sources->say = on_sts_says;
	sources->loop = ev_loop_new(EVFLAG_AUTO);
	if (sources->loop)
		sources->directory =
			directory_open(settings->directory, settings->owner, -1, faults);
	if (!sources->directory) {
		snprintf(reason, size, "out of memory");
		return false;
	}
	sources->dns = dns_new(sources->loop, settings, reason, size);
	return sources->dns;
}

/* ---- answers ---- */

static void on_answer(struct inquiry *inquiry)
{
	unsigned *awaited = inquiry->context;
	--*awaited;
	ev_break(inquiry->sources->loop, EVBREAK_ONE);
}

static void begin_inquiry(struct explanation *e, struct inquiry *inquiry,
	struct peer *peer, unsigned *awaited)
{
	*inquiry = (struct inquiry){ .sources = &e->sources,
		.peer = peer,
		.done = on_answer,
		.context = awaited };
	++*awaited;
	inquiry_begin(inquiry);
}

static void await(struct explanation *e, const unsigned *awaited)
{
	while (*awaited > 0)
		ev_run(e->sources.loop, 0);
}

/* ---- in words ---- */

static void begin_subject(struct explanation *e, struct subject *s, const char *asked)
{
	char literal[REQUIREMENT_NAME];
	const char *domain = policyfile_literal(asked, literal) ? literal : asked;
	*s = (struct subject){ .began = (int64_t)time(NULL) };
	s->inbound.direction = DIRECTION_INBOUND;
	snprintf(s->outbound.domain, sizeof(s->outbound.domain), "%s", domain);
	snprintf(s->inbound.domain, sizeof(s->inbound.domain), "%s", domain);
	begin_inquiry(e, &s->inquiries[0], &s->outbound, &s->awaited);
	begin_inquiry(e, &s->inquiries[1], &s->inbound, &s->awaited);
}

/* The file that decided, NULL where none did. */
static const struct policyfile *file_of(
	const struct explanation *e, const struct peer *peer)
{
	const struct policyfile *file;
	for (unsigned i = 0; (file = directory_file(e->sources.directory, i)); i++) {
		size_t length = strlen(file->path);
		if (strncmp(peer->where, file->path, length) == 0 &&
			peer->where[length] == ':')
			return file;
	}
	return NULL;
}

static void explain_published_sts(
	const struct explanation *e, const struct peer *peer, int64_t began)
{
	if (e->sources.settings.mta_sts)
		explain_sts(e->out, peer, began, (int64_t)time(NULL));
	else
		fprintf(e->out,
			"  mta-sts   policies are not asked for (mta-sts = no)\n");
}

static enum status explain(struct explanation *e, struct subject *s)
{
	const struct peer *outbound = &s->outbound, *inbound = &s->inbound;
	fprintf(e->out, "%s\n", outbound->domain);
	explain_demand(e->out, outbound, file_of(e, outbound));
	explain_hosts(e->out, outbound);
	explain_dane(e->out, outbound);
	explain_published_sts(e, outbound, s->began);
	explain_demand(e->out, inbound, file_of(e, inbound));
	enum status status = explain_result(e->out, outbound) ? STATUS_FINE : STATUS_NO;
	peer_clear(&s->outbound);
	peer_clear(&s->inbound);
	return status;
}

/* All are asked about, AT_ONCE at a time, and told of in their order. */
static enum status explain_all(struct explanation *e, struct subject subjects[AT_ONCE],
	const char *const *domains, unsigned count)
{
	enum status status = STATUS_FINE;
	for (unsigned told = 0, begun = 0; told < count; told++) {
		struct subject *s = &subjects[told % AT_ONCE];
		for (; begun < count && begun < told + AT_ONCE; begun++)
			begin_subject(e, &subjects[begun % AT_ONCE], domains[begun]);
		await(e, &s->awaited);
		if (told > 0)
			fputc('\n', e->out);
		enum status one = explain(e, s);
		status = one > status ? one : status;
	}
	return status;
}

enum status policy_explain(const struct settings *settings, const char *const *domains,
	unsigned count, FILE *out)
{
	struct explanation e = { .out = out };
	struct subject *subjects = calloc(AT_ONCE, sizeof(*subjects));
	char reason[REASON] = "out of memory";
	enum status status = STATUS_CANNOT;
	if (subjects && open_all(&e, settings, stderr, reason, sizeof(reason)))
		status = explain_all(&e, subjects, domains, count);
	else
		fprintf(stderr, "sealpost: cannot ask: %s\n", reason);
	close_all(&e);
	free(subjects);
	return status;
}

struct peer *policy_answer(const struct settings *settings, enum direction direction,
	const char *domain, char *reason, size_t size)
{
	struct explanation e = { .out = NULL };
	struct peer *peer = NULL;
	struct inquiry inquiry;
	unsigned awaited = 0;
	if (open_all(&e, settings, stderr, reason, size)) {
		snprintf(reason, size, "out of memory");
		peer = calloc(1, sizeof(*peer));
	}
	if (peer) {
		peer->direction = (uint8_t)direction;
		snprintf(peer->domain, sizeof(peer->domain), "%s", domain);
		begin_inquiry(&e, &inquiry, peer, &awaited);
		await(&e, &awaited);
	}
	close_all(&e);
	return peer;
}

/* ---- check ---- */

static void on_probed(enum dns_validation validation, void *context)
{
	struct explanation *e = context;
	e->validation = validation;
	ev_break(e->sources.loop, EVBREAK_ALL);
}

/* A policy file that does, NULL for none. */
static const struct policyfile *demands_dane(const struct explanation *e)
{
	const struct policyfile *file;
	for (unsigned i = 0; (file = directory_file(e->sources.directory, i)); i++)
		if (file->has_outbound &&
			(file->outbound.level == LEVEL_DANE ||
				file->outbound.level == LEVEL_DANE_ONLY))
			return file;
	return NULL;
}

static unsigned check_resolver(struct explanation *e, const char *config)
{
	char text[REQUIREMENT_TEXT];
	dns_probe(e->sources.dns, PROBE, on_probed, e);
	ev_run(e->sources.loop, 0);
	if (!dns_complaint(e->validation, &e->sources.settings, text))
		return 0;
	const struct policyfile *file =
		e->validation == DNS_NO_ANCHOR ? demands_dane(e) : NULL;
	bool fault = e->validation == DNS_DOES_NOT || file;
	fprintf(e->out, "%s: %s%s", config, fault ? "" : "warning: ", text);
	if (file)
		fprintf(e->out, "; %s:%u demands DANE", file->path, file->outbound_line);
	fputc('\n', e->out);
	return fault ? 1 : 0;
}

/* Demands that no host can meet, or no client. */
static void check_demands(const struct explanation *e)
{
	const struct policyfile *file;
	struct peer *peer = calloc(1, sizeof(*peer));
	char reason[REQUIREMENT_TEXT];
	if (peer) {
		peer->candidate_count = 1;
		peer->candidates[0].dane =
			e->sources.settings.dane ? DANE_ABSENT : DANE_UNAVAILABLE;
	}
	for (unsigned i = 0; peer && (file = directory_file(e->sources.directory, i));
		i++) {
		memcpy(peer->domain, file->domain, sizeof(peer->domain));
		peer->demand = file->outbound;
		if (file->has_outbound && judge_before(peer, reason) != VERDICT_PASS)
			fprintf(e->out, "%s:%u: warning: %s\n", file->path,
				file->outbound_line, reason);
		if (strcmp(file->domain, "default") == 0 && file->has_inbound &&
			file->inbound.level > LEVEL_MAY)
			fprintf(e->out,
				"%s:%u: warning: every sender without a file of its own "
				"must use TLS: some will not, and their mail stays "
				"away\n",
				file->path, file->inbound_line);
	}
	free(peer);
}

/* Whoever asks for such a certificate would not get one, and so no mail. */
static unsigned check_identities(
	const struct explanation *e, const char *config, const char *const *identities)
{
	const struct policyfile *file;
	unsigned faults = 0;
	for (unsigned i = 0; (file = directory_file(e->sources.directory, i)); i++) {
		const char *identity = file->outbound.identity;
		unsigned n = 0;
		while (identities[n] && strcmp(identities[n], identity) != 0)
			n++;
		if (identity[0] == '\0' || identities[n])
			continue;
		fprintf(e->out, "%s: identity = %s: there is no [identity %s] in %s\n",
			file->path, identity, identity, config);
		faults++;
	}
	return faults;
}

unsigned policy_check(const struct settings *settings, const char *config,
	const char *const *identities, FILE *out, unsigned *files)
{
	struct explanation e = { .out = out };
	char reason[REASON];
	unsigned faults = 0;
	if (open_all(&e, settings, out, reason, sizeof(reason))) {
		faults += check_resolver(&e, config);
	} else {
		fprintf(out, "%s: %s\n", config, reason);
		faults++;
	}
	if (e.sources.directory) {
		faults += directory_faults(e.sources.directory);
		faults += check_identities(&e, config, identities);
		check_demands(&e);
		directory_others(e.sources.directory, out);
		*files = directory_count(e.sources.directory);
	}
	close_all(&e);
	return faults;
}
