/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_FUZZ_DIALOGUE_PLAY_H
#define SEALPOST_FUZZ_DIALOGUE_PLAY_H

/*
 * What the halves of fuzz_dialogue share: the books of the client (fuzz_dialogue.c) and
 * of the server (dialogue_server.c).
 */

#include "stage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Not assert(): it must hold in every build. */
#define must(condition)                                                                  \
	((condition) ? (void)0 : must_fail(#condition, __FILE__, __LINE__))
_Noreturn void must_fail(const char *condition, const char *file, int line);

struct input {
	const uint8_t *at;
	size_t left;
};

/* The next octet of the input; 0 behind its end. */
unsigned take(struct input *in);

enum kind { COMMAND, GREETING, HELLO, DATA, END, CHUNK, LAST, STARTTLS, AUTH, QUIT };

enum kind kind_of(const char *line, size_t n);

enum { QUEUE = 4096 };

/* What awaits an answer. */
struct queue {
	uint8_t kind[QUEUE];
	unsigned start, end;
};

void push(struct queue *q, enum kind kind);

static inline bool empty(const struct queue *q)
{
	return q->start == q->end;
}

struct client {
	struct queue asked;
	bool rude;	 /* anything may have been sent: no books are kept */
	bool waits;	 /* until all is answered: it must come last in a group */
	bool body, auth; /* the next octets are those of a message, of a response */
	bool closing;	 /* was told 421 */
	unsigned accepted;
	bool said_data;
	unsigned ends; /* of messages, and DATA, for which an empty one may be sent */
};

struct server {
	struct queue asked;
	unsigned leg;
	bool chunking;		  /* it has offered that */
	uint64_t chunk, chunk_at; /* octets to come, and that came */
	bool ours;		  /* a chunk of the Received line */
	bool body, auth;
	size_t body_line; /* octets of the line under way, 3 at most, and ... */
	char body_head[3];
	bool confused; /* spoke unasked or in halves: who knows what was taken for what */
	unsigned accepted;
	unsigned ends; /* of DATA */
};

struct play {
	struct stage stage;
	struct dialogue_service service;
	struct input in;
	struct client client;
	struct server server;
};

/*
 * What every chunk repeats. A verb that nobody knows, which must be seen nowhere else,
 * and what is no end of data in a chunk.
 */
static const char magic[] = "XMAGIC\r\n.\r\n";
enum {
	MAGIC = sizeof magic - 1,
	MAGIC_LINE = 8, /* octets of it that may stand in DATA */
};

/* Runs the stage until nothing moves any more, and looks at all that is there. */
void settle(struct play *p);

void server_reads(struct play *p);
void server_speaks(struct play *p);

#endif
