/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "reach.h"

#include <string.h>

struct block {
	struct peer_address base;
	unsigned bits;
};

#define IPV4(a, b, c, bits)                                                              \
	{                                                                                \
		{ FAMILY_IPV4, { a, b, c } }, bits                                       \
	}
#define IPV6(bits, ...)                                                                  \
	{                                                                                \
		{ FAMILY_IPV6, { __VA_ARGS__ } }, bits                                   \
	}

static const struct block private_blocks[] = {
	IPV4(0, 0, 0, 8),	/* "this network" (RFC 791) */
	IPV4(10, 0, 0, 8),	/* private use (RFC 1918) */
	IPV4(100, 64, 0, 10),	/* behind a provider's NAT (RFC 6598) */
	IPV4(127, 0, 0, 8),	/* loopback (RFC 1122) */
	IPV4(169, 254, 0, 16),	/* link-local (RFC 3927) */
	IPV4(172, 16, 0, 12),	/* private use (RFC 1918) */
	IPV4(192, 0, 0, 24),	/* IETF protocol assignments (RFC 6890) */
	IPV4(192, 0, 2, 24),	/* documentation (RFC 5737) */
	IPV4(192, 88, 99, 24),	/* 6to4 relays, deprecated (RFC 7526) */
	IPV4(192, 168, 0, 16),	/* private use (RFC 1918) */
	IPV4(198, 18, 0, 15),	/* benchmarks (RFC 2544) */
	IPV4(198, 51, 100, 24), /* documentation (RFC 5737) */
	IPV4(203, 0, 113, 24),	/* documentation (RFC 5737) */
	IPV4(224, 0, 0, 4),	/* multicast (RFC 1112) */
	IPV4(240, 0, 0, 4),	/* reserved, broadcast (RFC 1112, RFC 919) */
	/*
	 * Global unicast is 2000::/3 alone (RFC 4291 §2.4, IANA). What lies outside: the
	 * unspecified address and loopback, discard-only (RFC 6666), local NAT64 (RFC
	 * 8215), segment routing (RFC 9602), unique local (RFC 4193), link-local,
	 * site-local (RFC 3879), multicast.
	 */
	IPV6(3, 0x00), IPV6(2, 0x40), IPV6(1, 0x80),
	IPV6(23, 0x20, 0x01),		  /* IETF protocols, Teredo (RFC 2928, 4380) */
	IPV6(32, 0x20, 0x01, 0x0d, 0xb8), /* documentation (RFC 3849) */
	IPV6(20, 0x3f, 0xff),		  /* documentation (RFC 9637) */
};

/* Where an IPv6 address has an IPv4 address inside, to which its packets go. */
static const struct carrier {
	struct block block;
	unsigned at; /* octet where the IPv4 address begins */
} carriers[] = {
	{ IPV6(96, [10] = 0xff, [11] = 0xff), 12 }, /* IPv4-mapped (RFC 4291) */
	{ IPV6(96, 0x00, 0x64, 0xff, 0x9b), 12 },   /* NAT64 (RFC 6052) */
	{ IPV6(16, 0x20, 0x02), 2 },		    /* 6to4 (RFC 3056) */
};

static bool contains(const struct block *block, const struct peer_address *address)
{
	unsigned whole = block->bits / 8, rest = block->bits % 8;
	const uint8_t *a = block->base.octets, *b = address->octets;
	if (block->base.family != address->family || memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static struct peer_address inner(const struct peer_address *address)
{
	for (unsigned i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
		struct peer_address ipv4 = { .family = FAMILY_IPV4 };
		if (!contains(&carriers[i].block, address))
			continue;
		memcpy(ipv4.octets, address->octets + carriers[i].at, 4);
		return ipv4;
	}
	return *address;
}

bool reach_is_private(const struct peer_address *address)
{
	struct peer_address host = inner(address);
	if (host.family != FAMILY_IPV4 && host.family != FAMILY_IPV6)
		return true;
	for (unsigned i = 0; i < sizeof(private_blocks) / sizeof(private_blocks[0]); i++)
		if (contains(&private_blocks[i], &host))
			return true;
	return false;
}
