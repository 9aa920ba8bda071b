/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DIRECTORY_WORLD_H
#define SEALPOST_DIRECTORY_WORLD_H

/* A policy directory of a test's own, in which the test stands while it runs. */

#include "directory.h"

struct world {
	char path[64];
	struct directory *directory;
	char *faults; /* of the last reading, with "D" for the path */
};

enum { WORLD_NOW = 1795000000 /* 2026-11-18 */ };

int world_setup(void **state);
int world_teardown(void **state);

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

void file_write(const char *name, const char *text);

/* Opens the directory, or reads it again: whether anything changed. */
bool world_read(struct world *world);

/* Fails where there is a fault, or a warning that is not of what has become weaker. */
bool world_read_fine(struct world *world);

/* The process is another: it has what the one before packed. */
void world_restart(struct world *world);
void world_restart_with(struct world *world, int packed);

struct peer *found(const struct world *world, enum direction direction,
	const char *domain, int64_t now);

/* `where` is the file's name and the line, or "default". */
void assert_found(const struct world *world, enum direction direction, const char *domain,
	enum level level, const char *where);

/* In both directions. */
void assert_broken(const struct world *world, const char *domain, const char *text);

#endif
