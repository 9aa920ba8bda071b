/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "smtp.h"

#include "smtp_private.h"

#include <assert.h>
#include <inttypes.h>

static const char *const keyword_names[] = {
	[SMTP_KW_SIZE] = "SIZE",
	[SMTP_KW_PIPELINING] = "PIPELINING",
	[SMTP_KW_8BITMIME] = "8BITMIME",
	[SMTP_KW_CHUNKING] = "CHUNKING",
	[SMTP_KW_BINARYMIME] = "BINARYMIME",
	[SMTP_KW_DSN] = "DSN",
	[SMTP_KW_ENHANCEDSTATUSCODES] = "ENHANCEDSTATUSCODES",
	[SMTP_KW_SMTPUTF8] = "SMTPUTF8",
	[SMTP_KW_LIMITS] = "LIMITS",
	[SMTP_KW_AUTH] = "AUTH",
	[SMTP_KW_STARTTLS] = "STARTTLS",
	[SMTP_KW_XCLIENT] = "XCLIENT",
};
static_assert(sizeof(keyword_names) / sizeof(keyword_names[0]) == SMTP_KEYWORDS,
	"name every keyword");

static const char *const mechanism_names[] = {
	[SMTP_AUTH_PLAIN] = "PLAIN",
	[SMTP_AUTH_LOGIN] = "LOGIN",
	[SMTP_AUTH_CRAM_MD5] = "CRAM-MD5",
	[SMTP_AUTH_DIGEST_MD5] = "DIGEST-MD5",
	[SMTP_AUTH_SCRAM_SHA_1] = "SCRAM-SHA-1",
	[SMTP_AUTH_SCRAM_SHA_256] = "SCRAM-SHA-256",
	[SMTP_AUTH_XOAUTH2] = "XOAUTH2",
	[SMTP_AUTH_OAUTHBEARER] = "OAUTHBEARER",
	[SMTP_AUTH_NTLM] = "NTLM",
	[SMTP_AUTH_EXTERNAL] = "EXTERNAL",
};
static_assert(sizeof(mechanism_names) / sizeof(mechanism_names[0]) == SMTP_MECHANISMS,
	"name every mechanism");

static const char *const xclient_names[] = {
	[SMTP_XCLIENT_NAME] = "NAME",
	[SMTP_XCLIENT_ADDR] = "ADDR",
	[SMTP_XCLIENT_PORT] = "PORT",
	[SMTP_XCLIENT_PROTO] = "PROTO",
	[SMTP_XCLIENT_HELO] = "HELO",
	[SMTP_XCLIENT_LOGIN] = "LOGIN",
	[SMTP_XCLIENT_DESTADDR] = "DESTADDR",
	[SMTP_XCLIENT_DESTPORT] = "DESTPORT",
};
static_assert(sizeof(xclient_names) / sizeof(xclient_names[0]) == SMTP_XCLIENT_ATTRIBUTES,
	"name every attribute");

static int find_name(struct span name, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (span_is(name, names[i]))
			return i;
	return -1;
}

int smtp_keyword_find(struct span name)
{
	return find_name(name, keyword_names, SMTP_KEYWORDS);
}

int smtp_mechanism_find(struct span name)
{
	return find_name(name, mechanism_names, SMTP_MECHANISMS);
}

int smtp_xclient_find(struct span name)
{
	return find_name(name, xclient_names, SMTP_XCLIENT_ATTRIBUTES);
}

const char *smtp_xclient_name(enum smtp_xclient attribute)
{
	return xclient_names[attribute];
}

/* The bits of those words of the list that `find` knows. */
static uint32_t read_bits(struct span list, int (*find)(struct span name))
{
	uint32_t bits = 0;

	while (list.length > 0) {
		int bit = find(span_word(&list));

		if (bit >= 0)
			bits |= 1u << bit;
	}
	return bits;
}

/* Of several declared limits the lowest counts; 0 declares none (RFC 1870 §4). */
static uint64_t read_size(struct span text, uint64_t size)
{
	uint64_t number = 0;

	if (!span_number(text, &number) || number == 0)
		return size;
	return size == 0 || number < size ? number : size;
}

/* "KEYWORD", "KEYWORD parameters" or "AUTH=parameters". */
static void read_keyword(struct span text, struct smtp_ehlo *ehlo)
{
	struct span name = { text.at, 0 };

	while (name.length < text.length && text.at[name.length] != '=' &&
		!smtp_is_blank((unsigned char)text.at[name.length]))
		name.length++;
	text = span_skip(text, name.length);
	if (span_peek(text) == '=')
		text = span_skip(text, 1);
	text = span_trim(text);

	int keyword = smtp_keyword_find(name);

	if (keyword < 0)
		return;
	ehlo->keywords |= 1u << keyword;
	if (keyword == SMTP_KW_SIZE)
		ehlo->size = read_size(text, ehlo->size);
	else if (keyword == SMTP_KW_AUTH)
		ehlo->mechanisms |= read_bits(text, smtp_mechanism_find);
	else if (keyword == SMTP_KW_XCLIENT)
		ehlo->xclient |= read_bits(text, smtp_xclient_find);
}

void smtp_ehlo_read(const struct smtp_reply *reply, struct smtp_ehlo *ehlo)
{
	size_t cursor = 0;
	struct span text;

	*ehlo = (struct smtp_ehlo){ 0 };
	if (!smtp_reply_line(reply, &cursor, &text))
		return;
	while (smtp_reply_line(reply, &cursor, &text))
		read_keyword(span_trim(text), ehlo);
}

/* Appends " NAME" for every bit. */
static void write_bits(
	struct buf *out, uint32_t bits, const char *const *names, int count)
{
	for (int i = 0; i < count; i++) {
		if (!(bits & 1u << i))
			continue;
		buf_append(out, " ", 1);
		buf_puts(out, names[i]);
	}
}

static void write_keyword(struct buf *out, int keyword, const struct smtp_ehlo *ehlo)
{
	buf_puts(out, keyword_names[keyword]);
	switch (keyword) {
	case SMTP_KW_SIZE:
		if (ehlo->size > 0)
			buf_printf(out, " %" PRIu64, ehlo->size);
		break;
	case SMTP_KW_LIMITS: buf_puts(out, " RCPTDOMAINMAX=1"); break;
	case SMTP_KW_AUTH:
		write_bits(out, ehlo->mechanisms, mechanism_names, SMTP_MECHANISMS);
		break;
	case SMTP_KW_XCLIENT:
		write_bits(out, ehlo->xclient, xclient_names, SMTP_XCLIENT_ATTRIBUTES);
		break;
	}
}

void smtp_ehlo_write(struct buf *out, struct span greeting, const struct smtp_ehlo *ehlo)
{
	uint32_t left = ehlo->keywords & ((1u << SMTP_KEYWORDS) - 1);

	if (!(ehlo->mechanisms & ((1u << SMTP_MECHANISMS) - 1)))
		left &= ~SMTP_KW(AUTH);
	smtp_reply_line_write(out, 250, left == 0, greeting);
	for (int keyword = 0; keyword < SMTP_KEYWORDS; keyword++) {
		if (!(left & 1u << keyword))
			continue;
		left &= ~(1u << keyword);
		buf_puts(out, left == 0 ? "250 " : "250-");
		write_keyword(out, keyword, ehlo);
		buf_append(out, "\r\n", 2);
	}
}
