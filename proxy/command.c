/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum status command_open(const char *path, struct bundle **bundle, struct config **config)
{
	*config = NULL;
	*bundle = bundle_new();
	if (!*bundle) {
		fprintf(stderr, "sealpost: cannot read %s: out of memory\n", path);
		return STATUS_CANNOT;
	}
	*config = config_read(*bundle, path, stderr);
	if (*config)
		return STATUS_FINE;
	enum status status = errno != 0 ? STATUS_CANNOT : STATUS_NO;
	bundle_free(*bundle);
	*bundle = NULL;
	return status;
}

enum status command_printed(enum status status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "sealpost: cannot write to standard output: %s\n",
		strerror(errno));
	return STATUS_CANNOT;
}
