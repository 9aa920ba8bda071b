/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The rules as text. Mail of the backends of a service with route = intercept is turned
 * over to it: by NAT, or, where it leaves with the backend's own address, by TPROXY,
 * which leaves conntrack out (it would take the connection that comes in and the one that
 * goes out for the same). A guard refuses what was not turned over, whatever the reason.
 */

#include "firewall.h"

#include "address.h"
#include "smtp.h"

#include <string.h>

/* ---- what a service needs ---- */

static bool intercepts(const struct config_outbound *outbound)
{
	return outbound->route == ROUTE_INTERCEPT;
}

static bool by_tproxy(const struct config_outbound *outbound)
{
	return intercepts(outbound) && outbound->source == SOURCE_TRANSPARENT;
}

static bool by_nat(const struct config_outbound *outbound)
{
	return intercepts(outbound) && !by_tproxy(outbound);
}

static bool any(const struct config *config, bool (*what)(const struct config_outbound *))
{
	for (unsigned i = 0; i < config->outbound_count; i++) {
		if (what(&config->outbound[i]))
			return true;
	}
	return false;
}

bool firewall_marks(const struct config *config, sa_family_t family)
{
	for (unsigned i = 0; i < config->inbound_count; i++) {
		const struct config_inbound *inbound = &config->inbound[i];

		if (inbound->client_address == CLIENT_ADDRESS_TRANSPARENT &&
			config_reaches(inbound, family))
			return true;
	}
	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		if (outbound->source == SOURCE_TRANSPARENT &&
			config_serves(outbound, family))
			return true;
	}
	return false;
}

static bool marks(const struct config *config)
{
	return firewall_marks(config, AF_INET) || firewall_marks(config, AF_INET6);
}

bool firewall_needed(const struct config *config)
{
	return marks(config) || any(config, intercepts);
}

/* Where it listens for that family, NULL: it does not. */
static const struct address *listen_at(
	const struct config_outbound *outbound, sa_family_t family)
{
	for (unsigned i = 0; i < outbound->listen_count; i++) {
		if (outbound->listen[i].family == family)
			return &outbound->listen[i];
	}
	return NULL;
}

bool firewall_verify(const struct config *config, FILE *faults)
{
	bool fine = true;

	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		if (!intercepts(outbound) || outbound->listen_count > 0)
			continue;
		fprintf(faults,
			"%s:%u: [outbound] without listen: write the addresses that the "
			"socket unit has, so that the firewall can send mail there\n",
			config->path, outbound->line);
		fine = false;
	}
	return fine;
}

/* ---- words ---- */

static const char *ip(const struct network *network)
{
	return network->base.family == AF_INET6 ? "ip6" : "ip";
}

/* "ip saddr 10.0.0.10/32" */
static void write_match(FILE *to, const struct network *network, const char *side)
{
	char text[ADDRESS_TEXT];

	fprintf(to, "\t\t%s %s %s/%u ", ip(network), side,
		address_host(&network->base, text), network->prefix);
}

/* "10.0.0.1:25", or ":25" where any address will do. */
static const char *target(const struct address *listen, char text[ADDRESS_TEXT])
{
	if (address_is_wildcard(listen))
		snprintf(text, ADDRESS_TEXT, ":%u", listen->port);
	else
		address_text(listen, text);
	return text;
}

/* ---- replies to an address that we have borrowed ---- */

/* Not by address: NAT may still have to put the right one in, and names have several. */
static void write_replies(const struct config *config, FILE *to)
{
	const char *comma = "";

	fprintf(to, "\t\ttcp sport { ");
	for (unsigned i = 0; i < config->inbound_count; i++) {
		const struct config_inbound *inbound = &config->inbound[i];

		if (inbound->client_address != CLIENT_ADDRESS_TRANSPARENT)
			continue;
		for (unsigned b = 0; b < inbound->backend_count; b++, comma = ", ")
			fprintf(to, "%s%u", comma, inbound->backend[b].address.port);
	}
	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];
		bool relay = outbound->route == ROUTE_RELAY;

		if (outbound->source != SOURCE_TRANSPARENT)
			continue;
		fprintf(to, "%s%u", comma,
			relay ? outbound->relay.address.port : SMTP_PORT);
		comma = ", ";
	}
	fprintf(to, " } socket transparent 1 meta mark set " FIREWALL_MARK " accept\n");
}

/* ---- mail that is turned over to us ---- */

/*
 * Not redirect where we listen at one address: that takes the interface's first one, and
 * which of several that is nobody knows.
 */
static void write_nat(FILE *to, const struct network *network, const struct address *at)
{
	char text[ADDRESS_TEXT];

	write_match(to, network, "saddr");
	fprintf(to, "tcp dport %u ", SMTP_PORT);
	if (address_is_wildcard(at))
		fprintf(to, "redirect to %s\n", target(at, text));
	else
		fprintf(to, "dnat %s to %s\n", ip(network), target(at, text));
}

static void write_tproxy(
	FILE *to, const struct network *network, const struct address *at)
{
	char text[ADDRESS_TEXT];

	write_match(to, network, "saddr");
	fprintf(to,
		"tcp dport %u tproxy %s to %s meta mark set " FIREWALL_MARK " accept\n",
		SMTP_PORT, ip(network), target(at, text));
}

static void write_intercepted(const struct config *config, FILE *to,
	bool (*which)(const struct config_outbound *),
	void (*write)(FILE *, const struct network *, const struct address *))
{
	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		for (unsigned b = 0; which(outbound) && b < outbound->backends_count;
			b++) {
			const struct network *network = &outbound->backends[b];
			const struct address *at =
				listen_at(outbound, network->base.family);

			if (at)
				write(to, network, at);
		}
	}
}

/* ---- mail that is left alone ---- */

/* First in its chain: what follows there is for the rest. Not as sets: networks may
 * overlap. */
static void write_bypass(
	FILE *to, const struct config_outbound *outbound, const struct network *backend)
{
	char text[ADDRESS_TEXT];

	for (unsigned i = 0; i < outbound->bypass_count; i++) {
		const struct network *there = &outbound->bypass[i];

		if (there->base.family != backend->base.family)
			continue;
		write_match(to, backend, "saddr");
		fprintf(to, "%s daddr %s/%u tcp dport %u accept\n", ip(there),
			address_host(&there->base, text), there->prefix, SMTP_PORT);
	}
}

static void write_bypasses(const struct config *config, FILE *to,
	bool (*which)(const struct config_outbound *))
{
	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		for (unsigned b = 0; which(outbound) && b < outbound->backends_count; b++)
			write_bypass(to, outbound, &outbound->backends[b]);
	}
}

static void write_untracked_in(
	FILE *to, const struct network *network, const struct address *at)
{
	(void)at;
	write_match(to, network, "saddr");
	fprintf(to, "tcp dport %u notrack\n", SMTP_PORT);
}

static void write_untracked_out(
	FILE *to, const struct network *network, const struct address *at)
{
	(void)at;
	write_match(to, network, "daddr");
	fprintf(to, "tcp sport %u notrack\n", SMTP_PORT);
}

/* ---- the guard ---- */

/* The second line: an address that NAT led to, and that this machine has lost. */
static void write_guarded(FILE *to, const struct network *network, bool nat)
{
	write_match(to, network, "saddr");
	fprintf(to, "tcp dport %u reject with tcp reset\n", SMTP_PORT);
	if (!nat)
		return;
	write_match(to, network, "saddr");
	fprintf(to, "meta l4proto tcp ct original proto-dst %u reject with tcp reset\n",
		SMTP_PORT);
}

/*
 * Backends that are not told of in one version of IP may have an address there all the
 * same: without an interface to know them by, nobody's mail passes. By an address that
 * all have: nft forgets `meta nfproto` when it lists rules.
 */
static void write_unknown(const struct config *config, FILE *to, sa_family_t family)
{
	const struct network everybody = { .base.family = family };

	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		if (!intercepts(outbound) || outbound->guard_count > 0 ||
			config_serves(outbound, family))
			continue;
		write_guarded(to, &everybody, false);
		return;
	}
}

static void write_guard(const struct config *config, FILE *to)
{
	write_bypasses(config, to, intercepts);
	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		if (!intercepts(outbound))
			continue;
		for (unsigned b = 0; b < outbound->backends_count; b++)
			write_guarded(to, &outbound->backends[b], by_nat(outbound));
		for (unsigned g = 0; g < outbound->guard_count; g++)
			fprintf(to,
				"\t\tiifname \"%s\" tcp dport %u reject with tcp reset\n",
				outbound->guard[g], SMTP_PORT);
	}
	write_unknown(config, to, AF_INET);
	write_unknown(config, to, AF_INET6);
}

/* ---- the whole ---- */

static void begin(FILE *to, const char *comment, const char *name, const char *hook)
{
	fprintf(to, "\t# %s\n\tchain %s {\n\t\ttype %s; policy accept;\n", comment, name,
		hook);
}

static void end(FILE *to)
{
	fprintf(to, "\t}\n");
}

static void write_divert(const struct config *config, FILE *to)
{
	begin(to, "Replies to a borrowed address are ours; so is mail of the backends.",
		"divert", "filter hook prerouting priority mangle");
	write_replies(config, to);
	write_bypasses(config, to, by_tproxy);
	write_intercepted(config, to, by_tproxy, write_tproxy);
	end(to);
}

static void write_untracked(const struct config *config, FILE *to)
{
	begin(to, "What comes in may have the same ends as what goes out.",
		"untracked_in", "filter hook prerouting priority raw");
	write_bypasses(config, to, by_tproxy);
	write_intercepted(config, to, by_tproxy, write_untracked_in);
	end(to);
	begin(to, "The answers to it.", "untracked_out",
		"filter hook output priority raw");
	write_intercepted(config, to, by_tproxy, write_untracked_out);
	end(to);
}

static void write_chains(const struct config *config, FILE *to)
{
	if (marks(config))
		write_divert(config, to);
	if (any(config, by_tproxy))
		write_untracked(config, to);
	if (any(config, by_nat)) {
		begin(to, "Mail of the backends is ours.", "intercept",
			"nat hook prerouting priority dstnat");
		write_bypasses(config, to, by_nat);
		write_intercepted(config, to, by_nat, write_nat);
		end(to);
	}
	if (any(config, intercepts)) {
		begin(to, "Mail that was not taken does not leave.", "guard",
			"filter hook forward priority filter");
		write_guard(config, to);
		end(to);
	}
}

void firewall_write(const struct config *config, FILE *to)
{
	/* named before it is deleted, for it need not be there */
	fprintf(to, "table inet sealpost\ndelete table inet sealpost\n");
	if (!firewall_needed(config))
		return;
	fprintf(to, "table inet sealpost {\n");
	write_chains(config, to);
	fprintf(to, "}\n");
}
