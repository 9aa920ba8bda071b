/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What is for the public Internet, as IANA's special-purpose address registries have it
 * (RFC 6890 and the RFCs after it). What this file knows is pure; the kernel is asked in
 * origin_socket.c.
 */

#include "origin.h"

#include <assert.h>
#include <string.h>

#define IPV4(a, b, c, bits)                                                              \
	{                                                                                \
		{ AF_INET, 0, { a, b, c } }, bits                                        \
	}
#define IPV6(bits, ...)                                                                  \
	{                                                                                \
		{ AF_INET6, 0, { __VA_ARGS__ } }, bits                                   \
	}

static const struct network private_networks[] = {
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
	struct network network;
	unsigned at; /* octet where the IPv4 address begins */
} carriers[] = {
	{ IPV6(96, [10] = 0xff, [11] = 0xff), 12 }, /* IPv4-mapped (RFC 4291) */
	{ IPV6(96, 0x00, 0x64, 0xff, 0x9b), 12 },   /* NAT64 (RFC 6052) */
	{ IPV6(16, 0x20, 0x02), 2 },		    /* 6to4 (RFC 3056) */
};

static struct address inner(const struct address *address)
{
	for (unsigned i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
		struct address v4 = { .family = AF_INET };

		if (!network_contains(&carriers[i].network, address))
			continue;
		memcpy(v4.octets, address->octets + carriers[i].at, 4);
		return v4;
	}
	return *address;
}

bool origin_is_private(const struct address *address)
{
	struct address host = inner(address);

	if (host.family != AF_INET && host.family != AF_INET6)
		return true;
	for (unsigned i = 0; i < sizeof(private_networks) / sizeof(private_networks[0]);
		i++)
		if (network_contains(&private_networks[i], &host))
			return true;
	return false;
}

static const char *const reasons[] = {
	[ORIGIN_FINE] = "fine",
	[ORIGIN_UNKNOWN] = "it was not intercepted but sent to us",
	[ORIGIN_NOT_SMTP] = "it goes to another port than 25",
	[ORIGIN_OURSELVES] = "it goes to this machine itself",
	[ORIGIN_PRIVATE] = "it goes to a private address (see allow-private)",
};
static_assert(sizeof(reasons) / sizeof(reasons[0]) == ORIGIN_VERDICTS, "one each");

const char *origin_reason(enum origin_verdict verdict)
{
	return reasons[verdict];
}
