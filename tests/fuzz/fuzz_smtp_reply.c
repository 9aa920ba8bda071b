/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Replies from a server that may be anybody. What we write of them is canonical: it reads
 * the same again, written again it does not change, and it holds no control but its
 * CRLFs.
 */

#include "smtp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct smtp_reply_limits limits = { .length = 2048, .lines = 50 };

/* A canonical reply may be twice as long: "250\n" becomes "250 \r\n". */
static const struct smtp_reply_limits twice = { .length = 4096, .lines = 50 };

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check_lines(const struct smtp_reply *reply)
{
	const char *end = reply->octets + reply->length;
	size_t cursor = 0;
	unsigned lines = 0;
	struct span text;

	for (size_t before = 0; smtp_reply_line(reply, &cursor, &text); before = cursor) {
		must(cursor > before && cursor <= reply->length);
		must(text.at >= reply->octets && text.at + text.length <= end);
		must(text.length == 0 || memchr(text.at, '\n', text.length) == NULL);
		lines++;
	}
	must(lines == reply->lines && cursor == reply->length);
}

/* Every control is part of a CRLF, and there is a CRLF a line. */
static void check_canonical(const struct buf *b, unsigned lines)
{
	const unsigned char *octets = buf_head(b);

	for (size_t i = 0; i < buf_length(b); i++) {
		if (octets[i] == '\r') {
			must(++i < buf_length(b) && octets[i] == '\n');
			must(lines-- > 0);
		} else {
			must(octets[i] >= ' ' && octets[i] != 127);
		}
	}
	must(lines == 0);
}

static void reread(const struct buf *b, struct smtp_reply *reply)
{
	must(!b->failed);
	must(smtp_reply(buf_head(b), buf_length(b), &twice, reply) == SMTP_REPLY_OK);
	must(reply->length == buf_length(b));
	check_canonical(b, reply->lines);
}

static void check_write(struct buf_pool *pool, const struct smtp_reply *reply)
{
	struct smtp_reply again;
	struct buf once, more;

	buf_init(&once, pool);
	buf_init(&more, pool);
	smtp_reply_write(&once, reply);
	reread(&once, &again);
	must(again.code == reply->code && again.lines == reply->lines);
	smtp_reply_write(&more, &again);
	must(buf_length(&more) == buf_length(&once));
	must(memcmp(buf_head(&more), buf_head(&once), buf_length(&once)) == 0);
	buf_release(&more);
	buf_release(&once);

	smtp_reply_write_last(&once, reply);
	reread(&once, &again);
	must(again.code == reply->code && again.lines == 1);
	buf_release(&once);
}

static void check_ehlo(struct buf_pool *pool, const struct smtp_reply *reply)
{
	struct smtp_ehlo ehlo, again_ehlo;
	struct smtp_reply again;
	struct span greeting = { reply->octets, reply->length / 2 };
	struct buf out;

	smtp_ehlo_read(reply, &ehlo);
	must(ehlo.keywords < 1u << SMTP_KEYWORDS);
	must(ehlo.mechanisms < 1u << SMTP_MECHANISMS);
	must(ehlo.xclient < 1u << SMTP_XCLIENT_ATTRIBUTES);
	must(ehlo.size == 0 || ehlo.keywords & SMTP_KW(SIZE));
	must(ehlo.mechanisms == 0 || ehlo.keywords & SMTP_KW(AUTH));
	must(ehlo.xclient == 0 || ehlo.keywords & SMTP_KW(XCLIENT));

	buf_init(&out, pool);
	smtp_ehlo_write(&out, greeting, &ehlo);
	reread(&out, &again);
	smtp_ehlo_read(&again, &again_ehlo);
	if (ehlo.mechanisms == 0)
		ehlo.keywords &= ~SMTP_KW(AUTH);
	must(again.code == 250);
	must(again_ehlo.keywords == ehlo.keywords);
	must(again_ehlo.mechanisms == ehlo.mechanisms);
	must(again_ehlo.xclient == ehlo.xclient && again_ehlo.size == ehlo.size);
	buf_release(&out);
}

static void check_reply(const uint8_t *data, const struct smtp_reply *reply)
{
	struct smtp_reply again;
	struct buf_pool pool;

	must(reply->code >= 100 && reply->code <= 599);
	must(reply->lines >= 1 && reply->lines <= limits.lines);
	must(reply->length <= limits.length);
	must(smtp_reply(data, reply->length - 1, &limits, &again) == SMTP_REPLY_PARTIAL);
	must(smtp_reply(data, reply->length, &limits, &again) == SMTP_REPLY_OK);
	must(again.length == reply->length);

	buf_pool_init(&pool, 1);
	check_lines(reply);
	check_write(&pool, reply);
	check_ehlo(&pool, reply);
	must(pool.borrowed == 0);
	buf_pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply reply;

	while (smtp_reply(data, size, &limits, &reply) == SMTP_REPLY_OK) {
		must(reply.length > 0 && reply.length <= size);
		check_reply(data, &reply);
		data += reply.length;
		size -= reply.length;
	}
	return 0;
}
