/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "dns_packet.h"

#include "dns_data.h"

#include <string.h>

enum {
	HEADER = 12,
	RECORD_HEAD = 10, /* type, class, TTL, length of the data */
	LABEL_MOST = 63,
	POINTER = 0xc0,
	CLASS_IN = 1,
	TTL_MOST = 0x7fffffff, /* RFC 2181 §8 */
	ALIASES_MOST = 16,
};

static unsigned number16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- names ---- */

/* Moves *at behind a name; where that leads is not looked at. */
static bool skip_name(const struct dns_packet *packet, size_t *at)
{
	while (*at < packet->length) {
		unsigned label = packet->octets[*at];
		*at += label > LABEL_MOST ? 2 : 1 + label;
		if (label == 0 || label >= POINTER)
			return *at <= packet->length;
		if (label > LABEL_MOST)
			return false;
	}
	return false;
}

static bool add_label(
	const uint8_t *octets, size_t length, char name[REQUIREMENT_NAME], size_t *out)
{
	if (*out + length + 2 > REQUIREMENT_NAME)
		return false;
	if (*out > 0)
		name[(*out)++] = '.';
	for (size_t i = 0; i < length; i++) {
		char c = (char)octets[i];
		if (c == '.' || c == '\0')
			return false; /* it would be another name in text */
		name[(*out)++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	return true;
}

/* In text, lower case, "" for the root. A pointer leads to the front, so that none leads
 * in a circle. */
static bool read_name(
	const struct dns_packet *packet, size_t at, char name[REQUIREMENT_NAME])
{
	size_t out = 0, before = at;
	while (at < packet->length && packet->octets[at] != 0) {
		unsigned label = packet->octets[at];
		if (label >= POINTER) {
			if (packet->length - at < 2)
				return false;
			at = number16(packet->octets + at) & 0x3fff;
			if (at >= before)
				return false;
			before = at;
		} else {
			if (label > LABEL_MOST || label >= packet->length - at ||
				!add_label(packet->octets + at + 1, label, name, &out))
				return false;
			at += 1 + label;
		}
	}
	name[out] = '\0';
	return at < packet->length;
}

/* ---- records ---- */

bool dns_packet_open(struct dns_packet *packet, const uint8_t *octets, size_t length)
{
	*packet = (struct dns_packet){ .octets = octets, .length = length, .at = HEADER };
	if (length < HEADER)
		return false;
	packet->code = octets[3] & 15;
	packet->answers = number16(octets + 6);
	packet->authority = number16(octets + 8);
	for (unsigned questions = number16(octets + 4); questions > 0; questions--) {
		if (!skip_name(packet, &packet->at) || length - packet->at < 4)
			return false;
		packet->at += 4;
	}
	return true;
}

static bool read_record(struct dns_packet *packet, struct dns_record *record)
{
	record->owner = packet->at;
	if (!skip_name(packet, &packet->at) || packet->length - packet->at < RECORD_HEAD)
		return false;
	const uint8_t *head = packet->octets + packet->at;
	packet->at += RECORD_HEAD;
	record->type = number16(head + 2) == CLASS_IN ? (uint16_t)number16(head) : 0;
	record->ttl = (uint32_t)number16(head + 4) << 16 | number16(head + 6);
	if (record->ttl > TTL_MOST)
		record->ttl = 0;
	record->at = packet->at;
	record->length = number16(head + 8);
	if (record->length > packet->length - packet->at)
		return false;
	packet->at += record->length;
	return true;
}

bool dns_packet_next(struct dns_packet *packet, struct dns_record *record)
{
	unsigned *left = packet->answers > 0 ? &packet->answers : &packet->authority;
	if (*left == 0)
		return false;
	*record = (struct dns_record){ .answer = left == &packet->answers };
	(*left)--;
	if (read_record(packet, record))
		return true;
	packet->answers = packet->authority = 0;
	return false;
}

/* The last number of its data: for how long there is nothing (RFC 2308 §4). */
static uint32_t soa_minimum(
	const struct dns_packet *packet, const struct dns_record *record)
{
	if (record->length < 5 * 4)
		return 0;
	const uint8_t *last = packet->octets + record->at + record->length - 4;
	return (uint32_t)number16(last) << 16 | number16(last + 2);
}

uint32_t dns_packet_lifetime(struct dns_packet packet)
{
	struct dns_record record;
	uint32_t seconds = DNS_LIFETIME_MOST;
	bool positive = false, said = false;
	while (dns_packet_next(&packet, &record)) {
		bool soa = record.type == DNS_SOA && !record.answer;
		uint32_t minimum = soa ? soa_minimum(&packet, &record) : UINT32_MAX;
		seconds = least(seconds, least(record.ttl, minimum));
		positive |= record.answer && record.type != DNS_CNAME;
		said |= soa;
	}
	return positive || said ? seconds : least(seconds, DNS_LIFETIME_UNSAID);
}

/* ---- their data ---- */

/* RFC 6761 §6.3: no stranger's mail host, whatever a resolver makes of it. */
static bool is_localhost(const char *name)
{
	const char *last = strrchr(name, '.');
	return strcmp(last ? last + 1 : name, "localhost") == 0;
}

enum dns_mx dns_packet_mx(const struct dns_packet *packet,
	const struct dns_record *record, uint16_t *preference,
	char name[REQUIREMENT_NAME])
{
	size_t end = record->at + 2;
	name[0] = '\0';
	*preference = 0;
	if (record->type != DNS_MX || record->length < 3)
		return DNS_MX_UNUSABLE;
	*preference = (uint16_t)number16(packet->octets + record->at);
	bool fine = skip_name(packet, &end) && end == record->at + record->length &&
		    read_name(packet, record->at + 2, name);
	if (fine && name[0] == '\0')
		return DNS_MX_NULL;
	if (fine && dns_is_host(name) && !is_localhost(name))
		return DNS_MX_HOST;
	name[0] = '\0';
	return DNS_MX_UNUSABLE;
}

/* Whether `name` is an alias, and of what: "" where that is no name of a host. */
static bool is_alias(
	struct dns_packet packet, const char *name, char target[REQUIREMENT_NAME])
{
	struct dns_record record;
	char owner[REQUIREMENT_NAME];
	while (dns_packet_next(&packet, &record)) {
		if (!record.answer || record.type != DNS_CNAME ||
			!read_name(&packet, record.owner, owner) ||
			strcmp(owner, name) != 0)
			continue;
		if (!read_name(&packet, record.at, target) || !dns_is_host(target))
			target[0] = '\0';
		return true;
	}
	return false;
}

bool dns_packet_is_alias(const struct dns_packet *packet, const char *name)
{
	char target[REQUIREMENT_NAME];
	return is_alias(*packet, name, target);
}

bool dns_packet_expand(const struct dns_packet *packet, char name[REQUIREMENT_NAME])
{
	char names[2][REQUIREMENT_NAME];
	char *here = names[0], *there = names[1];
	unsigned steps = 0;
	memcpy(here, name, REQUIREMENT_NAME);
	for (; here[0] != '\0' && is_alias(*packet, here, there); steps++) {
		char *last = here;
		here = there;
		there = last;
		if (steps == ALIASES_MOST)
			return false;
	}
	if (steps == 0 || here[0] == '\0')
		return false;
	memcpy(name, here, REQUIREMENT_NAME);
	return true;
}

bool dns_packet_address(const struct dns_packet *packet, const struct dns_record *record,
	struct peer_address *address)
{
	if (record->type != DNS_A && record->type != DNS_AAAA)
		return false;
	bool four = record->type == DNS_A;
	if (record->length != (four ? 4 : 16))
		return false;
	*address = (struct peer_address){ .family = four ? FAMILY_IPV4 : FAMILY_IPV6 };
	memcpy(address->octets, packet->octets + record->at, record->length);
	return dns_is_somebodys(address);
}
