/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Every message has one description here, a code_*() function, that both writes and reads
 * it: the two cannot come apart. The wire remembers its first fault and does nothing from
 * then on, so that a description need not look until its end. The first octet of a
 * message is its type; numbers are in network order; a string is its length and its
 * octets.
 */

#include "message.h"

#include <stdlib.h>
#include <string.h>

/* Writes to `to`, or reads from `from` where that is NULL. */
struct wire {
	const uint8_t *from;
	uint8_t *to;
	size_t size, done;
	bool failed;
};

/* ---- what messages are made of; a field is changed by reading only ---- */

static void code_octets(struct wire *wire, void *field, size_t count)
{
	if (count > wire->size - wire->done)
		wire->failed = true;
	if (wire->failed || count == 0)
		return;
	if (wire->to)
		memcpy(wire->to + wire->done, field, count);
	else
		memcpy(field, wire->from + wire->done, count);
	wire->done += count;
}

/* Returns the number that is on the wire. */
static uint64_t code_number(struct wire *wire, uint64_t number, unsigned count)
{
	uint8_t octets[8] = { 0 };
	for (unsigned i = 0; i < count; i++)
		octets[i] = (uint8_t)(number >> 8 * (count - 1 - i));
	code_octets(wire, octets, count);
	number = 0;
	for (unsigned i = 0; i < count; i++)
		number = number << 8 | octets[i];
	return number;
}

static void code8(struct wire *wire, uint8_t *field, unsigned most)
{
	uint64_t number = code_number(wire, *field, 1);
	if (number > most)
		wire->failed = true;
	else if (!wire->to)
		*field = (uint8_t)number;
}

static void code_bool(struct wire *wire, bool *field)
{
	uint8_t octet = *field;
	code8(wire, &octet, 1);
	if (!wire->to)
		*field = octet;
}

static void code16(struct wire *wire, uint16_t *field)
{
	uint64_t number = code_number(wire, *field, 2);
	if (!wire->to)
		*field = (uint16_t)number;
}

static void code32(struct wire *wire, uint32_t *field)
{
	uint64_t number = code_number(wire, *field, 4);
	if (!wire->to)
		*field = (uint32_t)number;
}

static void code64(struct wire *wire, uint64_t *field)
{
	uint64_t number = code_number(wire, *field, 8);
	if (!wire->to)
		*field = number;
}

enum string {
	STRING_NAME, /* printable ASCII without a blank */
	STRING_LINE, /* no control octets */
	STRING_TEXT, /* likewise; whoever writes it has them replaced */
};

static bool octet_fits(uint8_t octet, enum string kind)
{
	if (kind == STRING_NAME)
		return octet > ' ' && octet <= '~';
	return octet >= ' ' && octet != 0x7f;
}

static void check_string(struct wire *wire, size_t start, enum string kind)
{
	const uint8_t *octets = wire->to ? wire->to : wire->from;
	for (size_t i = start; i < wire->done; i++)
		if (octet_fits(octets[i], kind))
			continue;
		else if (wire->to && kind == STRING_TEXT)
			wire->to[i] = '?';
		else
			wire->failed = true;
}

/* `size`: of the field, the NUL included. */
static void code_string(struct wire *wire, char *field, size_t size, enum string kind)
{
	size_t length = wire->to ? strnlen(field, size) : 0;
	length = (size_t)code_number(wire, length, 2);
	if (length >= size)
		wire->failed = true;
	size_t start = wire->done;
	code_octets(wire, field, length);
	if (wire->failed)
		return;
	check_string(wire, start, kind);
	if (!wire->to)
		field[length] = '\0';
}

/* ---- the parts of an answer ---- */

static void code_fingerprint(struct wire *wire, struct fingerprint *fingerprint)
{
	code8(wire, &fingerprint->of, FINGERPRINT_SPKI);
	code8(wire, &fingerprint->length, sizeof(fingerprint->octets));
	if (fingerprint->length != 32 && fingerprint->length != 64)
		wire->failed = true;
	else
		code_octets(wire, fingerprint->octets, fingerprint->length);
}

static void code_ca(struct wire *wire, struct demand *demand)
{
	size_t length = wire->to ? demand->ca_length : 0;
	length = (size_t)code_number(wire, length, 4);
	if (length > REQUIREMENT_CA || length > wire->size - wire->done)
		wire->failed = true;
	if (wire->failed || length == 0)
		return;
	if (!wire->to) {
		demand->ca = malloc(length);
		demand->ca_length = demand->ca ? length : 0;
		wire->failed = !demand->ca;
	}
	code_octets(wire, demand->ca, length);
}

static void code_demand(struct wire *wire, struct demand *demand)
{
	code8(wire, &demand->level, LEVELS - 1);
	code8(wire, &demand->protocols, PROTOCOLS_COUNT - 1);
	code_bool(wire, &demand->bounce);
	code_bool(wire, &demand->dane);
	code_bool(wire, &demand->mta_sts);
	code8(wire, &demand->match_count, REQUIREMENT_PATTERNS);
	for (unsigned i = 0; !wire->failed && i < demand->match_count; i++)
		code_string(wire, demand->match[i], REQUIREMENT_NAME, STRING_NAME);
	code8(wire, &demand->mx_count, REQUIREMENT_PATTERNS);
	for (unsigned i = 0; !wire->failed && i < demand->mx_count; i++)
		code_string(wire, demand->mx[i], REQUIREMENT_NAME, STRING_NAME);
	code8(wire, &demand->fingerprint_count, REQUIREMENT_FINGERPRINTS);
	for (unsigned i = 0; !wire->failed && i < demand->fingerprint_count; i++)
		code_fingerprint(wire, &demand->fingerprints[i]);
	code_string(wire, demand->identity, sizeof(demand->identity), STRING_LINE);
	code_ca(wire, demand);
}

static void code_address(struct wire *wire, struct peer_address *address)
{
	code8(wire, &address->family, FAMILY_IPV6);
	if (address->family == FAMILY_IPV4)
		code_octets(wire, address->octets, 4);
	else if (address->family == FAMILY_IPV6)
		code_octets(wire, address->octets, 16);
	else
		wire->failed = true;
}

static size_t tlsa_total(const struct peer *peer)
{
	size_t total = 0;
	for (unsigned i = 0; i < peer->candidate_count; i++)
		for (unsigned j = 0; j < REQUIREMENT_TLSA; j++)
			if (j < peer->candidates[i].tlsa_count)
				total += peer->candidates[i].tlsa[j].length;
	return total;
}

/* The octets of all records, which follow one by one. */
static void code_tlsa_room(struct wire *wire, struct peer *peer)
{
	size_t total = wire->to && !wire->failed ? tlsa_total(peer) : 0;
	total = (size_t)code_number(wire, total, 4);
	if (total > REQUIREMENT_TLSA_OCTETS || total > wire->size - wire->done)
		wire->failed = true;
	if (wire->failed || total == 0 || wire->to)
		return;
	peer->tlsa_octets = malloc(total);
	peer->tlsa_length = peer->tlsa_octets ? total : 0;
	wire->failed = !peer->tlsa_octets;
}

/* RFC 6698 §2.1.3; the lengths of digests. */
static bool tlsa_fits(const struct tlsa *tlsa)
{
	switch ((enum tlsa_matching)tlsa->matching) {
	case TLSA_FULL: return tlsa->length > 0;
	case TLSA_SHA256: return tlsa->length == 32;
	case TLSA_SHA512: return tlsa->length == 64;
	}
	return false;
}

/* `used`: octets of the peer's room that records before it have taken. */
static void code_tlsa(
	struct wire *wire, const struct peer *peer, size_t *used, struct tlsa *tlsa)
{
	code8(wire, &tlsa->usage, TLSA_EE);
	code8(wire, &tlsa->selector, TLSA_SPKI);
	code8(wire, &tlsa->matching, TLSA_SHA512);
	code16(wire, &tlsa->length);
	bool fits = tlsa->usage >= TLSA_TA && tlsa_fits(tlsa);
	if (!fits || (!wire->to && tlsa->length > peer->tlsa_length - *used))
		wire->failed = true;
	if (wire->failed)
		return;
	uint8_t *octets = wire->to ? (uint8_t *)tlsa->octets : peer->tlsa_octets + *used;
	code_octets(wire, octets, tlsa->length);
	if (!wire->to)
		tlsa->octets = octets;
	*used += tlsa->length;
}

static void code_candidate(struct wire *wire, const struct peer *peer, size_t *used,
	struct candidate *candidate)
{
	code_string(wire, candidate->name, sizeof(candidate->name), STRING_NAME);
	code16(wire, &candidate->preference);
	code8(wire, &candidate->dane, DANE_USABLE);
	code_string(
		wire, candidate->tlsa_base, sizeof(candidate->tlsa_base), STRING_NAME);
	code8(wire, &candidate->tlsa_count, REQUIREMENT_TLSA);
	for (unsigned i = 0; !wire->failed && i < candidate->tlsa_count; i++)
		code_tlsa(wire, peer, used, &candidate->tlsa[i]);
	code8(wire, &candidate->address_count, REQUIREMENT_ADDRESSES);
	for (unsigned i = 0; !wire->failed && i < candidate->address_count; i++)
		code_address(wire, &candidate->addresses[i]);
}

static void code_candidates(struct wire *wire, struct peer *peer)
{
	size_t used = 0;
	code8(wire, &peer->candidate_count, REQUIREMENT_CANDIDATES);
	code_tlsa_room(wire, peer);
	for (unsigned i = 0; !wire->failed && i < peer->candidate_count; i++)
		code_candidate(wire, peer, &used, &peer->candidates[i]);
	if (!wire->to && used != peer->tlsa_length)
		wire->failed = true;
}

static void code_sts(struct wire *wire, struct sts *sts)
{
	uint64_t fetched = (uint64_t)sts->fetched, expires = (uint64_t)sts->expires;
	code8(wire, &sts->mode, STS_MODES - 1);
	code8(wire, &sts->mx_count, REQUIREMENT_STS_MX);
	for (unsigned i = 0; !wire->failed && i < sts->mx_count; i++)
		code_string(wire, sts->mx[i], REQUIREMENT_NAME, STRING_NAME);
	code_string(wire, sts->id, sizeof(sts->id), STRING_NAME);
	code64(wire, &fetched);
	code64(wire, &expires);
	if (!wire->to) {
		sts->fetched = (int64_t)fetched;
		sts->expires = (int64_t)expires;
	}
	code_string(wire, sts->text, sizeof(sts->text), STRING_TEXT);
}

static void code_peer(struct wire *wire, struct peer *peer)
{
	code8(wire, &peer->direction, DIRECTION_HOST);
	code8(wire, &peer->status, PEER_STATUSES - 1);
	code_string(wire, peer->domain, sizeof(peer->domain), STRING_NAME);
	code_string(wire, peer->where, sizeof(peer->where), STRING_TEXT);
	code_string(wire, peer->text, sizeof(peer->text), STRING_TEXT);
	code64(wire, &peer->generation);
	code32(wire, &peer->lifetime);
	code_demand(wire, &peer->demand);
	code_sts(wire, &peer->sts);
	code_bool(wire, &peer->secure_mx);
	code_candidates(wire, peer);
}

/* ---- the other messages ---- */

static void code_settings(struct wire *wire, struct settings *settings)
{
	code_string(wire, settings->directory, sizeof(settings->directory), STRING_LINE);
	code32(wire, &settings->owner);
	code_string(wire, settings->resolver, sizeof(settings->resolver), STRING_NAME);
	code_string(wire, settings->trust_anchor, sizeof(settings->trust_anchor),
		STRING_LINE);
	code8(wire, &settings->stub_count, MESSAGE_STUBS);
	for (unsigned i = 0; !wire->failed && i < settings->stub_count; i++) {
		code_string(wire, settings->stubs[i].zone,
			sizeof(settings->stubs[i].zone), STRING_NAME);
		code_string(wire, settings->stubs[i].server,
			sizeof(settings->stubs[i].server), STRING_NAME);
	}
	code32(wire, &settings->timeout);
	code_bool(wire, &settings->dane);
	code_bool(wire, &settings->mta_sts);
	code_string(wire, settings->cache, sizeof(settings->cache), STRING_LINE);
	code_string(wire, settings->ca, sizeof(settings->ca), STRING_LINE);
}

static void code_question(struct wire *wire, struct question *question)
{
	code32(wire, &question->id);
	code8(wire, &question->direction, DIRECTION_HOST);
	code_string(wire, question->domain, sizeof(question->domain), STRING_NAME);
}

static void code_state(struct wire *wire, struct policy_state *state)
{
	code64(wire, &state->generation);
	code_bool(wire, &state->inbound_demands);
	code_bool(wire, &state->client_certificates);
	code32(wire, &state->files);
	code32(wire, &state->broken);
	code32(wire, &state->unanswered);
}

static void code_log(struct wire *wire, struct message_log *log)
{
	code8(wire, &log->level, 3);
	code_string(wire, log->text, sizeof(log->text), STRING_TEXT);
}

/* ---- whole messages ---- */

static struct wire writer(uint8_t *to, size_t size, enum message_type type)
{
	struct wire wire = { .to = to, .size = size };
	code_number(&wire, type, 1);
	return wire;
}

static size_t written(const struct wire *wire)
{
	return wire->failed ? 0 : wire->done;
}

static struct wire reader(const uint8_t *at, size_t length, enum message_type type)
{
	struct wire wire = { .from = at, .size = length };
	wire.failed = code_number(&wire, 0, 1) != type;
	return wire;
}

static bool read_whole(const struct wire *wire)
{
	return !wire->failed && wire->done == wire->size;
}

/* Whether its type is all that it says. */
static bool is_plain(enum message_type type)
{
	return type == MESSAGE_RELOAD || type == MESSAGE_PING || type == MESSAGE_PONG ||
	       type == MESSAGE_FILES;
}

enum message_type message_type(const uint8_t *at, size_t length)
{
	enum message_type type = length > 0 && at[0] < MESSAGE_TYPES ? at[0] : 0;
	return is_plain(type) && length > 1 ? 0 : type;
}

size_t message_write_settings(uint8_t *to, size_t size, const struct settings *settings)
{
	struct wire wire = writer(to, size, MESSAGE_SETTINGS);
	code_settings(&wire, (struct settings *)settings);
	return written(&wire);
}

bool message_read_settings(const uint8_t *at, size_t length, struct settings *settings)
{
	struct wire wire = reader(at, length, MESSAGE_SETTINGS);
	memset(settings, 0, sizeof(*settings));
	code_settings(&wire, settings);
	return read_whole(&wire);
}

size_t message_write_question(uint8_t *to, size_t size, const struct question *question)
{
	struct wire wire = writer(to, size, MESSAGE_QUESTION);
	code_question(&wire, (struct question *)question);
	return written(&wire);
}

bool message_read_question(const uint8_t *at, size_t length, struct question *question)
{
	struct wire wire = reader(at, length, MESSAGE_QUESTION);
	memset(question, 0, sizeof(*question));
	code_question(&wire, question);
	return read_whole(&wire);
}

size_t message_write_answer(
	uint8_t *to, size_t size, uint32_t id, const struct peer *peer)
{
	struct wire wire = writer(to, size, MESSAGE_ANSWER);
	code32(&wire, &id);
	code_peer(&wire, (struct peer *)peer);
	return written(&wire);
}

struct peer *message_read_answer(const uint8_t *at, size_t length, uint32_t *id)
{
	struct wire wire = reader(at, length, MESSAGE_ANSWER);
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	code32(&wire, id);
	code_peer(&wire, peer);
	if (read_whole(&wire))
		return peer;
	peer_free(peer);
	return NULL;
}

size_t message_write_state(uint8_t *to, size_t size, const struct policy_state *state)
{
	struct wire wire = writer(to, size, MESSAGE_STATE);
	code_state(&wire, (struct policy_state *)state);
	return written(&wire);
}

bool message_read_state(const uint8_t *at, size_t length, struct policy_state *state)
{
	struct wire wire = reader(at, length, MESSAGE_STATE);
	memset(state, 0, sizeof(*state));
	code_state(&wire, state);
	return read_whole(&wire);
}

size_t message_write_log(uint8_t *to, size_t size, const struct message_log *log)
{
	struct wire wire = writer(to, size, MESSAGE_LOG);
	code_log(&wire, (struct message_log *)log);
	return written(&wire);
}

bool message_read_log(const uint8_t *at, size_t length, struct message_log *log)
{
	struct wire wire = reader(at, length, MESSAGE_LOG);
	memset(log, 0, sizeof(*log));
	code_log(&wire, log);
	return read_whole(&wire);
}

size_t message_write_reader(uint8_t *to, size_t size, uint32_t worker)
{
	struct wire wire = writer(to, size, MESSAGE_READER);
	code32(&wire, &worker);
	return written(&wire);
}

bool message_read_reader(const uint8_t *at, size_t length, uint32_t *worker)
{
	struct wire wire = reader(at, length, MESSAGE_READER);
	*worker = 0;
	code32(&wire, worker);
	return read_whole(&wire);
}

size_t message_write_plain(uint8_t *to, size_t size, enum message_type type)
{
	struct wire wire = writer(to, size, type);
	return written(&wire);
}
