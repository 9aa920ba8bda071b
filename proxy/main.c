/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The command line. What each command does is a module of its own. */

#include "ask.h"
#include "check.h"
#include "child.h"
#include "command.h"
#include "control.h"
#include "demo.h"
#include "firewall.h"
#include "policyprocess.h"
#include "probe.h"
#include "serve.h"
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

/* Each command has one option, and -h; some have --json as well. */
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

/* The rest of the command line. */
struct call {
	const char *setting;
	char *const *arguments;
	unsigned count;
	bool json;
};

static enum status serve(const struct call *call)
{
	return serve_run(call->setting);
}

static enum status check(const struct call *call)
{
	return check_run(call->setting);
}

static enum status policy(const struct call *call)
{
	return ask_run(call->setting, call->arguments, call->count);
}

static enum status probe(const struct call *call)
{
	return probe_run(call->setting, call->arguments[0], call->json);
}

static enum status status(const struct call *call)
{
	return control_run(call->setting, call->json);
}

static enum status firewall(const struct call *call)
{
	return firewall_run(call->setting, call->arguments[0]);
}

static enum status demo(const struct call *call)
{
	return demo_run(call->setting);
}

static const struct command {
	const char *name;
	const struct setting *setting;
	bool json;
	const char *arguments; /* "DOMAIN..."; NULL: it takes none */
	unsigned most;	       /* of them, and one at least */
	const char *summary;
	enum status (*run)(const struct call *call);
} commands[] = {
	{ "serve", &config_setting, false, NULL, 0, "run in the foreground", serve },
	{ "check", &config_setting, false, NULL, 0,
		"find faults in all that is configured", check },
	{ "policy", &config_setting, false, "DOMAIN...", ~0u,
		"what is demanded of a domain, and why", policy },
	{ "probe", &config_setting, true, "DOMAIN|USER@DOMAIN|HOST:PORT", 1,
		"whether mail would flow there, and how", probe },
	{ "status", &config_setting, true, NULL, 0, "how the running service stands",
		status },
	{ "firewall", &config_setting, false, "up|down|print", 1,
		"the rules that the configuration needs", firewall },
	{ "demo", &listen_setting, false, NULL, 0,
		"show it at work, beside its own peers", demo },
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

/* "sealpost probe [-c FILE] [--json] DOMAIN"; returns its columns. */
static int print_usage(const struct command *command)
{
	return printf("sealpost %s %s%s%s%s", command->name, command->setting->usage,
		command->json ? " [--json]" : "", command->arguments ? " " : "",
		command->arguments ? command->arguments : "");
}

static enum status print_help(void)
{
	printf("usage: sealpost COMMAND [OPTION]...\n\n");
	for (int i = 0; i < COMMAND_COUNT; i++) {
		const struct command *command = &commands[i];
		int column = printf("    ") + print_usage(command);
		if (column >= 41)
			column = printf("\n") - 1;
		printf("%*s%s\n", 41 - column, "", command->summary);
	}
	printf("    sealpost --version | --help\n\n"
	       "FILE is " DEFAULT_CONFIG " by default,\n"
	       "ADDRESS is " DEFAULT_LISTEN ".\n"
	       "See sealpost(1), sealpost.conf(5) and sealpost.policy(5).\n");
	return command_printed(STATUS_FINE);
}

static enum status print_command_help(const struct command *command)
{
	const struct setting *setting = command->setting;

	printf("usage: ");
	print_usage(command);
	printf("\n\n%s\n\n    %-20s  default: %s\n", command->summary, setting->help,
		setting->fallback);
	if (command->json)
		printf("    %-20s  say it in JSON\n", "--json");
	printf("    %-20s  show this help\n", "-h, --help");
	return command_printed(STATUS_FINE);
}

static enum status print_version(void)
{
	printf("sealpost %s\n", PACKAGE_VERSION);
	return command_printed(STATUS_FINE);
}

static enum status used_wrongly(const char *what, const char *why)
{
	fprintf(stderr, "sealpost: cannot understand %s: %s (try sealpost --help)\n",
		what, why);
	return STATUS_USAGE;
}

/* After getopt_long() has returned '?' or ':'. */
static enum status wrong_option(char **argv, const char *why)
{
	char letter[] = { '-', (char)optopt, '\0' };

	/* Of a long option getopt_long() leaves no letter, or the letter of its twin. */
	if (optopt == 0 || strncmp(argv[optind - 1], "--", 2) == 0)
		return used_wrongly(argv[optind - 1], why);
	return used_wrongly(letter, why);
}

static enum status run_with(const struct command *command, const struct call *call)
{
	if (call->count > command->most)
		return used_wrongly(call->arguments[command->most], "too many arguments");
	if (command->arguments && call->count == 0) {
		char why[64];
		snprintf(why, sizeof(why), "%s is missing", command->arguments);
		return used_wrongly(command->name, why);
	}
	return command->run(call);
}

/* argv begins with the command's name. */
static enum status run(const struct command *command, int argc, char **argv)
{
	const struct setting *setting = command->setting;
	const struct option options[] = {
		{ setting->name, required_argument, NULL, setting->letter },
		{ "help", no_argument, NULL, 'h' },
		{ command->json ? "json" : NULL, no_argument, NULL, JSON },
		{ NULL, 0, NULL, 0 },
	};
	const char letters[] = { '+', ':', setting->letter, ':', 'h', '\0' };
	static const char missing[] = "its argument is missing";
	struct call call = { .setting = setting->fallback };

	optind = 0; /* a new argv */
	for (int option;
		(option = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
		if (option == 'h')
			return print_command_help(command);
		if (option == JSON) {
			call.json = true;
			continue;
		}
		if (option != setting->letter)
			return wrong_option(
				argv, option == ':' ? missing : "no such option");
		if (*optarg == '\0')
			return used_wrongly(setting->help, missing);
		call.setting = optarg;
	}
	call.arguments = argv + optind;
	call.count = (unsigned)(argc - optind);
	return run_with(command, &call);
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
	default:
		return wrong_option(
			argv, "before a command there is --help or --version");
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
