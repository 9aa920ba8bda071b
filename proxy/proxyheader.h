/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_PROXYHEADER_H
#define SEALPOST_PROXYHEADER_H

/* The PROXY protocol header, versions 1 and 2, read and written. Pure: libc alone. */

#include "address.h"
#include "buf.h"

enum proxyheader_status {
	PROXYHEADER_OK,
	PROXYHEADER_PARTIAL, /* a valid beginning; more octets are needed */
	PROXYHEADER_BROKEN,  /* not a PROXY header, or one that lies about its length */
};

enum {
	PROXYHEADER_MAX = 4096, /* octets of a header; longer is BROKEN */
};

struct proxyheader {
	bool local; /* LOCAL or UNKNOWN: the balancer speaks for itself; no addresses */
	struct address source, destination;
};

/*
 * Reads a header of either version at the start of n octets. On OK *consumed is its
 * length. TCP over IPv4 and IPv6; other families of version 2 count as local. TLVs are
 * skipped (their lengths checked). IPv4-mapped addresses come out as the IPv4 addresses
 * that they are.
 */
enum proxyheader_status proxyheader_read(const unsigned char *octets, size_t n,
	struct proxyheader *header, size_t *consumed);

/* "PROXY TCP4 src dst sport dport\r\n"; "PROXY UNKNOWN\r\n" where the families differ. */
void proxyheader_write_v1(
	struct buf *out, const struct address *source, const struct address *destination);

/*
 * Version 2; with `version` ("TLSv1.3") and `cipher` not NULL also PP2_TYPE_SSL with its
 * PP2_SUBTYPE_SSL_VERSION and PP2_SUBTYPE_SSL_CIPHER, and with `name` not NULL
 * PP2_TYPE_AUTHORITY. A text of more than 255 octets is left out. LOCAL and nothing else
 * where the families differ.
 */
void proxyheader_write_v2(struct buf *out, const struct address *source,
	const struct address *destination, const char *version, const char *cipher,
	const char *name);

#endif
