/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "dns_data.h"
#include "dns_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- packets, put together by hand ---- */

struct writer {
	uint8_t octets[4096];
	size_t length;
};

static void put(struct writer *w, const void *octets, size_t length)
{
	assert_true(length <= sizeof(w->octets) - w->length);
	memcpy(w->octets + w->length, octets, length);
	w->length += length;
}

static void put16(struct writer *w, unsigned number)
{
	const uint8_t octets[] = { (uint8_t)(number >> 8), (uint8_t)number };
	put(w, octets, sizeof(octets));
}

/* The question is d.lab./MX; its name stands at 12, "lab" at 14. */
static void put_header(
	struct writer *w, unsigned code, unsigned answers, unsigned authority)
{
	w->length = 0;
	put16(w, 4711);
	put16(w, 0x8180 | code);
	put16(w, 1);
	put16(w, answers);
	put16(w, authority);
	put16(w, 0);
	put(w, "\1d\3lab", 7);
	put16(w, DNS_MX);
	put16(w, 1);
}

static void put_body(
	struct writer *w, unsigned type, unsigned ttl, const void *data, size_t length)
{
	put16(w, type);
	put16(w, 1);
	put16(w, ttl >> 16);
	put16(w, ttl & 0xffff);
	put16(w, (unsigned)length);
	put(w, data, length);
}

static void put_record(
	struct writer *w, unsigned type, unsigned ttl, const void *data, size_t length)
{
	put16(w, 0xc00c);
	put_body(w, type, ttl, data, length);
}

/* Reads from a copy of its very length, so that a sanitizer sees each octet beyond. */
static bool open_packet(struct dns_packet *packet, const struct writer *w, uint8_t **copy)
{
	*copy = malloc(w->length + 1);
	assert_non_null(*copy);
	memcpy(*copy, w->octets, w->length);
	*copy = realloc(*copy, w->length > 0 ? w->length : 1);
	assert_non_null(*copy);
	return dns_packet_open(packet, *copy, w->length);
}

/* ---- packets ---- */

static void test_records(void **state)
{
	struct writer w;
	struct dns_packet packet;
	struct dns_record record;
	uint8_t *copy;

	(void)state;
	put_header(&w, DNS_NOERROR, 2, 1);
	put_record(&w, DNS_A, 300, "\300\0\2\1", 4);
	put_record(&w, DNS_AAAA, 0x80000000, "0123456789abcdef", 16);
	put_record(&w, 6, 60, "x", 1);
	assert_true(open_packet(&packet, &w, &copy));
	assert_int_equal(packet.code, DNS_NOERROR);
	assert_true(dns_packet_next(&packet, &record));
	assert_int_equal(record.type, DNS_A);
	assert_int_equal(record.ttl, 300);
	assert_true(record.answer);
	assert_true(dns_packet_next(&packet, &record));
	assert_int_equal(record.type, DNS_AAAA);
	assert_int_equal(record.ttl, 0); /* RFC 2181 §8 */
	assert_true(dns_packet_next(&packet, &record));
	assert_int_equal(record.type, 6);
	assert_false(record.answer);
	assert_false(dns_packet_next(&packet, &record));
	assert_false(dns_packet_next(&packet, &record));
	free(copy);
}

/* RFC 2308 §5: the lesser of the SOA's TTL and its last number. */
static void put_soa(struct writer *w, unsigned ttl, unsigned minimum)
{
	uint8_t data[2 + 2 + 5 * 4] = { 0xc0, 0x0c, 0xc0, 0x0c };
	for (unsigned i = 0; i < 4; i++)
		data[sizeof(data) - 4 + i] = (uint8_t)(minimum >> (24 - 8 * i));
	put_record(w, DNS_SOA, ttl, data, sizeof(data));
}

static void assert_lifetime(const struct writer *w, uint32_t seconds)
{
	struct dns_packet packet;
	uint8_t *copy;
	assert_true(open_packet(&packet, w, &copy));
	assert_int_equal(dns_packet_lifetime(packet), seconds);
	free(copy);
}

static void test_lifetime_of_what_there_is_not(void **state)
{
	static const unsigned codes[] = { DNS_NOERROR, DNS_NXDOMAIN };
	struct writer w;
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		put_header(&w, codes[i], 0, 1);
		put_soa(&w, 300, 20);
		assert_lifetime(&w, 20);
		put_header(&w, codes[i], 0, 1);
		put_soa(&w, 30, 200);
		assert_lifetime(&w, 30);
		put_header(&w, codes[i], 0, 1);
		put_soa(&w, 86400, 86400);
		assert_lifetime(&w, DNS_LIFETIME_MOST);
		put_header(&w, codes[i], 0, 1);
		put_record(&w, DNS_SOA, 300, "\0\0", 2);
		assert_lifetime(&w, 0);
		put_header(&w, codes[i], 0, 0);
		assert_lifetime(&w, DNS_LIFETIME_UNSAID);
		put_header(&w, codes[i], 0, 1);
		put_record(&w, 2, 300, "\0", 1); /* NS alone */
		assert_lifetime(&w, DNS_LIFETIME_UNSAID);
	}
}

static void test_lifetime_of_what_there_is(void **state)
{
	struct writer w;
	(void)state;
	put_header(&w, DNS_NOERROR, 2, 1);
	put_record(&w, DNS_MX, 300, "\0\1\0", 3);
	put_record(&w, DNS_MX, 200, "\0\1\0", 3);
	put_record(&w, 2, 250, "\0", 1);
	assert_lifetime(&w, 200);
	put_header(&w, DNS_NOERROR, 1, 0);
	put_record(&w, DNS_MX, 7200, "\0\1\0", 3);
	assert_lifetime(&w, DNS_LIFETIME_MOST);
	put_header(
		&w, DNS_NOERROR, 1, 0); /* an alias of nothing, of which nobody speaks */
	put_record(&w, DNS_CNAME, 300, "\0", 1);
	assert_lifetime(&w, DNS_LIFETIME_UNSAID);
	put_header(&w, DNS_NOERROR, 1, 1);
	put_record(&w, DNS_CNAME, 300, "\0", 1);
	put_soa(&w, 300, 120);
	assert_lifetime(&w, 120);
}

static void test_cut_anywhere(void **state)
{
	struct writer whole, w;
	struct dns_packet packet;
	struct dns_record record;
	char name[REQUIREMENT_NAME];
	uint16_t preference;

	(void)state;
	put_header(&whole, DNS_NOERROR, 2, 0);
	put_record(&whole, DNS_MX, 300, "\0\12\2mx\300\14", 7);
	put_record(&whole, DNS_MX, 300, "\0\12\3mx2\1d\3lab", 13);
	for (size_t length = 0; length <= whole.length; length++) {
		unsigned hosts = 0;
		uint8_t *copy;
		w = whole;
		w.length = length;
		bool opened = open_packet(&packet, &w, &copy);
		assert_int_equal(opened, length >= 23);
		while (opened && dns_packet_next(&packet, &record))
			hosts += dns_packet_mx(&packet, &record, &preference, name) ==
				 DNS_MX_HOST;
		assert_int_equal(hosts, (length >= 42) + (length == whole.length));
		free(copy);
	}
}

/* ---- MX ---- */

static enum dns_mx read_mx(const void *data, size_t length, unsigned *preference,
	char name[REQUIREMENT_NAME])
{
	struct writer w;
	struct dns_packet packet;
	struct dns_record record;
	uint16_t read;
	uint8_t *copy;

	put_header(&w, DNS_NOERROR, 1, 0);
	put_record(&w, DNS_MX, 300, data, length);
	assert_true(open_packet(&packet, &w, &copy));
	assert_true(dns_packet_next(&packet, &record));
	enum dns_mx mx = dns_packet_mx(&packet, &record, &read, name);
	*preference = read;
	free(copy);
	return mx;
}

static void assert_host(
	const void *data, size_t length, unsigned preference, const char *host)
{
	char name[REQUIREMENT_NAME];
	unsigned read;
	assert_int_equal(read_mx(data, length, &read, name), DNS_MX_HOST);
	assert_int_equal(read, preference);
	assert_string_equal(name, host);
}

static void test_mx_hosts(void **state)
{
	(void)state;
	assert_host("\0\12\2mx\1d\3lab", 12, 10, "mx.d.lab");
	assert_host("\0\12\2mx\300\14", 7, 10, "mx.d.lab");
	assert_host("\0\12\2mx\300\16", 7, 10, "mx.lab");
	assert_host("\0\12\300\14", 4, 10, "d.lab");
	assert_host("\377\377\5MX-_1\3LAB", 13, 65535, "mx-_1.lab");
}

static void assert_unusable(const void *data, size_t length)
{
	char name[REQUIREMENT_NAME];
	unsigned read;
	assert_int_equal(read_mx(data, length, &read, name), DNS_MX_UNUSABLE);
	assert_string_equal(name, "");
}

static void test_mx_unusable(void **state)
{
	(void)state;
	assert_unusable("", 0);
	assert_unusable("\0\12", 2);
	assert_unusable("\0\12\2mx", 5);	 /* no end */
	assert_unusable("\0\12\2mx\0\0", 7);	 /* more than a name */
	assert_unusable("\0\12\2mx\300", 6);	 /* half a pointer */
	assert_unusable("\0\12\2mx\300\45", 7);	 /* to itself: 37 is its name */
	assert_unusable("\0\12\300\45", 4);	 /* likewise, at once */
	assert_unusable("\0\12\377\377", 4);	 /* far away */
	assert_unusable("\0\12\100mx", 5);	 /* label type 01 */
	assert_unusable("\0\12\3a.b\3lab", 11);	 /* would read as a.b.lab */
	assert_unusable("\0\12\3a\0b\3lab", 11); /* would read as a */
	assert_unusable("\0\12\3a b\3lab", 11);
	assert_unusable("\0\12\3\303\244b\3lab", 11);
	assert_unusable("\0\12\003192\0010\0012\0011", 13); /* 192.0.2.1 */
	assert_unusable("\0\12\11localhost", 13);
	assert_unusable("\0\12\1a\11LOCALHOST", 15);
}

static void test_mx_null(void **state)
{
	char name[REQUIREMENT_NAME];
	unsigned preference;
	(void)state;
	assert_int_equal(read_mx("\0\0", 3, &preference, name), DNS_MX_NULL);
	assert_int_equal(preference, 0);
}

static void test_mx_long_names(void **state)
{
	uint8_t data[2 + 256 + 1] = { 0, 10 };
	char name[REQUIREMENT_NAME];
	unsigned preference;
	(void)state;
	/* 63.63.63.61: 253 characters, 255 octets, all that a name may have */
	size_t at = 2;
	for (unsigned i = 0; i < 4; i++) {
		size_t label = i < 3 ? 63 : 61;
		data[at] = (uint8_t)label;
		memset(data + at + 1, 'a', label);
		at += 1 + label;
	}
	assert_int_equal(read_mx(data, at + 1, &preference, name), DNS_MX_HOST);
	assert_int_equal(strlen(name), 253);
	data[2 + 3 * 64]++;
	data[at++] = 'a';
	data[at] = 0;
	assert_unusable(data, at + 1);
}

/* ---- addresses ---- */

static bool read_address(
	unsigned type, const void *data, size_t length, struct peer_address *address)
{
	struct writer w;
	struct dns_packet packet;
	struct dns_record record;
	uint8_t *copy;

	put_header(&w, DNS_NOERROR, 1, 0);
	put_record(&w, type, 300, data, length);
	assert_true(open_packet(&packet, &w, &copy));
	assert_true(dns_packet_next(&packet, &record));
	bool fine = dns_packet_address(&packet, &record, address);
	free(copy);
	return fine;
}

static void test_addresses(void **state)
{
	static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };
	static const uint8_t unspecified[16], loopback[16] = { [15] = 1 };
	struct peer_address a;
	(void)state;
	assert_true(read_address(DNS_A, "\300\0\2\1", 4, &a));
	assert_int_equal(a.family, FAMILY_IPV4);
	assert_memory_equal(a.octets, "\300\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_true(read_address(DNS_AAAA, loopback, 16, &a));
	assert_int_equal(a.family, FAMILY_IPV6);
	assert_memory_equal(a.octets, loopback, 16);
	assert_false(read_address(DNS_A, "\300\0\2", 3, &a));
	assert_false(read_address(DNS_A, loopback, 16, &a));
	assert_false(read_address(DNS_AAAA, "\300\0\2\1", 4, &a));
	assert_false(read_address(DNS_MX, "\300\0\2\1", 4, &a));
	assert_false(read_address(DNS_A, "\0\0\0\0", 4, &a));
	assert_false(read_address(DNS_A, "\340\0\0\1", 4, &a));
	assert_false(read_address(DNS_A, "\377\377\377\377", 4, &a));
	assert_false(read_address(DNS_AAAA, unspecified, 16, &a));
	assert_false(read_address(DNS_AAAA, mapped, 16, &a));
	assert_false(read_address(DNS_AAAA, "\377\2345678901234567", 16, &a));
}

/* ---- aliases ---- */

/* "a.lab" is an alias of "b.lab". */
static void put_alias(struct writer *w, char owner, char target)
{
	const char from[] = { 1, owner, '\xc0', 14 }, to[] = { 1, target, '\xc0', 14 };
	put(w, from, sizeof(from));
	put_body(w, DNS_CNAME, 300, to, sizeof(to));
}

static bool expands(const struct writer *w, const char *expected)
{
	char name[REQUIREMENT_NAME] = "d.lab";
	struct dns_packet packet;
	uint8_t *copy;
	assert_true(open_packet(&packet, w, &copy));
	bool is_alias = dns_packet_expand(&packet, name);
	assert_string_equal(name, is_alias ? expected : "d.lab");
	free(copy);
	return is_alias;
}

/* It is an alias wherever it leads, and however far. */
static bool is_alias(const struct writer *w)
{
	struct dns_packet packet;
	uint8_t *copy;
	assert_true(open_packet(&packet, w, &copy));
	bool alias = dns_packet_is_alias(&packet, "d.lab");
	free(copy);
	return alias;
}

/* In any order, and among others. */
static void test_aliases(void **state)
{
	struct writer w;
	(void)state;
	put_header(&w, DNS_NOERROR, 1, 0);
	put_record(&w, DNS_A, 300, "\300\0\2\1", 4);
	assert_false(expands(&w, ""));
	assert_false(is_alias(&w));
	put_header(&w, DNS_NOERROR, 1, 0);
	put_record(&w, DNS_CNAME, 300, "\1A\3Far\0", 7);
	assert_true(expands(&w, "a.far"));
	put_header(&w, DNS_NOERROR, 5, 0);
	put_alias(&w, 'b', 'c');
	put_alias(&w, 'x', 'y');
	put_alias(&w, 'a', 'b');
	put_alias(&w, 'D', 'a');
	put(&w, "\1c\300\16", 4);
	put_body(&w, DNS_A, 300, "\300\0\2\1", 4);
	assert_true(expands(&w, "c.lab"));
	/* not of the answer */
	put_header(&w, DNS_NOERROR, 0, 1);
	put_alias(&w, 'd', 'a');
	assert_false(expands(&w, ""));
}

static void test_aliases_that_are_none(void **state)
{
	struct writer w;
	(void)state;
	put_header(&w, DNS_NOERROR, 1, 0);
	put_alias(&w, 'd', 'd');
	assert_false(expands(&w, ""));
	put_header(&w, DNS_NOERROR, 2, 0);
	put_alias(&w, 'd', 'a');
	put_alias(&w, 'a', 'd');
	assert_false(expands(&w, ""));
	/* the last one leads to what is no host */
	put_header(&w, DNS_NOERROR, 2, 0);
	put_alias(&w, 'd', 'a');
	put(&w, "\1a\300\16", 4);
	put_body(&w, DNS_CNAME, 300, "\3b c\300\16", 6);
	assert_true(is_alias(&w)); /* and so its TLSA records are looked for */
	assert_false(expands(&w, ""));
	put_header(&w, DNS_NOERROR, 1, 0);
	put_record(&w, DNS_CNAME, 300, "\1a\300", 3);
	assert_false(expands(&w, ""));
	put_header(&w, DNS_NOERROR, 1, 0);
	put_record(&w, DNS_CNAME, 300, "", 1);
	assert_false(expands(&w, ""));
}

static void test_literals(void **state)
{
	struct peer_address a;
	(void)state;
	assert_true(dns_read_literal("[192.0.2.1]", &a));
	assert_int_equal(a.family, FAMILY_IPV4);
	assert_memory_equal(a.octets, "\300\0\2\1", 4);
	assert_true(dns_read_literal("[IPv6:2001:db8::1]", &a));
	assert_int_equal(a.family, FAMILY_IPV6);
	assert_true(dns_read_literal("[ipv6:2001:db8::1]", &a));
	static const char *const wrong[] = { "", "[", "[]", "192.0.2.1", "[192.0.2.1",
		"[192.0.2.1]x", "[192.0.2.1].", "[192.0.2]", "[2001:db8::1]",
		"[IPv6:192.0.2.1]", "[IPv6:]", "[IPv6:2001:db8::1%lo]", "[0.0.0.0]",
		"[IPv6:::]", "[IPv6:::ffff:192.0.2.1]",
		"[IPv6:2001:0db8:0000:0000:0000:0000:0000:0000:0000:0001:0001]" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(dns_read_literal(wrong[i], &a));
}

static void test_names(void **state)
{
	char name[300];
	(void)state;
	static const char *const right[] = { "lab", "a.lab", "_tlsa.a-b.lab",
		"xn--bcher.lab", "1.2.3.4a", "localhost" };
	static const char *const wrong[] = { "", ".", "a.", ".a", "a..b", "A.lab",
		"a b.lab", "192.0.2.1", "1", "a.1", "[192.0.2.1]", "../../etc", "a/b",
		"b\303\244.lab" };
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		assert_true(dns_is_host(right[i]));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(dns_is_host(wrong[i]));
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_true(dns_is_host(name));
	name[63] = 'a', name[64] = '\0';
	assert_false(dns_is_host(name));
	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[253] = '\0';
	assert_true(dns_is_host(name));
	name[253] = 'a', name[254] = '\0';
	assert_false(dns_is_host(name));
}

/* ---- candidates ---- */

static void test_hosts(void **state)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	(void)state;
	assert_non_null(peer);
	dns_add_host(peer, 20, "b");
	dns_add_host(peer, 10, "a");
	dns_add_host(peer, 20, "c");
	dns_add_host(peer, 30, "b"); /* known, and better */
	dns_add_host(peer, 5, "c");  /* known, and worse */
	assert_int_equal(peer->candidate_count, 3);
	assert_string_equal(peer->candidates[0].name, "c");
	assert_int_equal(peer->candidates[0].preference, 5);
	assert_string_equal(peer->candidates[1].name, "a");
	assert_string_equal(peer->candidates[2].name, "b");
	assert_int_equal(peer->candidates[2].preference, 20);
	free(peer);
}

static void test_too_many_hosts(void **state)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	char name[16];
	(void)state;
	assert_non_null(peer);
	for (unsigned i = 200; i > 0; i--) {
		snprintf(name, sizeof(name), "h%u", i);
		dns_add_host(peer, (uint16_t)i, name);
	}
	dns_add_host(peer, 17, "late");
	assert_int_equal(peer->candidate_count, REQUIREMENT_CANDIDATES);
	for (unsigned i = 0; i < REQUIREMENT_CANDIDATES; i++)
		assert_int_equal(peer->candidates[i].preference, i + 1);
	free(peer);
}

static void add(struct candidate *candidate, enum family family, unsigned number)
{
	struct peer_address address = { .family = (uint8_t)family, .octets = { 192 } };
	address.octets[3] = (uint8_t)number;
	dns_add_address(candidate, &address);
}

static void assert_families(const struct candidate *candidate, unsigned ipv4)
{
	for (unsigned i = 0; i < candidate->address_count; i++)
		assert_int_equal(candidate->addresses[i].family,
			i < ipv4 ? FAMILY_IPV4 : FAMILY_IPV6);
}

static void test_order_of_addresses(void **state)
{
	struct candidate candidate = { .address_count = 0 };
	(void)state;
	add(&candidate, FAMILY_IPV6, 1);
	add(&candidate, FAMILY_IPV4, 1);
	add(&candidate, FAMILY_IPV6, 2);
	add(&candidate, FAMILY_IPV4, 2);
	add(&candidate, FAMILY_IPV4, 1);
	assert_int_equal(candidate.address_count, 4);
	assert_families(&candidate, 2);
	assert_int_equal(candidate.addresses[0].octets[3], 1);
	assert_int_equal(candidate.addresses[1].octets[3], 2);
}

/* Whichever comes first. */
static void test_too_many_addresses(void **state)
{
	static const enum family orders[][2] = { { FAMILY_IPV4, FAMILY_IPV6 },
		{ FAMILY_IPV6, FAMILY_IPV4 } };
	(void)state;
	for (unsigned o = 0; o < 2; o++) {
		struct candidate candidate = { .address_count = 0 };
		for (unsigned i = 0; i < 50; i++)
			add(&candidate, orders[o][0], i);
		assert_int_equal(candidate.address_count, REQUIREMENT_ADDRESSES);
		for (unsigned i = 0; i < 50; i++)
			add(&candidate, orders[o][1], i);
		assert_int_equal(candidate.address_count, REQUIREMENT_ADDRESSES);
		assert_families(&candidate, REQUIREMENT_ADDRESSES / 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_lifetime_of_what_there_is_not),
		cmocka_unit_test(test_lifetime_of_what_there_is),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_mx_hosts),
		cmocka_unit_test(test_mx_unusable),
		cmocka_unit_test(test_mx_null),
		cmocka_unit_test(test_mx_long_names),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_aliases_that_are_none),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_too_many_hosts),
		cmocka_unit_test(test_order_of_addresses),
		cmocka_unit_test(test_too_many_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
