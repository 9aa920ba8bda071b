/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_JUDGE_H
#define SEALPOST_JUDGE_H

/*
 * The judgement: a pure function of what is demanded, whom we are connected to, and what
 * is known of the connection. A peer's demands are a list, and all of them must pass.
 * tests/golden/judge.txt holds every cell of its truth table.
 */

#include "facts.h"
#include "requirement.h"

#include <stdbool.h>

/* How a leg to a candidate begins. */
enum encryption {
	ENCRYPTION_NONE, /* TLS is not tried */
	ENCRYPTION_MAY,	 /* tried, and done without where it fails */
	ENCRYPTION_MUST, /* or nothing is said at all */
};

/* What the TLS layer must find out about the peer's chain before it can be judged. */
enum {
	ASK_LEAF = 1,	      /* digests and names */
	ASK_PUBLIC_CHAIN = 2, /* verification to [policy] ca */
	ASK_OWN_CHAIN = 4,    /* verification to demand.ca */
	ASK_DANE = 8,
};

/*
 * `candidate` may be NULL: the host is not among the domain's candidates, or (inbound)
 * there are none. Such a host bears no name of "mx", is none of `mx`, and is not used
 * where the domain's own hosts have TLSA records.
 */
enum encryption judge_encryption(
	const struct peer *peer, const struct candidate *candidate);
unsigned judge_asks(const struct peer *peer, const struct candidate *candidate);

/* What demands TLS of it: the level of a file, what the domain publishes; 0: nothing. */
enum { DEMANDED_BY_LEVEL = 1, DEMANDED_BY_DANE = 2, DEMANDED_BY_STS = 4 };
unsigned judge_demanded_by(const struct peer *peer, const struct candidate *candidate);

/*
 * What is known of the TLSA records of whom we are connected to, and the MTA-STS policy
 * that holds for it; DANE_ABSENT and STS_NONE as well where they do not count: switched
 * off, inbound, and for MTA-STS where the host has DANE (RFC 8461 §2).
 */
enum dane_state judge_dane_state(
	const struct peer *peer, const struct candidate *candidate);
enum sts_mode judge_sts_mode(const struct peer *peer, const struct candidate *candidate);

/* Whether a host that passes over TLS has proved who it is, because that is demanded. */
bool judge_identifies(const struct peer *peer, const struct candidate *candidate);

/* Whether the domain's MTA-STS policy names this host, which may be NULL. */
bool judge_sts_lists(const struct peer *peer, const struct candidate *candidate);

/* Whether MX hosts matter: without, an intercepted destination is served without DNS. */
bool judge_needs_candidates(const struct peer *peer);

enum verdict {
	VERDICT_PASS,
	VERDICT_NO_TLS,	  /* it is in clear: 4.7.4 */
	VERDICT_PROTOCOL, /* TLS is too old for `protocols` */
	VERDICT_MX,	  /* the host is not one of `mx` */
	VERDICT_CHAIN,	  /* not trusted, expired, ... */
	VERDICT_NAME,	  /* trusted, and bears no name that is allowed */
	VERDICT_FINGERPRINT,
	VERDICT_NO_CERTIFICATE, /* inbound: none was shown */
	VERDICT_DANE,
	VERDICT_DNS, /* its TLSA records are bogus, or not to be had: 4.4.3 */
	VERDICT_STS, /* MTA-STS in mode enforce: the host, its chain or its name */
	VERDICT_NOT_AVAILABLE, /* the level needs what this build lacks: 451 4.3.5 */
	VERDICT_LITERAL,       /* the level means nothing for an address literal */
	VERDICTS
};

/* A name for the log ("chain"), and its enhanced status code ("4.7.5"). */
const char *verdict_name(enum verdict verdict);
const char *verdict_code(enum verdict verdict);

/* For the log and `sealpost probe`: "untrusted". */
const char *chain_verdict_name(enum chain_verdict verdict);

/*
 * `reason` (REQUIREMENT_TEXT octets) says in plain words why it is no pass, names what
 * was seen and what was demanded, and is "" for a pass. `facts` of a leg in clear has
 * protocol PROTOCOL_CLEAR, and is judged as well: VERDICT_MX and, where DNS decides,
 * VERDICT_DNS, VERDICT_DANE and VERDICT_STS come before VERDICT_NO_TLS. What judge_asks()
 * wants must have been asked for: what was not never passes. A demand without `match`
 * means "mx" for verify (inbound: "domain") and "domain" for secure.
 */
enum verdict judge(const struct peer *peer, const struct candidate *candidate,
	const struct facts *facts, char reason[REQUIREMENT_TEXT]);

/*
 * What the domain's MTA-STS policy in mode testing would have refused, were it in force,
 * with its reason; a pass where there is no such policy.
 */
enum verdict judge_sts_testing(const struct peer *peer, const struct candidate *candidate,
	const struct facts *facts, char reason[REQUIREMENT_TEXT]);

/* Whether the requirement can never be met whatever host is reached (dane without its
 * DNS, a literal under secure, postmaster under more than encrypt): asked before any
 * connection is made. */
enum verdict judge_before(const struct peer *peer, char reason[REQUIREMENT_TEXT]);

/* Whether a certificate's name (which may begin with "*.") covers a host name
 * (RFC 6125 §6.4.3: the wildcard is one whole label, and two follow it). */
bool judge_name_matches(const char *certificate_name, const char *host);

#endif
