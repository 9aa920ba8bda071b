/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The command line. What each command does is a module of its own. */

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define DEFAULT_CONFIG SYSCONFDIR "/sealpost/sealpost.conf"

/* What we exit with; the commands return the same. */
enum { EXIT_FINE, EXIT_NO, EXIT_USAGE, EXIT_CANNOT };

struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(int argc, char **argv, const struct command *command);
};

/* Ends with an entry without a name. */
static const struct command commands[] = {
	{ NULL, NULL, NULL, NULL },
};

/* Help that could not be written was not given. */
static int printed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_FINE;
	fprintf(stderr, "sealpost: cannot write to standard output\n");
	return EXIT_CANNOT;
}

static int print_help(void)
{
	printf("usage: sealpost COMMAND [OPTION]...\n\n");
	for (const struct command *c = commands; c->name; c++)
		printf("    sealpost %-6s %-12s %s\n", c->name, c->arguments, c->summary);
	printf("    sealpost --version | --help\n\n"
	       "FILE is %s unless said.\n"
	       "See sealpost(1) and sealpost.conf(5).\n",
		DEFAULT_CONFIG);
	return printed();
}

static int print_version(void)
{
	printf("sealpost %s\n", PACKAGE_VERSION);
	return printed();
}

static int used_wrongly(const char *what, const char *why)
{
	fprintf(stderr, "sealpost: cannot understand %s: %s (try sealpost --help)\n",
		what, why);
	return EXIT_USAGE;
}

/* The options that stand before the command. Returns -1 to go on, or what to exit with.
 */
static int read_common_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};

	opterr = 0;
	switch (getopt_long(argc, argv, "+hV", options, NULL)) {
	case -1: return -1;
	case 'h': return print_help();
	case 'V': return print_version();
	default: return used_wrongly(argv[optind - 1], "no such option");
	}
}

int main(int argc, char **argv)
{
	int status = read_common_options(argc, argv);

	if (status >= 0)
		return status;
	if (optind == argc)
		return used_wrongly("the command line", "no command given");
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, argv[optind]) == 0)
			return c->run(argc - optind, argv + optind, c);
	}
	return used_wrongly(argv[optind], "no such command");
}
