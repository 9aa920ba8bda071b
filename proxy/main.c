/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The command line. What each command does is a module of its own. */

#include "ask.h"
#include "check.h"
#include "child.h"
#include "control.h"
#include "demo.h"
#include "firewall.h"
#include "policyprocess.h"
#include "probe.h"
#include "serve.h"
#include "status.h"
#include "worker.h"

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define DEFAULT_CONFIG SYSCONFDIR "/sealpost/sealpost.conf"
#define DEFAULT_LISTEN "127.0.0.1:2525"

/* Each command has one option, and -h; probe and status have --json as well. */
struct setting {
	char letter;
	const char *name;
	const char *usage, *help; /* "[-c FILE]" and "-c, --config=FILE" */
	const char *fallback;
};

static const struct setting config_setting = { 'c', "config", "[-c FILE]",
	"-c, --config=FILE", DEFAULT_CONFIG };
static const struct setting listen_setting = { 'l', "listen", "[-l ADDRESS]",
	"-l, --listen=ADDRESS", DEFAULT_LISTEN };

/*
 * One way to run each: some take arguments, those have run_on(), or run_probe() for one;
 * run_status() takes none.
 */
struct command {
	const char *name;
	const struct setting *setting;
	const char *summary;
	int (*run)(const char *setting);
	const char *arguments;
	int (*run_on)(const char *setting, char *const *arguments, unsigned count);
	int (*run_probe)(const char *setting, const char *argument, bool json);
	int (*run_status)(const char *setting, bool json);
};

static const struct command commands[] = {
	{ .name = "serve",
		.setting = &config_setting,
		.summary = "run in the foreground",
		.run = serve_run },
	{ .name = "check",
		.setting = &config_setting,
		.summary = "read configuration, certificates, keys; print faults",
		.run = check_run },
	{ .name = "policy",
		.setting = &config_setting,
		.summary = "what is demanded of a domain, and why",
		.arguments = " DOMAIN...",
		.run_on = ask_run },
	{ .name = "probe",
		.setting = &config_setting,
		.summary = "go there, and say whether mail would flow",
		.arguments = " [--json] DOMAIN|USER@DOMAIN|HOST:PORT",
		.run_probe = probe_run },
	{ .name = "status",
		.setting = &config_setting,
		.summary = "how the running service stands",
		.arguments = " [--json]",
		.run_status = control_run },
	{ .name = "firewall",
		.setting = &config_setting,
		.summary = "the rules that the configuration needs",
		.arguments = " up|down|print",
		.run_on = firewall_run },
	{ .name = "demo",
		.setting = &listen_setting,
		.summary = "show the main job, beside peers of its own",
		.run = demo_run },
};

/* What sealpost itself starts is no command: it is in no help. */
static const struct process {
	const char *name;
	const char *shown; /* by ps and top: 15 octets at most */
	int (*run)(void);
} processes[] = {
	{ "worker-process", "sealpost-worker", worker_process },
	{ "policy-process", "sealpost-policy", policyprocess_run },
};

enum { PROCESS_COUNT = sizeof(processes) / sizeof(processes[0]) };

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

enum { JSON = 256 }; /* an option without a letter */

/* Help that could not be written was not given. */
static int printed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return STATUS_FINE;
	fprintf(stderr, "sealpost: cannot write to standard output\n");
	return STATUS_CANNOT;
}

static const char *arguments_of(const struct command *command)
{
	return command->arguments != NULL ? command->arguments : "";
}

static bool takes_json(const struct command *command)
{
	return command->run_probe != NULL || command->run_status != NULL;
}

static int print_help(void)
{
	printf("usage: sealpost COMMAND [OPTION]...\n\n");
	for (int i = 0; i < COMMAND_COUNT; i++) {
		const struct command *command = &commands[i];
		int column = printf("    sealpost %s %s%s", command->name,
			command->setting->usage, arguments_of(command));
		if (column >= 41)
			column = printf("\n") - 1;
		printf("%*s%s\n", 41 - column, "", command->summary);
	}
	printf("    sealpost --version | --help\n\n"
	       "FILE is " DEFAULT_CONFIG " by default,\n"
	       "ADDRESS is " DEFAULT_LISTEN ".\n"
	       "See sealpost(1) and sealpost.conf(5).\n");
	return printed();
}

static int print_command_help(const struct command *command)
{
	const struct setting *setting = command->setting;

	printf("usage: sealpost %s %s%s\n\n"
	       "%s\n\n"
	       "    %-20s  default: %s\n",
		command->name, setting->usage, arguments_of(command), command->summary,
		setting->help, setting->fallback);
	if (takes_json(command))
		printf("    %-20s  say it in JSON\n", "--json");
	printf("    %-20s  show this help\n", "-h, --help");
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
	return STATUS_USAGE;
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

/* What stands behind the options. */
static int run_with(const struct command *command, const char *setting, bool json,
	char *const *arguments, unsigned count)
{
	bool alone = command->run != NULL || command->run_status != NULL;

	if (alone && count > 0)
		return used_wrongly(arguments[0], "too many arguments");
	if (command->run != NULL)
		return command->run(setting);
	if (command->run_status != NULL)
		return command->run_status(setting, json);
	if (count == 0)
		return used_wrongly(command->name, "its argument is missing");
	if (command->run_probe == NULL)
		return command->run_on(setting, arguments, count);
	if (count > 1)
		return used_wrongly(arguments[1], "too many arguments");
	return command->run_probe(setting, arguments[0], json);
}

/* argv begins with the command's name. */
static int run(const struct command *command, int argc, char **argv)
{
	const struct setting *setting = command->setting;
	const struct option options[] = {
		{ setting->name, required_argument, NULL, setting->letter },
		{ "help", no_argument, NULL, 'h' },
		{ takes_json(command) ? "json" : NULL, no_argument, NULL, JSON },
		{ NULL, 0, NULL, 0 },
	};
	const char letters[] = { '+', ':', setting->letter, ':', 'h', '\0' };
	const char *value = setting->fallback;
	bool json = false;

	optind = 0; /* a new argv */
	for (int option;
		(option = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
		if (option == 'h')
			return print_command_help(command);
		if (option == JSON) {
			json = true;
			continue;
		}
		if (option != setting->letter)
			return wrong_option(argv, option);
		value = optarg;
	}
	return run_with(command, value, json, argv + optind, (unsigned)(argc - optind));
}

/* Where one of the standard streams is closed, the next file or socket would be it. */
static void have_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Only whoever has the other end of its descriptor can tell it anything. */
static int run_process(const struct process *process)
{
	int type;
	socklen_t length = sizeof(type);

	if (getsockopt(CHILD_DESCRIPTOR, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
		type == SOCK_SEQPACKET) {
		pthread_setname_np(pthread_self(), process->shown);
		return process->run();
	}
	fprintf(stderr, "sealpost: cannot run %s by hand: sealpost serve starts it\n",
		process->name);
	return STATUS_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};

	have_streams();
	opterr = 0;
	switch (getopt_long(argc, argv, "+:hV", options, NULL)) {
	case -1: break;
	case 'h': return print_help();
	case 'V': return print_version();
	default: return wrong_option(argv, '?');
	}
	if (optind >= argc)
		return used_wrongly("the command line", "no command given");
	for (int i = 0; i < PROCESS_COUNT; i++) {
		if (strcmp(processes[i].name, argv[optind]) == 0)
			return run_process(&processes[i]);
	}
	for (int i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, argv[optind]) == 0)
			return run(&commands[i], argc - optind, argv + optind);
	}
	return used_wrongly(argv[optind], "no such command");
}
