/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A requirement is a list of demands, and each of them is one function here. They are
 * asked in turn, and the first that is not met is the verdict: so none of them can make
 * up for another, and what is added to the list can only take away.
 */

#include "judge_private.h"

#include <assert.h>
#include <string.h>

static const struct {
	const char *name, *code;
} verdicts[] = {
	[VERDICT_PASS] = { "pass", "2.0.0" },
	[VERDICT_NO_TLS] = { "no-tls", "4.7.4" },
	[VERDICT_PROTOCOL] = { "protocol", "4.7.5" },
	[VERDICT_MX] = { "mx", "4.7.0" },
	[VERDICT_CHAIN] = { "chain", "4.7.5" },
	[VERDICT_NAME] = { "name", "4.7.5" },
	[VERDICT_FINGERPRINT] = { "fingerprint", "4.7.5" },
	[VERDICT_NO_CERTIFICATE] = { "no-certificate", "4.7.5" },
	[VERDICT_DANE] = { "dane", "4.7.5" },
	[VERDICT_DNS] = { "dns", "4.4.3" },
	[VERDICT_STS] = { "mta-sts", "4.7.5" },
	[VERDICT_NOT_AVAILABLE] = { "not-available", "4.3.5" },
	[VERDICT_LITERAL] = { "literal", "4.7.0" },
};
static_assert(sizeof(verdicts) / sizeof(*verdicts) == VERDICTS,
	"a name and a code for every verdict");

const char *verdict_name(enum verdict verdict)
{
	return verdicts[verdict].name;
}

const char *verdict_code(enum verdict verdict)
{
	return verdicts[verdict].code;
}

static const char *const chains[] = {
	[CHAIN_NOT_ASKED] = "not-asked",
	[CHAIN_VALID] = "valid",
	[CHAIN_UNTRUSTED] = "untrusted",
	[CHAIN_EXPIRED] = "expired",
	[CHAIN_NOT_YET_VALID] = "not-yet-valid",
	[CHAIN_WEAK] = "weak",
	[CHAIN_PURPOSE] = "purpose",
	[CHAIN_CONSTRAINED] = "constrained",
	[CHAIN_BROKEN] = "broken",
};
static_assert(sizeof(chains) / sizeof(*chains) == CHAIN_VERDICTS, "a name each");

const char *chain_verdict_name(enum chain_verdict verdict)
{
	return chains[verdict];
}

/* ---- names ---- */

/* "*." and two labels at least: "*.com" would cover half the world. */
static bool is_wildcard(const char *name)
{
	if (strncmp(name, "*.", 2) != 0 || name[2] == '.')
		return false;
	const char *dot = strchr(name + 2, '.');
	return dot && dot[1] != '\0';
}

/* A star anywhere but in front, or in front of too little, covers nothing. */
static bool is_sound(const char *name)
{
	return name[0] != '\0' && !strchr(is_wildcard(name) ? name + 1 : name, '*');
}

bool judge_name_matches(const char *certificate_name, const char *host)
{
	if (!is_sound(certificate_name))
		return false;
	if (!is_wildcard(certificate_name))
		return strcmp(certificate_name, host) == 0;
	const char *dot = strchr(host, '.');
	return dot && dot > host && strcmp(certificate_name + 1, dot) == 0;
}

/* Whether all that this name covers lies below the domain. */
static bool is_below(const char *name, const char *domain)
{
	size_t length = strlen(name), tail = strlen(domain);
	return is_sound(name) && tail > 0 && length > tail + 1 &&
	       name[length - tail - 1] == '.' &&
	       strcmp(name + length - tail, domain) == 0;
}

/* Whether a pattern of `match` or `mx` allows this name, of a certificate or a host. */
static bool pattern_allows(
	const char *pattern, const char *name, const struct matter *matter)
{
	const char *domain = matter->peer->domain;
	if (strcmp(pattern, "mx") == 0)
		return matter->candidate &&
		       judge_name_matches(name, matter->candidate->name);
	if (strcmp(pattern, "domain") == 0)
		return domain[0] != '\0' &&
		       (judge_name_matches(name, domain) || is_below(name, domain));
	if (pattern[0] == '.')
		return is_below(name, pattern + 1);
	if (pattern[0] == '*' && judge_name_matches(pattern, name))
		return true;
	return judge_name_matches(name, pattern);
}

const char *judge_match(const struct peer *peer, unsigned i)
{
	const struct demand *demand = &peer->demand;
	if (demand->match_count > 0)
		return i < demand->match_count ? demand->match[i] : NULL;
	if (i > 0)
		return NULL;
	bool mx = demand->level == LEVEL_VERIFY && peer->direction != DIRECTION_INBOUND;
	return mx ? "mx" : "domain";
}

static bool match_allows(const char *name, const struct matter *matter)
{
	const char *pattern;
	for (unsigned i = 0; (pattern = judge_match(matter->peer, i)); i++)
		if (pattern_allows(pattern, name, matter))
			return true;
	return false;
}

/*
 * A trust anchor's TLSA record vouches for the base that it was found at, the host by its
 * own name where that is an alias, and the domain (RFC 7672 §3.2.3).
 */
static bool dane_allows(const char *name, const struct matter *matter)
{
	return judge_name_matches(name, matter->candidate->tlsa_base) ||
	       judge_name_matches(name, matter->candidate->name) ||
	       judge_name_matches(name, matter->peer->domain);
}

static bool sts_allows(const char *name, const struct matter *matter)
{
	return judge_name_matches(name, matter->candidate->name);
}

static bool certificate_bears(const struct matter *matter,
	bool (*allows)(const char *name, const struct matter *matter))
{
	const char *names = matter->facts->chain->names;
	for (const char *name = names; name[0] != '\0'; name += strlen(name) + 1)
		if (allows(name, matter))
			return true;
	return false;
}

/* ---- what is in force ---- */

static bool is_dane_level(const struct peer *peer)
{
	return peer->demand.level == LEVEL_DANE || peer->demand.level == LEVEL_DANE_ONLY;
}

/*
 * DANE is what the domain itself demands: only `dane = no` goes below it. A relay has it
 * where its file says so: its records are those of port 25, which may not be its own.
 */
static bool heeds_dane(const struct peer *peer)
{
	if (peer->direction == DIRECTION_OUTBOUND && peer->demand.dane)
		return true;
	return peer->direction != DIRECTION_INBOUND && is_dane_level(peer);
}

/*
 * The domain does not list this host, so it has no records of its own. It must not do
 * better than those that are listed: whoever can lead the backend astray could then do so
 * where the domain has DANE. Nor where nobody can tell whether it has.
 */
static enum dane_state unlisted_state(const struct peer *peer)
{
	if (peer->candidate_count == 0)
		return peer->status == PEER_DNS_FAILED ? DANE_FAILED : DANE_UNAVAILABLE;
	enum dane_state state = DANE_ABSENT;
	for (unsigned i = 0; i < peer->candidate_count; i++)
		switch ((enum dane_state)peer->candidates[i].dane) {
		case DANE_ABSENT: break;
		case DANE_UNAVAILABLE: state = DANE_UNAVAILABLE; break;
		default: return DANE_FAILED;
		}
	return state;
}

enum dane_state judge_dane_state(
	const struct peer *peer, const struct candidate *candidate)
{
	if (!heeds_dane(peer))
		return DANE_ABSENT;
	return candidate ? (enum dane_state)candidate->dane : unlisted_state(peer);
}

enum sts_mode judge_sts_mode(const struct peer *peer, const struct candidate *candidate)
{
	if (peer->direction != DIRECTION_OUTBOUND || !peer->demand.mta_sts ||
		judge_dane_state(peer, candidate) == DANE_USABLE)
		return STS_NONE;
	return (enum sts_mode)peer->sts.mode;
}

/* What of it the domain itself demands. */
static unsigned published(const struct peer *peer, const struct candidate *candidate)
{
	enum dane_state state = judge_dane_state(peer, candidate);
	unsigned by = 0;
	if (state != DANE_ABSENT && state != DANE_UNAVAILABLE)
		by |= DEMANDED_BY_DANE;
	if (judge_sts_mode(peer, candidate) == STS_ENFORCE)
		by |= DEMANDED_BY_STS;
	return by;
}

unsigned judge_demanded_by(const struct peer *peer, const struct candidate *candidate)
{
	unsigned by = published(peer, candidate);
	switch ((enum level)peer->demand.level) {
	case LEVEL_NONE:
	case LEVEL_MAY: return by;
	case LEVEL_DANE:
		if (judge_dane_state(peer, candidate) != DANE_ABSENT)
			by |= DEMANDED_BY_DANE;
		return by;
	default: return by | DEMANDED_BY_LEVEL;
	}
}

bool judge_identifies(const struct peer *peer, const struct candidate *candidate)
{
	enum level level = (enum level)peer->demand.level;
	return level == LEVEL_VERIFY || level == LEVEL_SECURE ||
	       level == LEVEL_FINGERPRINT ||
	       judge_dane_state(peer, candidate) == DANE_USABLE ||
	       judge_sts_mode(peer, candidate) == STS_ENFORCE;
}

enum encryption judge_encryption(
	const struct peer *peer, const struct candidate *candidate)
{
	if (judge_demanded_by(peer, candidate) != 0)
		return ENCRYPTION_MUST;
	return peer->demand.level == LEVEL_NONE ? ENCRYPTION_NONE : ENCRYPTION_MAY;
}

unsigned judge_asks(const struct peer *peer, const struct candidate *candidate)
{
	unsigned asks = 0;
	switch ((enum level)peer->demand.level) {
	case LEVEL_VERIFY:
	case LEVEL_SECURE:
		asks = ASK_LEAF;
		asks |= peer->demand.ca_length > 0 ? ASK_OWN_CHAIN : ASK_PUBLIC_CHAIN;
		break;
	case LEVEL_FINGERPRINT: asks = ASK_LEAF; break;
	default: break;
	}
	if (judge_dane_state(peer, candidate) == DANE_USABLE)
		asks |= ASK_LEAF | ASK_DANE;
	if (judge_sts_mode(peer, candidate) != STS_NONE)
		asks |= ASK_LEAF | ASK_PUBLIC_CHAIN;
	return asks;
}

bool judge_needs_candidates(const struct peer *peer)
{
	const struct demand *demand = &peer->demand;
	if (peer->direction == DIRECTION_INBOUND)
		return false;
	if (demand->mx_count > 0 || is_dane_level(peer))
		return true;
	if (demand->level == LEVEL_VERIFY || demand->level == LEVEL_SECURE) {
		const char *pattern;
		for (unsigned i = 0; (pattern = judge_match(peer, i)); i++)
			if (strcmp(pattern, "mx") == 0)
				return true;
	}
	return published(peer, NULL) != 0;
}

/* ---- the demands, each met or not ---- */

static bool dane_is_known(const struct peer *peer)
{
	for (unsigned i = 0; i < peer->candidate_count; i++)
		if (peer->candidates[i].dane != DANE_UNAVAILABLE)
			return true;
	return false;
}

/* Whether it can be met at all. */
static enum verdict demand_sense(const struct matter *matter)
{
	const struct peer *peer = matter->peer;
	enum level level = peer->demand.level;
	bool weak = level == LEVEL_NONE || level == LEVEL_MAY || level == LEVEL_ENCRYPT;
	if (level >= LEVELS)
		return VERDICT_NOT_AVAILABLE;
	if (peer->direction == DIRECTION_INBOUND)
		return is_dane_level(peer) ? VERDICT_NOT_AVAILABLE : VERDICT_PASS;
	if (peer->domain[0] == '[' && !weak && level != LEVEL_FINGERPRINT)
		return VERDICT_LITERAL;
	if (peer->domain[0] == '\0' && !weak)
		return VERDICT_LITERAL;
	if (is_dane_level(peer) && !dane_is_known(peer))
		return VERDICT_NOT_AVAILABLE;
	return VERDICT_PASS;
}

/* `mx`: a host that is not believed is not used, TLS or no TLS. */
static enum verdict demand_mx(const struct matter *matter)
{
	const struct demand *demand = &matter->peer->demand;
	if (matter->peer->direction == DIRECTION_INBOUND || demand->mx_count == 0)
		return VERDICT_PASS;
	for (unsigned i = 0; matter->candidate && i < demand->mx_count; i++)
		if (pattern_allows(demand->mx[i], matter->candidate->name, matter))
			return VERDICT_PASS;
	return VERDICT_MX;
}

/* What DNS says of the host, whatever the host itself says. */
static enum verdict demand_dns(const struct matter *matter)
{
	const struct peer *peer = matter->peer;
	bool only = peer->demand.level == LEVEL_DANE_ONLY;
	switch (judge_dane_state(peer, matter->candidate)) {
	case DANE_UNAVAILABLE:
		return is_dane_level(peer) ? VERDICT_NOT_AVAILABLE : VERDICT_PASS;
	case DANE_ABSENT:
	case DANE_UNUSABLE: return only ? VERDICT_DANE : VERDICT_PASS;
	/* Whoever forges which hosts there are has one with records of his own
	 * (RFC 7672 §2.2.1). */
	case DANE_USABLE: return only && !peer->secure_mx ? VERDICT_DANE : VERDICT_PASS;
	default: break;
	}
	/* A host that is not listed fails by what is published for those that are. */
	bool unknown = matter->candidate || peer->candidate_count == 0;
	for (unsigned i = 0; i < peer->candidate_count; i++)
		unknown |= peer->candidates[i].dane == DANE_FAILED;
	return unknown ? VERDICT_DNS : VERDICT_DANE;
}

bool judge_sts_lists(const struct peer *peer, const struct candidate *candidate)
{
	for (unsigned i = 0; candidate && i < peer->sts.mx_count; i++)
		if (judge_name_matches(peer->sts.mx[i], candidate->name))
			return true;
	return false;
}

/*
 * What an MTA-STS policy asks for (RFC 8461 §4.1, §4.2): first what is known before there
 * is TLS. A CN is no name to it.
 */
static enum verdict hold_to_sts(const struct matter *matter)
{
	const struct chain_facts *chain = matter->facts->chain;
	if (!judge_sts_lists(matter->peer, matter->candidate))
		return VERDICT_STS;
	if (matter->facts->protocol == PROTOCOL_CLEAR)
		return VERDICT_NO_TLS;
	if (matter->facts->protocol < PROTOCOL_TLS_1_2)
		return VERDICT_PROTOCOL;
	if (!chain || chain->count == 0 || chain->public_chain != CHAIN_VALID)
		return VERDICT_STS;
	return !chain->common_name && certificate_bears(matter, sts_allows) ? VERDICT_PASS
									    : VERDICT_STS;
}

/*
 * Whoever forges which hosts there are brings one with TLSA records of his own: that a
 * host has some spares it the rest of the policy, but not to be one that it names.
 */
static bool is_smuggled(const struct peer *peer, const struct candidate *candidate)
{
	return peer->direction == DIRECTION_OUTBOUND && peer->demand.mta_sts &&
	       !peer->secure_mx && judge_dane_state(peer, candidate) == DANE_USABLE &&
	       !judge_sts_lists(peer, candidate);
}

static enum verdict demand_sts(const struct matter *matter)
{
	const struct peer *peer = matter->peer;
	if (peer->sts.mode == STS_ENFORCE && is_smuggled(peer, matter->candidate))
		return VERDICT_STS;
	enum sts_mode mode = judge_sts_mode(peer, matter->candidate);
	return mode == STS_ENFORCE ? hold_to_sts(matter) : VERDICT_PASS;
}

static enum verdict demand_tls(const struct matter *matter)
{
	bool must = judge_encryption(matter->peer, matter->candidate) == ENCRYPTION_MUST;
	return must && matter->facts->protocol == PROTOCOL_CLEAR ? VERDICT_NO_TLS
								 : VERDICT_PASS;
}

/* `protocols`, wherever TLS is spoken. A client under `may` could as well come in clear.
 */
static enum verdict demand_protocol(const struct matter *matter)
{
	static const uint16_t least[] = {
		[PROTOCOLS_TLS_1_2] = PROTOCOL_TLS_1_2,
		[PROTOCOLS_TLS_1_3] = PROTOCOL_TLS_1_3,
		[PROTOCOLS_LEGACY] = PROTOCOL_TLS_1_0,
	};
	static_assert(sizeof(least) / sizeof(*least) == PROTOCOLS_COUNT,
		"a least version for all `protocols`");
	const struct peer *peer = matter->peer;
	bool inbound = peer->direction == DIRECTION_INBOUND;
	if (matter->facts->protocol == PROTOCOL_CLEAR ||
		judge_encryption(peer, matter->candidate) == ENCRYPTION_NONE ||
		(inbound && peer->demand.level == LEVEL_MAY))
		return VERDICT_PASS;
	return matter->facts->protocol >= least[peer->demand.protocols]
		       ? VERDICT_PASS
		       : VERDICT_PROTOCOL;
}

static enum verdict demand_dane(const struct matter *matter)
{
	const struct chain_facts *chain = matter->facts->chain;
	if (judge_dane_state(matter->peer, matter->candidate) != DANE_USABLE)
		return VERDICT_PASS;
	switch (chain ? (enum dane_match)chain->dane : DANE_MATCH_NOT_ASKED) {
	case DANE_MATCH_EE: return VERDICT_PASS;
	case DANE_MATCH_TA:
		return certificate_bears(matter, dane_allows) ? VERDICT_PASS
							      : VERDICT_DANE;
	case DANE_MATCH_NOT_ASKED:
	case DANE_MATCH_NONE: break;
	}
	return VERDICT_DANE;
}

enum chain_verdict judge_chain_verdict(const struct matter *matter)
{
	const struct chain_facts *chain = matter->facts->chain;
	return matter->peer->demand.ca_length > 0 ? chain->own_chain
						  : chain->public_chain;
}

static bool fingerprint_is_of(
	const struct fingerprint *fingerprint, const struct certificate_facts *leaf)
{
	bool spki = fingerprint->of == FINGERPRINT_SPKI;
	switch (fingerprint->length) {
	case 32:
		return memcmp(fingerprint->octets,
			       spki ? leaf->spki_sha256 : leaf->certificate_sha256,
			       32) == 0;
	case 64:
		return memcmp(fingerprint->octets,
			       spki ? leaf->spki_sha512 : leaf->certificate_sha512,
			       64) == 0;
	default: return false;
	}
}

static bool is_pinned(const struct matter *matter)
{
	const struct demand *demand = &matter->peer->demand;
	const struct certificate_facts *leaf = &matter->facts->chain->certificates[0];
	for (unsigned i = 0; i < demand->fingerprint_count; i++)
		if (fingerprint_is_of(&demand->fingerprints[i], leaf))
			return true;
	return false;
}

/* What the level wants of the certificate. */
static enum verdict demand_certificate(const struct matter *matter)
{
	enum level level = matter->peer->demand.level;
	const struct chain_facts *chain = matter->facts->chain;
	if (level != LEVEL_VERIFY && level != LEVEL_SECURE && level != LEVEL_FINGERPRINT)
		return VERDICT_PASS;
	if (!chain || chain->count == 0)
		return VERDICT_NO_CERTIFICATE;
	if (level == LEVEL_FINGERPRINT)
		return is_pinned(matter) ? VERDICT_PASS : VERDICT_FINGERPRINT;
	if (judge_chain_verdict(matter) != CHAIN_VALID)
		return VERDICT_CHAIN;
	return certificate_bears(matter, match_allows) ? VERDICT_PASS : VERDICT_NAME;
}

/* ---- the judgement ---- */

enum verdict judge(const struct peer *peer, const struct candidate *candidate,
	const struct facts *facts, char reason[REQUIREMENT_TEXT])
{
	static enum verdict (*const demands[])(const struct matter *matter) = {
		demand_sense,
		demand_mx,
		demand_dns,
		demand_sts,
		demand_tls,
		demand_protocol,
		demand_dane,
		demand_certificate,
	};
	const struct matter matter = { peer, candidate, facts, false };
	enum verdict verdict = VERDICT_PASS;
	for (unsigned i = 0; i < sizeof(demands) / sizeof(*demands); i++)
		if ((verdict = demands[i](&matter)) != VERDICT_PASS)
			break;
	judge_explain(&matter, verdict, reason);
	return verdict;
}

enum verdict judge_sts_testing(const struct peer *peer, const struct candidate *candidate,
	const struct facts *facts, char reason[REQUIREMENT_TEXT])
{
	const struct matter matter = { peer, candidate, facts, true };
	enum verdict verdict = VERDICT_PASS;
	if (peer->sts.mode == STS_TESTING && is_smuggled(peer, candidate))
		verdict = VERDICT_STS;
	else if (judge_sts_mode(peer, candidate) == STS_TESTING)
		verdict = hold_to_sts(&matter);
	judge_explain(&matter, verdict, reason);
	return verdict;
}

enum verdict judge_before(const struct peer *peer, char reason[REQUIREMENT_TEXT])
{
	const struct matter matter = { peer, NULL, NULL, false };
	enum verdict verdict = demand_sense(&matter);
	judge_explain(&matter, verdict, reason);
	return verdict;
}
