/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_BUF_H
#define SEALPOST_BUF_H

/*
 * Byte queues whose memory is borrowed from a pool only while bytes are in them: an idle
 * session holds none. Pure: libc alone.
 *
 * A buf remembers a failure (no memory, or more than BUF_MAX bytes): from then on every
 * append is dropped and `failed` stays set, so that a writer need not check each step and
 * the shell checks once before it flushes.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BUF_BLOCK = 32 * 1024, /* octets of a pooled block: two full TLS records */
	BUF_MAX = 1024 * 1024, /* no buf ever grows beyond this */
};

struct buf_block;

/* The free blocks of one worker. Not shared between threads. */
struct buf_pool {
	struct buf_block *free;
	unsigned kept;	   /* blocks in the free list */
	unsigned keep;	   /* never keep more than this; the rest goes back to libc */
	unsigned borrowed; /* blocks and larger pieces out on loan: 0 when all is idle */
};

struct buf {
	struct buf_pool *pool;
	unsigned char *data; /* NULL while empty */
	uint32_t start, end; /* the bytes are data[start .. end) */
	uint32_t size;
	bool failed;
};

void buf_pool_init(struct buf_pool *pool, unsigned keep);

/* Frees the kept blocks. Nothing may be on loan. */
void buf_pool_free(struct buf_pool *pool);

void buf_init(struct buf *b, struct buf_pool *pool);

/* Drops the bytes and the failure and returns the memory. Safe to repeat. */
void buf_release(struct buf *b);

static inline size_t buf_length(const struct buf *b)
{
	return b->end - b->start;
}

/* First unread byte; valid until the next call that changes the buf. */
static inline unsigned char *buf_head(const struct buf *b)
{
	return b->data ? b->data + b->start : NULL;
}

/*
 * Makes room for at least n more bytes in one piece and returns where they go, or NULL
 * with `failed` set. buf_room() tells how many really fit. Give the memory back by
 * buf_commit(b, 0) when nothing came.
 */
unsigned char *buf_reserve(struct buf *b, size_t n);
size_t buf_room(const struct buf *b);

/* The first n bytes of the reserved room are now content. */
void buf_commit(struct buf *b, size_t n);

/* Drops the first n bytes (n <= length); an emptied buf returns its memory. */
void buf_consume(struct buf *b, size_t n);

void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Moves the first n bytes of `from` to the end of `to`. Where `to` is empty and all of
 * `from` moves, the two exchange their blocks and nothing is copied.
 */
void buf_move(struct buf *to, struct buf *from, size_t n);

#endif
