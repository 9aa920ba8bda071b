/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* `sealpost firewall`: the rules shown, loaded by nft(8) and ip(8), and removed. */

#include "firewall.h"

#include "command.h"
#include "privileges.h"

#include <signal.h>
#include <string.h>

/* Where they are, whoever asks. */
#define TOOLS "PATH=$PATH:/usr/sbin:/sbin "

/*
 * What is marked stays on this machine. The preference makes it one rule, however often
 * it is loaded.
 */
#define RULE  "pref 25 fwmark " FIREWALL_MARK " lookup 25"
#define ROUTE "local default dev lo table 25"

/* systemd-networkd removes what it does not know, but for the kernel's. */
#define KERNELS	      " protocol kernel"
#define RULE_ADD      "rule add " RULE KERNELS
#define RULE_DELETE   "rule del " RULE
#define RULE_LIST     "rule list " RULE
#define ROUTE_REPLACE "route replace " ROUTE KERNELS
#define ROUTE_DELETE  "route del " ROUTE
#define ROUTE_LIST    "route list exact default type local dev lo table 25"

static const struct {
	sa_family_t family;
	char digit;
} families[] = { { AF_INET, '4' }, { AF_INET6, '6' } };

enum { FAMILIES = sizeof(families) / sizeof(families[0]), COMMAND_MAX = 160 };

/* What a tool has against it, it says itself. */
static bool ended_well(const char *tool, int status)
{
	if (status == 0)
		return true;
	fprintf(stderr, "sealpost: cannot change the firewall: %s failed%s\n", tool,
		privileges_net_admin() ? "" : ": it takes root, or CAP_NET_ADMIN");
	return false;
}

/* ---- ip(8) ---- */

static FILE *ip_open(char digit, const char *arguments, const char *mode)
{
	char command[COMMAND_MAX];

	snprintf(command, sizeof(command), TOOLS "ip -%c %s", digit, arguments);
	return popen(command, mode);
}

/* Whether there is what it should list; a table that is not there is an error to ip. */
static bool ip_finds(char digit, const char *list)
{
	char quiet[COMMAND_MAX / 2];

	snprintf(quiet, sizeof(quiet), "%s 2>/dev/null", list);
	FILE *from = ip_open(digit, quiet, "re");

	if (!from)
		return false;
	bool found = getc(from) != EOF;

	pclose(from);
	return found;
}

static bool ip_batch(char digit, const char *lines)
{
	FILE *to = lines[0] != '\0' ? ip_open(digit, "-batch -", "we") : NULL;

	if (!to)
		return lines[0] == '\0' || ended_well("ip", -1);
	fputs(lines, to);
	return ended_well("ip", pclose(to));
}

/* Never a moment without them where they are wanted: what is there stays. */
static bool keep_marked(char digit, bool wanted)
{
	bool rule = ip_finds(digit, RULE_LIST);
	bool route = ip_finds(digit, ROUTE_LIST);
	char lines[2 * COMMAND_MAX];

	if (wanted)
		snprintf(lines, sizeof(lines), "%s%s", rule ? "" : RULE_ADD "\n",
			route ? "" : ROUTE_REPLACE "\n");
	else
		snprintf(lines, sizeof(lines), "%s%s", rule ? RULE_DELETE "\n" : "",
			route ? ROUTE_DELETE "\n" : "");
	return ip_batch(digit, lines);
}

/* ---- nft(8) ---- */

static bool load(const struct config *config)
{
	FILE *to = popen(TOOLS "nft -f -", "we");

	if (!to)
		return ended_well("nft", -1);
	firewall_write(config, to);
	return ended_well("nft", pclose(to));
}

/* ---- the command ---- */

/* The rules first: among them is the guard. */
static enum status apply(const struct config *config)
{
	bool done = load(config);

	for (int i = 0; done && i < FAMILIES; i++)
		done = keep_marked(
			families[i].digit, firewall_marks(config, families[i].family));
	return done ? STATUS_FINE : STATUS_CANNOT;
}

static enum status print(const struct config *config)
{
	printf("# What %s needs of the firewall, for nft -f.\n", config->path);
	for (int i = 0; i < FAMILIES; i++) {
		if (firewall_marks(config, families[i].family))
			printf("# ip -%c " RULE_ADD "\n# ip -%c " ROUTE_REPLACE "\n",
				families[i].digit, families[i].digit);
	}
	firewall_write(config, stdout);
	return command_printed(STATUS_FINE);
}

static enum status with_config(
	const char *path, enum status (*act)(const struct config *config))
{
	struct bundle *bundle;
	struct config *config;
	enum status status = command_open(path, &bundle, &config);

	if (status != STATUS_FINE)
		return status;
	status = firewall_verify(config, stderr) ? act(config) : STATUS_NO;
	config_free(config);
	bundle_free(bundle);
	return status;
}

enum status firewall_run(const char *config_path, const char *what)
{
	static const struct config nothing;

	/* a tool that is not there reads nothing */
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(what, "up") == 0)
		return with_config(config_path, apply);
	/* whatever the configuration is worth by now */
	if (strcmp(what, "down") == 0)
		return apply(&nothing);
	if (strcmp(what, "print") == 0)
		return with_config(config_path, print);
	fprintf(stderr,
		"sealpost: cannot understand %s: one of up, down and print is wanted\n",
		what);
	return STATUS_USAGE;
}
