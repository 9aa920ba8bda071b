/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CONFIG_H
#define SEALPOST_CONFIG_H

/*
 * sealpost.conf as plain data. One schema table (config_schema.c) says each key's
 * section, name, type, range and default; sealpost.conf(5) and `sealpost check` follow
 * it. Reading the file opens no other file: what certificates and backends are worth is
 * check.c's business.
 */

#include "address.h"
#include "bundle.h"
#include "log.h"
#include "tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	CONFIG_LISTEN_MAX = 16,
	CONFIG_BACKEND_MAX = 8,
	CONFIG_NETWORK_MAX = 64,
	CONFIG_PAIR_MAX = 16,
	CONFIG_INBOUND_MAX = 16,
	CONFIG_OUTBOUND_MAX = 16,
	CONFIG_SERVICES_MAX = CONFIG_INBOUND_MAX + CONFIG_OUTBOUND_MAX,
	CONFIG_SOCKETS_MAX = CONFIG_SERVICES_MAX * CONFIG_LISTEN_MAX,
	CONFIG_WORKERS_MAX = 64,
	CONFIG_IDENTITY_MAX = 16,
	CONFIG_STUB_MAX = 16,
	CONFIG_GUARD_MAX = 8,
	CONFIG_INTERFACE = 16, /* octets of an interface's name, its NUL included */
};

enum config_near_tls {
	NEAR_TLS_OFF,
	NEAR_TLS_OFFER,
	NEAR_TLS_REQUIRE,
	NEAR_TLS_IMPLICIT,
	NEAR_TLS_MODES
};

enum config_backend_tls {
	BACKEND_TLS_NONE,
	BACKEND_TLS_MAY,
	BACKEND_TLS_ENCRYPT,
	BACKEND_TLS_LEGACY, /* as encrypt, TLS 1.0 and 1.1 allowed as well */
	BACKEND_TLS_MODES
};

enum config_client_address {
	CLIENT_ADDRESS_NONE,
	CLIENT_ADDRESS_TRANSPARENT,
	CLIENT_ADDRESS_XCLIENT,
	CLIENT_ADDRESS_PROXY_V1,
	CLIENT_ADDRESS_PROXY_V2,
	CLIENT_ADDRESS_MODES
};

enum config_received { RECEIVED_AUTO, RECEIVED_ON, RECEIVED_OFF, RECEIVED_MODES };

enum config_bare_newline {
	BARE_NEWLINE_NORMALIZE,
	BARE_NEWLINE_REJECT,
	BARE_NEWLINE_MODES
};

enum config_route { ROUTE_INTERCEPT, ROUTE_SMARTHOST, ROUTE_RELAY, ROUTES };

/* The last is NULL. */
extern const char *const config_route_names[ROUTES + 1];

enum config_source { SOURCE_AUTO, SOURCE_TRANSPARENT, SOURCE_ADDRESS };

enum config_relay_tls { RELAY_TLS_STARTTLS, RELAY_TLS_IMPLICIT, RELAY_TLS_MODES };

enum config_helo { HELO_AUTO, HELO_CLIENT, HELO_HOSTNAME, HELO_MODES };

/* Times in seconds, sizes in octets. */
struct config_limits {
	unsigned connections, connections_per_address;
	unsigned handshakes, handshakes_per_second;
	unsigned command_length, auth_length, reply_length, reply_lines;
	unsigned recipients, commands_out_of_order;
	uint64_t message_size; /* 0: what the far side says */
	unsigned session_time;
	unsigned greeting_timeout, command_timeout, data_timeout, block_timeout;
	unsigned eod_timeout, connect_timeout, tls_timeout, shutdown_timeout;
	unsigned policy_timeout, rcpt_budget;
};

/*
 * A host name stands until config_verify() (check.h) has looked it up: config itself asks
 * nobody. Until then the address is AF_UNSPEC, but its port is right.
 */
struct config_endpoint {
	struct address address;
	char *host; /* as written, NULL where the address was */
};

struct config_inbound {
	char *name;    /* "inbound", or NAME of [inbound NAME] */
	unsigned line; /* of its section header, for faults found later */
	struct address listen[CONFIG_LISTEN_MAX];
	unsigned listen_count;
	enum config_near_tls tls;
	struct config_endpoint backend[CONFIG_BACKEND_MAX];
	unsigned backend_count;
	enum config_backend_tls backend_tls;
	enum config_client_address client_address;
	struct network accept_proxy_from[CONFIG_NETWORK_MAX];
	unsigned accept_proxy_count;
	uint32_t auth; /* let through inside TLS: 1u << SMTP_AUTH_…; default none */
	enum config_received received;
	enum config_bare_newline bare_newline;
};

struct config_outbound {
	char *name;
	unsigned line;
	struct address listen[CONFIG_LISTEN_MAX];
	unsigned listen_count;
	enum config_route route;
	struct config_endpoint relay; /* ROUTE_RELAY; the policy process looks it up */
	struct network backends[CONFIG_NETWORK_MAX]; /* who may send through us */
	unsigned backends_count;
	char guard[CONFIG_GUARD_MAX][CONFIG_INTERFACE]; /* they come in by these */
	unsigned guard_count;
	struct network bypass[CONFIG_NETWORK_MAX]; /* mail to there is not intercepted */
	unsigned bypass_count;
	enum config_source source;
	struct address source_address; /* SOURCE_ADDRESS */
	enum config_near_tls tls;      /* off (the default) or offer */
	enum config_relay_tls relay_tls;
	char *credentials; /* a file: user and password, or NULL */
	bool allow_private;
	enum config_helo helo;
	uint32_t offer;		       /* SMTP_KW bits of the synthesised EHLO */
	enum config_received received; /* off by default, which auto means here */
	enum config_bare_newline bare_newline;
};

struct config_identity {
	char *name;
	unsigned line;
	struct tls_pair pair;
};

struct config_stub {
	char *zone, *server; /* "lab.", "127.0.0.1@5353" */
};

struct config_policy {
	char *directory;    /* default SYSCONFDIR/sealpost/policy.d */
	char *resolver;	    /* "system", "recursive", ADDRESS[@PORT] */
	char *trust_anchor; /* default /usr/share/dns/root.key */
	bool dane;	    /* TLSA records are asked for */
	bool mta_sts;	    /* MTA-STS policies are asked for */
	char *cache;	    /* where they are kept; default /var/lib/sealpost */
	char *ca;	    /* "system" or a file */
	struct config_stub stubs[CONFIG_STUB_MAX]; /* stub = ZONE ADDRESS[@PORT] */
	unsigned stub_count;
	/* Where they stand, 0: the defaults. Default directories need not exist. */
	unsigned directory_line, ca_line, cache_line;
	/* There is to be a policy process: for mail that goes out; and config_verify()
	 * sees whether there are files, which may say something of who comes in. */
	bool process;
};

struct config_lines;

struct config {
	char *path;
	struct config_lines *lines; /* where all of it stands: config_schema.h */
	char *hostname;		    /* default: the machine's */
	char *user;	  /* default: sealpost; taken up only when started as root */
	unsigned workers; /* 0: one a core */
	char *control;	  /* a path, for `sealpost status` */
	enum log_target log;
	enum log_level log_level;
	struct config_limits limits;
	struct tls_pair pairs[CONFIG_PAIR_MAX];
	unsigned pair_lines[CONFIG_PAIR_MAX];
	unsigned pair_count;
	char *min_version, *ticket_key, *priority;
	struct config_inbound inbound[CONFIG_INBOUND_MAX];
	unsigned inbound_count;
	struct config_outbound outbound[CONFIG_OUTBOUND_MAX];
	unsigned outbound_count;
	struct config_identity identities[CONFIG_IDENTITY_MAX];
	unsigned identity_count;
	struct config_policy policy;
};

/* What a configuration is in a bundle: its text, the path that it was read from, and what
 * the machine was called then. */
#define BUNDLE_CONFIG	   "configuration"
#define BUNDLE_CONFIG_PATH "configuration's path"
#define BUNDLE_MACHINE	   "machine's name"

/*
 * Reads `path` into the bundle as its configuration. Every fault is printed to `faults`
 * as "path:line: message", all of them, not only the first. Returns NULL when there was
 * one; errno is then 0, or tells why the file cannot be read.
 */
struct config *config_read(struct bundle *bundle, const char *path, FILE *faults);

/* The same for what is in the bundle already. */
struct config *config_of_bundle(const struct bundle *bundle, FILE *faults);

/* The same for an open file, which stays open; `name` stands for its path. */
struct config *config_parse(FILE *in, const char *name, FILE *faults);

void config_free(struct config *config);

/* Whether a backend of that family may send through the service. */
bool config_serves(const struct config_outbound *outbound, sa_family_t family);

/* Whether a backend is of that family, or may turn out to be, being known by its name. */
bool config_reaches(const struct config_inbound *inbound, sa_family_t family);

enum { CONFIG_REASON = 512 };

/*
 * Whether `fresh` has changed what only a restart can change: a key that is marked so in
 * the schema, or whether there is a service. The reason names the first such, as
 * "path:line: listen: only a restart changes it".
 */
bool config_restart_needed(
	const struct config *old, const struct config *fresh, char reason[CONFIG_REASON]);

#endif
