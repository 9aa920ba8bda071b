/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "serve.h"

#include "check.h"
#include "command.h"
#include "supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Who is told to read anew before it has read does so once the supervisor lets it. */
static void hold_back_reload(void)
{
	sigset_t reload;
	sigemptyset(&reload);
	sigaddset(&reload, SIGHUP);
	sigprocmask(SIG_BLOCK, &reload, NULL);
}

/* Prints faults and warnings, and keeps them. */
static bool verify(struct config *config, struct bundle *bundle, char **told)
{
	size_t length;
	FILE *faults = open_memstream(told, &length);
	bool fine = config_verify(config, bundle, faults ? faults : stderr);
	if (faults && fclose(faults) == 0)
		fputs(*told, stderr);
	return fine;
}

enum status serve_run(const char *config_path)
{
	char reason[SUPERVISOR_REASON];
	hold_back_reload();
	/* Names of backends are looked up while it serves, too: that must not take long.
	 */
	setenv("RES_OPTIONS", "timeout:1 attempts:2", 0);
	struct bundle *bundle;
	struct config *config;
	enum status status = command_open(config_path, &bundle, &config);
	if (status != STATUS_FINE)
		return status;
	char *told = NULL;
	if (!verify(config, bundle, &told)) {
		config_free(config);
		bundle_free(bundle);
		free(told);
		return STATUS_NO;
	}
	if (supervise(bundle, config, told, NULL, NULL, reason))
		return STATUS_FINE;
	fprintf(stderr, "sealpost: cannot serve: %s\n", reason);
	return STATUS_CANNOT;
}
