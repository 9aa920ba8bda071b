/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE = 64 };

/* Limits come first, then the counters where a cache line begins. */
static size_t limits_room(unsigned slots, unsigned connections)
{
	return (limits_size(slots, connections) + LINE - 1) / LINE * LINE;
}

/* Nothing that is read from the memory says where anything is in it. */
static bool map(struct board *board, unsigned slots, unsigned connections, int fd)
{
	size_t counters = limits_room(slots, connections);
	size_t size = counters + counters_size();
	struct stat status;
	if (fstat(fd, &status) != 0)
		return false;
	if ((size_t)status.st_size != size) {
		errno = EINVAL;
		return false;
	}
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return false;
	board->memory = memory;
	board->size = size;
	board->limits = (struct limits_board){ memory, slots, connections };
	board->counters = (struct counters_shared *)((uint8_t *)memory + counters);
	return true;
}

bool board_new(struct board *board, unsigned slots, unsigned connections)
{
	size_t size = limits_room(slots, connections) + counters_size();
	*board = (struct board){ .fd = -1 };
	board->fd = memfd_create("sealpost-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (board->fd < 0 || ftruncate(board->fd, (off_t)size) != 0 ||
		fcntl(board->fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
		!map(board, slots, connections, board->fd)) {
		board_close(board);
		return false;
	}
	limits_share(&board->limits, (uint64_t)(uintptr_t)board->memory);
	return true;
}

bool board_open(struct board *board, unsigned slots, unsigned connections, int fd)
{
	*board = (struct board){ .fd = -1 };
	return map(board, slots, connections, fd);
}

void board_forget(struct board *board, unsigned slot)
{
	limits_forget(&board->limits, slot);
	counters_forget(board->counters, slot);
}

void board_close(struct board *board)
{
	int error = errno;
	if (board->memory)
		munmap(board->memory, board->size);
	if (board->fd >= 0)
		close(board->fd);
	*board = (struct board){ .fd = -1 };
	errno = error;
}
