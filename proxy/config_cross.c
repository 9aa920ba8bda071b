/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What only the whole file shows: keys that are missing or contradict each other. */

#include "config_schema.h"

#include <string.h>

/* The line of a key's first value, 0 for none; row as in struct config_reader. */
static unsigned key_line(const struct config_reader *reader, unsigned row,
	enum config_section section, const char *name)
{
	return reader->seen[row][config_key_find(section, name) - config_keys];
}

/* Where a key of inbound[i] stands; where it does not, its section. */
static unsigned inbound_line(
	const struct config_reader *reader, unsigned i, const char *name)
{
	unsigned line = key_line(reader, i + 1, SECTION_INBOUND, name);

	return line > 0 ? line : reader->config->inbound[i].line;
}

static const char *word(const char *name, unsigned value)
{
	return config_key_find(SECTION_INBOUND, name)->words[value];
}

static void check_log(struct config_reader *reader)
{
	enum log_target target = reader->config->log;

	if (!log_can(target))
		config_fault(reader, key_line(reader, 0, SECTION_SERVER, "log"),
			"log = %s: this build of sealpost has no libsystemd; use stderr "
			"or syslog",
			log_target_names[target]);
}

static void check_pairs(struct config_reader *reader)
{
	const struct config *config = reader->config;

	if (config->pair_count > 0 && config->pairs[config->pair_count - 1].key == NULL)
		config_fault(reader, config->pair_lines[config->pair_count - 1],
			"certificate = %s: no key follows it",
			config->pairs[config->pair_count - 1].certificate);
}

static void check_mandatory(struct config_reader *reader, unsigned i)
{
	for (size_t k = 0; k < CONFIG_KEYS; k++) {
		const struct config_key *key = &config_keys[k];

		if (key->section == SECTION_INBOUND && key->mandatory &&
			reader->seen[i + 1][k] == 0)
			config_fault(reader, reader->config->inbound[i].line,
				"this [inbound] lacks its %s", key->name);
	}
}

static void check_tls(struct config_reader *reader, unsigned i)
{
	const struct config_inbound *inbound = &reader->config->inbound[i];

	if (inbound->tls != NEAR_TLS_OFF && reader->config->pair_count == 0)
		config_fault(reader, inbound_line(reader, i, "tls"),
			"tls = %s, and there is no certificate: write certificate = and "
			"key = in [tls], or tls = off",
			word("tls", inbound->tls));
	if (inbound->tls == NEAR_TLS_OFF && inbound->auth != 0)
		config_fault(reader, inbound_line(reader, i, "auth"),
			"auth passes only inside TLS, and this service has tls = off");
}

static bool listens(const struct config_inbound *inbound, sa_family_t family)
{
	for (unsigned i = 0; i < inbound->listen_count; i++) {
		if (inbound->listen[i].family == family)
			return true;
	}
	return false;
}

/* A host name may turn out to be of either family. */
static bool reaches(const struct config_inbound *inbound, sa_family_t family)
{
	for (unsigned i = 0; i < inbound->backend_count; i++) {
		if (inbound->backend[i].host != NULL ||
			inbound->backend[i].address.family == family)
			return true;
	}
	return inbound->backend_count == 0;
}

/* A client's address can be kept only towards a backend of its own family. */
static void check_transparent(struct config_reader *reader, unsigned i)
{
	static const struct {
		sa_family_t family;
		const char *name;
	} families[] = { { AF_INET, "IPv4" }, { AF_INET6, "IPv6" } };
	const struct config_inbound *inbound = &reader->config->inbound[i];

	if (inbound->client_address != CLIENT_ADDRESS_TRANSPARENT)
		return;
	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		if (listens(inbound, families[f].family) &&
			!reaches(inbound, families[f].family))
			config_fault(reader, inbound_line(reader, i, "client-address"),
				"client-address = transparent: clients come by %s, and "
				"no backend has an %s address; add one, or do not "
				"listen there",
				families[f].name, families[f].name);
	}
}

/* Port 0 is another one each time. IPv4 and IPv6 wildcards stand side by side. */
static bool same_socket(const struct address *a, const struct address *b)
{
	if (a->family != b->family || a->port != b->port || a->port == 0)
		return false;
	return address_is_wildcard(a) || address_is_wildcard(b) ||
	       address_same_host(a, b);
}

/* Address n of inbound[i] against all that stand before it. */
static void check_listen(struct config_reader *reader, unsigned i, unsigned n)
{
	const struct config *config = reader->config;
	const struct address *a = &config->inbound[i].listen[n];
	char ours[ADDRESS_TEXT], theirs[ADDRESS_TEXT];

	for (unsigned j = 0; j <= i; j++) {
		const struct config_inbound *other = &config->inbound[j];
		unsigned count = j == i ? n : other->listen_count;

		for (unsigned m = 0; m < count; m++) {
			if (!same_socket(a, &other->listen[m]))
				continue;
			config_fault(reader, inbound_line(reader, i, "listen"),
				"listen = %s: taken by listen = %s on line %u",
				address_text(a, ours),
				address_text(&other->listen[m], theirs),
				inbound_line(reader, j, "listen"));
			return;
		}
	}
}

void config_cross_check(struct config_reader *reader)
{
	const struct config *config = reader->config;

	check_log(reader);
	check_pairs(reader);
	if (config->inbound_count == 0)
		config_fault(reader, 0,
			"no [inbound]: there is nothing to serve; give it a listen and "
			"a backend");
	for (unsigned i = 0; i < config->inbound_count; i++) {
		check_mandatory(reader, i);
		check_tls(reader, i);
		check_transparent(reader, i);
		for (unsigned n = 0; n < config->inbound[i].listen_count; n++)
			check_listen(reader, i, n);
	}
}
