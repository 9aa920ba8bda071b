/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Every section and key there is. A new key is a line here, a member in config.h and a
 * paragraph in sealpost.conf(5); tests/unit/test_config.c holds the page against this
 * table.
 */

#include "config_schema.h"

#include <assert.h>
#include <string.h>

enum {
	HOUR = 60 * 60,
	DAY = 24 * HOUR,
};

#define SEVERAL(type, member, number)                                                    \
	.array = offsetof(struct config, member), .size = sizeof(struct type),           \
	.count = offsetof(struct config, number),                                        \
	.own_name = offsetof(struct type, name), .own_line = offsetof(struct type, line)

const struct config_section_kind config_sections[CONFIG_SECTIONS] = {
	[SECTION_SERVER] = { .name = "server" },
	[SECTION_TLS] = { .name = "tls" },
	[SECTION_LIMITS] = { .name = "limits" },
	[SECTION_POLICY] = { .name = "policy" },
	[SECTION_INBOUND] = { .name = "inbound",
		.what = "service",
		SEVERAL(config_inbound, inbound, inbound_count) },
	[SECTION_OUTBOUND] = { .name = "outbound",
		.what = "service",
		SEVERAL(config_outbound, outbound, outbound_count) },
	[SECTION_IDENTITY] = { .name = "identity",
		.what = "identity",
		.named = true,
		SEVERAL(config_identity, identities, identity_count) },
};
static_assert((int)CONFIG_INBOUND_MAX == CONFIG_SECTION_ROOM &&
		      (int)CONFIG_OUTBOUND_MAX == CONFIG_SECTION_ROOM &&
		      (int)CONFIG_IDENTITY_MAX == CONFIG_SECTION_ROOM,
	"the same room for each");

const char *const config_route_names[ROUTES + 1] = { "intercept", "smarthost", "relay",
	NULL };

static const char *const near_tls_words[] = { "off", "offer", "require", "implicit",
	NULL };
static const char *const outbound_tls_words[] = { "off", "offer", NULL };
static const char *const relay_tls_words[] = { "starttls", "implicit", NULL };
static const char *const helo_words[] = { "auto", "client", "hostname", NULL };
static const char *const no_yes_words[] = { "no", "yes", NULL };
static const char *const offer_words[] = { "PIPELINING", "SIZE", "8BITMIME", "DSN",
	"ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING", "LIMITS", NULL };
static const char *const backend_tls_words[] = { "none", "may", "encrypt", "legacy",
	NULL };
static const char *const client_address_words[] = { "none", "transparent", "xclient",
	"proxy-v1", "proxy-v2", NULL };
static const char *const received_words[] = { "auto", "on", "off", NULL };
static const char *const bare_newline_words[] = { "normalize", "reject", NULL };
static const char *const version_words[] = { "1.2", "1.3", NULL };

#define WORDS_MATCH(words, count)                                                        \
	static_assert(sizeof(words) / sizeof((words)[0]) == (count) + 1, "a word each")

WORDS_MATCH(near_tls_words, NEAR_TLS_MODES);
WORDS_MATCH(backend_tls_words, BACKEND_TLS_MODES);
WORDS_MATCH(client_address_words, CLIENT_ADDRESS_MODES);
WORDS_MATCH(relay_tls_words, RELAY_TLS_MODES);
WORDS_MATCH(helo_words, HELO_MODES);
WORDS_MATCH(received_words, RECEIVED_MODES);
WORDS_MATCH(bare_newline_words, BARE_NEWLINE_MODES);
WORDS_MATCH(log_target_names, LOG_TARGETS);
WORDS_MATCH(log_level_names, LOG_LEVELS);
static_assert(
	sizeof(enum config_near_tls) == sizeof(unsigned), "enums are kept as unsigned");

#define PLACE(type, member)                                                              \
	.offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SERVER(key, ...)                                                                 \
	{                                                                                \
		.section = SECTION_SERVER, .name = key, __VA_ARGS__                      \
	}
#define TLS(key, ...)                                                                    \
	{                                                                                \
		.section = SECTION_TLS, .name = key, __VA_ARGS__                         \
	}
#define POLICY(key, ...)                                                                 \
	{                                                                                \
		.section = SECTION_POLICY, .name = key, __VA_ARGS__                      \
	}
#define INBOUND(key, ...)                                                                \
	{                                                                                \
		.section = SECTION_INBOUND, .name = key, __VA_ARGS__                     \
	}
#define OUTBOUND(key, ...)                                                               \
	{                                                                                \
		.section = SECTION_OUTBOUND, .name = key, __VA_ARGS__                    \
	}
#define IDENTITY(key, ...)                                                               \
	{                                                                                \
		.section = SECTION_IDENTITY, .name = key, __VA_ARGS__                    \
	}
#define LIMIT(key, kind, member, lowest, highest, ...)                                   \
	{                                                                                \
		.section = SECTION_LIMITS, .name = key, .type = kind,                    \
		PLACE(struct config, limits.member), .low = lowest, .high = highest,     \
		.fallback = __VA_ARGS__                                                  \
	}
#define OF_CONFIG(kind, member)	  .type = kind, PLACE(struct config, member)
#define OF_INBOUND(kind, member)  .type = kind, PLACE(struct config_inbound, member)
#define OF_OUTBOUND(kind, member) .type = kind, PLACE(struct config_outbound, member)
#define OF_IDENTITY(kind, member) .type = kind, PLACE(struct config_identity, member)
#define COUNT_CONFIG(member)	  .count = offsetof(struct config, member)
#define COUNT_INBOUND(member)	  .count = offsetof(struct config_inbound, member)
#define COUNT_OUTBOUND(member)	  .count = offsetof(struct config_outbound, member)

const struct config_key config_keys[CONFIG_KEYS] = {
	SERVER("hostname", OF_CONFIG(TYPE_DOMAIN, hostname)),
	SERVER("user", OF_CONFIG(TYPE_TEXT, user), .fallback = "sealpost",
		.restart = true),
	SERVER("workers", OF_CONFIG(TYPE_NUMBER_AUTO, workers), .low = 1,
		.high = CONFIG_WORKERS_MAX, .fallback = "auto", .restart = true),
	SERVER("control", OF_CONFIG(TYPE_TEXT, control),
		.fallback = "/run/sealpost/control", .restart = true),
	/* processes that have given up system calls could not connect to another one */
	SERVER("log", OF_CONFIG(TYPE_WORD, log), .words = log_target_names,
		.fallback = "stderr", .restart = true),
	SERVER("log-level", OF_CONFIG(TYPE_WORD, log_level), .words = log_level_names,
		.fallback = "info"),

	TLS("certificate", OF_CONFIG(TYPE_CERTIFICATE, pairs), COUNT_CONFIG(pair_count)),
	TLS("key", OF_CONFIG(TYPE_KEY, pairs), COUNT_CONFIG(pair_count)),
	TLS("min-version", OF_CONFIG(TYPE_WORD_TEXT, min_version), .words = version_words,
		.fallback = "1.2"),
	TLS("ticket-key", OF_CONFIG(TYPE_TEXT, ticket_key)),
	TLS("priority", OF_CONFIG(TYPE_TEXT, priority)),

	/* what all workers share is as large */
	LIMIT("connections", TYPE_NUMBER, connections, 1, 1000000, "10000",
		.restart = true),
	LIMIT("connections-per-address", TYPE_NUMBER, connections_per_address, 1, 1000000,
		"50"),
	LIMIT("handshakes", TYPE_NUMBER, handshakes, 1, 1000000, "500"),
	LIMIT("handshakes-per-second", TYPE_NUMBER, handshakes_per_second, 1, 1000000,
		"1000"),
	LIMIT("command-length", TYPE_SIZE, command_length, 512, 64 << 10, "2048"),
	LIMIT("auth-length", TYPE_SIZE, auth_length, 512, 64 << 10, "12288"),
	LIMIT("reply-length", TYPE_SIZE, reply_length, 512, 512 << 10, "65536"),
	LIMIT("reply-lines", TYPE_NUMBER, reply_lines, 1, 10000, "200"),
	LIMIT("recipients", TYPE_NUMBER, recipients, 1, 100000, "1000"),
	LIMIT("message-size", TYPE_SIZE, message_size, 0, UINT64_C(1) << 40, "0"),
	LIMIT("commands-out-of-order", TYPE_NUMBER, commands_out_of_order, 1, 10000,
		"20"),
	LIMIT("session-time", TYPE_TIME, session_time, 1, 7 * DAY, "1h"),
	LIMIT("greeting-timeout", TYPE_TIME, greeting_timeout, 1, HOUR, "5m"),
	LIMIT("command-timeout", TYPE_TIME, command_timeout, 1, HOUR, "5m"),
	LIMIT("data-timeout", TYPE_TIME, data_timeout, 1, HOUR, "2m"),
	LIMIT("block-timeout", TYPE_TIME, block_timeout, 1, HOUR, "3m"),
	LIMIT("eod-timeout", TYPE_TIME, eod_timeout, 1, HOUR, "10m"),
	LIMIT("connect-timeout", TYPE_TIME, connect_timeout, 1, HOUR, "30s"),
	LIMIT("tls-timeout", TYPE_TIME, tls_timeout, 1, HOUR, "30s"),
	LIMIT("policy-timeout", TYPE_TIME, policy_timeout, 1, HOUR, "60s"),
	LIMIT("rcpt-budget", TYPE_TIME, rcpt_budget, 1, HOUR, "240s"),
	LIMIT("shutdown-timeout", TYPE_TIME, shutdown_timeout, 1, HOUR, "60s"),

	POLICY("directory", OF_CONFIG(TYPE_TEXT, policy.directory),
		.fallback = SYSCONFDIR "/sealpost/policy.d"),
	POLICY("resolver", OF_CONFIG(TYPE_RESOLVER, policy.resolver),
		.fallback = "system"),
	POLICY("trust-anchor", OF_CONFIG(TYPE_TEXT, policy.trust_anchor),
		.fallback = "/usr/share/dns/root.key"),
	POLICY("dane", OF_CONFIG(TYPE_WORD, policy.dane), .words = no_yes_words,
		.fallback = "yes"),
	POLICY("mta-sts", OF_CONFIG(TYPE_WORD, policy.mta_sts), .words = no_yes_words,
		.fallback = "yes"),
	POLICY("cache", OF_CONFIG(TYPE_TEXT, policy.cache),
		.fallback = "/var/lib/sealpost"),
	POLICY("stub", OF_CONFIG(TYPE_STUB, policy.stubs),
		COUNT_CONFIG(policy.stub_count)),
	POLICY("ca", OF_CONFIG(TYPE_TEXT, policy.ca), .fallback = "system"),

	/* mandatory only where systemd passes no socket */
	INBOUND("listen", OF_INBOUND(TYPE_LISTEN, listen), COUNT_INBOUND(listen_count),
		.restart = true),
	INBOUND("tls", OF_INBOUND(TYPE_WORD, tls), .words = near_tls_words,
		.fallback = "offer"),
	INBOUND("backend", OF_INBOUND(TYPE_BACKEND, backend),
		COUNT_INBOUND(backend_count), .mandatory = true),
	INBOUND("backend-tls", OF_INBOUND(TYPE_WORD, backend_tls),
		.words = backend_tls_words, .fallback = "none"),
	/* transparent needs a capability that start gives up where nobody needs it */
	INBOUND("client-address", OF_INBOUND(TYPE_WORD, client_address),
		.words = client_address_words, .fallback = "none", .restart = true),
	INBOUND("accept-proxy-from", OF_INBOUND(TYPE_NETWORK, accept_proxy_from),
		COUNT_INBOUND(accept_proxy_count)),
	INBOUND("auth", OF_INBOUND(TYPE_MECHANISM, auth)),
	INBOUND("received", OF_INBOUND(TYPE_WORD, received), .words = received_words,
		.fallback = "auto"),
	INBOUND("bare-newline", OF_INBOUND(TYPE_WORD, bare_newline),
		.words = bare_newline_words, .fallback = "normalize"),

	OUTBOUND("listen", OF_OUTBOUND(TYPE_LISTEN, listen), COUNT_OUTBOUND(listen_count),
		.restart = true),
	/* interception by TPROXY needs a capability, and so does a source that is not
	   ours */
	OUTBOUND("route", OF_OUTBOUND(TYPE_ROUTE, route), .fallback = "smarthost",
		.restart = true),
	OUTBOUND("backends", OF_OUTBOUND(TYPE_NETWORK, backends),
		COUNT_OUTBOUND(backends_count), .mandatory = true),
	OUTBOUND(
		"guard", OF_OUTBOUND(TYPE_INTERFACE, guard), COUNT_OUTBOUND(guard_count)),
	OUTBOUND("bypass", OF_OUTBOUND(TYPE_NETWORK, bypass),
		COUNT_OUTBOUND(bypass_count)),
	OUTBOUND("source", OF_OUTBOUND(TYPE_SOURCE, source), .fallback = "auto",
		.restart = true),
	OUTBOUND("tls", OF_OUTBOUND(TYPE_WORD, tls), .words = outbound_tls_words,
		.fallback = "off"),
	OUTBOUND("relay-tls", OF_OUTBOUND(TYPE_WORD, relay_tls), .words = relay_tls_words,
		.fallback = "starttls"),
	OUTBOUND("credentials", OF_OUTBOUND(TYPE_TEXT, credentials)),
	OUTBOUND("allow-private", OF_OUTBOUND(TYPE_WORD, allow_private),
		.words = no_yes_words, .fallback = "no"),
	OUTBOUND("helo", OF_OUTBOUND(TYPE_WORD, helo), .words = helo_words,
		.fallback = "auto"),
	OUTBOUND("offer", OF_OUTBOUND(TYPE_KEYWORD, offer), .words = offer_words,
		.fallback = "PIPELINING SIZE 8BITMIME DSN ENHANCEDSTATUSCODES SMTPUTF8 "
			    "CHUNKING LIMITS"),
	OUTBOUND("received", OF_OUTBOUND(TYPE_WORD, received), .words = received_words,
		.fallback = "off"),
	OUTBOUND("bare-newline", OF_OUTBOUND(TYPE_WORD, bare_newline),
		.words = bare_newline_words, .fallback = "normalize"),

	IDENTITY("certificate", OF_IDENTITY(TYPE_TEXT, pair.certificate),
		.mandatory = true),
	IDENTITY("key", OF_IDENTITY(TYPE_TEXT, pair.key), .mandatory = true),
};

unsigned config_section_count(const struct config *config, enum config_section section)
{
	const struct config_section_kind *kind = &config_sections[section];

	if (!kind->what)
		return 1;
	return *(const unsigned *)((const char *)config + kind->count);
}

void *config_section_at(
	const struct config *config, enum config_section section, unsigned i)
{
	const struct config_section_kind *kind = &config_sections[section];

	return (char *)config + kind->array + i * kind->size;
}

const struct config_key *config_key_find(enum config_section section, const char *name)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		if (config_keys[i].section == section &&
			strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

unsigned config_key_line(
	const struct config *config, const struct config_key *key, unsigned i)
{
	return config->lines->keys[i][key - config_keys];
}

const char *config_key_nearest(enum config_section section, const char *name)
{
	unsigned best = ~0u;
	const char *found = NULL;

	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		if (config_keys[i].section == section &&
			inifile_nearer(name, config_keys[i].name, &best))
			found = config_keys[i].name;
	}
	return found;
}

const struct config_section_kind *config_section_nearest(const char *name)
{
	unsigned best = ~0u;
	const struct config_section_kind *found = NULL;

	for (size_t i = 0; i < CONFIG_SECTIONS; i++) {
		if (inifile_nearer(name, config_sections[i].name, &best))
			found = &config_sections[i];
	}
	return found;
}
