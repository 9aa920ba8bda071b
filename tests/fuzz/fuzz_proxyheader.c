/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * PROXY headers from anybody. A header is read the same whatever follows it, is PARTIAL
 * up to its last octet, and what we write of its addresses reads the same again.
 */

#include "proxyheader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static void must_be_same(const struct proxyheader *a, const struct proxyheader *b)
{
	must(a->local == b->local);
	must(address_same_host(&a->source, &b->source));
	must(address_same_host(&a->destination, &b->destination));
	must(a->source.port == b->source.port);
	must(a->destination.port == b->destination.port);
}

static void check_written(const struct buf *b, const struct proxyheader *header)
{
	struct proxyheader again;
	size_t consumed;

	must(!b->failed);
	must(proxyheader_read(buf_head(b), buf_length(b), &again, &consumed) ==
		PROXYHEADER_OK);
	must(consumed == buf_length(b));
	/* where one address was mapped and the other was not, there is nothing to say */
	if (header->source.family == header->destination.family)
		must_be_same(header, &again);
	else
		must(again.local);
}

/* `text` stands for whatever a client can make us say of it. */
static void check_writers(const struct proxyheader *header, const char *text)
{
	struct buf_pool pool;
	struct buf out;

	buf_pool_init(&pool, 1);
	buf_init(&out, &pool);
	proxyheader_write_v1(&out, &header->source, &header->destination);
	check_written(&out, header);
	buf_release(&out);
	proxyheader_write_v2(
		&out, &header->source, &header->destination, NULL, NULL, NULL);
	check_written(&out, header);
	buf_release(&out);
	proxyheader_write_v2(
		&out, &header->source, &header->destination, "TLSv1.3", text, text);
	check_written(&out, header);
	buf_release(&out);
	must(pool.borrowed == 0);
	buf_pool_free(&pool);
}

static void check_header(
	const uint8_t *data, size_t size, const struct proxyheader *header, size_t length)
{
	struct proxyheader again;
	size_t consumed;
	char text[300] = { 0 };
	size_t rest = size - length;

	must(length > 0 && length <= size && length <= PROXYHEADER_MAX);
	for (size_t n = 0; n < length; n++)
		must(proxyheader_read(data, n, &again, &consumed) == PROXYHEADER_PARTIAL);
	must(proxyheader_read(data, length, &again, &consumed) == PROXYHEADER_OK);
	must(consumed == length);
	must_be_same(header, &again);
	memcpy(text, data + length, rest < sizeof(text) - 1 ? rest : sizeof(text) - 1);
	check_writers(header, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxyheader header;
	size_t consumed;

	switch (proxyheader_read(data, size, &header, &consumed)) {
	case PROXYHEADER_OK: check_header(data, size, &header, consumed); break;
	case PROXYHEADER_PARTIAL: must(size < PROXYHEADER_MAX); break;
	case PROXYHEADER_BROKEN: must(size > 0); break;
	}
	return 0;
}
