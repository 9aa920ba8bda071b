/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_ORIGIN_H
#define SEALPOST_ORIGIN_H

/* Where an intercepted connection was going before the firewall sent it to us. */

#include "address.h"

#include <stdbool.h>

enum origin_verdict {
	ORIGIN_FINE,
	ORIGIN_UNKNOWN,	  /* nobody intercepted it: it was sent to us */
	ORIGIN_NOT_SMTP,  /* not to port 25 */
	ORIGIN_OURSELVES, /* an address of this machine: it would come back to us */
	ORIGIN_PRIVATE,	  /* loopback, link-local, private, multicast, unspecified */
	ORIGIN_VERDICTS
};

/*
 * REDIRECT leaves the destination with conntrack (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST),
 * TPROXY in the socket's own name. `fd` is an accepted connection. ORIGIN_FINE or
 * _UNKNOWN.
 */
enum origin_verdict origin_find(int fd, struct address *destination);

/* Whether mail may go there: port 25, not this machine, not private unless allowed. */
enum origin_verdict origin_check(const struct address *destination, bool allow_private);

/* Pure: not for the public Internet (RFC 6890). IPv4 inside IPv6 counts as IPv4. */
bool origin_is_private(const struct address *address);

/* In plain words, a constant: "it was not intercepted but sent to us". */
const char *origin_reason(enum origin_verdict verdict);

#endif
