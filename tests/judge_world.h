/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef TESTS_JUDGE_WORLD_H
#define TESTS_JUDGE_WORLD_H

/*
 * Everything that a judgement depends on, as dimensions with named values, and walks
 * through their product. The peer is bank.example, its MX host mx1.mail.example. Value 0
 * of a dimension is the one that no level objects to.
 */

#include "judge.h"

enum dimension {
	DIM_DIRECTION,
	DIM_DOMAIN,
	DIM_STATUS, /* of DNS */
	DIM_LEVEL,  /* values: enum level */
	DIM_PROTOCOLS,
	DIM_DANE,    /* the key of the policy file */
	DIM_MTA_STS, /* likewise */
	DIM_MX,
	DIM_MATCH,
	DIM_CA,
	DIM_PIN,
	DIM_HOST,   /* whom we are connected to */
	DIM_TLSA,   /* what DNS has of that host's */
	DIM_SIGNED, /* whether the MX records were validated */
	DIM_BASE,   /* where its TLSA records are */
	DIM_STS, /* the mode of the domain's MTA-STS policy, and the hosts that it names
		  */
	DIM_STS_MX,
	DIM_TLS,
	DIM_SHOWN,  /* whether there is a chain */
	DIM_PUBLIC, /* the chain's verdicts: enum chain_verdict, rotated */
	DIM_OWN,
	DIM_NAMES,
	DIM_NAMED_BY,
	DIM_RECORDS, /* what TLSA records make of the chain: enum dane_match */
	DIMENSIONS
};

enum { VALUES = 16, ALL = (1 << VALUES) - 1 };

/* The set of values that holds this one alone. */
#define ONLY(value) (1u << (value))

/* Values that tests name; the others are in judge_world.c. */
enum { OUTBOUND, INBOUND };
enum { DOMAIN_NAME, DOMAIN_LITERAL, DOMAIN_NONE };
enum { STATUS_FINE, STATUS_DNS_FAILED, STATUS_NO_DOMAIN };
enum { HOST_LISTED, HOST_UNLISTED, HOST_UNNAMED, HOST_UNKNOWN };
enum { STS_MX_LISTED, STS_MX_OTHER = 3 };
enum { TLS_1_3, TLS_1_2, TLS_1_1, TLS_1_0, TLS_NONE };
enum { SHOWN_CHAIN, SHOWN_NOTHING, SHOWN_UNASKED };
enum { NAMES_BOTH, NAMES_MX, NAMES_DOMAIN };
enum { VERDICT_VALID, VERDICT_UNTRUSTED, VERDICT_EXPIRED };

struct judge_world {
	struct peer peer;
	const struct candidate *candidate; /* NULL, or the peer's first */
	struct chain_facts chain;
	struct facts facts;
	unsigned at[DIMENSIONS];
};

/* A set of values for each dimension; an empty set is value 0 alone. */
struct walk {
	unsigned values[DIMENSIONS];
};

const char *dimension_name(enum dimension dimension);
const char *value_name(enum dimension dimension, unsigned value); /* NULL: no such */

void judge_world_init(struct judge_world *world);
void judge_world_set(struct judge_world *world, enum dimension dimension, unsigned value);
enum verdict judge_world_judge(const struct judge_world *world, char *reason);

/* Every combination in turn; the last dimension changes fastest. False: none is left. */
void walk_begin(const struct walk *walk, struct judge_world *world);
bool walk_next(const struct walk *walk, struct judge_world *world);
bool walk_varies(const struct walk *walk, enum dimension dimension);

#endif
