/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DNS_PACKET_H
#define SEALPOST_DNS_PACKET_H

/*
 * A DNS message (RFC 1035 §4) read with care: each octet of it is a stranger's. Pure.
 * The resolver has already left out what does not belong to the answer.
 */

#include "requirement.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_DNSKEY = 48,
	DNS_TLSA = 52,
};
enum dns_code { DNS_NOERROR = 0, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_REFUSED = 5 };

struct dns_packet {
	const uint8_t *octets;
	size_t length, at;
	unsigned code;		     /* enum dns_code, or another */
	unsigned answers, authority; /* records that are still to be read */
};

struct dns_record {
	uint16_t type;
	bool answer; /* of the answer section, not of the authority section */
	uint32_t ttl;
	size_t owner;	   /* of its name in the packet */
	size_t at, length; /* of its data in the packet */
};

/* Reads as far as the end of the question. False: it is broken. */
bool dns_packet_open(struct dns_packet *packet, const uint8_t *octets, size_t length);

/* The next record of the answer, then of the authority section. False: no more, or what
 * is left is broken. */
bool dns_packet_next(struct dns_packet *packet, struct dns_record *record);

/*
 * Seconds for which all of it may be believed: the least TTL that is in it, and for what
 * there is not as long as the zone says (RFC 2308 §5): DNS_LIFETIME_UNSAID where it does
 * not, and DNS_LIFETIME_MOST at most. Of a packet of which nothing has been read yet.
 */
enum { DNS_LIFETIME_UNSAID = 60, DNS_LIFETIME_MOST = 3600 };
uint32_t dns_packet_lifetime(struct dns_packet packet);

enum dns_mx {
	DNS_MX_HOST,
	DNS_MX_NULL,	 /* its name is the root: RFC 7505 */
	DNS_MX_UNUSABLE, /* malformed, or no name of a host, or localhost */
};

/* The name is made lower case; it is "" for what is no DNS_MX_HOST. */
enum dns_mx dns_packet_mx(const struct dns_packet *packet,
	const struct dns_record *record, uint16_t *preference,
	char name[REQUIREMENT_NAME]);

/* Whether `name` is an alias at all, wherever it leads: also where that is no host. */
bool dns_packet_is_alias(const struct dns_packet *packet, const char *name);

/*
 * Makes of `name` what the aliases of the answer make of it. False: there are none for
 * it, or they lead in a circle, or to what is no name of a host; it is as it was then.
 * Of a packet of which nothing has been read yet, and which is left so.
 */
bool dns_packet_expand(const struct dns_packet *packet, char name[REQUIREMENT_NAME]);

/* Of an A or AAAA record. False for another type or length, and for what is nobody's
 * (dns_is_somebodys()). */
bool dns_packet_address(const struct dns_packet *packet, const struct dns_record *record,
	struct peer_address *address);

#endif
