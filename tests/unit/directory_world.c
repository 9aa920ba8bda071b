/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "directory_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	strcpy(world->path, "/tmp/sealpost-policy-XXXXXX");
	assert_non_null(mkdtemp(world->path));
	assert_int_equal(chdir(world->path), 0);
	*state = world;
	return 0;
}

int world_teardown(void **state)
{
	struct world *world = *state;
	char command[128];

	directory_close(world->directory);
	snprintf(command, sizeof(command), "rm -rf '%s'", world->path);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(system(command), 0);
	free(world->faults);
	free(world);
	return 0;
}

void file_write(const char *name, const char *text)
{
	FILE *out = fopen(name, "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

/* In what was said, the path becomes "D": it is another in each run. */
static char *shortened(const char *said, const char *path)
{
	char *text = calloc(1, strlen(said) + 1), *end = text;
	size_t length = strlen(path);

	assert_non_null(text);
	while (*said != '\0') {
		bool here = strncmp(said, path, length) == 0;

		*end++ = here ? 'D' : *said;
		said += here ? length : 1;
	}
	return text;
}

/* Opens it, or reads it again. */
static bool read_with(struct world *world, int packed)
{
	char *said;
	size_t length;
	FILE *out = open_memstream(&said, &length);
	bool changed = true;

	assert_non_null(out);
	if (world->directory == NULL)
		world->directory = directory_open(world->path, getuid(), packed, out);
	else
		changed = directory_reload(world->directory, out);
	assert_non_null(world->directory);
	fclose(out);
	free(world->faults);
	world->faults = shortened(said, world->path);
	free(said);
	return changed;
}

bool world_read(struct world *world)
{
	return read_with(world, -1);
}

void world_restart(struct world *world)
{
	int packed = directory_pack(world->directory);

	assert_true(packed >= 0);
	world_restart_with(world, packed);
	close(packed);
}

void world_restart_with(struct world *world, int packed)
{
	directory_close(world->directory);
	world->directory = NULL;
	read_with(world, packed);
}

bool world_read_fine(struct world *world)
{
	bool changed = world_read(world);

	assert_int_equal(directory_faults(world->directory), 0);
	for (char *line = world->faults; *line != '\0'; line = strchr(line, '\n') + 1) {
		char *end = strchr(line, '\n'), *told = strstr(line, " than before");

		if (told == NULL || told > end)
			fail_msg("%s", line);
	}
	return changed;
}

struct peer *found(const struct world *world, enum direction direction,
	const char *domain, int64_t now)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	int64_t until;

	assert_non_null(peer);
	assert_true(
		directory_find(world->directory, direction, domain, now, peer, &until));
	assert_string_equal(peer->domain, domain);
	assert_int_equal(peer->generation, directory_generation(world->directory));
	return peer;
}

void assert_found(const struct world *world, enum direction direction, const char *domain,
	enum level level, const char *where)
{
	struct peer *peer = found(world, direction, domain, WORLD_NOW);
	char *seen = shortened(peer->where, world->path);

	if (peer->demand.level != level)
		fail_msg("%s: %s", domain, level_name(peer->demand.level));
	assert_string_equal(seen, where);
	assert_int_equal(peer->status, PEER_FINE);
	assert_string_equal(peer->text, "");
	free(seen);
	peer_free(peer);
}

void assert_broken(const struct world *world, const char *domain, const char *text)
{
	for (enum direction direction = DIRECTION_OUTBOUND;
		direction <= DIRECTION_INBOUND; direction++) {
		struct peer *peer = found(world, direction, domain, WORLD_NOW);
		char *seen = shortened(peer->text, world->path);

		assert_int_equal(peer->status, PEER_BROKEN);
		assert_string_equal(seen, text);
		free(seen);
		peer_free(peer);
	}
}
