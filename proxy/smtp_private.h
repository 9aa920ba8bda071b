/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SMTP_PRIVATE_H
#define SEALPOST_SMTP_PRIVATE_H

/* What the smtp files share among themselves: character classes, without a locale. */

#include "smtp.h"

static inline bool smtp_is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

static inline bool smtp_is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline bool smtp_is_alnum(unsigned char c)
{
	return smtp_is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static inline bool smtp_is_control(unsigned char c)
{
	return c < ' ' || c == 127;
}

/* Drops the first n octets (n <= length). */
static inline struct span span_skip(struct span s, size_t n)
{
	return n == 0 ? s : (struct span){ s.at + n, s.length - n };
}

/* The first octet, or -1 at the end. */
static inline int span_peek(struct span s)
{
	return s.length > 0 ? (unsigned char)s.at[0] : -1;
}

/* Without the blanks at both ends. */
struct span span_trim(struct span s);

/* Cuts off and returns everything up to the first blank; *s goes on behind the blanks. */
struct span span_word(struct span *s);

/* Appends one reply line: code, '-' or ' ', the text with '?' for controls, CRLF. */
void smtp_reply_line_write(struct buf *out, unsigned code, bool last, struct span text);

#endif
