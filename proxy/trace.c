/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "trace.h"

#include <string.h>

enum {
	DOMAIN_MAX = 255, /* RFC 5321 §4.5.3.1.2 */
	COMMENT_MAX = 64, /* octets of an unusable HELO that are shown */
	ID_DIGITS = 12,	  /* of an id at least */
};

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Labels of letters, digits, '-' and, for the sake of Windows hosts, '_'. */
static bool is_domain(const char *text)
{
	size_t n = 0;
	char before = '.';

	for (; text[n] != '\0'; before = text[n++]) {
		char c = text[n];

		if (c == '.' ? before == '.'
			     : !is_alphanumeric(c) && c != '-' && c != '_')
			return false;
		if (n == DOMAIN_MAX)
			return false;
	}
	return before != '.';
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" and what else looks like them. */
static bool is_literal(const char *text)
{
	size_t n = 1;

	if (text[0] != '[')
		return false;
	while (is_alphanumeric(text[n]) || (text[n] != '\0' && strchr(".:-", text[n])))
		n++;
	return n > 1 && n < DOMAIN_MAX && text[n] == ']' && text[n + 1] == '\0';
}

/* Nothing that ends the comment, quotes, folds, or steers a terminal gets through. */
static void put_comment(struct buf *out, const char *text)
{
	char safe[COMMENT_MAX + 1];
	size_t n = 0;

	for (; n < COMMENT_MAX && text[n] != '\0'; n++) {
		bool fit = text[n] >= ' ' && text[n] <= '~' && !strchr("()\\", text[n]);

		safe[n] = fit ? text[n] : '_';
	}
	safe[n] = '\0';
	buf_printf(out, " (HELO %s%s)", safe, text[n] != '\0' ? "..." : "");
}

static void put_two_digits(struct buf *out, const char *before, int n)
{
	const char digits[] = { (char)('0' + n / 10), (char)('0' + n % 10), '\0' };

	buf_puts(out, before);
	buf_puts(out, digits);
}

/* 1 .. 9999. */
static void put_number(struct buf *out, const char *before, int n)
{
	if (n >= 100) {
		put_two_digits(out, before, n / 100);
		put_two_digits(out, "", n % 100);
	} else if (n >= 10) {
		put_two_digits(out, before, n);
	} else {
		buf_puts(out, before);
		buf_append(out, &"0123456789"[n], 1);
	}
}

static void put_date(struct buf *out, time_t when)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm tm = { .tm_mday = 1 };

	/*
	 * strftime() would speak the locale's language, and printf() costs more than all
	 * the rest of the line.
	 */
	gmtime_r(&when, &tm);
	buf_puts(out, days[tm.tm_wday]);
	put_number(out, ", ", tm.tm_mday);
	buf_puts(out, " ");
	buf_puts(out, months[tm.tm_mon]);
	put_number(out, " ", tm.tm_year + 1900);
	put_two_digits(out, " ", tm.tm_hour);
	put_two_digits(out, ":", tm.tm_min);
	put_two_digits(out, ":", tm.tm_sec);
	buf_puts(out, " +0000");
}

/* RFC 3848, RFC 6531 §4.3. HELO inside TLS has no name: the comment tells. */
static const char *protocol(const struct trace *t)
{
	static const char *const names[2][2][2] = {
		{ { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		{ { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
	};

	return t->esmtp ? names[t->utf8][t->tls != NULL][t->auth] : "SMTP";
}

const char *trace_id(uint64_t id, char text[TRACE_ID])
{
	char *at = text + TRACE_ID - 1;

	*at = '\0';
	for (; id != 0 || at > text + TRACE_ID - 1 - ID_DIGITS; id >>= 4)
		*--at = "0123456789abcdef"[id & 15];
	return at;
}

void trace_received(struct buf *out, const struct trace *t)
{
	const char *helo = t->helo ? t->helo : "";
	bool usable = is_domain(helo) || is_literal(helo);
	char client[ADDRESS_TEXT], id[TRACE_ID];

	buf_puts(out, "Received: from ");
	buf_puts(out, usable ? helo : "unknown");
	buf_puts(out, t->client->family == AF_INET6 ? " ([IPv6:" : " ([");
	buf_puts(out, address_host(t->client, client));
	buf_puts(out, "])");
	if (!usable && *helo != '\0')
		put_comment(out, helo);
	buf_puts(out, "\r\n\tby ");
	buf_puts(out, t->hostname);
	buf_puts(out, " with ");
	buf_puts(out, protocol(t));
	if (t->tls) {
		buf_puts(out, " (");
		buf_puts(out, t->tls);
		buf_puts(out, " ");
		buf_puts(out, t->cipher);
		buf_puts(out, ")");
	}
	buf_puts(out, "\r\n\tid ");
	buf_puts(out, trace_id(t->id, id));
	buf_puts(out, "; ");
	put_date(out, t->when);
	buf_puts(out, "\r\n");
}
