/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Packets from a worker or a policy process that somebody has taken over. What is taken
 * in writes itself the same again, octet for octet, and so does nothing in two ways; and
 * it is never longer than a message may be.
 */

#include "message.h"
#include "message_again.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *again = malloc(MESSAGE_MAX);

	must(again);
	size_t written = message_again(data, size, again, MESSAGE_MAX);
	if (written > 0) {
		must(written == size);
		must(memcmp(again, data, size) == 0);
		/* One octet less of room is too little. */
		must(message_again(data, size, again, size - 1) == 0);
	}
	free(again);
	return 0;
}
