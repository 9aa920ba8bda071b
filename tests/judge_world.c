/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "judge_world.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *values[VALUES];
} dimensions[] = {
	[DIM_DIRECTION] = { "direction", { "outbound", "inbound" } },
	[DIM_DOMAIN] = { "domain", { "bank.example", "[192.0.2.1]", "none" } },
	[DIM_STATUS] = { "status", { "fine", "dns-failed", "no-domain" } },
	[DIM_LEVEL] = { "level", { "none", "may", "encrypt", "dane", "dane-only",
					 "verify", "secure", "fingerprint" } },
	[DIM_PROTOCOLS] = { "protocols", { "tls1.2+", "tls1.3", "legacy" } },
	[DIM_DANE] = { "dane", { "yes", "no" } },
	[DIM_MTA_STS] = { "mta-sts", { "yes", "no" } },
	[DIM_MX] = { "mx",
		{ "-", "mx1.mail.example", ".mail.example", "*.mail.example", "*.example",
			"domain", "other.example", "other.example,mx1.mail.example" } },
	[DIM_MATCH] = { "match",
		{ "-", "mx", "domain", ".mail.example", "mx1.mail.example",
			"other.example", "other.example,domain" } },
	[DIM_CA] = { "ca", { "public", "own" } },
	[DIM_PIN] = { "fingerprint", { "cert256", "cert512", "spki256", "spki512", "none",
					     "other", "other,spki256", "issuer" } },
	[DIM_HOST] = { "host", { "mx1", "unlisted", "unnamed", "unknown" } },
	[DIM_TLSA] = { "tlsa",
		{ "unavailable", "failed", "absent", "unusable", "usable" } },
	[DIM_SIGNED] = { "mx-records", { "signed", "unsigned" } },
	[DIM_BASE] = { "base", { "mx1.mail.example", "a.mail.example" } },
	[DIM_STS] = { "sts", { "none", "testing", "enforce" } },
	[DIM_STS_MX] = { "sts-mx",
		{ "mx1.mail.example", "*.mail.example", "*.example", "other.example",
			"other.example,mx1.mail.example", "-" } },
	[DIM_TLS] = { "tls", { "1.3", "1.2", "1.1", "1.0", "clear" } },
	[DIM_SHOWN] = { "shown", { "chain", "nothing", "unasked" } },
	[DIM_PUBLIC] = { "public-chain",
		{ "valid", "untrusted", "expired", "not-yet-valid", "weak", "purpose",
			"constrained", "broken", "unasked" } },
	[DIM_OWN] = { "own-chain",
		{ "valid", "untrusted", "expired", "not-yet-valid", "weak", "purpose",
			"constrained", "broken", "unasked" } },
	[DIM_NAMES] = { "names",
		{ "mx1.mail.example,bank.example", "mx1.mail.example", "bank.example",
			"a.bank.example", "*.bank.example", "*.mail.example", "*.example",
			"mx*.mail.example", "a.mail.example", "bank.example.evil.example",
			"evilbank.example", "none" } },
	[DIM_NAMED_BY] = { "named-by", { "san", "cn" } },
	[DIM_RECORDS] = { "records", { "unasked", "none", "ee", "ta" } },
};
static_assert(sizeof(dimensions) / sizeof(*dimensions) == DIMENSIONS,
	"values for every dimension");

const char *dimension_name(enum dimension dimension)
{
	return dimensions[dimension].name;
}

const char *value_name(enum dimension dimension, unsigned value)
{
	return value < VALUES ? dimensions[dimension].values[value] : NULL;
}

/* ---- setting a value ---- */

/* Cuts "a,b" into strings of `size` octets each; returns how many. */
static uint8_t set_patterns(char (*patterns)[REQUIREMENT_NAME], const char *list)
{
	const char *comma = strchr(list, ',');
	if (strcmp(list, "-") == 0)
		return 0;
	snprintf(patterns[0], REQUIREMENT_NAME, "%.*s",
		comma ? (int)(comma - list) : (int)strlen(list), list);
	if (comma)
		snprintf(patterns[1], REQUIREMENT_NAME, "%s", comma + 1);
	return comma ? 2 : 1;
}

/* The same with a NUL behind each, and behind the last one more. */
static void set_names(struct chain_facts *chain, const char *list)
{
	if (strcmp(list, "none") == 0)
		list = "";
	snprintf(chain->names, 128, "%s", list);
	chain->names[strlen(list) + 1] = '\0';
	for (char *at = chain->names; (at = strchr(at, ',')); at++)
		*at = '\0';
}

static struct fingerprint fingerprint(
	enum fingerprint_of of, const uint8_t *octets, uint8_t length)
{
	struct fingerprint made = { .of = of, .length = length };
	if (octets)
		memcpy(made.octets, octets, length);
	return made;
}

static void set_pins(struct judge_world *world, const char *list)
{
	struct demand *demand = &world->peer.demand;
	const struct certificate_facts *leaf = &world->chain.certificates[0];
	const struct certificate_facts *issuer = &world->chain.certificates[1];
	struct fingerprint *pins = demand->fingerprints;
	demand->fingerprint_count = 1;
	if (strcmp(list, "cert256") == 0)
		pins[0] = fingerprint(
			FINGERPRINT_CERTIFICATE, leaf->certificate_sha256, 32);
	else if (strcmp(list, "cert512") == 0)
		pins[0] = fingerprint(
			FINGERPRINT_CERTIFICATE, leaf->certificate_sha512, 64);
	else if (strcmp(list, "spki256") == 0)
		pins[0] = fingerprint(FINGERPRINT_SPKI, leaf->spki_sha256, 32);
	else if (strcmp(list, "spki512") == 0)
		pins[0] = fingerprint(FINGERPRINT_SPKI, leaf->spki_sha512, 64);
	else if (strcmp(list, "issuer") == 0)
		pins[0] = fingerprint(
			FINGERPRINT_CERTIFICATE, issuer->certificate_sha256, 32);
	else
		pins[0] = fingerprint(FINGERPRINT_CERTIFICATE, NULL, 32);
	if (strcmp(list, "none") == 0)
		demand->fingerprint_count = 0;
	if (strcmp(list, "other,spki256") == 0) {
		pins[1] = fingerprint(FINGERPRINT_SPKI, leaf->spki_sha256, 32);
		demand->fingerprint_count = 2;
	}
}

static void set_host(struct judge_world *world, unsigned value)
{
	struct candidate *candidate = &world->peer.candidates[0];
	bool listed = value == HOST_LISTED || value == HOST_UNNAMED;
	world->peer.candidate_count = value == HOST_UNKNOWN ? 0 : 1;
	world->candidate = listed ? candidate : NULL;
	snprintf(candidate->name, sizeof(candidate->name), "%s",
		value == HOST_UNNAMED ? "" : "mx1.mail.example");
}

static uint8_t status(unsigned value)
{
	static const uint8_t statuses[] = {
		[STATUS_FINE] = PEER_FINE,
		[STATUS_DNS_FAILED] = PEER_DNS_FAILED,
		[STATUS_NO_DOMAIN] = PEER_NO_DOMAIN,
	};
	return statuses[value];
}

static void set_tls(struct facts *facts, const char *name)
{
	static const uint16_t protocols[] = {
		[TLS_1_3] = PROTOCOL_TLS_1_3,
		[TLS_1_2] = PROTOCOL_TLS_1_2,
		[TLS_1_1] = PROTOCOL_TLS_1_1,
		[TLS_1_0] = PROTOCOL_TLS_1_0,
		[TLS_NONE] = PROTOCOL_CLEAR,
	};
	unsigned value = 0;
	while (strcmp(name, dimensions[DIM_TLS].values[value]) != 0)
		value++;
	facts->protocol = protocols[value];
	snprintf(facts->version, sizeof(facts->version), "%s%s",
		value == TLS_NONE ? "" : "TLS", value == TLS_NONE ? "" : name);
}

/* The last value stands for the first of the enum. */
static uint8_t chain_verdict(unsigned value)
{
	return (uint8_t)((value + CHAIN_VALID) % CHAIN_VERDICTS);
}

void judge_world_set(struct judge_world *world, enum dimension dimension, unsigned value)
{
	static uint8_t ca[] = "a certificate";
	struct peer *peer = &world->peer;
	struct demand *demand = &peer->demand;
	const char *name = value_name(dimension, value);
	uint8_t octet = (uint8_t)value;
	world->at[dimension] = value;
	switch (dimension) {
	case DIM_DIRECTION:
		peer->direction =
			octet == INBOUND ? DIRECTION_INBOUND : DIRECTION_OUTBOUND;
		break;
	case DIM_DOMAIN:
		snprintf(peer->domain, sizeof(peer->domain), "%s",
			value == DOMAIN_NONE ? "" : name);
		break;
	case DIM_STATUS: peer->status = status(value); break;
	case DIM_LEVEL: demand->level = octet; break;
	case DIM_PROTOCOLS: demand->protocols = octet; break;
	case DIM_DANE: demand->dane = value == 0; break;
	case DIM_MTA_STS: demand->mta_sts = value == 0; break;
	case DIM_MX: demand->mx_count = set_patterns(demand->mx, name); break;
	case DIM_MATCH: demand->match_count = set_patterns(demand->match, name); break;
	case DIM_CA:
		demand->ca = value ? ca : NULL;
		demand->ca_length = value ? sizeof(ca) : 0;
		break;
	case DIM_PIN: set_pins(world, name); break;
	case DIM_HOST: set_host(world, value); break;
	case DIM_SIGNED: peer->secure_mx = value == 0; break;
	case DIM_TLSA: peer->candidates[0].dane = octet; break;
	case DIM_BASE:
		snprintf(peer->candidates[0].tlsa_base, REQUIREMENT_NAME, "%s", name);
		break;
	case DIM_STS: peer->sts.mode = octet; break;
	case DIM_STS_MX: peer->sts.mx_count = set_patterns(peer->sts.mx, name); break;
	case DIM_TLS: set_tls(&world->facts, name); break;
	case DIM_SHOWN:
		world->facts.chain = value == SHOWN_UNASKED ? NULL : &world->chain;
		world->chain.count = value == SHOWN_CHAIN ? 2 : 0;
		break;
	case DIM_PUBLIC: world->chain.public_chain = chain_verdict(value); break;
	case DIM_OWN: world->chain.own_chain = chain_verdict(value); break;
	case DIM_NAMES: set_names(&world->chain, name); break;
	case DIM_NAMED_BY: world->chain.common_name = value; break;
	case DIM_RECORDS: world->chain.dane = octet; break;
	case DIMENSIONS: break;
	}
}

void judge_world_init(struct judge_world *world)
{
	memset(world, 0, sizeof(*world));
	for (unsigned i = 0; i < 2; i++) {
		struct certificate_facts *c = &world->chain.certificates[i];
		memset(c->certificate_sha256, 0x11 + (int)i, 32);
		memset(c->certificate_sha512, 0x22 + (int)i, 64);
		memset(c->spki_sha256, 0x33 + (int)i, 32);
		memset(c->spki_sha512, 0x44 + (int)i, 64);
		c->not_before = 1600000000;
		c->not_after = 1700000000 + i;
	}
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		judge_world_set(world, d, 0);
}

enum verdict judge_world_judge(const struct judge_world *world, char *reason)
{
	return judge(&world->peer, world->candidate, &world->facts, reason);
}

/* ---- walking ---- */

/* The first value of the set from `value` on, or VALUES. */
static unsigned value_from(const struct walk *walk, enum dimension d, unsigned value)
{
	unsigned set = walk->values[d] ? walk->values[d] : ONLY(0);
	for (; value < VALUES && value_name(d, value); value++)
		if (set & ONLY(value))
			return value;
	return VALUES;
}

void walk_begin(const struct walk *walk, struct judge_world *world)
{
	judge_world_init(world);
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		judge_world_set(world, d, value_from(walk, d, 0));
}

bool walk_next(const struct walk *walk, struct judge_world *world)
{
	for (int d = DIMENSIONS - 1; d >= 0; d--) {
		unsigned value = value_from(walk, d, world->at[d] + 1);
		if (value < VALUES) {
			judge_world_set(world, d, value);
			return true;
		}
		judge_world_set(world, d, value_from(walk, d, 0));
	}
	return false;
}

bool walk_varies(const struct walk *walk, enum dimension dimension)
{
	return value_from(walk, dimension, value_from(walk, dimension, 0) + 1) < VALUES;
}
