/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NEEDED_MAX = 1 };

struct needed {
	cap_value_t list[NEEDED_MAX];
	int count;
	const char *key; /* the setting that asks for it */
};

static bool cannot(const char *what, char *reason, size_t size)
{
	snprintf(reason, size, "%s: %s", what, strerror(errno));
	return false;
}

/* The setting that makes us connect from another's address, NULL where none does. */
static const char *spoofing(const struct config *config)
{
	for (unsigned i = 0; i < config->inbound_count; i++)
		if (config->inbound[i].client_address == CLIENT_ADDRESS_TRANSPARENT)
			return "client-address = transparent";
	for (unsigned i = 0; i < config->outbound_count; i++)
		if (config->outbound[i].source == SOURCE_TRANSPARENT)
			return "source = transparent";
	return NULL;
}

static void needed_by(const struct config *config, struct needed *needed)
{
	*needed = (struct needed){ .key = spoofing(config) };
	/* for IP_TRANSPARENT: to connect from the client's own address */
	if (needed->key)
		needed->list[needed->count++] = CAP_NET_RAW;
}

static bool set(cap_t caps, cap_flag_t flag, const struct needed *needed)
{
	return needed->count == 0 ||
	       cap_set_flag(caps, flag, needed->count, needed->list, CAP_SET) == 0;
}

static bool hand_on(const struct needed *needed)
{
	for (int i = 0; i < needed->count; i++)
		if (cap_set_ambient(needed->list[i], CAP_SET) != 0)
			return false;
	return true;
}

/* Exactly what is needed, of what we have. */
static bool keep_needed(
	const struct needed *needed, bool to_hand_on, char *reason, size_t size)
{
	cap_t caps = cap_init();
	bool done = caps && set(caps, CAP_PERMITTED, needed) &&
		    set(caps, CAP_EFFECTIVE, needed) &&
		    (!to_hand_on || set(caps, CAP_INHERITABLE, needed)) &&
		    cap_set_proc(caps) == 0 && (!to_hand_on || hand_on(needed));

	if (!done && errno == EPERM && needed->key)
		snprintf(reason, size,
			"%s needs CAP_NET_RAW, which this process does not have: start "
			"it as root, or by a unit with AmbientCapabilities=CAP_NET_RAW",
			needed->key);
	else if (!done)
		cannot("cannot set capabilities", reason, size);
	if (caps)
		cap_free(caps);
	return done;
}

static bool become(const char *name, char *reason, size_t size)
{
	errno = 0;
	const struct passwd *user = getpwnam(name);

	if (!user && errno != 0)
		return cannot("cannot look the user up", reason, size);
	if (!user) {
		snprintf(reason, size,
			"user %s does not exist: create it (useradd --system %s) or set "
			"user = in [server]",
			name, name);
		return false;
	}
	if (user->pw_uid == 0) {
		snprintf(reason, size,
			"user %s is root: create a user for sealpost or set user = in "
			"[server]",
			name);
		return false;
	}
	/* Only its own group: no other one opens anything that we should read. */
	if (setgroups(1, &user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
		setuid(user->pw_uid) != 0)
		return cannot("cannot become the user", reason, size);
	return true;
}

static bool keep_only(
	const struct needed *needed, bool to_hand_on, char *reason, size_t size)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0)
		return cannot("cannot give up new privileges", reason, size);
	if (cap_reset_ambient() != 0)
		return cannot("cannot clear ambient capabilities", reason, size);
	if (!keep_needed(needed, to_hand_on, reason, size))
		return false;
	if (prctl(PR_SET_DUMPABLE, 0L) != 0)
		return cannot("cannot forbid core dumps", reason, size);
	return true;
}

static bool drop(const struct config *config, bool to_hand_on, char *reason, size_t size)
{
	struct needed needed;

	needed_by(config, &needed);
	if (geteuid() == 0) {
		/* setuid() would take them all; keep_needed() then takes all but ours */
		if (prctl(PR_SET_KEEPCAPS, 1L) != 0)
			return cannot("cannot keep capabilities", reason, size);
		if (!become(config->user, reason, size))
			return false;
	}
	return keep_only(&needed, to_hand_on, reason, size);
}

bool privileges_drop(const struct config *config, char *reason, size_t size)
{
	return drop(config, false, reason, size);
}

bool privileges_drop_to_hand_on(const struct config *config, char *reason, size_t size)
{
	return drop(config, true, reason, size);
}

bool privileges_drop_all(const struct config *config, char *reason, size_t size)
{
	if (geteuid() == 0 && !become(config->user, reason, size))
		return false;
	return privileges_none(reason, size);
}

bool privileges_none(char *reason, size_t size)
{
	const struct needed nothing = { .count = 0 };

	return keep_only(&nothing, false, reason, size);
}

void privileges_end_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL) != 0 || getppid() != parent)
		_exit(1);
}

bool privileges_net_admin(void)
{
	cap_flag_value_t value = CAP_SET;
	cap_t capabilities = cap_get_proc();

	if (capabilities) {
		cap_get_flag(capabilities, CAP_NET_ADMIN, CAP_EFFECTIVE, &value);
		cap_free(capabilities);
	}
	return value == CAP_SET;
}
