/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block that waits in the pool: its own first octets link it to the next. */
struct buf_block {
	struct buf_block *next;
};

void buf_pool_init(struct buf_pool *pool, unsigned keep)
{
	*pool = (struct buf_pool){ .keep = keep };
}

void buf_pool_free(struct buf_pool *pool)
{
	while (pool->free) {
		struct buf_block *block = pool->free;

		pool->free = block->next;
		free(block);
	}
	pool->kept = 0;
}

static unsigned char *pool_borrow(struct buf_pool *pool, size_t size)
{
	struct buf_block *block = NULL;

	if (size == BUF_BLOCK && pool->free) {
		block = pool->free;
		pool->free = block->next;
		pool->kept--;
	} else {
		block = malloc(size);
	}
	if (block)
		pool->borrowed++;
	return (unsigned char *)block;
}

static void pool_return(struct buf_pool *pool, unsigned char *data, size_t size)
{
	pool->borrowed--;
	if (size != BUF_BLOCK || pool->kept >= pool->keep) {
		free(data);
		return;
	}
	struct buf_block *block = (struct buf_block *)data;

	block->next = pool->free;
	pool->free = block;
	pool->kept++;
}

static void return_memory(struct buf *b)
{
	if (b->data)
		pool_return(b->pool, b->data, b->size);
	b->data = NULL;
	b->start = b->end = b->size = 0;
}

void buf_init(struct buf *b, struct buf_pool *pool)
{
	*b = (struct buf){ .pool = pool };
}

void buf_release(struct buf *b)
{
	return_memory(b);
	b->failed = false;
}

/* Exchanges the memory for a piece that holds `need` octets. */
static bool grow(struct buf *b, size_t need)
{
	size_t length = buf_length(b);
	size_t size = BUF_BLOCK;

	while (size < need)
		size *= 2;

	unsigned char *data = pool_borrow(b->pool, size);

	if (!data)
		return false;
	if (length > 0)
		memcpy(data, buf_head(b), length);
	return_memory(b);
	b->data = data;
	b->end = (uint32_t)length;
	b->size = (uint32_t)size;
	return true;
}

unsigned char *buf_reserve(struct buf *b, size_t n)
{
	size_t length = buf_length(b);

	if (b->failed)
		return NULL;
	if (b->data && b->size - b->end >= n)
		return b->data + b->end;
	if (n > BUF_MAX - length) {
		b->failed = true;
		return NULL;
	}
	if (b->data && b->size - length >= n) {
		memmove(b->data, buf_head(b), length);
		b->start = 0;
		b->end = (uint32_t)length;
	} else if (!grow(b, length + n)) {
		b->failed = true;
		return NULL;
	}
	return b->data + b->end;
}

size_t buf_room(const struct buf *b)
{
	return b->size - b->end;
}

void buf_commit(struct buf *b, size_t n)
{
	b->end += (uint32_t)n;
	if (b->start == b->end)
		return_memory(b);
}

void buf_consume(struct buf *b, size_t n)
{
	b->start += (uint32_t)n;
	if (b->start == b->end)
		return_memory(b);
}

void buf_append(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0)
		return;

	unsigned char *to = buf_reserve(b, n);

	if (!to)
		return;
	memcpy(to, bytes, n);
	buf_commit(b, n);
}

void buf_puts(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

/* The second pass of a text that did not fit the first: formatted into the buf itself. */
__attribute__((format(printf, 3, 0))) static void append_long(
	struct buf *b, size_t length, const char *format, va_list values)
{
	char *to = (char *)buf_reserve(b, length + 1);

	if (!to)
		return;
	vsnprintf(to, length + 1, format, values);
	buf_commit(b, length);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	char text[512];
	va_list values;

	va_start(values, format);
	int length = vsnprintf(text, sizeof(text), format, values);
	va_end(values);

	if (length < 0) {
		b->failed = true;
	} else if ((size_t)length < sizeof(text)) {
		buf_append(b, text, (size_t)length);
	} else {
		va_start(values, format);
		append_long(b, (size_t)length, format, values);
		va_end(values);
	}
}

static void exchange_memory(struct buf *a, struct buf *b)
{
	struct buf old = *a;

	a->data = b->data;
	a->start = b->start;
	a->end = b->end;
	a->size = b->size;
	b->data = old.data;
	b->start = old.start;
	b->end = old.end;
	b->size = old.size;
}

void buf_move(struct buf *to, struct buf *from, size_t n)
{
	bool whole = n == buf_length(from) && buf_length(to) == 0;

	if (n == 0)
		return;
	if (whole && !to->failed && to->pool == from->pool) {
		return_memory(to);
		exchange_memory(to, from);
	} else {
		buf_append(to, buf_head(from), n);
		buf_consume(from, n);
	}
}
