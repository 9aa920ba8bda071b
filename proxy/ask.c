/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "ask.h"

#include "domain.h"
#include "policyprocess.h"
#include "privileges.h"
#include "service.h"
#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASON = 256 };

/* Who asks about a person means the domain. */
static struct span domain_of(const char *written)
{
	const char *at = strrchr(written, '@');
	const char *domain = at != NULL ? at + 1 : written;

	return (struct span){ domain, strlen(domain) };
}

/* Each as a session would ask about it. */
static int ask(const struct settings *settings, char *const *written, unsigned count)
{
	char(*text)[DOMAIN_TEXT] = calloc(count, sizeof(*text));
	const char **domains = calloc(count, sizeof(*domains));
	int status = STATUS_FINE;
	unsigned known = 0;

	if (text == NULL || domains == NULL) {
		fprintf(stderr, "sealpost: cannot ask: out of memory\n");
		status = STATUS_CANNOT;
		goto out;
	}
	for (unsigned i = 0; i < count; i++) {
		domains[known] = text[known];
		if (domain_normalise(domain_of(written[i]), text[known]) &&
			*text[known] != '\0')
			known++;
		else
			fprintf(stderr,
				"sealpost: cannot ask about \"%s\": it is no domain\n",
				written[i]);
	}
	if (known > 0)
		status = policy_explain(settings, domains, known, stdout);
	if (known < count && status == STATUS_FINE)
		status = STATUS_NO;
out:
	free(domains);
	free(text);
	return status;
}

/* What it can see then is what `serve` will see. */
static bool become_user(const struct config *config, struct settings *settings)
{
	char reason[REASON] = "a setting of [policy] is too long";

	if (privileges_drop_all(config, reason, sizeof(reason)) &&
		policyprocess_settings(config, settings))
		return true;
	fprintf(stderr, "sealpost: cannot ask: %s\n", reason);
	return false;
}

int ask_run(const char *config_path, char *const *domains, unsigned count)
{
	struct bundle *bundle = bundle_new();
	struct config *config = bundle ? config_read(bundle, config_path, stderr) : NULL;
	struct settings settings;

	bundle_free(bundle);
	if (config == NULL)
		return errno != 0 ? STATUS_CANNOT : STATUS_NO;
	bool ready = become_user(config, &settings);

	config_free(config);
	if (!ready)
		return STATUS_CANNOT;
	int status = ask(&settings, domains, count);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "sealpost: cannot write to standard output\n");
	return STATUS_CANNOT;
}
