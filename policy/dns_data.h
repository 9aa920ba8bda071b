/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DNS_DATA_H
#define SEALPOST_DNS_DATA_H

/* Names, addresses, and the hosts of a domain by preference. Pure. */

#include "requirement.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether it is the name of a host or a mail domain: labels of lower-case letters,
 * digits, "-" and "_", the last one no number (192.0.2.1 is no name).
 */
bool dns_is_host(const char *name);

/*
 * Not unspecified, multicast or broadcast, nor IPv4 in the clothes of IPv6. What is
 * private or loopback may be meant so: routes decide.
 */
bool dns_is_somebodys(const struct peer_address *address);

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3), if it is somebody's. */
bool dns_read_literal(const char *domain, struct peer_address *address);

/*
 * Adds a host, behind those of its preference; one that is there already keeps the better
 * preference of the two. Of more than there is room for the best stay.
 */
void dns_add_host(struct peer *peer, uint16_t preference, const char *name);

/*
 * Adds an address, unless it is there already. IPv4 stands first, for that is where an
 * old server's good name is. Of more than there is room for, each family keeps half.
 */
void dns_add_address(struct candidate *candidate, const struct peer_address *address);

#endif
