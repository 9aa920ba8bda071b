/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What this file knows is pure; the kernel is asked in origin_socket.c. */

#include "origin.h"

#include "reach.h"

#include <assert.h>
#include <string.h>

bool origin_is_private(const struct address *address)
{
	struct peer_address host = { .family = FAMILY_NONE };

	if (address->family == AF_INET)
		host.family = FAMILY_IPV4;
	else if (address->family == AF_INET6)
		host.family = FAMILY_IPV6;
	memcpy(host.octets, address->octets, sizeof(host.octets));
	return reach_is_private(&host);
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
