/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* The IPv4 address that an IPv4-mapped IPv6 address is (RFC 4291 §2.5.5.2). */
static struct address unmapped(const struct address *a)
{
	struct address v4 = { .family = AF_INET, .port = a->port };

	if (a->family != AF_INET6 || memcmp(a->octets, mapped_prefix, 12) != 0)
		return *a;
	memcpy(v4.octets, a->octets + 12, 4);
	return v4;
}

static unsigned address_bits(const struct address *a)
{
	return a->family == AF_INET ? 32 : a->family == AF_INET6 ? 128 : 0;
}

/* Decimal digits alone, at most `max`, up to the end of the text. */
static bool parse_number(const char *text, unsigned max, unsigned *number)
{
	unsigned value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > max)
			return false;
	}
	*number = value;
	return true;
}

/* An address alone, in the first n octets of text. */
static bool parse_host(struct address *a, const char *text, size_t n, sa_family_t family)
{
	char host[INET6_ADDRSTRLEN];

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	*a = (struct address){ .family = family };
	return inet_pton(family, host, a->octets) == 1;
}

/* The end of the text: nothing, or ":port". */
static bool parse_port(struct address *a, const char *text, in_port_t default_port)
{
	unsigned port = default_port;

	if (*text != '\0' && (*text != ':' || !parse_number(text + 1, UINT16_MAX, &port)))
		return false;
	a->port = (in_port_t)port;
	return true;
}

bool address_parse(struct address *a, const char *text, in_port_t default_port)
{
	const char *colon = strchr(text, ':');
	const char *end = text + strlen(text);
	struct address read;
	bool good;

	if (*text == '[') {
		const char *bracket = strchr(text, ']');

		good = bracket && parse_host(&read, text + 1,
					  (size_t)(bracket - text - 1), AF_INET6);
		end = good ? bracket + 1 : end;
	} else if (colon && strchr(colon + 1, ':')) {
		good = parse_host(&read, text, (size_t)(end - text), AF_INET6);
	} else {
		end = colon ? colon : end;
		good = parse_host(&read, text, (size_t)(end - text), AF_INET);
	}
	if (!good || !parse_port(&read, end, default_port))
		return false;
	*a = read;
	return true;
}

bool network_parse(struct network *n, const char *text)
{
	size_t length = strcspn(text, "/");
	bool v6 = memchr(text, ':', length);
	struct network read;

	if (!parse_host(&read.base, text, length, v6 ? AF_INET6 : AF_INET))
		return false;
	read.prefix = address_bits(&read.base);
	if (text[length] == '/' &&
		!parse_number(text + length + 1, read.prefix, &read.prefix))
		return false;
	if (v6 && read.prefix >= 96) {
		read.base = unmapped(&read.base);
		read.prefix -= read.base.family == AF_INET ? 96 : 0;
	}
	*n = read;
	return true;
}

bool network_contains(const struct network *n, const struct address *a)
{
	struct address host = unmapped(a);
	unsigned whole = n->prefix / 8;
	uint8_t mask = (uint8_t)(0xff00 >> n->prefix % 8);

	if (host.family != n->base.family || n->prefix > address_bits(&host))
		return false;
	if (memcmp(host.octets, n->base.octets, whole) != 0)
		return false;
	return mask == 0 || ((host.octets[whole] ^ n->base.octets[whole]) & mask) == 0;
}

bool address_from_sockaddr(struct address *a, const struct sockaddr *sa)
{
	struct address read = { .family = sa->sa_family };

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		read.port = ntohs(in.sin_port);
		memcpy(read.octets, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		read.port = ntohs(in6.sin6_port);
		memcpy(read.octets, &in6.sin6_addr, 16);
	} else {
		return false;
	}
	*a = unmapped(&read);
	return true;
}

socklen_t address_to_sockaddr(const struct address *a, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (a->family == AF_INET) {
		struct sockaddr_in in = { .sin_family = AF_INET,
			.sin_port = htons(a->port) };

		memcpy(&in.sin_addr, a->octets, 4);
		memcpy(ss, &in, sizeof(in));
		return sizeof(in);
	}
	if (a->family == AF_INET6) {
		struct sockaddr_in6 in6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(a->port),
		};

		memcpy(&in6.sin6_addr, a->octets, 16);
		memcpy(ss, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

/* inet_ntop() is sprintf() inside; this is written for every message. */
static const char *dotted_quad(const uint8_t octets[4], char *text)
{
	char *at = text;

	for (unsigned i = 0; i < 4; i++) {
		unsigned n = octets[i];
		if (n >= 100)
			*at++ = (char)('0' + n / 100);
		if (n >= 10)
			*at++ = (char)('0' + n / 10 % 10);
		*at++ = (char)('0' + n % 10);
		*at++ = i < 3 ? '.' : '\0';
	}
	return text;
}

const char *address_host(const struct address *a, char text[ADDRESS_TEXT])
{
	if (a->family == AF_INET)
		return dotted_quad(a->octets, text);
	if (address_bits(a) == 0 || !inet_ntop(a->family, a->octets, text, ADDRESS_TEXT))
		snprintf(text, ADDRESS_TEXT, "unknown");
	return text;
}

const char *address_text(const struct address *a, char text[ADDRESS_TEXT])
{
	char host[ADDRESS_TEXT];
	bool v6 = a->family == AF_INET6;

	if (address_bits(a) == 0)
		return address_host(a, text);
	snprintf(text, ADDRESS_TEXT, "%s%.45s%s:%u", v6 ? "[" : "", address_host(a, host),
		v6 ? "]" : "", (unsigned)a->port);
	return text;
}

bool address_is_wildcard(const struct address *a)
{
	static const uint8_t zero[sizeof(a->octets)];

	return address_bits(a) > 0 && memcmp(a->octets, zero, address_bits(a) / 8) == 0;
}

bool address_same_host(const struct address *a, const struct address *b)
{
	return a->family == b->family &&
	       memcmp(a->octets, b->octets, address_bits(a) / 8) == 0;
}
