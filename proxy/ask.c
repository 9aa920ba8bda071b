/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "ask.h"

#include "policylink.h"
#include "service.h"
#include "status.h"

#include <errno.h>
#include <stdio.h>

int ask_run(const char *config_path, char *const *domains, unsigned count)
{
	struct config *config = config_read(config_path, stderr);
	struct settings settings;
	if (config == NULL)
		return errno != 0 ? STATUS_CANNOT : STATUS_NO;
	bool fits = policylink_settings(config, &settings);
	config_free(config);
	if (!fits) {
		fprintf(stderr,
			"sealpost: cannot ask: a setting of [policy] is too long\n");
		return STATUS_CANNOT;
	}
	int status =
		policy_explain(&settings, (const char *const *)domains, count, stdout);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "sealpost: cannot write to standard output\n");
	return STATUS_CANNOT;
}
