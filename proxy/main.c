/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The command line. What each command does is a module of its own. */

#include "check.h"
#include "serve.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define DEFAULT_CONFIG SYSCONFDIR "/sealpost/sealpost.conf"

/* What we exit with, and what the commands return. */
enum { EXIT_FINE, EXIT_NO, EXIT_USAGE, EXIT_CANNOT };

struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(const char *config_path);
};

static const struct command commands[] = {
	{ "serve", "[-c FILE]", "run in the foreground", serve_run },
	{ "check", "[-c FILE]", "read configuration, certificates and keys; print faults",
		check_run },
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

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
	for (int i = 0; i < COMMAND_COUNT; i++)
		printf("    sealpost %-6s %-10s  %s\n", commands[i].name,
			commands[i].arguments, commands[i].summary);
	printf("    sealpost --version | --help\n\n"
	       "FILE is " DEFAULT_CONFIG " unless said.\n"
	       "See sealpost(1) and sealpost.conf(5).\n");
	return printed();
}

static int print_command_help(const struct command *command)
{
	printf("usage: sealpost %s %s\n\n"
	       "%s\n\n"
	       "    -c, --config=FILE  not " DEFAULT_CONFIG "\n"
	       "    -h, --help         this\n",
		command->name, command->arguments, command->summary);
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

/* After getopt_long() has returned '?' or ':'. */
static int wrong_option(char **argv, int returned)
{
	const char *why = returned == ':' ? "its argument is missing" : "no such option";
	char letter[] = { '-', (char)optopt, '\0' };

	/* Of a long option getopt_long() leaves no letter, or the letter of its twin. */
	if (optopt == 0 || strncmp(argv[optind - 1], "--", 2) == 0)
		return used_wrongly(argv[optind - 1], why);
	return used_wrongly(letter, why);
}

/* argv begins with the command's name. */
static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *config_path = DEFAULT_CONFIG;

	optind = 0; /* a new argv */
	for (int option;
		(option = getopt_long(argc, argv, "+:c:h", options, NULL)) != -1;) {
		switch (option) {
		case 'c': config_path = optarg; break;
		case 'h': return print_command_help(command);
		default: return wrong_option(argv, option);
		}
	}
	if (optind < argc)
		return used_wrongly(argv[optind], "too many arguments");
	return command->run(config_path);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};

	opterr = 0;
	switch (getopt_long(argc, argv, "+:hV", options, NULL)) {
	case -1: break;
	case 'h': return print_help();
	case 'V': return print_version();
	default: return wrong_option(argv, '?');
	}
	if (optind >= argc)
		return used_wrongly("the command line", "no command given");
	for (int i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, argv[optind]) == 0)
			return run(&commands[i], argc - optind, argv + optind);
	}
	return used_wrongly(argv[optind], "no such command");
}
