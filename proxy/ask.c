/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "ask.h"

#include "command.h"
#include "domain.h"
#include "explain.h"
#include "policyprocess.h"
#include "privileges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASON = 256 };

/* Who asks about a person means the domain. */
static struct span domain_of(const char *written)
{
	const char *at = strrchr(written, '@');
	const char *domain = at ? at + 1 : written;

	return (struct span){ domain, strlen(domain) };
}

/* Each as a session would ask about it. */
static enum status ask(
	const struct settings *settings, char *const *written, unsigned count)
{
	char(*text)[DOMAIN_TEXT] = calloc(count, sizeof(*text));
	const char **domains = calloc(count, sizeof(*domains));
	enum status status = STATUS_FINE;
	unsigned known = 0;

	if (!text || !domains) {
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
		policyprocess_settings(config, NULL, settings))
		return true;
	fprintf(stderr, "sealpost: cannot ask: %s\n", reason);
	return false;
}

enum status ask_run(const char *config_path, char *const *domains, unsigned count)
{
	struct bundle *bundle;
	struct config *config;
	struct settings settings;
	enum status status = command_open(config_path, &bundle, &config);

	if (status != STATUS_FINE)
		return status;
	bool ready = become_user(config, &settings);

	config_free(config);
	bundle_free(bundle);
	return ready ? command_printed(ask(&settings, domains, count)) : STATUS_CANNOT;
}
