/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "smtp.h"

#include "smtp_private.h"

#include <string.h>

enum {
	CODE_LENGTH = 3,
};

/* One line of a reply, its end cut off. */
struct reply_line {
	unsigned code;
	bool last;
	struct span text;
};

/* Cuts the next line, LF and all, off *octets; false where no LF is there. */
static bool take_line(struct span *octets, struct span *line)
{
	const char *lf =
		octets->length > 0 ? memchr(octets->at, '\n', octets->length) : NULL;

	if (!lf)
		return false;
	line->at = octets->at;
	line->length = (size_t)(lf - octets->at);
	*octets = span_skip(*octets, line->length + 1);
	if (line->length > 0 && lf[-1] == '\r')
		line->length--;
	return true;
}

static bool read_line(struct span line, struct reply_line *read)
{
	read->code = 0;
	if (line.length < CODE_LENGTH)
		return false;
	for (size_t i = 0; i < CODE_LENGTH; i++) {
		if (!smtp_is_digit((unsigned char)line.at[i]))
			return false;
		read->code = read->code * 10 + (unsigned)(line.at[i] - '0');
	}
	if (read->code < 100 || read->code > 599)
		return false;
	read->text = span_skip(line, CODE_LENGTH);
	read->last = span_peek(read->text) != '-';
	if (read->text.length == 0)
		return true;
	if (read->last && read->text.at[0] != ' ')
		return false;
	read->text = span_skip(read->text, 1);
	return true;
}

enum smtp_reply_status smtp_reply(const unsigned char *octets, size_t n,
	const struct smtp_reply_limits *limits, struct smtp_reply *reply)
{
	size_t within = n < limits->length ? n : limits->length;
	struct span rest = { (const char *)octets, within };
	struct span line;

	*reply = (struct smtp_reply){ .octets = (const char *)octets };
	while (take_line(&rest, &line)) {
		struct reply_line read;

		if (reply->lines == limits->lines)
			return SMTP_REPLY_LONG;
		if (!read_line(line, &read))
			return SMTP_REPLY_BROKEN;
		if (reply->lines > 0 && read.code != reply->code)
			return SMTP_REPLY_BROKEN;
		reply->code = read.code;
		reply->lines++;
		reply->length = within - rest.length;
		if (read.last)
			return SMTP_REPLY_OK;
	}
	return n < limits->length ? SMTP_REPLY_PARTIAL : SMTP_REPLY_LONG;
}

bool smtp_reply_line(const struct smtp_reply *reply, size_t *cursor, struct span *text)
{
	struct span rest = { reply->octets + *cursor, reply->length - *cursor };
	struct span line;
	struct reply_line read;

	if (!take_line(&rest, &line) || !read_line(line, &read))
		return false;
	*text = read.text;
	*cursor = reply->length - rest.length;
	return true;
}

void smtp_reply_line_write(struct buf *out, unsigned code, bool last, struct span text)
{
	size_t length = CODE_LENGTH + 1 + text.length + 2;
	unsigned char *to = buf_reserve(out, length);

	if (!to)
		return;
	*to++ = (unsigned char)('0' + code / 100 % 10);
	*to++ = (unsigned char)('0' + code / 10 % 10);
	*to++ = (unsigned char)('0' + code % 10);
	*to++ = last ? ' ' : '-';
	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.at[i];

		*to++ = smtp_is_control(c) ? '?' : c;
	}
	*to++ = '\r';
	*to++ = '\n';
	buf_commit(out, length);
}

void smtp_reply_write(struct buf *out, const struct smtp_reply *reply)
{
	size_t cursor = 0;
	struct span text;

	while (smtp_reply_line(reply, &cursor, &text))
		smtp_reply_line_write(out, reply->code, cursor == reply->length, text);
}

void smtp_reply_write_last(struct buf *out, const struct smtp_reply *reply)
{
	size_t cursor = 0;
	struct span text = { "", 0 };

	while (smtp_reply_line(reply, &cursor, &text))
		;
	smtp_reply_line_write(out, reply->code, true, text);
}
