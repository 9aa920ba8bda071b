/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "serve.h"

#include "check.h"
#include "status.h"
#include "supervisor.h"

#include <errno.h>
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

int serve_run(const char *config_path)
{
	char reason[SUPERVISOR_REASON];
	hold_back_reload();
	/* Names of backends are looked up while it serves, too: that must not take long.
	 */
	setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);
	struct bundle *bundle = bundle_new();
	struct config *config = NULL;
	int status = STATUS_CANNOT;
	errno = ENOMEM;
	if (bundle)
		config = config_read(bundle, config_path, stderr);
	if (!config)
		status = errno != 0 ? STATUS_CANNOT : STATUS_NO;
	else if (!config_verify(config, bundle, stderr))
		status = STATUS_NO;
	else if (supervise(bundle, config, NULL, NULL, reason))
		return STATUS_FINE;
	else {
		fprintf(stderr, "sealpost: cannot serve: %s\n", reason);
		return STATUS_CANNOT;
	}
	config_free(config);
	bundle_free(bundle);
	return status;
}
