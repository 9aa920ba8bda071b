/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TRACE_H
#define SEALPOST_TRACE_H

/*
 * What is known of where a message comes from, and the Received line made of it (RFC 5321
 * §4.4, RFC 3848 for the protocol names). Pure: libc alone.
 */

#include "address.h"
#include "buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct trace {
	const char *hostname;	      /* ours: "by" */
	const struct address *client; /* whom we serve, and where it came to */
	const struct address *server;
	uint64_t id;	    /* the session's */
	const char *tls;    /* "TLS1.3", or NULL in clear */
	const char *cipher; /* "TLS_AES_256_GCM_SHA384" */
	const char *helo;   /* what the client said; untrusted, made safe here */
	bool esmtp;	    /* EHLO, not HELO */
	bool auth;
	bool utf8; /* SMTPUTF8 transaction: UTF8SMTP..., RFC 6531 §4.3 */
	time_t when;
};

/*
 * Appends the line, folded, with its last CRLF:
 *
 *	Received: from HELO ([CLIENT])
 *		by HOSTNAME with ESMTPS (TLS)
 *		id ID; Sun, 22 Nov 2026 01:02:03 +0000
 *
 * A HELO that is no domain or address literal stands as "unknown" (RFC 5321 allows only
 * those there), with its first octets, made safe, in a comment: "unknown ([CLIENT]) (HELO
 * TEXT)".
 */
void trace_received(struct buf *out, const struct trace *trace);

enum {
	TRACE_ID = 20, /* octets of an id in text, its NUL included */
};

/* A session's id as in Received lines and in the log; the result is inside text. */
const char *trace_id(uint64_t id, char text[TRACE_ID]);

#endif
