/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Where mail for a domain would go, walked as the daemon does, but to the last host. */

#include "probe.h"

#include "command.h"
#include "domain.h"
#include "explain.h"
#include "policyprocess.h"
#include "privileges.h"
#include "probe_private.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void probe_progress(const struct probe *probe, const char *doing)
{
	if (probe->terminal && doing)
		fprintf(stderr, "\r\033[K%.78s", doing);
	else if (probe->terminal)
		fputs("\r\033[K", stderr);
}

static enum status cannot(const struct probe *probe, const char *why)
{
	probe_progress(probe, NULL);
	fprintf(stderr, "sealpost: cannot probe: %s\n", why);
	return STATUS_CANNOT;
}

/* ---- the target ---- */

/* Takes ":PORT" off the end of `host`; 0: there is none. */
static in_port_t take_port(char *host)
{
	char *colon = strrchr(host, ':');
	struct span digits = { colon ? colon + 1 : "", colon ? strlen(colon + 1) : 0 };
	uint64_t port;
	if (digits.length == 0 || !span_number(digits, &port) || port == 0 ||
		port > UINT16_MAX)
		return 0;
	*colon = '\0';
	return (in_port_t)port;
}

/* "192.0.2.1" and "[2001:db8::1]" as domains are written: "[192.0.2.1]", "[IPv6:…]". */
static void make_literal(char host[PROBE_TARGET])
{
	struct address address;
	char text[ADDRESS_TEXT];
	if (!address_parse(&address, host, 0))
		return;
	snprintf(host, PROBE_TARGET, "[%s%s]", address.family == AF_INET6 ? "IPv6:" : "",
		address_host(&address, text));
}

/* False: it is neither DOMAIN nor USER@DOMAIN nor HOST:PORT. */
static bool read_target(struct probe *probe, const char *target)
{
	char host[PROBE_TARGET];
	const char *at = strrchr(target, '@');
	if (target[0] == '\0' || strlen(target) >= sizeof(probe->target))
		return false;
	strcpy(probe->target, target);
	strcpy(host, at ? at + 1 : target);
	probe->user = at;
	in_port_t port = at || host[strlen(host) - 1] == ']' ? 0 : take_port(host);
	if (port != 0)
		make_literal(host);
	route_init(&probe->route, port ? ROUTE_KIND_RELAY : ROUTE_KIND_SMARTHOST,
		port ? port : SMTP_PORT);
	probe->implicit = port == PROBE_SUBMISSIONS;
	struct span domain = { host, strlen(host) };
	if (host[0] != '[' && strchr(host, ':'))
		return false; /* a port that is none, or one behind USER@DOMAIN */
	return domain_normalise(domain, probe->domain) && probe->domain[0] != '\0';
}

/* ---- what is needed ---- */

/* The file of it that we may not read, or NULL. */
static const char *closed_file(const struct tls_pair *pair)
{
	if (eaccess(pair->certificate, R_OK) != 0 && errno == EACCES)
		return pair->certificate;
	if (eaccess(pair->key, R_OK) != 0 && errno == EACCES)
		return pair->key;
	return NULL;
}

/*
 * With those certificates of ours that we may read: whoever is not root may ask about all
 * domains whose policy names none of the others.
 */
static bool make_client(struct probe *probe, char reason[TLS_REASON])
{
	const struct config *config = probe->config;
	struct tls_identity identities[CONFIG_IDENTITY_MAX];
	unsigned count = 0;
	for (unsigned i = 0; i < config->identity_count; i++) {
		const struct config_identity *identity = &config->identities[i];
		probe->closed[i] = closed_file(&identity->pair);
		if (!probe->closed[i])
			identities[count++] =
				(struct tls_identity){ identity->name, identity->pair };
	}
	const struct tls_client_options options = {
		.bundle = probe->bundle,
		.ca = config->policy.ca,
		.identities = identities,
		.identity_count = count,
	};
	probe->client = tls_client_new(&options, reason);
	return probe->client;
}

/* Who is not root may be anybody. */
static bool is_stranger(const struct probe *probe)
{
	const struct passwd *user = getpwnam(probe->config->user);
	return !user || user->pw_uid != geteuid();
}

/* As the user that serves, so that nothing is found readable here that is not there. */
static bool ask(struct probe *probe, char *reason, size_t size)
{
	struct settings settings;
	if (!policyprocess_settings(probe->config, NULL, &settings)) {
		snprintf(reason, size, "a setting of [policy] is too long");
		return false;
	}
	if (settings.timeout > PROBE_SECONDS)
		settings.timeout = PROBE_SECONDS;
	probe->stranger = is_stranger(probe);
	probe_progress(probe, "asking the DNS");
	bool host = probe->route.kind == ROUTE_KIND_RELAY;
	probe->peer = policy_answer(&settings, host ? DIRECTION_HOST : DIRECTION_OUTBOUND,
		probe->domain, reason, size);
	return probe->peer;
}

/* Whether we have the certificate that the peer is to see, if it is to see one. */
static bool has_identity(const struct probe *probe, char *reason, size_t size)
{
	const struct config *config = probe->config;
	const char *name = probe->peer->demand.identity;
	for (unsigned i = 0; i < config->identity_count; i++)
		if (probe->closed[i] && strcmp(config->identities[i].name, name) == 0) {
			snprintf(reason, size,
				"%s: permission denied: its host is to see [identity "
				"%s], which root may read",
				probe->closed[i], name);
			return false;
		}
	return true;
}

/* ---- the walk ---- */

/* A host that the route has left out, with what there is against it. */
static void pass_over(struct probe *probe, int candidate)
{
	const struct facts clear = { .protocol = PROTOCOL_CLEAR };
	struct probe_host *host = &probe->hosts[probe->host_count++];
	const struct candidate *c = &probe->peer->candidates[candidate];
	host->candidate = candidate;
	host->stage = PROBE_PASSED_OVER;
	host->encryption = (uint8_t)judge_encryption(probe->peer, c);
	enum verdict verdict = judge(probe->peer, c, &clear, host->reason);
	host->verdict = (uint8_t)verdict;
	snprintf(host->code, sizeof(host->code), "%s", verdict_code(verdict));
}

static bool is_planned(const struct route *r, int candidate)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->tries[i].candidate == candidate)
			return true;
	return false;
}

/* True: mail could be sent there. */
static bool try_one(struct probe *probe)
{
	struct route *r = &probe->route;
	struct probe_host *host = &probe->hosts[probe->host_count++];
	host->candidate = r->tries[r->at].candidate;
	host->address = route_address(r);
	host->encryption = (uint8_t)route_encryption(r);
	host->verdict = ROUTE_NOT_JUDGED;
	snprintf(host->server_name, sizeof(host->server_name), "%s", route_sni(r));
	return probe_host(probe, host);
}

static void keep_refusal(struct probe *probe, const char *refusal)
{
	snprintf(probe->refusal, sizeof(probe->refusal), "%s", refusal);
}

void probe_walk(struct probe *probe)
{
	struct route *r = &probe->route;
	bool more = route_plan(r, probe->peer, (uint32_t)time(NULL));
	for (int i = 0; i < probe->peer->candidate_count; i++)
		if (!is_planned(r, i))
			pass_over(probe, i);
	while (more && clock_steady() < probe->deadline) {
		unsigned n = probe->host_count;
		const struct probe_host *host = &probe->hosts[n];
		if (try_one(probe) && probe->chosen < 0)
			probe->chosen = (int)n;
		more = route_failed(r, host->code, host->reason, host->said);
	}
	probe->late = more;
	/* The route stands at a host already that was not tried. */
	if (probe->chosen < 0 && probe->late)
		keep_refusal(probe, "451 4.4.1 No host took it before the time was over");
	else if (probe->chosen < 0)
		keep_refusal(probe, route_refusal(r));
}

/* ---- the whole ---- */

static enum status report(struct probe *probe, bool json)
{
	probe_conclude(probe);
	if (json)
		probe_write_json(stdout, probe);
	else
		probe_write_text(stdout, probe);
	return command_printed(probe->chosen < 0 ? STATUS_NO : STATUS_FINE);
}

static enum status go(struct probe *probe, bool json)
{
	char reason[TLS_REASON];
	probe->deadline = clock_steady() + PROBE_SECONDS;
	probe->hosts = calloc(PROBE_HOSTS, sizeof(*probe->hosts));
	if (!probe->hosts)
		return cannot(probe, "out of memory");
	/* Strangers' octets are not for root to read: first what only he may open. */
	if (!make_client(probe, reason) ||
		!privileges_drop_all(probe->config, reason, sizeof(reason)) ||
		!ask(probe, reason, sizeof(reason)) ||
		!has_identity(probe, reason, sizeof(reason)))
		return cannot(probe, reason);
	const char *refusal = route_refuses(&probe->route, probe->peer);
	if (refusal)
		keep_refusal(probe, refusal);
	else
		probe_walk(probe);
	probe_progress(probe, NULL);
	return report(probe, json);
}

enum status probe_run(const char *config_path, const char *target, bool json)
{
	struct probe probe = { .chosen = -1, .terminal = isatty(STDERR_FILENO) };
	if (!read_target(&probe, target)) {
		fprintf(stderr,
			"sealpost: cannot probe \"%s\": it is none of DOMAIN, "
			"USER@DOMAIN and HOST:PORT\n",
			target);
		return STATUS_USAGE;
	}
	struct config *config;
	enum status status = command_open(config_path, &probe.bundle, &config);
	if (status != STATUS_FINE)
		return status;
	probe.config = config;
	status = go(&probe, json);
	tls_client_free(probe.client);
	peer_free(probe.peer);
	free(probe.hosts);
	config_free(config);
	bundle_free(probe.bundle);
	return status;
}
