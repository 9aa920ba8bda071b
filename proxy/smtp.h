/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SMTP_H
#define SEALPOST_SMTP_H

/*
 * The vocabulary of SMTP: lines, verbs, reply codes, paths, parameters and the EHLO
 * keywords. No conversation, no memory of its own: everything is read in place, and spans
 * point into the caller's bytes. Pure: libc alone.
 */

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const char *at;
	size_t length;
};

enum {
	SMTP_PORT = 25,
};

/* ---- lines ---- */

enum smtp_line_status {
	SMTP_LINE_OK,	   /* ended by CRLF, no other CR, no LF, no NUL inside */
	SMTP_LINE_PARTIAL, /* no LF yet, and still within the limit */
	SMTP_LINE_BARE,	   /* ended by a LF alone, or a stray CR or NUL inside */
	SMTP_LINE_LONG,	   /* more than the limit; consumed counts what can be dropped */
};

/*
 * Cuts the next command line off the first n octets. `limit` counts the line with its
 * CRLF. On OK and BARE `line` is the text without line end and *consumed counts it with
 * its end. On LONG *consumed covers all up to and with the next LF or, where none came
 * yet, all n octets (the caller then goes on dropping until a line ends).
 */
enum smtp_line_status smtp_line(const unsigned char *octets, size_t n, size_t limit,
	struct span *line, size_t *consumed);

/* ---- commands ---- */

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_QUIT,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_TURN,
	SMTP_ATRN,
	SMTP_ETRN,
	SMTP_HTTP, /* GET, POST, CONNECT and the like: another protocol's client */
	SMTP_VERBS
};

struct smtp_command {
	enum smtp_verb verb;
	struct span argument; /* without surrounding blanks; length 0 if there is none */
};

/*
 * Splits a line into verb (any case) and argument. MAIL and RCPT are recognised only with
 * "FROM:" and "TO:" (any case, blanks before the colon tolerated); the argument starts
 * behind the colon. A MAIL without FROM: keeps its verb, with argument.at == NULL.
 */
void smtp_command(struct span line, struct smtp_command *command);

/* ---- paths (RFC 5321 §4.1.2) and parameters ---- */

enum smtp_path_status {
	SMTP_PATH_OK,
	SMTP_PATH_SYNTAX,   /* 501 5.1.3 (RCPT) or 501 5.1.7 (MAIL) */
	SMTP_PATH_NONASCII, /* octets above 127 without SMTPUTF8: 553 5.6.7 */
};

struct smtp_path {
	struct span local;  /* as written, with its quotes; empty for <> alone */
	struct span domain; /* as written, without a trailing dot; may be empty */
};

/*
 * Reads a path at the start of `text` and sets *rest to what follows it (parameters,
 * blanks trimmed). A source route (@a,@b:) is skipped, brackets may be missing, blanks
 * before "<" are skipped. Never reads two meanings: an unquoted second "@", a control
 * character, or an unbalanced quote is SYNTAX. `utf8` allows octets above 127 where they
 * are valid UTF-8. A local part may be longer than 64 octets (Exchange's IMCEAEX
 * addresses are). A domain is letters, digits, '-', '_', '.' (no empty label, at most 255
 * octets), octets above 127, or an address literal in brackets. Within "<>" it may be
 * missing (<postmaster>). A path that is not OK is not to be written.
 */
enum smtp_path_status smtp_path(
	struct span text, bool utf8, struct smtp_path *path, struct span *rest);

/* Appends "<local@domain>", "<>" or "<local>": what was judged is what is sent. */
void smtp_path_write(struct buf *out, const struct smtp_path *path);

/*
 * The next "NAME" or "NAME=VALUE" of *rest, which moves on; value.at is NULL without "=".
 * False at the end. *broken is set (and false returned) where something that is no
 * parameter stands there. Octets above 127 are taken in a value where they are UTF-8 (RFC
 * 6531 §3.3).
 */
bool smtp_parameter(
	struct span *rest, struct span *name, struct span *value, bool *broken);

/* Compares without regard to ASCII case. */
bool span_is(struct span s, const char *word);

/* Decimal without sign, no more than 20 digits, not above UINT64_MAX; else false. */
bool span_number(struct span s, uint64_t *number);

/* BDAT's argument (RFC 3030 §2): "n" or "n LAST". False where it is anything else. */
bool smtp_bdat(struct span argument, uint64_t *octets, bool *last);

/* ---- replies ---- */

enum smtp_reply_status {
	SMTP_REPLY_OK,
	SMTP_REPLY_PARTIAL,
	SMTP_REPLY_BROKEN, /* no reply at all, or codes that differ between its lines */
	SMTP_REPLY_LONG,   /* beyond the limits */
};

struct smtp_reply {
	unsigned code; /* 100 .. 599 */
	unsigned lines;
	const char *octets; /* the raw reply, ... */
	size_t length;	    /* ... with its last line end */
};

struct smtp_reply_limits {
	size_t length; /* octets of a whole reply */
	unsigned lines;
};

/*
 * Finds one whole reply, multi-line or not, at the start of n octets. Line ends may be
 * CRLF or a LF alone. "250" without text is allowed; a code outside 100..599 is BROKEN.
 * Linear in n, but called again from the start as more arrives: bounded by the limits.
 */
enum smtp_reply_status smtp_reply(const unsigned char *octets, size_t n,
	const struct smtp_reply_limits *limits, struct smtp_reply *reply);

/*
 * The text of the next line of a reply (without code, separator and line end). Start with
 * *cursor = 0; false after the last line.
 */
bool smtp_reply_line(const struct smtp_reply *reply, size_t *cursor, struct span *text);

/* Appends the reply with canonical line ends; control characters become '?'. */
void smtp_reply_write(struct buf *out, const struct smtp_reply *reply);

/* Its last line alone. Exchange 2000 and 2003 break on a multi-line 354. */
void smtp_reply_write_last(struct buf *out, const struct smtp_reply *reply);

/* ---- EHLO ---- */

/* Keywords that we understand. Whatever is not here is stripped, in both directions. */
enum smtp_keyword {
	SMTP_KW_SIZE,
	SMTP_KW_PIPELINING,
	SMTP_KW_8BITMIME,
	SMTP_KW_CHUNKING,
	SMTP_KW_BINARYMIME,
	SMTP_KW_DSN,
	SMTP_KW_ENHANCEDSTATUSCODES,
	SMTP_KW_SMTPUTF8,
	SMTP_KW_LIMITS,
	SMTP_KW_AUTH,
	SMTP_KW_STARTTLS,
	SMTP_KW_XCLIENT,
	SMTP_KEYWORDS
};

#define SMTP_KW(name) (1u << SMTP_KW_##name)

/* What may be passed from a far EHLO to near: the rest is ours or nobody's. */
#define SMTP_KW_MIRRORED                                                                 \
	(SMTP_KW(SIZE) | SMTP_KW(8BITMIME) | SMTP_KW(CHUNKING) | SMTP_KW(BINARYMIME) |   \
		SMTP_KW(DSN) | SMTP_KW(ENHANCEDSTATUSCODES) | SMTP_KW(SMTPUTF8))

enum smtp_mechanism {
	SMTP_AUTH_PLAIN,
	SMTP_AUTH_LOGIN,
	SMTP_AUTH_CRAM_MD5,
	SMTP_AUTH_DIGEST_MD5,
	SMTP_AUTH_SCRAM_SHA_1,
	SMTP_AUTH_SCRAM_SHA_256,
	SMTP_AUTH_XOAUTH2,
	SMTP_AUTH_OAUTHBEARER,
	SMTP_AUTH_NTLM,
	SMTP_AUTH_EXTERNAL,
	SMTP_MECHANISMS
};

/* XCLIENT's attributes (Postfix XCLIENT_README), as bits 1u << SMTP_XCLIENT_… */
enum smtp_xclient {
	SMTP_XCLIENT_NAME,
	SMTP_XCLIENT_ADDR,
	SMTP_XCLIENT_PORT,
	SMTP_XCLIENT_PROTO,
	SMTP_XCLIENT_HELO,
	SMTP_XCLIENT_LOGIN,
	SMTP_XCLIENT_DESTADDR,
	SMTP_XCLIENT_DESTPORT,
	SMTP_XCLIENT_ATTRIBUTES
};

struct smtp_ehlo {
	uint32_t keywords;   /* SMTP_KW(...) bits */
	uint32_t mechanisms; /* 1u << SMTP_AUTH_... */
	uint32_t xclient;    /* 1u << SMTP_XCLIENT_... */
	uint64_t size;	     /* 0: no declared limit */
};

/*
 * Reads a 250 reply to EHLO. Lenient: any case, "AUTH=LOGIN", an empty AUTH, doubled
 * keywords (of several sizes the lowest), "SIZE" without a value, a last line "OK",
 * overwritten keywords (XXXXXXXA).
 */
void smtp_ehlo_read(const struct smtp_reply *reply, struct smtp_ehlo *ehlo);

/*
 * Appends a whole canonical EHLO reply: "250-" and the greeting text, then a line a
 * keyword, in the order of the enum; no line for SMTP_KW_AUTH without a mechanism.
 * Control characters of the greeting text become '?'.
 */
void smtp_ehlo_write(struct buf *out, struct span greeting, const struct smtp_ehlo *ehlo);

/* Index of a keyword or mechanism by its name (any case), or -1. */
int smtp_keyword_find(struct span name);
int smtp_mechanism_find(struct span name);
int smtp_xclient_find(struct span name);
const char *smtp_xclient_name(enum smtp_xclient attribute);

/* Appends s in xtext (RFC 3461 §4): '+', '=', blanks, controls and 8-bit as +HH. */
void smtp_xtext_write(struct buf *out, struct span s);

#endif
