/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "dns_data.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { LABEL_MOST = 63 };

/* ---- names ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool belongs_to_label(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* The octets of the label at `name`, 0 where it is none. */
static size_t label_length(const char *name, bool *number)
{
	size_t length = 0;
	*number = true;
	while (belongs_to_label(name[length])) {
		*number = *number && is_digit(name[length]);
		length++;
	}
	return length <= LABEL_MOST ? length : 0;
}

bool dns_is_host(const char *name)
{
	if (strlen(name) > REQUIREMENT_NAME - 3) /* RFC 1035: 255 octets on the wire */
		return false;
	for (;;) {
		bool number;
		size_t length = label_length(name, &number);
		if (length == 0)
			return false;
		name += length;
		if (*name == '\0')
			return !number;
		if (*name++ != '.')
			return false;
	}
}

/* ---- addresses ---- */

bool dns_is_somebodys(const struct peer_address *address)
{
	static const uint8_t unspecified[16], mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *octets = address->octets;
	if (address->family == FAMILY_IPV4)
		return octets[0] != 0 && octets[0] < 224;
	return octets[0] != 0xff && memcmp(octets, unspecified, 16) != 0 &&
	       memcmp(octets, mapped, sizeof(mapped)) != 0;
}

bool dns_read_literal(const char *domain, struct peer_address *address)
{
	static const char prefix[] = "[IPv6:";
	char text[INET6_ADDRSTRLEN];
	bool six = strncasecmp(domain, prefix, sizeof(prefix) - 1) == 0;
	const char *from = domain + (six ? sizeof(prefix) - 1 : 1);
	if (domain[0] != '[')
		return false;
	size_t length = strcspn(from, "]");
	if (strcmp(from + length, "]") != 0 || length >= sizeof(text))
		return false;
	memcpy(text, from, length);
	text[length] = '\0';
	*address = (struct peer_address){ .family = six ? FAMILY_IPV6 : FAMILY_IPV4 };
	return inet_pton(six ? AF_INET6 : AF_INET, text, address->octets) == 1 &&
	       dns_is_somebodys(address);
}

/* ---- candidates ---- */

static void remove_host(struct peer *peer, unsigned i)
{
	struct candidate *at = &peer->candidates[i];
	memmove(at, at + 1, (--peer->candidate_count - i) * sizeof(*at));
}

/* False where it is there with a preference that is as good or better. */
static bool is_news(struct peer *peer, uint16_t preference, const char *name)
{
	for (unsigned i = 0; i < peer->candidate_count; i++) {
		if (strcmp(peer->candidates[i].name, name) != 0)
			continue;
		if (peer->candidates[i].preference <= preference)
			return false;
		remove_host(peer, i);
		return true;
	}
	return true;
}

void dns_add_host(struct peer *peer, uint16_t preference, const char *name)
{
	if (!is_news(peer, preference, name))
		return;
	unsigned i = peer->candidate_count;
	while (i > 0 && peer->candidates[i - 1].preference > preference)
		i--;
	if (i == REQUIREMENT_CANDIDATES)
		return;
	if (peer->candidate_count == REQUIREMENT_CANDIDATES)
		remove_host(peer, REQUIREMENT_CANDIDATES - 1);
	struct candidate *at = &peer->candidates[i];
	memmove(at + 1, at, (peer->candidate_count++ - i) * sizeof(*at));
	*at = (struct candidate){ .preference = preference };
	size_t length = strnlen(name, sizeof(at->name) - 1);
	memcpy(at->name, name, length);
}

static void remove_address(struct candidate *candidate, unsigned i)
{
	struct peer_address *at = &candidate->addresses[i];
	memmove(at, at + 1, (--candidate->address_count - i) * sizeof(*at));
}

void dns_add_address(struct candidate *candidate, const struct peer_address *address)
{
	unsigned count = candidate->address_count, ipv4 = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct peer_address *known = &candidate->addresses[i];
		if (memcmp(known, address, sizeof(*known)) == 0)
			return;
		ipv4 += known->family == FAMILY_IPV4;
	}
	bool first = address->family == FAMILY_IPV4;
	if (count == REQUIREMENT_ADDRESSES) {
		if ((first ? ipv4 : count - ipv4) >= REQUIREMENT_ADDRESSES / 2)
			return;
		remove_address(candidate, first ? count - 1 : --ipv4);
	}
	struct peer_address *at =
		&candidate->addresses[first ? ipv4 : candidate->address_count];
	memmove(at + 1, at,
		(size_t)(&candidate->addresses[candidate->address_count++] - at) *
			sizeof(*at));
	*at = *address;
}
