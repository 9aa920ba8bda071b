/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Not by inih: to it "; " begins a comment, and a password may have one. */

#include "credentials.h"

#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 4096 };

/* A part of the file. */
struct piece {
	const char *at;
	size_t length;
};

struct reading {
	const char *path;
	struct credentials *c;
	char *reason;
	unsigned line;
};

static bool cannot(const struct reading *r, const char *why)
{
	snprintf(r->reason, BUNDLE_REASON, "%s: %s", r->path, why);
	return false;
}

static bool fault(const struct reading *r, const char *why)
{
	snprintf(r->reason, BUNDLE_REASON, "%s:%u: %s", r->path, r->line, why);
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct piece trimmed(struct piece p)
{
	while (p.length > 0 && is_blank(p.at[0])) {
		p.at++;
		p.length--;
	}
	while (p.length > 0 && is_blank(p.at[p.length - 1]))
		p.length--;
	return p;
}

static bool piece_is(struct piece p, const char *word)
{
	return p.length == strlen(word) && memcmp(p.at, word, p.length) == 0;
}

static bool has_controls(struct piece p)
{
	for (size_t i = 0; i < p.length; i++) {
		unsigned char c = (unsigned char)p.at[i];

		if (c < ' ' || c == 127)
			return true;
	}
	return false;
}

static bool value_take(const struct reading *r, struct piece value, char *to)
{
	if (*to != '\0')
		return fault(r, "written a second time");
	if (value.length == 0)
		return fault(r, "no value behind the =");
	if (value.length >= CREDENTIALS_TEXT)
		return fault(r, "longer than 255 octets");
	if (has_controls(value))
		return fault(r, "a control character");
	memcpy(to, value.at, value.length);
	to[value.length] = '\0';
	return true;
}

static bool line_take(const struct reading *r, struct piece line)
{
	line = trimmed(line);
	if (line.length == 0 || *line.at == '#' || *line.at == ';')
		return true;
	const char *equals = memchr(line.at, '=', line.length);

	if (!equals)
		return fault(r, "neither user = ... nor password = ...");
	struct piece key = { line.at, (size_t)(equals - line.at) };
	struct piece value = { equals + 1, line.length - key.length - 1 };

	key = trimmed(key);
	value = trimmed(value);
	if (piece_is(key, "user"))
		return value_take(r, value, r->c->user);
	if (piece_is(key, "password"))
		return value_take(r, value, r->c->password);
	return fault(r, "unknown key: there are user and password");
}

static bool text_take(struct reading *r, struct piece text)
{
	while (text.length > 0) {
		const char *end = memchr(text.at, '\n', text.length);
		size_t length = end ? (size_t)(end - text.at) : text.length;
		struct piece line = { text.at, length };
		size_t used = length + (end != NULL);

		if (length > 0 && text.at[length - 1] == '\r')
			line.length--;
		r->line++;
		if (!line_take(r, line))
			return false;
		text.at += used;
		text.length -= used;
	}
	if (*r->c->user == '\0')
		return cannot(r, "no user = ... in it");
	if (*r->c->password == '\0')
		return cannot(r, "no password = ... in it");
	return true;
}

bool credentials_read(struct bundle *bundle, const char *path, struct credentials *c,
	char reason[BUNDLE_REASON])
{
	struct reading r = { .path = path, .c = c, .reason = reason };
	struct bundle_octets text;
	bool fine;

	memset(c, 0, sizeof(*c));
	if (!bundle_read(bundle, path, &text, reason))
		return false;
	if (text.exposed)
		fine = cannot(&r, "others can read or change it: chmod 640");
	else if (text.length > FILE_MAX)
		fine = cannot(&r, "longer than 4096 octets");
	else
		fine = text_take(
			&r, (struct piece){ (const char *)text.at, text.length });
	if (!fine)
		credentials_wipe(c);
	return fine;
}

void credentials_wipe(struct credentials *c)
{
	explicit_bzero(c, sizeof(*c));
}
