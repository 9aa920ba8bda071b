/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* After "The PROXY protocol, versions 1 & 2", revision of 2020/03/05. */

#include "proxyheader.h"

#include <arpa/inet.h>
#include <string.h>

enum {
	V1_MAX = 107, /* octets of a version 1 line with its CRLF */
	V1_PREFIX = 6,
	V2_SIGNATURE = 12,
	V2_FIXED = 16, /* signature, version and command, family, length */
	V2_PROXY = 0x21,
	V2_LOCAL = 0x20,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
	V2_TLV = 3, /* octets before the value: type, length */
	V2_TEXT_MAX = 255,
};

enum tlv {
	TLV_AUTHORITY = 0x02,
	TLV_SSL = 0x20,
	TLV_SSL_VERSION = 0x21,
	TLV_SSL_CIPHER = 0x23,
};

static const char v1_prefix[] = "PROXY ";
static const unsigned char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The way through a sockaddr takes IPv4-mapped addresses for the IPv4 that they are. */
static struct address address_of(sa_family_t family, const void *octets, in_port_t port)
{
	struct address a = { .family = family, .port = port };
	struct sockaddr_storage ss;

	memcpy(a.octets, octets, family == AF_INET ? 4 : 16);
	address_to_sockaddr(&a, &ss);
	address_from_sockaddr(&a, (struct sockaddr *)&ss);
	return a;
}

/* ---- version 1 ---- */

/* Cuts the word up to `end` off *text, which then stands behind it. False if empty. */
static bool cut_word(char **text, char end, char **word)
{
	char *stop = strchr(*text, end);

	if (!stop || stop == *text)
		return false;
	*word = *text;
	*text = stop + (end != '\0');
	*stop = '\0';
	return true;
}

/* At most five digits, no leading zero. */
static bool read_port(const char *word, in_port_t *port)
{
	unsigned value = 0;
	size_t digits = strspn(word, "0123456789");

	if (word[digits] != '\0' || digits > 5 || (digits > 1 && word[0] == '0'))
		return false;
	while (*word != '\0')
		value = value * 10 + (unsigned)(*word++ - '0');
	*port = (in_port_t)value;
	return value <= UINT16_MAX;
}

/* "TCP4 192.0.2.1 198.51.100.1 56324 25" or "UNKNOWN" and anything. */
static bool read_v1_words(char *text, struct proxyheader *header)
{
	char *words[5];
	unsigned char octets[2][16];
	in_port_t ports[2];

	if (strncmp(text, "UNKNOWN", 7) == 0 && (text[7] == ' ' || text[7] == '\0')) {
		*header = (struct proxyheader){ .local = true };
		return true;
	}
	for (size_t i = 0; i < 5; i++)
		if (!cut_word(&text, i < 4 ? ' ' : '\0', &words[i]))
			return false;

	bool v6 = strcmp(words[0], "TCP6") == 0;
	int family = v6 ? AF_INET6 : AF_INET;

	if (!v6 && strcmp(words[0], "TCP4") != 0)
		return false;
	if (inet_pton(family, words[1], octets[0]) != 1 ||
		inet_pton(family, words[2], octets[1]) != 1)
		return false;
	if (!read_port(words[3], &ports[0]) || !read_port(words[4], &ports[1]))
		return false;
	*header = (struct proxyheader){
		.source = address_of((sa_family_t)family, octets[0], ports[0]),
		.destination = address_of((sa_family_t)family, octets[1], ports[1]),
	};
	return true;
}

static enum proxyheader_status read_v1(const unsigned char *octets, size_t n,
	struct proxyheader *header, size_t *consumed)
{
	char text[V1_MAX];
	size_t length = 0;

	for (size_t i = V1_PREFIX; i < n && i < V1_MAX && octets[i] != '\r'; i++) {
		if (octets[i] < ' ' || octets[i] > '~')
			return PROXYHEADER_BROKEN;
		text[length++] = (char)octets[i];
	}

	size_t cr = V1_PREFIX + length;

	if (cr + 2 > V1_MAX)
		return PROXYHEADER_BROKEN;
	if (cr + 2 > n)
		return PROXYHEADER_PARTIAL;
	text[length] = '\0';
	if (octets[cr + 1] != '\n' || !read_v1_words(text, header))
		return PROXYHEADER_BROKEN;
	*consumed = cr + 2;
	return PROXYHEADER_OK;
}

void proxyheader_write_v1(
	struct buf *out, const struct address *source, const struct address *destination)
{
	char from[ADDRESS_TEXT], to[ADDRESS_TEXT];

	if (source->family != destination->family || source->family == AF_UNSPEC)
		buf_puts(out, "PROXY UNKNOWN\r\n");
	else
		buf_printf(out, "PROXY %s %s %s %u %u\r\n",
			source->family == AF_INET ? "TCP4" : "TCP6",
			address_host(source, from), address_host(destination, to),
			(unsigned)source->port, (unsigned)destination->port);
}

/* ---- version 2 ---- */

static unsigned get16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Whether the n octets at p are TLVs from end to end. */
static bool skip_tlvs(const unsigned char *p, size_t n)
{
	while (n >= V2_TLV) {
		size_t whole = V2_TLV + get16(p + 1);

		if (whole > n)
			return false;
		p += whole;
		n -= whole;
	}
	return n == 0;
}

/* The n octets behind the fixed part of a header that names TCP. */
static bool read_v2_addresses(
	const unsigned char *p, size_t n, sa_family_t family, struct proxyheader *header)
{
	size_t width = family == AF_INET ? 4 : 16;
	size_t both = 2 * width + 4;

	if (n < both || !skip_tlvs(p + both, n - both))
		return false;
	*header = (struct proxyheader){
		.source = address_of(family, p, (in_port_t)get16(p + 2 * width)),
		.destination = address_of(
			family, p + width, (in_port_t)get16(p + 2 * width + 2)),
	};
	return true;
}

static enum proxyheader_status read_v2(const unsigned char *octets, size_t n,
	struct proxyheader *header, size_t *consumed)
{
	if (n > V2_SIGNATURE && octets[V2_SIGNATURE] != V2_PROXY &&
		octets[V2_SIGNATURE] != V2_LOCAL)
		return PROXYHEADER_BROKEN;
	if (n < V2_FIXED)
		return PROXYHEADER_PARTIAL;

	size_t length = get16(octets + 14);
	unsigned char family = octets[13];
	bool tcp = family == V2_TCP4 || family == V2_TCP6;

	if (V2_FIXED + length > PROXYHEADER_MAX)
		return PROXYHEADER_BROKEN;
	if (V2_FIXED + length > n)
		return PROXYHEADER_PARTIAL;
	if (octets[V2_SIGNATURE] == V2_LOCAL || !tcp)
		*header = (struct proxyheader){ .local = true };
	else if (!read_v2_addresses(octets + V2_FIXED, length,
			 family == V2_TCP4 ? AF_INET : AF_INET6, header))
		return PROXYHEADER_BROKEN;
	*consumed = V2_FIXED + length;
	return PROXYHEADER_OK;
}

static void put16(struct buf *out, size_t value)
{
	buf_append(out,
		(unsigned char[]){ (unsigned char)(value >> 8), (unsigned char)value },
		2);
}

/* 0 for a text that is not there, or too long to be true. */
static size_t tlv_size(const char *text)
{
	size_t n = text ? strlen(text) : V2_TEXT_MAX + 1;

	return n <= V2_TEXT_MAX ? V2_TLV + n : 0;
}

static void put_tlv(struct buf *out, enum tlv type, size_t length)
{
	buf_append(out, (unsigned char[]){ (unsigned char)type }, 1);
	put16(out, length);
}

static void put_text_tlv(struct buf *out, enum tlv type, const char *text)
{
	size_t size = tlv_size(text);

	if (size == 0)
		return;
	put_tlv(out, type, size - V2_TLV);
	buf_append(out, text, size - V2_TLV);
}

void proxyheader_write_v2(struct buf *out, const struct address *source,
	const struct address *destination, const char *version, const char *cipher,
	const char *name)
{
	/* "The client spoke TLS", and no certificate of its was verified. */
	static const unsigned char ssl[] = { 0x01, 0, 0, 0, 1 };
	bool v4 = source->family == AF_INET;
	size_t width = v4 ? 4 : 16;
	size_t tls = 0;

	buf_append(out, v2_signature, V2_SIGNATURE);
	if (source->family != destination->family || source->family == AF_UNSPEC) {
		buf_append(out, (unsigned char[]){ V2_LOCAL, 0, 0, 0 }, 4);
		return;
	}
	if (version && cipher)
		tls = sizeof(ssl) + tlv_size(version) + tlv_size(cipher);
	buf_append(out, (unsigned char[]){ V2_PROXY, v4 ? V2_TCP4 : V2_TCP6 }, 2);
	put16(out, 2 * width + 4 + (tls != 0 ? V2_TLV + tls : 0) + tlv_size(name));
	buf_append(out, source->octets, width);
	buf_append(out, destination->octets, width);
	put16(out, source->port);
	put16(out, destination->port);
	put_text_tlv(out, TLV_AUTHORITY, name);
	if (tls == 0)
		return;
	put_tlv(out, TLV_SSL, tls);
	buf_append(out, ssl, sizeof(ssl));
	put_text_tlv(out, TLV_SSL_VERSION, version);
	put_text_tlv(out, TLV_SSL_CIPHER, cipher);
}

/* ---- either ---- */

enum proxyheader_status proxyheader_read(const unsigned char *octets, size_t n,
	struct proxyheader *header, size_t *consumed)
{
	if (n == 0)
		return PROXYHEADER_PARTIAL;
	if (memcmp(octets, v1_prefix, smaller(n, V1_PREFIX)) == 0)
		return n < V1_PREFIX ? PROXYHEADER_PARTIAL
				     : read_v1(octets, n, header, consumed);
	if (memcmp(octets, v2_signature, smaller(n, V2_SIGNATURE)) == 0)
		return n < V2_SIGNATURE ? PROXYHEADER_PARTIAL
					: read_v2(octets, n, header, consumed);
	return PROXYHEADER_BROKEN;
}
