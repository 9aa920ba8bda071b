/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "policyprocess.h"

#include "child.h"
#include "privileges.h"
#include "sandbox.h"
#include "service.h"
#include "sight.h"
#include "status.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REASON = 256 };

/* ---- settings ---- */

static bool copy(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);
	if (length >= size)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

/* Root's files are good, and those of whoever runs us by hand; but a service may not
 * write its own policy. */
static uid_t owner_of_files(const struct config *config)
{
	const struct passwd *user = getpwnam(config->user);
	uid_t ours = geteuid();
	return user && user->pw_uid == ours ? 0 : ours;
}

/*
 * A default need not exist: it is "" then. But where it was in use it has been lost: what
 * was read there must not be forgotten for that.
 */
static const char *directory_of(const char *path, unsigned line, const char *before)
{
	bool optional = line == 0 && strcmp(path, before) != 0;
	return optional && access(path, F_OK) != 0 && errno == ENOENT ? "" : path;
}

bool policyprocess_settings(const struct config *config, const struct settings *before,
	struct settings *settings)
{
	static const struct settings nothing;
	const struct config_policy *policy = &config->policy;
	if (!before)
		before = &nothing;
	memset(settings, 0, sizeof(*settings));
	settings->owner = owner_of_files(config);
	settings->timeout = config->limits.policy_timeout;
	settings->dane = config->policy.dane;
	settings->mta_sts = config->policy.mta_sts;
	settings->stub_count = (uint8_t)policy->stub_count;
	bool fits =
		policy->stub_count <= MESSAGE_STUBS &&
		copy(settings->directory, sizeof(settings->directory),
			directory_of(policy->directory, policy->directory_line,
				before->directory)) &&
		copy(settings->cache, sizeof(settings->cache),
			directory_of(policy->cache, policy->cache_line, before->cache)) &&
		copy(settings->ca, sizeof(settings->ca), policy->ca) &&
		copy(settings->resolver, sizeof(settings->resolver), policy->resolver) &&
		copy(settings->trust_anchor, sizeof(settings->trust_anchor),
			policy->trust_anchor);
	for (unsigned i = 0; fits && i < policy->stub_count; i++)
		fits = copy(settings->stubs[i].zone, sizeof(settings->stubs[i].zone),
			       policy->stubs[i].zone) &&
		       copy(settings->stubs[i].server, sizeof(settings->stubs[i].server),
			       policy->stubs[i].server);
	return fits;
}

/* ---- inside the process ---- */

static bool confine(const struct settings *settings, char *reason, size_t size)
{
	struct sight sight;
	bool confined;
	sight_of(settings, &sight);
	const struct sandbox_paths paths = { sight.read, sight.write };
	if (!sandbox_policy(&paths, &confined, reason, size))
		return false;
	if (!confined)
		snprintf(reason, size,
			"the kernel has no Landlock: the policy process may read what "
			"its user may, keys too");
	return true;
}

int policyprocess_run(void)
{
	char reason[REASON];
	/* They mean the whole service, which needs us until its last session has ended:
	 * then it hangs up. */
	static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };
	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	if (!privileges_none(reason, sizeof(reason))) {
		fprintf(stderr, "sealpost: cannot run the policy process: %s\n", reason);
		return STATUS_CANNOT;
	}
	return policy_service_run(CHILD_DESCRIPTOR, confine);
}
