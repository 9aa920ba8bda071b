/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "smtp.h"

#include "smtp_private.h"

#include <string.h>

enum {
	DOMAIN_MAX = 255,
};

/* Octets of the UTF-8 sequence c starts, 0 for none; *low .. *high bound the second. */
static unsigned utf8_length(unsigned char c, unsigned char *low, unsigned char *high)
{
	*low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* True where all octets above 127 stand in well-formed UTF-8 (RFC 3629 §4). */
static bool span_utf8(struct span s)
{
	while (s.length > 0) {
		unsigned char low, high;
		unsigned n = utf8_length((unsigned char)s.at[0], &low, &high);

		if (n == 0 || n > s.length)
			return false;
		for (unsigned i = 1; i < n; i++) {
			unsigned char c = (unsigned char)s.at[i];

			if (c < low || c > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
		s = span_skip(s, n);
	}
	return true;
}

static bool span_ascii(struct span s)
{
	for (size_t i = 0; i < s.length; i++)
		if ((unsigned char)s.at[i] > 127)
			return false;
	return true;
}

/* Cuts the first n octets off *text. */
static struct span take(struct span *text, size_t n)
{
	struct span s = { text->at, n };

	*text = span_skip(*text, n);
	return s;
}

/* Passes over one octet if it is `wanted`. */
static bool accept(struct span *text, char wanted)
{
	if (span_peek(*text) != (unsigned char)wanted)
		return false;
	*text = span_skip(*text, 1);
	return true;
}

/* atext (RFC 5321 §4.1.2, RFC 6531 §3.3); dots stand anywhere, as they do in life. */
static bool is_local(unsigned char c)
{
	return smtp_is_alnum(c) || c > 127 ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

static bool is_label(unsigned char c)
{
	return smtp_is_alnum(c) || c == '-' || c == '_' || c > 127;
}

static bool is_literal(unsigned char c)
{
	return smtp_is_alnum(c) || c == '-' || c == '.' || c == ':';
}

/* "quoted", RFC 5321's Quoted-string: a backslash takes the next octet with it. */
static bool read_quoted(struct span *text, struct span *local)
{
	for (size_t i = 1; i < text->length; i++) {
		if (text->at[i] == '"') {
			*local = take(text, i + 1);
			return true;
		}
		if (text->at[i] == '\\')
			i++;
		if (i < text->length && smtp_is_control((unsigned char)text->at[i]))
			return false;
	}
	return false;
}

static bool read_local(struct span *text, struct span *local)
{
	size_t n = 0;

	if (span_peek(*text) == '"')
		return read_quoted(text, local);
	while (n < text->length && is_local((unsigned char)text->at[n]))
		n++;
	*local = take(text, n);
	return n > 0;
}

static bool read_literal(struct span *text, struct span *domain)
{
	size_t n = 1;

	while (n < text->length && is_literal((unsigned char)text->at[n]))
		n++;
	if (n == 1 || n == text->length || text->at[n] != ']' || n >= DOMAIN_MAX)
		return false;
	*domain = take(text, n + 1);
	return true;
}

static bool read_domain(struct span *text, struct span *domain)
{
	size_t n = 0;
	size_t label = 0;

	if (span_peek(*text) == '[')
		return read_literal(text, domain);
	for (; n < text->length; n++) {
		unsigned char c = (unsigned char)text->at[n];

		if (c == '.' && label == 0)
			return false;
		if (c != '.' && !is_label(c))
			break;
		label = c == '.' ? 0 : label + 1;
	}
	*domain = take(text, n);
	if (n > 0 && label == 0)
		domain->length--;
	return domain->length > 0 && domain->length <= DOMAIN_MAX;
}

/* RFC 5321 §4.1.1.3 and appendix C: "@a,@b:" is accepted and ignored. */
static bool skip_route(struct span *text)
{
	struct span domain;

	if (span_peek(*text) != '@')
		return true;
	do {
		if (!accept(text, '@') || !read_domain(text, &domain))
			return false;
	} while (accept(text, ','));
	return accept(text, ':');
}

/* What stands between the brackets. */
static bool read_mailbox(struct span *text, struct smtp_path *path)
{
	if (!skip_route(text) || !read_local(text, &path->local))
		return false;
	return !accept(text, '@') || read_domain(text, &path->domain);
}

static bool read_path(struct span *text, struct smtp_path *path)
{
	if (!accept(text, '<')) {
		/* Without brackets a lone word might as well be a parameter. */
		if (!read_mailbox(text, path) || path->domain.length == 0)
			return false;
	} else if (!accept(text, '>')) {
		if (!read_mailbox(text, path) || !accept(text, '>'))
			return false;
	}
	return text->length == 0 || smtp_is_blank((unsigned char)text->at[0]);
}

enum smtp_path_status smtp_path(
	struct span text, bool utf8, struct smtp_path *path, struct span *rest)
{
	*path = (struct smtp_path){ { "", 0 }, { "", 0 } };
	*rest = (struct span){ "", 0 };
	text = span_trim(text);
	if (!read_path(&text, path))
		return SMTP_PATH_SYNTAX;
	if (!utf8 && !(span_ascii(path->local) && span_ascii(path->domain)))
		return SMTP_PATH_NONASCII;
	if (!span_utf8(path->local) || !span_utf8(path->domain))
		return SMTP_PATH_SYNTAX;
	*rest = span_trim(text);
	return SMTP_PATH_OK;
}

void smtp_path_write(struct buf *out, const struct smtp_path *path)
{
	buf_append(out, "<", 1);
	buf_append(out, path->local.at, path->local.length);
	if (path->domain.length > 0)
		buf_append(out, "@", 1);
	buf_append(out, path->domain.at, path->domain.length);
	buf_append(out, ">", 1);
}

static bool is_parameter_name(struct span s)
{
	for (size_t i = 0; i < s.length; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (!smtp_is_alnum(c) && (c != '-' || i == 0))
			return false;
	}
	return s.length > 0;
}

/* An '=' inside is no esmtp-value, but it is what careless clients leave in an ORCPT. */
static bool is_parameter_value(struct span s)
{
	for (size_t i = 0; i < s.length; i++)
		if (smtp_is_control((unsigned char)s.at[i]))
			return false;
	return s.length > 0 && span_utf8(s);
}

bool smtp_parameter(
	struct span *rest, struct span *name, struct span *value, bool *broken)
{
	*broken = false;
	*rest = span_trim(*rest);
	if (rest->length == 0)
		return false;

	struct span word = span_word(rest);
	const char *equals = memchr(word.at, '=', word.length);

	*name = word;
	*value = (struct span){ NULL, 0 };
	if (equals) {
		name->length = (size_t)(equals - word.at);
		*value = span_skip(word, name->length + 1);
	}
	*broken = !is_parameter_name(*name) || (equals && !is_parameter_value(*value));
	return !*broken;
}
