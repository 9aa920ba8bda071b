/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "smtp.h"

#include "smtp_private.h"

#include <assert.h>
#include <string.h>

enum smtp_line_status smtp_line(const unsigned char *octets, size_t n, size_t limit,
	struct span *line, size_t *consumed)
{
	size_t within = n < limit ? n : limit;
	const unsigned char *lf = within > 0 ? memchr(octets, '\n', within) : NULL;

	*line = (struct span){ (const char *)octets, 0 };
	*consumed = 0;
	if (!lf && n < limit)
		return SMTP_LINE_PARTIAL;
	if (!lf) {
		lf = n > 0 ? memchr(octets, '\n', n) : NULL;
		*consumed = lf ? (size_t)(lf - octets) + 1 : n;
		return SMTP_LINE_LONG;
	}

	size_t length = (size_t)(lf - octets);
	bool crlf = length > 0 && lf[-1] == '\r';

	*consumed = length + 1;
	line->length = crlf ? length - 1 : length;
	if (!crlf || memchr(octets, '\r', line->length) ||
		memchr(octets, '\0', line->length))
		return SMTP_LINE_BARE;
	return SMTP_LINE_OK;
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool same_letters(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower((unsigned char)a[i]) != lower((unsigned char)b[i]))
			return false;
	return true;
}

bool span_is(struct span s, const char *word)
{
	return strlen(word) == s.length && same_letters(s.at, word, s.length);
}

struct span span_trim(struct span s)
{
	while (s.length > 0 && smtp_is_blank((unsigned char)s.at[0]))
		s = span_skip(s, 1);
	while (s.length > 0 && smtp_is_blank((unsigned char)s.at[s.length - 1]))
		s.length--;
	return s;
}

struct span span_word(struct span *s)
{
	size_t n = 0;

	while (n < s->length && !smtp_is_blank((unsigned char)s->at[n]))
		n++;

	struct span word = { s->at, n };

	*s = span_trim(span_skip(*s, n));
	return word;
}

bool span_number(struct span s, uint64_t *number)
{
	uint64_t value = 0;

	if (s.length == 0 || s.length > 20)
		return false;
	for (size_t i = 0; i < s.length; i++) {
		unsigned char c = (unsigned char)s.at[i];
		unsigned digit = c - '0';

		if (!smtp_is_digit(c) || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*number = value;
	return true;
}

bool smtp_bdat(struct span argument, uint64_t *octets, bool *last)
{
	struct span word = span_word(&argument);
	bool ends = argument.length > 0;

	if (ends && !span_is(argument, "LAST"))
		return false;
	if (!span_number(word, octets))
		return false;
	*last = ends;
	return true;
}

static const char *const verb_names[] = {
	[SMTP_UNKNOWN] = "",
	[SMTP_EHLO] = "EHLO",
	[SMTP_HELO] = "HELO",
	[SMTP_MAIL] = "MAIL",
	[SMTP_RCPT] = "RCPT",
	[SMTP_DATA] = "DATA",
	[SMTP_BDAT] = "BDAT",
	[SMTP_RSET] = "RSET",
	[SMTP_NOOP] = "NOOP",
	[SMTP_QUIT] = "QUIT",
	[SMTP_STARTTLS] = "STARTTLS",
	[SMTP_AUTH] = "AUTH",
	[SMTP_VRFY] = "VRFY",
	[SMTP_EXPN] = "EXPN",
	[SMTP_HELP] = "HELP",
	[SMTP_TURN] = "TURN",
	[SMTP_ATRN] = "ATRN",
	[SMTP_ETRN] = "ETRN",
	[SMTP_HTTP] = "HTTP",
};
static_assert(
	sizeof(verb_names) / sizeof(verb_names[0]) == SMTP_VERBS, "name every verb");

/* RFC 9110 §9.3, RFC 5789, and the first word of HTTP/2's preface (RFC 9113 §3.4). */
static const char *const http_methods[] = { "GET", "POST", "PUT", "HEAD", "OPTIONS",
	"CONNECT", "DELETE", "TRACE", "PATCH", "PRI" };

static enum smtp_verb find_verb(struct span word)
{
	for (unsigned verb = SMTP_UNKNOWN + 1; verb < SMTP_HTTP; verb++)
		if (span_is(word, verb_names[verb]))
			return (enum smtp_verb)verb;
	for (size_t i = 0; i < sizeof(http_methods) / sizeof(http_methods[0]); i++)
		if (span_is(word, http_methods[i]))
			return SMTP_HTTP;
	return SMTP_UNKNOWN;
}

/* What stands behind "FROM:" or "TO:", or a span at NULL where that is missing. */
static struct span behind_colon(struct span argument, const char *word)
{
	size_t n = strlen(word);

	if (argument.length < n || !same_letters(argument.at, word, n))
		return (struct span){ NULL, 0 };
	argument = span_trim(span_skip(argument, n));
	if (span_peek(argument) != ':')
		return (struct span){ NULL, 0 };
	return span_trim(span_skip(argument, 1));
}

void smtp_command(struct span line, struct smtp_command *command)
{
	struct span verb = span_word(&line);

	command->verb = find_verb(verb);
	command->argument = line;
	if (command->verb == SMTP_MAIL)
		command->argument = behind_colon(line, "FROM");
	else if (command->verb == SMTP_RCPT)
		command->argument = behind_colon(line, "TO");
}

static void put_hex(char *to, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";

	to[0] = digits[c >> 4];
	to[1] = digits[c & 15];
}

void smtp_xtext_write(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.length; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c > ' ' && c < 127 && c != '+' && c != '=') {
			buf_append(out, &c, 1);
		} else {
			char hex[3] = "+";

			put_hex(hex + 1, c);
			buf_append(out, hex, sizeof(hex));
		}
	}
}
