/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_BOARD_H
#define SEALPOST_BOARD_H

/*
 * The memory that all workers and the supervisor share: limits and counters, with a slot
 * a worker. Made by the supervisor; nobody can make it smaller under another's hands.
 */

#include "counters.h"
#include "limits.h"

#include <stdbool.h>

struct board {
	int fd; /* to be passed on; -1 in a worker */
	void *memory;
	size_t size;
	struct limits_board limits;
	struct counters_shared *counters;
};

/* For `slots` workers that have `connections` at most together. False with errno. */
bool board_new(struct board *board, unsigned slots, unsigned connections);

/* The same, made by another process. `fd` stays the caller's. False with errno. */
bool board_open(struct board *board, unsigned slots, unsigned connections, int fd);

/* A worker has died: its slot is free for another one. */
void board_forget(struct board *board, unsigned slot);

void board_close(struct board *board);

#endif
