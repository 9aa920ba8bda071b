/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_PROBE_PRIVATE_H
#define SEALPOST_PROBE_PRIVATE_H

/* What a probe finds out (probe.c, probe_host.c), and what is told of it. */

#include "clock.h"
#include "config.h"
#include "facts.h"
#include "route.h"
#include "smtp.h"
#include "tls.h"

#include <stdio.h>

enum {
	PROBE_HOSTS = ROUTE_TRIES + REQUIREMENT_CANDIDATES,
	PROBE_SAID = 200, /* octets of what a host said */
	PROBE_TARGET = 320,
	PROBE_RESULT = 2048,
	PROBE_SECONDS = 120,	 /* that all of it may take */
	PROBE_STEP = 30,	 /* and each step, at most */
	PROBE_SUBMISSIONS = 465, /* the port where TLS comes first (RFC 8314 §3.3) */
};

/* How far it came with a host. */
enum probe_stage {
	PROBE_PASSED_OVER, /* mail would not be taken there, so it was not called */
	PROBE_CONNECT,
	PROBE_GREETING,
	PROBE_EHLO,
	PROBE_STARTTLS,
	PROBE_HANDSHAKE,
	PROBE_POLICY,
	PROBE_EHLO_AGAIN,
	PROBE_COMPLETE, /* MAIL would be next */
	PROBE_STAGES
};

/* One address of one host. */
struct probe_host {
	int candidate;			    /* index in the peer, -1: none */
	struct address address;		    /* AF_UNSPEC: it was passed over */
	uint8_t stage;			    /* enum probe_stage */
	uint8_t encryption;		    /* enum encryption: what is demanded there */
	uint8_t verdict;		    /* enum verdict, or ROUTE_NOT_JUDGED */
	bool offered;			    /* STARTTLS */
	char server_name[REQUIREMENT_NAME]; /* the SNI, or "" */
	char greeting[PROBE_SAID];	    /* as it came, its first line */
	char code[8];			    /* why it went no further, ... */
	char reason[REQUIREMENT_TEXT];	    /* ... in words; "" where it did */
	char said[PROBE_SAID];		    /* by the host, where it refused */
	char no_tls[REQUIREMENT_TEXT];	    /* why it went on in clear */
	char refused[PROBE_SAID];	/* its reply to STARTTLS, where that was a no */
	char testing[REQUIREMENT_TEXT]; /* what MTA-STS in mode testing has against it */
	struct facts facts;		/* its chain is `chain`, or NULL */
	struct chain_facts chain;
	struct certificate_names names[FACTS_CHAIN]; /* of each of the chain */
};

struct probe {
	struct bundle *bundle; /* the configuration's files */
	const struct config *config;
	struct tls_client *client;
	const char *closed[CONFIG_IDENTITY_MAX]; /* its file that we may not read */
	char target[PROBE_TARGET];		 /* as written */
	char domain[REQUIREMENT_NAME];
	bool user;     /* USER@ stood before it */
	bool terminal; /* somebody watches */
	bool stranger; /* who asks is not the user that serves */
	bool implicit; /* TLS comes first */
	bool late;     /* there was no time for all of the hosts */
	double deadline;
	struct peer *peer;
	struct route route;
	unsigned host_count;
	struct probe_host *hosts;  /* PROBE_HOSTS of them, as they are tried */
	int chosen;		   /* the host that mail would go to, -1: none */
	char refusal[ROUTE_REPLY]; /* the reply line where there is none */
	char result[PROBE_RESULT];
	char hint[PROBE_RESULT]; /* who can mend what, or "" */
};

/* Says on a terminal what is done now; NULL: nothing any more. */
void probe_progress(const struct probe *probe, const char *doing);

/* Goes to one host after another of `peer`, until `deadline` (clock_steady()), and notes
 * what it finds. */
void probe_walk(struct probe *probe);

/* Goes to the host of the route's try in hand. True: mail could be sent there. */
bool probe_host(struct probe *probe, struct probe_host *host);

/* ---- the report: pure, but for the stream ---- */

/* Sets `result`, the last line, and `hint` from what was found. */
void probe_conclude(struct probe *probe);

const char *probe_stage_name(enum probe_stage stage);
const char *probe_dane_name(enum dane_state state);
const char *probe_status_name(enum peer_status status);

/* Which certificate or record vouches for the host: "secure, dane", or "". */
const char *probe_vouchers(
	const struct probe *probe, const struct probe_host *host, char text[64]);

/* NULL: the host is none of the domain's. */
const struct candidate *probe_candidate(
	const struct probe *probe, const struct probe_host *host);

/* "mx1.bank.example[192.0.2.1]" */
const char *probe_host_name(
	const struct probe *probe, const struct probe_host *host, char text[ROUTE_HOST]);

/* Whether TLSA records count, or an MTA-STS policy, should the domain have any. */
bool probe_dane_counts(const struct probe *probe);
bool probe_sts_counts(const struct probe *probe);

/* Whether the policy counts for this host: TLSA records may count in its place. */
bool probe_sts_holds(const struct probe *probe, const struct probe_host *host);

/* Whether this TLSA record of its candidate is the one that matched. */
bool probe_matched(const struct probe_host *host, unsigned record);

void probe_write_text(FILE *out, const struct probe *probe);
void probe_write_json(FILE *out, const struct probe *probe);

#endif
