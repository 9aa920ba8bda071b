/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICYFILE_H
#define SEALPOST_POLICYFILE_H

/*
 * One policy file as plain data: sealpost.policy(5). Reads an open file and nothing else;
 * inih does the lines. directory.c decides which files there are, whose they are, and
 * reads what they name.
 */

#include "requirement.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct policyfile {
	char domain[REQUIREMENT_NAME]; /* "default", "usbank.com", "[192.0.2.1]" */
	char *path;
	bool subdomains;
	int64_t expires; /* first second (UTC) after the last day; 0: never */
	char *note;	 /* or NULL */
	struct demand outbound, inbound;
	bool has_outbound, has_inbound;
	/* Lines that decided, 0: the default did. */
	unsigned outbound_line, inbound_line;
	char *outbound_ca, *inbound_ca; /* paths, or NULL; read by directory.c */
	unsigned outbound_ca_line, inbound_ca_line;
};

/* What a domain demands that no file speaks of: outbound and inbound `may`. */
extern const struct demand demand_default;

/*
 * The domain that a file name stands for ("usbank.com.policy"), or false: not ending in
 * .policy, no lower-case A-label name, no address literal, "default" being one.
 */
bool policyfile_domain(const char *file_name, char domain[REQUIREMENT_NAME]);

/* The one way to write an address literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC
 * 5952), or false: it is none. */
bool policyfile_literal(const char *text, char literal[REQUIREMENT_NAME]);

/*
 * Every fault goes to `faults` as "path:line: message", all of them, not the first alone.
 * NULL when there was one, or without memory; even then `subdomains` says whether the
 * file was meant for the names below its domain, as far as that could be read.
 */
struct policyfile *policyfile_read(
	FILE *in, const char *path, const char *domain, FILE *faults, bool *subdomains);
void policyfile_free(struct policyfile *file); /* NULL is allowed */

/* What there is to compare of two demands. */
enum policyfile_aspect {
	ASPECT_TLS,
	ASPECT_MATCH,
	ASPECT_MX,
	ASPECT_FINGERPRINT,
	ASPECT_CA,
	ASPECT_PROTOCOLS,
	ASPECT_DANE,
	ASPECT_MTA_STS,
	ASPECTS
};

enum change {
	CHANGE_NONE, /* or stronger */
	CHANGE_WEAKER,
	CHANGE_OTHER, /* others are believed than before: neither weaker nor stronger */
};

/*
 * What becomes of the protection of mail to, or from, `domain` where `after` is demanded
 * in place of `before`; in words, such as "tls = secure is now may". Pure. Where `tls`
 * itself is weaker or other, nothing more is said of what belonged to it.
 */
enum change policyfile_compare(enum policyfile_aspect aspect, const char *domain,
	const struct demand *before, const struct demand *after,
	char text[REQUIREMENT_TEXT]);

#endif
