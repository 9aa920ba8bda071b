/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What only the whole file shows: keys that are missing or contradict each other. */

#include "config_schema.h"
#include "smtp.h"

#include <string.h>
#include <sys/un.h>

enum {
	SMTPS_PORT = 465,
	FAMILIES = 2,
};

/* The line of a key's first value in the i-th section of its kind, 0 for none. */
static unsigned key_line(const struct config_reader *reader, enum config_section section,
	unsigned i, const char *name)
{
	return config_key_line(reader->config, config_key_find(section, name), i);
}

/* Where a key of inbound[i] stands; where it does not, its section. */
static unsigned inbound_line(
	const struct config_reader *reader, unsigned i, const char *name)
{
	unsigned line = key_line(reader, SECTION_INBOUND, i, name);

	return line > 0 ? line : reader->config->inbound[i].line;
}

static unsigned outbound_line(
	const struct config_reader *reader, unsigned i, const char *name)
{
	unsigned line = key_line(reader, SECTION_OUTBOUND, i, name);

	return line > 0 ? line : reader->config->outbound[i].line;
}

static const char *const family_names[FAMILIES] = { "IPv4", "IPv6" };
static const sa_family_t families[FAMILIES] = { AF_INET, AF_INET6 };

static const char *family_name(sa_family_t family)
{
	return family_names[family == AF_INET6];
}

static void check_log(struct config_reader *reader)
{
	enum log_target target = reader->config->log;

	if (!log_can(target))
		inifile_fault(&reader->ini, key_line(reader, SECTION_SERVER, 0, "log"),
			"log = %s: this build of sealpost has no libsystemd; use stderr "
			"or syslog",
			log_target_names[target]);
}

/* unix(7) */
static void check_control(struct config_reader *reader)
{
	size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (strlen(reader->config->control) > most)
		inifile_fault(&reader->ini,
			key_line(reader, SECTION_SERVER, 0, "control"),
			"control = %s: the path of a socket has at most %zu octets",
			reader->config->control, most);
}

static void check_pairs(struct config_reader *reader)
{
	const struct config *config = reader->config;

	if (config->pair_count > 0 && !config->pairs[config->pair_count - 1].key)
		inifile_fault(&reader->ini, config->pair_lines[config->pair_count - 1],
			"certificate = %s: no key follows it",
			config->pairs[config->pair_count - 1].certificate);
}

static void check_mandatory(struct config_reader *reader, const struct config_key *key)
{
	const struct config_section_kind *kind = &config_sections[key->section];
	unsigned count = config_section_count(reader->config, key->section);

	for (unsigned i = 0; i < count; i++) {
		const char *at = config_section_at(reader->config, key->section, i);

		if (config_key_line(reader->config, key, i) == 0)
			inifile_fault(&reader->ini,
				*(const unsigned *)(at + kind->own_line),
				"this [%s] lacks its %s", kind->name, key->name);
	}
}

static void check_certificate(
	struct config_reader *reader, enum config_near_tls tls, unsigned line)
{
	if (tls != NEAR_TLS_OFF && reader->config->pair_count == 0)
		inifile_fault(&reader->ini, line,
			"tls = %s, and there is no certificate: write certificate = and "
			"key = in [tls], or tls = off",
			config_key_find(SECTION_INBOUND, "tls")->words[tls]);
}

static void check_auth(struct config_reader *reader, unsigned i)
{
	const struct config_inbound *inbound = &reader->config->inbound[i];

	if (inbound->tls == NEAR_TLS_OFF && inbound->auth != 0)
		inifile_fault(&reader->ini, inbound_line(reader, i, "auth"),
			"auth passes only inside TLS, and this service has tls = off");
}

static bool listens(const struct address *listen, unsigned count, sa_family_t family)
{
	for (unsigned i = 0; i < count; i++) {
		if (listen[i].family == family)
			return true;
	}
	return false;
}

/* A client's address can be kept only towards a backend of its own family. */
static void check_transparent(struct config_reader *reader, unsigned i)
{
	const struct config_inbound *inbound = &reader->config->inbound[i];

	/* that it lacks its backend is said already */
	if (inbound->client_address != CLIENT_ADDRESS_TRANSPARENT ||
		inbound->backend_count == 0)
		return;
	for (size_t f = 0; f < FAMILIES; f++) {
		if (listens(inbound->listen, inbound->listen_count, families[f]) &&
			!config_reaches(inbound, families[f]))
			inifile_fault(&reader->ini,
				inbound_line(reader, i, "client-address"),
				"client-address = transparent: clients come by %s, and "
				"no backend has an %s address; add one, or do not "
				"listen there",
				family_names[f], family_names[f]);
	}
}

/* ---- [outbound] ---- */

/* Keys that only some routes know. */
static void check_route_keys(struct config_reader *reader, unsigned i)
{
	enum {
		INTERCEPT = 1u << ROUTE_INTERCEPT,
		SMARTHOST = 1u << ROUTE_SMARTHOST,
		RELAY = 1u << ROUTE_RELAY
	};
	static const struct {
		const char *name;
		unsigned routes;
		const char *why;
	} keys[] = {
		{ "relay-tls", RELAY, "TLS follows the policy of each domain" },
		{ "credentials", RELAY, "servers on the Internet ask for none" },
		{ "allow-private", INTERCEPT, "it judges intercepted destinations" },
		{ "guard", INTERCEPT, "nothing is intercepted" },
		{ "bypass", INTERCEPT, "nothing is intercepted" },
		{ "offer", INTERCEPT | SMARTHOST, "the relay's own keywords are shown" },
	};
	enum config_route route = reader->config->outbound[i].route;

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		unsigned line = key_line(reader, SECTION_OUTBOUND, i, keys[k].name);

		if (line > 0 && route < ROUTES && (keys[k].routes & 1u << route) == 0)
			inifile_fault(&reader->ini, line,
				"%s means nothing with route = %s (%s): take it out",
				keys[k].name, config_route_names[route], keys[k].why);
	}
}

static void check_backends(struct config_reader *reader, unsigned i)
{
	const struct config_outbound *outbound = &reader->config->outbound[i];

	if (outbound->listen_count == 0 || outbound->backends_count == 0)
		return;
	for (size_t f = 0; f < FAMILIES; f++) {
		if (config_serves(outbound, families[f]) &&
			listens(outbound->listen, outbound->listen_count, families[f]))
			return;
	}
	inifile_fault(&reader->ini, outbound_line(reader, i, "backends"),
		"backends: none of them can come, for listen has no address of their "
		"version of IP");
}

/* A connection has one family: that it leaves from is that of where it goes. */
static void check_source(struct config_reader *reader, unsigned i)
{
	const struct config_outbound *outbound = &reader->config->outbound[i];
	sa_family_t own = outbound->source_address.family;
	sa_family_t relay = outbound->relay.address.family;
	unsigned line = outbound_line(reader, i, "source");
	bool to_address = outbound->route == ROUTE_RELAY && relay != AF_UNSPEC;
	char text[ADDRESS_TEXT];

	for (size_t f = 0; f < FAMILIES; f++) {
		if (outbound->source == SOURCE_ADDRESS && families[f] != own &&
			outbound->route == ROUTE_INTERCEPT &&
			listens(outbound->listen, outbound->listen_count, families[f]))
			inifile_fault(&reader->ini, line,
				"source = %s: what comes by %s leaves by %s; do not "
				"listen there, or write source = auto",
				address_host(&outbound->source_address, text),
				family_names[f], family_names[f]);
		if (outbound->source == SOURCE_TRANSPARENT && to_address &&
			families[f] != relay && config_serves(outbound, families[f]))
			inifile_fault(&reader->ini, line,
				"source = transparent: backends come by %s, and the "
				"relay has an %s address",
				family_names[f], family_name(relay));
	}
	if (outbound->source == SOURCE_ADDRESS && to_address && own != relay)
		inifile_fault(&reader->ini, line,
			"source = %s: the relay has an %s address",
			address_host(&outbound->source_address, text),
			family_name(relay));
}

/* ---- what is listened at ---- */

/* Port 0 is another one each time. IPv4 and IPv6 wildcards stand side by side. */
static bool same_socket(const struct address *a, const struct address *b)
{
	if (a->family != b->family || a->port != b->port || a->port == 0)
		return false;
	return address_is_wildcard(a) || address_is_wildcard(b) ||
	       address_same_host(a, b);
}

/* Where a service listens: inbound ones first, then outbound ones. */
struct listening {
	const struct address *at;
	unsigned count, line;
};

static struct listening listening(const struct config_reader *reader, unsigned i)
{
	const struct config *config = reader->config;

	if (i < config->inbound_count) {
		const struct config_inbound *inbound = &config->inbound[i];

		return (struct listening){ inbound->listen, inbound->listen_count,
			inbound_line(reader, i, "listen") };
	}
	i -= config->inbound_count;
	const struct config_outbound *outbound = &config->outbound[i];

	return (struct listening){ outbound->listen, outbound->listen_count,
		outbound_line(reader, i, "listen") };
}

/* Address n of the i-th service against all that stand before it. */
static void check_listen(struct config_reader *reader, unsigned i, unsigned n)
{
	struct listening ours = listening(reader, i);
	char our_text[ADDRESS_TEXT], their_text[ADDRESS_TEXT];

	for (unsigned j = 0; j <= i; j++) {
		struct listening theirs = listening(reader, j);
		unsigned count = j == i ? n : theirs.count;

		for (unsigned m = 0; m < count; m++) {
			if (!same_socket(&ours.at[n], &theirs.at[m]))
				continue;
			inifile_fault(&reader->ini, ours.line,
				"listen = %s: taken by listen = %s on line %u",
				address_text(&ours.at[n], our_text),
				address_text(&theirs.at[m], their_text), theirs.line);
			return;
		}
	}
}

/* What a value depends on that stands elsewhere in the file. */
static void complete(struct config_reader *reader)
{
	struct config *config = reader->config;
	struct config_policy *policy = &config->policy;

	policy->directory_line = key_line(reader, SECTION_POLICY, 0, "directory");
	policy->ca_line = key_line(reader, SECTION_POLICY, 0, "ca");
	policy->cache_line = key_line(reader, SECTION_POLICY, 0, "cache");
	policy->process = config->outbound_count > 0;
	for (unsigned i = 0; i < config->outbound_count; i++) {
		struct config_outbound *outbound = &config->outbound[i];

		if (outbound->route == ROUTE_RELAY && outbound->relay.address.port == 0)
			outbound->relay.address.port =
				outbound->relay_tls == RELAY_TLS_IMPLICIT ? SMTPS_PORT
									  : SMTP_PORT;
	}
}

void config_cross_check(struct config_reader *reader)
{
	const struct config *config = reader->config;
	unsigned services = config->inbound_count + config->outbound_count;

	complete(reader);
	check_log(reader);
	check_control(reader);
	check_pairs(reader);
	if (services == 0)
		inifile_fault(&reader->ini, 0,
			"no [inbound] and no [outbound]: there is nothing to serve; give "
			"it a listen and a backend");
	for (size_t k = 0; k < CONFIG_KEYS; k++) {
		if (config_keys[k].mandatory)
			check_mandatory(reader, &config_keys[k]);
	}
	for (unsigned i = 0; i < config->inbound_count; i++) {
		check_certificate(
			reader, config->inbound[i].tls, inbound_line(reader, i, "tls"));
		check_auth(reader, i);
		check_transparent(reader, i);
	}
	for (unsigned i = 0; i < config->outbound_count; i++) {
		check_certificate(
			reader, config->outbound[i].tls, outbound_line(reader, i, "tls"));
		check_route_keys(reader, i);
		check_backends(reader, i);
		check_source(reader, i);
	}
	for (unsigned i = 0; i < services; i++) {
		for (unsigned n = 0; n < listening(reader, i).count; n++)
			check_listen(reader, i, n);
	}
}
