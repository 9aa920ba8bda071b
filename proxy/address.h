/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_ADDRESS_H
#define SEALPOST_ADDRESS_H

/*
 * Network addresses in 20 octets, their text, and networks to match them. Pure: libc
 * alone.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	ADDRESS_TEXT = 56, /* octets that "[IPv6]:port" and its NUL need at most */
};

struct address {
	sa_family_t family; /* AF_INET, AF_INET6, or AF_UNSPEC for none */
	in_port_t port;	    /* host order */
	uint8_t octets[16]; /* the first 4 for AF_INET */
};

struct network {
	struct address base;
	unsigned prefix; /* bits */
};

/*
 * Reads "192.0.2.1", "192.0.2.1:25", "2001:db8::1", "[2001:db8::1]" or
 * "[2001:db8::1]:25". Without a port `port` becomes default_port. Returns false for
 * anything else, a host name among it.
 */
bool address_parse(struct address *a, const char *text, in_port_t default_port);

/* Reads "192.0.2.0/24", "2001:db8::/32" or a bare address (all its bits). */
bool network_parse(struct network *n, const char *text);

/* IPv4-mapped IPv6 addresses match IPv4 networks. The port is ignored. */
bool network_contains(const struct network *n, const struct address *a);

/*
 * Takes an IPv4-mapped IPv6 address for the IPv4 address that it is. False for other
 * families.
 */
bool address_from_sockaddr(struct address *a, const struct sockaddr *sa);
socklen_t address_to_sockaddr(const struct address *a, struct sockaddr_storage *ss);

/* "192.0.2.1:25" or "[2001:db8::1]:25", "unknown" for AF_UNSPEC; returns text. */
const char *address_text(const struct address *a, char text[ADDRESS_TEXT]);

/* The same without port and brackets. */
const char *address_host(const struct address *a, char text[ADDRESS_TEXT]);

/* 0.0.0.0 or ::, to a listening socket any address of its family. */
bool address_is_wildcard(const struct address *a);

/* Same family and octets; ports differ or not. */
bool address_same_host(const struct address *a, const struct address *b);

#endif
