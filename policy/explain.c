/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The answers of the policy process in words, for people at a terminal. */

#include "directory.h"
#include "dns.h"
#include "explain_text.h"
#include "judge.h"
#include "service.h"
#include "sts.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATUS_FINE = 0, STATUS_NO = 1, STATUS_CANNOT = 3, PROBE = 5, REASON = 512 };

struct explanation {
	const struct settings *settings;
	FILE *out;
	struct ev_loop *loop;
	struct directory *directory;
	struct dns *dns;
	struct sts_agent *sts; /* NULL: MTA-STS is not asked for */
	unsigned awaited;      /* answers */
	enum dns_validation validation;
};

struct asked {
	struct explanation *explanation;
	struct peer *peer;
};

/* ---- its life ---- */

static void close_all(struct explanation *e)
{
	sts_agent_free(e->sts);
	dns_free(e->dns);
	directory_close(e->directory);
	if (e->loop)
		ev_loop_destroy(e->loop);
}

/* False: `reason` says what cannot be had. */
static bool open_all(struct explanation *e, FILE *faults, char *reason, size_t size)
{
	e->loop = ev_loop_new(EVFLAG_AUTO);
	if (e->loop)
		e->directory = directory_open(
			e->settings->directory, e->settings->owner, faults);
	if (!e->directory) {
		snprintf(reason, size, "out of memory");
		return false;
	}
	e->dns = dns_new(e->loop, e->settings, reason, size);
	return e->dns;
}

static void on_sts_says(bool warning, const char *text, void *context)
{
	(void)context;
	if (warning)
		fprintf(stderr, "sealpost: warning: %s\n", text);
}

/* The cache is looked at, and left to the service to write. False without memory. */
static bool open_sts(struct explanation *e)
{
	const struct sts_options options = {
		.ca = e->settings->ca,
		.cache = e->settings->cache,
		.wait = e->settings->timeout / 2.,
		.say = on_sts_says,
	};
	if (!e->sts)
		e->sts = sts_agent_new(e->loop, e->dns, &options);
	return e->sts;
}

/* ---- one domain ---- */

static void one_less(struct explanation *e)
{
	if (--e->awaited == 0)
		ev_break(e->loop, EVBREAK_ALL);
}

static void on_hosts(struct peer *peer, void *context)
{
	(void)peer;
	one_less(context);
}

static void on_sts(const struct sts *sts, uint32_t lifetime, void *context)
{
	struct asked *asked = context;
	(void)lifetime;
	asked->peer->sts = *sts;
	one_less(asked->explanation);
}

/* False without memory. */
static bool ask(struct explanation *e, struct peer *peer)
{
	struct asked asked = { e, peer };
	struct dns_query *hosts = dns_find(e->dns, peer, on_hosts, e);
	struct sts_query *sts = NULL;
	bool wants_sts = e->settings->mta_sts && peer->direction == DIRECTION_OUTBOUND;
	if (wants_sts && open_sts(e))
		sts = sts_find(e->sts, peer->domain, on_sts, &asked);
	if (!hosts || (wants_sts && !sts)) {
		dns_cancel(hosts);
		sts_cancel(sts);
		return false;
	}
	e->awaited = wants_sts ? 2 : 1;
	ev_run(e->loop, 0);
	return true;
}

/* NULL without memory. */
static struct peer *find(
	struct explanation *e, enum direction direction, const char *domain)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->direction = (uint8_t)direction;
	bool fine = directory_find(
		e->directory, direction, domain, (int64_t)time(NULL), peer);
	if (fine && direction != DIRECTION_INBOUND && peer->status == PEER_FINE)
		fine = ask(e, peer);
	if (fine)
		return peer;
	peer_free(peer);
	return NULL;
}

/* The file that decided, NULL where none did. */
static const struct policyfile *file_of(
	const struct explanation *e, const struct peer *peer)
{
	const struct policyfile *file;
	for (unsigned i = 0; (file = directory_file(e->directory, i)); i++) {
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
	if (e->settings->mta_sts)
		explain_sts(e->out, peer, began, (int64_t)time(NULL));
	else
		fprintf(e->out,
			"  mta-sts   policies are not asked for (mta-sts = no)\n");
}

static int explain(struct explanation *e, const char *asked)
{
	int64_t began = (int64_t)time(NULL);
	char literal[REQUIREMENT_NAME];
	const char *domain = policyfile_literal(asked, literal) ? literal : asked;
	struct peer *outbound = find(e, DIRECTION_OUTBOUND, domain);
	struct peer *inbound = find(e, DIRECTION_INBOUND, domain);
	int status = STATUS_CANNOT;
	if (outbound && inbound) {
		fprintf(e->out, "%s\n", domain);
		explain_demand(e->out, outbound, file_of(e, outbound));
		explain_hosts(e->out, outbound);
		explain_dane(e->out, outbound);
		explain_published_sts(e, outbound, began);
		explain_demand(e->out, inbound, file_of(e, inbound));
		status = explain_result(e->out, outbound) ? STATUS_FINE : STATUS_NO;
	}
	peer_free(outbound);
	peer_free(inbound);
	return status;
}

int policy_explain(const struct settings *settings, const char *const *domains,
	unsigned count, FILE *out)
{
	struct explanation e = { .settings = settings, .out = out };
	char reason[REASON];
	int status = STATUS_FINE;
	if (!open_all(&e, stderr, reason, sizeof(reason))) {
		fprintf(stderr, "sealpost: cannot ask: %s\n", reason);
		close_all(&e);
		return STATUS_CANNOT;
	}
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			fputc('\n', out);
		int one = explain(&e, domains[i]);
		status = one > status ? one : status;
	}
	if (status == STATUS_CANNOT)
		fprintf(stderr, "sealpost: cannot ask: out of memory\n");
	close_all(&e);
	return status;
}

struct peer *policy_answer(const struct settings *settings, enum direction direction,
	const char *domain, char *reason, size_t size)
{
	struct explanation e = { .settings = settings };
	struct peer *peer = NULL;
	if (open_all(&e, stderr, reason, size)) {
		snprintf(reason, size, "out of memory");
		peer = find(&e, direction, domain);
	}
	close_all(&e);
	return peer;
}

/* ---- check ---- */

static void on_probed(enum dns_validation validation, void *context)
{
	struct explanation *e = context;
	e->validation = validation;
	ev_break(e->loop, EVBREAK_ALL);
}

/* A policy file that does, NULL for none. */
static const struct policyfile *demands_dane(const struct explanation *e)
{
	const struct policyfile *file;
	for (unsigned i = 0; (file = directory_file(e->directory, i)); i++)
		if (file->has_outbound &&
			(file->outbound.level == LEVEL_DANE ||
				file->outbound.level == LEVEL_DANE_ONLY))
			return file;
	return NULL;
}

static unsigned check_anchor(const struct explanation *e, const char *config)
{
	const struct policyfile *file = e->settings->dane ? demands_dane(e) : NULL;
	if (file)
		fprintf(e->out,
			"%s: trust-anchor = %s: there is none for the root, so that no "
			"host is "
			"found to have DANE, as %s:%u demands\n",
			config, e->settings->trust_anchor, file->path,
			file->outbound_line);
	else
		fprintf(e->out,
			"%s: warning: trust-anchor = %s: there is none for the root, so "
			"that most "
			"answers of the DNS cannot be validated, and no host is found to "
			"have DANE\n",
			config, e->settings->trust_anchor);
	return file ? 1 : 0;
}

static unsigned check_resolver(struct explanation *e, const char *config)
{
	const char *resolver = e->settings->resolver;
	dns_probe(e->dns, PROBE, on_probed, e);
	ev_run(e->loop, 0);
	switch (e->validation) {
	case DNS_VALIDATES: return 0;
	case DNS_DOES_NOT:
		fprintf(e->out,
			"%s: resolver = %s: the root's keys do not validate: use "
			"resolver = recursive, or a resolver that hands on DNSSEC\n",
			config, resolver);
		return 1;
	case DNS_NO_ANCHOR: return check_anchor(e, config);
	case DNS_NO_ANSWER: break;
	}
	fprintf(e->out,
		"%s: warning: resolver = %s: the DNS did not answer within %d s\n",
		config, resolver, PROBE);
	return 0;
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
			e->settings->dane ? DANE_ABSENT : DANE_UNAVAILABLE;
	}
	for (unsigned i = 0; peer && (file = directory_file(e->directory, i)); i++) {
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
	for (unsigned i = 0; (file = directory_file(e->directory, i)); i++) {
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
	const char *const *identities, FILE *out)
{
	struct explanation e = { .settings = settings, .out = out };
	char reason[REASON];
	unsigned faults = 0;
	if (open_all(&e, out, reason, sizeof(reason))) {
		faults += check_resolver(&e, config);
	} else {
		fprintf(out, "%s: %s\n", config, reason);
		faults++;
	}
	if (e.directory) {
		faults += directory_faults(e.directory);
		faults += check_identities(&e, config, identities);
		check_demands(&e);
	}
	close_all(&e);
	return faults;
}
