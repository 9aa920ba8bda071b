/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Why it is no pass, for the administrator who reads it in a queue or a log: what was
 * seen, and what was demanded. A certificate's names are its owner's words: they are cut,
 * counted, and nothing but printable ASCII gets through.
 */

#include "judge_private.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	SHOWN_NAMES = 3,   /* of a list */
	SHOWN_OCTETS = 80, /* of a name */
};

/* A text under way; what does not fit is left out. */
struct text {
	char *octets; /* REQUIREMENT_TEXT of them */
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void say(
	struct text *text, const char *format, ...)
{
	size_t room = REQUIREMENT_TEXT - text->length;
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text->octets + text->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		text->length += (size_t)length < room ? (size_t)length : room - 1;
}

/* An element of a list, or one more that is counted only. */
static void say_element(struct text *text, unsigned number, const char *between)
{
	if (number > 0 && number < SHOWN_NAMES)
		say(text, "%s", between);
}

static void say_rest(struct text *text, unsigned count)
{
	if (count > SHOWN_NAMES)
		say(text, " (+%u more)", count - SHOWN_NAMES);
}

/* Who the other side is. */
static const char *whom(const struct matter *matter)
{
	if (matter->peer->direction == DIRECTION_INBOUND)
		return "the client";
	if (matter->candidate && matter->candidate->name[0] != '\0')
		return matter->candidate->name;
	return "the host";
}

/* Who demands TLS: the file's level, or what the domain publishes. */
static const char *tls_demanded(const struct matter *matter)
{
	unsigned by = judge_demanded_by(matter->peer, matter->candidate);
	if (matter->only_sts)
		return "mta-sts";
	if (by & DEMANDED_BY_LEVEL)
		return level_name((enum level)matter->peer->demand.level);
	return by & DEMANDED_BY_DANE ? "dane" : "mta-sts";
}

static void say_date(struct text *text, int64_t when)
{
	char date[32];
	time_t seconds = (time_t)when;
	struct tm broken_down;
	if (gmtime_r(&seconds, &broken_down) &&
		strftime(date, sizeof(date), "%Y-%m-%d", &broken_down) > 0)
		say(text, " (%s)", date);
}

/* ---- names ---- */

static void say_pattern(
	struct text *text, const char *pattern, const struct matter *matter)
{
	if (strcmp(pattern, "mx") == 0 && matter->candidate)
		say(text, "%.*s", SHOWN_OCTETS, matter->candidate->name);
	else if (strcmp(pattern, "mx") == 0)
		say(text, "an MX host's name");
	else if (strcmp(pattern, "domain") == 0 && matter->peer->domain[0] == '\0')
		say(text, "a name of a domain");
	else if (strcmp(pattern, "domain") == 0)
		say(text, "%.*s or a name below it", SHOWN_OCTETS, matter->peer->domain);
	else if (pattern[0] == '.')
		say(text, "a name below %.*s", SHOWN_OCTETS, pattern + 1);
	else
		say(text, "%.*s", SHOWN_OCTETS, pattern);
}

static void say_match(struct text *text, const struct matter *matter)
{
	const char *pattern;
	unsigned count = 0;
	for (; (pattern = judge_match(matter->peer, count)); count++) {
		say_element(text, count, " or ");
		if (count < SHOWN_NAMES)
			say_pattern(text, pattern, matter);
	}
	say_rest(text, count);
}

static void say_mx(struct text *text, const struct matter *matter)
{
	const struct demand *demand = &matter->peer->demand;
	for (unsigned i = 0; i < demand->mx_count; i++) {
		say_element(text, i, " or ");
		if (i < SHOWN_NAMES)
			say_pattern(text, demand->mx[i], matter);
	}
	say_rest(text, demand->mx_count);
}

static void say_names(struct text *text, const struct matter *matter)
{
	const struct chain_facts *chain = matter->facts->chain;
	unsigned count = 0;
	say(text, "certificate of %s %s", whom(matter),
		chain->names[0] != '\0' ? "names " : "bears no name");
	for (const char *name = chain->names; *name; name += strlen(name) + 1, count++) {
		say_element(text, count, ", ");
		if (count < SHOWN_NAMES)
			say(text, "%.*s", SHOWN_OCTETS, name);
	}
	say_rest(text, count);
}

/* ---- certificates ---- */

/* The certificate whose date ended first, or begins last. */
static unsigned outlier(const struct chain_facts *chain, bool ended)
{
	const struct certificate_facts *all = chain->certificates;
	unsigned found = 0;
	for (unsigned i = 1; i < chain->count; i++)
		if (ended ? all[i].not_after < all[found].not_after
			  : all[i].not_before > all[found].not_before)
			found = i;
	return found;
}

static void say_dates(struct text *text, const struct matter *matter, bool ended)
{
	const struct chain_facts *chain = matter->facts->chain;
	unsigned i = outlier(chain, ended);
	if (i == 0)
		say(text, "certificate of %s", whom(matter));
	else
		say(text, "a CA certificate in the chain of %s", whom(matter));
	say(text, ended ? " has expired" : " is not yet valid");
	say_date(text, ended ? chain->certificates[i].not_after
			     : chain->certificates[i].not_before);
}

static const char *chain_fault(enum chain_verdict verdict)
{
	switch (verdict) {
	case CHAIN_UNTRUSTED: return "leads to no CA that is trusted";
	case CHAIN_WEAK: return "has a key or a signature that is too weak";
	case CHAIN_PURPOSE: return "is not meant for this use";
	case CHAIN_CONSTRAINED: return "bears a name that its CA may not certify";
	case CHAIN_BROKEN: return "has a chain that is broken";
	default: return "was not verified";
	}
}

/* In the words of whoever looked at the chain, where there are any. */
static void say_chain(
	struct text *text, const struct matter *matter, enum chain_verdict verdict)
{
	if (matter->facts->chain->reason[0] != '\0')
		say(text, "certificate of %s: %s", whom(matter),
			matter->facts->chain->reason);
	else if (verdict == CHAIN_EXPIRED || verdict == CHAIN_NOT_YET_VALID)
		say_dates(text, matter, verdict == CHAIN_EXPIRED);
	else
		say(text, "certificate of %s %s", whom(matter), chain_fault(verdict));
}

static void explain_chain(struct text *text, const struct matter *matter)
{
	enum chain_verdict verdict = judge_chain_verdict(matter);
	say_chain(text, matter, verdict);
	if (verdict == CHAIN_UNTRUSTED && matter->peer->demand.ca_length > 0)
		say(text, ", demanded: the `ca` of its policy file");
}

/* The leaf's fingerprint as a policy file would say it: of the kind demanded first. */
static void explain_fingerprint(struct text *text, const struct matter *matter)
{
	const struct demand *demand = &matter->peer->demand;
	const struct certificate_facts *leaf = &matter->facts->chain->certificates[0];
	const struct fingerprint *first = &demand->fingerprints[0];
	bool spki = demand->fingerprint_count > 0 && first->of == FINGERPRINT_SPKI;
	bool sha512 = demand->fingerprint_count > 0 && first->length == 64;
	const uint8_t *octets = spki ? leaf->spki_sha256 : leaf->certificate_sha256;
	if (sha512)
		octets = spki ? leaf->spki_sha512 : leaf->certificate_sha512;
	say(text, "certificate of %s is %s/%s:", whom(matter),
		sha512 ? "sha512" : "sha256", spki ? "spki" : "cert");
	for (unsigned i = 0; i < (sha512 ? 64 : 32); i++)
		say(text, "%02x", octets[i]);
	if (demand->fingerprint_count > 1)
		say(text, ", demanded: one of %u others", demand->fingerprint_count);
	else
		say(text, ", demanded: another");
}

static void explain_records(struct text *text, const struct matter *matter)
{
	const struct chain_facts *chain = matter->facts->chain;
	const struct candidate *c = matter->candidate;
	bool only = matter->peer->demand.level == LEVEL_DANE_ONLY;
	if (only && !matter->peer->secure_mx) {
		say(text, "MX records of %.*s cannot be validated, demanded: dane-only",
			SHOWN_OCTETS, matter->peer->domain);
	} else if (chain && chain->dane == DANE_MATCH_TA) {
		say_names(text, matter);
		say(text, ", demanded by its TLSA records: %.*s or %.*s", SHOWN_OCTETS,
			c->tlsa_base, SHOWN_OCTETS, matter->peer->domain);
	} else if (chain && chain->dane_reason[0] != '\0') {
		say(text, "certificate of %s and the anchor of its TLSA records: %s",
			whom(matter), chain->dane_reason);
	} else {
		say(text, "certificate of %s matches none of its TLSA records",
			whom(matter));
	}
}

static void explain_dane(struct text *text, const struct matter *matter)
{
	const char *host = whom(matter);
	switch (judge_dane_state(matter->peer, matter->candidate)) {
	case DANE_ABSENT:
		say(text, "%s has no TLSA records, demanded: dane-only", host);
		break;
	case DANE_UNUSABLE:
		say(text, "%s has no TLSA record that can be used, demanded: dane-only",
			host);
		break;
	case DANE_USABLE: explain_records(text, matter); break;
	default:
		say(text, "%s is not an MX host of %.*s, whose MX hosts have DANE", host,
			SHOWN_OCTETS, matter->peer->domain);
	}
}

static void explain_dns(struct text *text, const struct matter *matter)
{
	if (matter->candidate)
		say(text, "DNS: the TLSA records of %s are bogus or not to be had",
			whom(matter));
	else
		say(text, "DNS: nobody can tell whether %.*s has DANE", SHOWN_OCTETS,
			matter->peer->domain);
}

/* ---- MTA-STS ---- */

static void explain_sts(struct text *text, const struct matter *matter)
{
	const struct chain_facts *chain = matter->facts->chain;
	if (!judge_sts_lists(matter->peer, matter->candidate)) {
		say(text, "%s is no MX host that the MTA-STS policy of %.*s names",
			whom(matter), SHOWN_OCTETS, matter->peer->domain);
		return;
	}
	if (!chain || chain->count == 0)
		say(text, "%s showed no certificate", whom(matter));
	else if (chain->public_chain != CHAIN_VALID)
		say_chain(text, matter, (enum chain_verdict)chain->public_chain);
	else
		say_names(text, matter);
	say(text, ", demanded by the MTA-STS policy of %.*s: a valid one for %.*s",
		SHOWN_OCTETS, matter->peer->domain, SHOWN_OCTETS, whom(matter));
}

/* ---- all together ---- */

static void explain_protocol(struct text *text, const struct matter *matter)
{
	static const char *const demanded[] = {
		[PROTOCOLS_TLS_1_2] = "TLS 1.2 or later",
		[PROTOCOLS_TLS_1_3] = "TLS 1.3",
		[PROTOCOLS_LEGACY] = "TLS 1.0 or later",
	};
	static_assert(sizeof(demanded) / sizeof(*demanded) == PROTOCOLS_COUNT,
		"words for all `protocols`");
	bool sts = matter->only_sts ||
		   judge_sts_mode(matter->peer, matter->candidate) == STS_ENFORCE;
	uint8_t protocols = matter->peer->demand.protocols;
	if (sts && protocols == PROTOCOLS_LEGACY)
		protocols = PROTOCOLS_TLS_1_2;
	say(text, "%s speaks %s, demanded: %s", whom(matter), matter->facts->version,
		demanded[protocols]);
}

static void explain_mx(struct text *text, const struct matter *matter)
{
	const char *domain = matter->peer->domain;
	if (matter->candidate)
		say(text, "MX host %s of %.*s is not one that is believed", whom(matter),
			SHOWN_OCTETS, domain);
	else
		say(text, "the host is not an MX host of %.*s", SHOWN_OCTETS, domain);
	say(text, ", demanded: ");
	say_mx(text, matter);
}

static void explain_literal(struct text *text, const struct matter *matter)
{
	const char *level = level_name(matter->peer->demand.level);
	const char *domain = matter->peer->domain;
	if (domain[0] == '\0')
		say(text, "a recipient without a domain cannot have what is demanded: %s",
			level);
	else
		say(text, "the address literal %.*s cannot have what is demanded: %s",
			SHOWN_OCTETS, domain, level);
}

static void explain(struct text *text, const struct matter *matter, enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_NO_TLS:
		say(text, "%s is reached in clear, demanded: %s", whom(matter),
			tls_demanded(matter));
		break;
	case VERDICT_PROTOCOL: explain_protocol(text, matter); break;
	case VERDICT_MX: explain_mx(text, matter); break;
	case VERDICT_CHAIN: explain_chain(text, matter); break;
	case VERDICT_NAME:
		say_names(text, matter);
		say(text, ", demanded: ");
		say_match(text, matter);
		break;
	case VERDICT_FINGERPRINT: explain_fingerprint(text, matter); break;
	case VERDICT_NO_CERTIFICATE:
		say(text, "%s showed no certificate, demanded: %s", whom(matter),
			level_name(matter->peer->demand.level));
		break;
	case VERDICT_DANE: explain_dane(text, matter); break;
	case VERDICT_NOT_AVAILABLE:
		say(text, "what is demanded of %.*s is not available here", SHOWN_OCTETS,
			matter->peer->domain);
		if (matter->peer->demand.level < LEVELS)
			say(text, ": %s", level_name(matter->peer->demand.level));
		break;
	case VERDICT_DNS: explain_dns(text, matter); break;
	case VERDICT_STS: explain_sts(text, matter); break;
	case VERDICT_LITERAL: explain_literal(text, matter); break;
	case VERDICT_PASS:
	case VERDICTS: break;
	}
}

void judge_explain(
	const struct matter *matter, enum verdict verdict, char reason[REQUIREMENT_TEXT])
{
	struct text text = { .octets = reason };
	reason[0] = '\0';
	explain(&text, matter, verdict);
	for (char *at = reason; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}
