/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* A configuration has faults or is a configuration: never both, never neither. */

#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *faults = NULL;
	size_t length = 0;
	/* not every fmemopen() takes an empty buffer */
	FILE *in = size > 0 ? fmemopen((void *)data, size, "r") : fopen("/dev/null", "r");
	FILE *out = open_memstream(&faults, &length);

	if (in == NULL || out == NULL)
		abort();
	struct config *config = config_parse(in, "f", out);

	fclose(in);
	fclose(out);
	if ((config == NULL) != (length > 0))
		abort();
	if (config != NULL &&
		(config->hostname == NULL ||
			config->inbound_count + config->outbound_count == 0))
		abort();
	config_free(config);
	free(faults);
	return 0;
}
