/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What is taken for packed policy files is packed again to the same octets. */

#include "directory.h"

#include "directory_private.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check_again(
	const struct directory *directory, const uint8_t *data, size_t size)
{
	char *octets;
	size_t length;
	FILE *out = open_memstream(&octets, &length);

	must(out != NULL && directory_write(directory, out));
	fclose(out);
	must(length == size && memcmp(octets, data, size) == 0);
	free(octets);
}

/* Each is found under its own name. */
static void check_found(const struct directory *directory)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	int64_t until;

	must(peer != NULL);
	for (unsigned i = 0; i < directory_count(directory); i++) {
		const struct policyfile *file = directory_file(directory, i);

		must(directory_find(directory,
			file->has_outbound ? DIRECTION_OUTBOUND : DIRECTION_INBOUND,
			file->domain, 0, peer, &until));
		must(peer->status == PEER_FINE);
		must(strcmp(peer->where, "default") != 0);
		peer_clear(peer);
	}
	free(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct directory *directory = directory_open("", 0, -1, stderr);

	must(directory != NULL);
	if (directory_unpack(directory, data, size) == NULL) {
		check_again(directory, data, size);
		check_found(directory);
	}
	directory_close(directory);
	return 0;
}
