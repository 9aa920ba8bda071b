/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The demo's first process. Once the daemon serves, no process of the demo is root, and
 * none outlives this one.
 */

#include "demo.h"

#include "privileges.h"
#include "status.h"
#include "supervisor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	DEFAULT_PORT = 2525,
	CHUNK = 4096,	 /* what a pipe takes in one piece: more than a log line */
	PATIENCE = 5000, /* milliseconds */
};

static_assert((int)DEMO_REASON >= (int)SUPERVISOR_REASON,
	"the supervisor writes to our reason");

struct demo {
	struct demo_world world;
	sigset_t signals; /* those that we wait for, ... */
	int signal_fd;	  /* ... which come here */
	int log;	  /* what the daemon says */
	/* The first sessions, as the servers saw them. */
	int backend_transcript, internet_transcript;
	pid_t daemon, backend, internet;
	bool told; /* to end */
	char reason[DEMO_REASON];
};

static const struct demo_errand errand_in = {
	.starttls = true,
	.helo = "client.example",
	.from = "sender@client.example",
	.recipient = "postmaster@exchange.example",
	.text = "This message came to Sealpost over TLS, and went on in clear.",
};

static const struct demo_errand errand_out = {
	.helo = "exchange.example",
	.from = "postmaster@exchange.example",
	.recipient = "sender@internet.example",
	.text = "This message came to Sealpost in clear, and went on over TLS.",
};

/* What the daemon's process has from us. */
struct ready {
	int status; /* takes a reason why not, or an empty one */
	pid_t parent;
};

static bool cannot(struct demo *demo, const char *what)
{
	snprintf(demo->reason, sizeof(demo->reason), "%s: %s", what, strerror(errno));
	return false;
}

/* ---- the other processes ---- */

/* In the child: a group of its own, so that Ctrl-C is for us to pass on. */
static void begin_child(struct demo *demo)
{
	setpgid(0, 0);
	close(demo->signal_fd);
	sigprocmask(SIG_UNBLOCK, &demo->signals, NULL);
}

static void run_server(struct demo *demo, pid_t parent, const struct demo_server *server)
{
	if (privileges_drop(demo->world.config, demo->reason, sizeof(demo->reason))) {
		privileges_end_with(parent);
		demo_server_serve(server);
	}
}

static bool start_server(
	struct demo *demo, struct demo_server *server, pid_t *child, int *transcript)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return cannot(demo, "a pipe");
	*child = fork();
	if (*child == 0) {
		begin_child(demo);
		close(ends[0]);
		server->transcript = ends[1];
		run_server(demo, parent, server);
		_exit(1);
	}
	close(ends[1]);
	*transcript = ends[0];
	close(server->listener);
	return *child > 0 || cannot(demo, "a process");
}

static void daemon_ready(void *context)
{
	const struct ready *ready = context;

	privileges_end_with(ready->parent);
	if (write(ready->status, "", 1) != 1)
		_exit(1);
}

/* Returns what to exit with. */
static int run_daemon(struct demo *demo, struct ready *ready, int log)
{
	if (dup2(log, STDERR_FILENO) < 0)
		return STATUS_CANNOT;
	close(log);
	close(demo->backend_transcript);
	close(demo->internet_transcript);
	close(demo->world.folder);
	if (demo_world_read_keys(&demo->world, demo->reason) &&
		supervise(demo->world.bundle, demo->world.config, NULL, daemon_ready,
			ready, demo->reason))
		return STATUS_FINE;
	ssize_t n = write(ready->status, demo->reason, strlen(demo->reason) + 1);

	(void)n; /* whoever does not hear it hears us end */
	return STATUS_CANNOT;
}

/* Waits until the daemon listens. */
static bool await_daemon(struct demo *demo, int status)
{
	ssize_t n = read(status, demo->reason, sizeof(demo->reason) - 1);

	if (n > 0) {
		demo->reason[n] = '\0';
		return demo->reason[0] == '\0';
	}
	snprintf(demo->reason, sizeof(demo->reason), "the daemon did not start");
	return false;
}

static bool start_daemon(struct demo *demo)
{
	struct ready ready = { .parent = getpid() };
	int log[2], status[2];

	if (pipe2(log, O_CLOEXEC) != 0)
		return cannot(demo, "a pipe");
	demo->log = log[0];
	if (pipe2(status, O_CLOEXEC) != 0) {
		close(log[1]);
		return cannot(demo, "a pipe");
	}
	ready.status = status[1];
	demo->daemon = fork();
	if (demo->daemon == 0) {
		begin_child(demo);
		close(log[0]);
		close(status[0]);
		_exit(run_daemon(demo, &ready, log[1]));
	}
	close(log[1]);
	close(status[1]);
	bool fine = demo->daemon > 0 ? await_daemon(demo, status[0])
				     : cannot(demo, "a process");

	close(status[0]);
	return fine;
}

static void end_child(pid_t *child, int signal)
{
	if (*child <= 0)
		return;
	kill(*child, signal);
	waitpid(*child, NULL, 0);
	*child = 0;
}

/* ---- what is shown ---- */

void demo_show(struct demo_view *view, char towards, const char *octets, size_t n)
{
	for (size_t i = 0; view->to && i < n; i++) {
		char c = octets[i];

		if (c == '\r')
			continue;
		if (view->towards == '\0')
			fprintf(view->to, "    %-7s %c ", view->wire, towards);
		view->towards = c == '\n' ? '\0' : towards;
		if (c == '\t')
			fputs("    ", view->to);
		else
			putc(c == '\n' || (c >= ' ' && c <= '~') ? c : '?', view->to);
	}
}

static void show_indented(const char *text)
{
	for (const char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n");

		printf("%s%.*s\n", n > 0 ? "    " : "", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

/*
 * Hands on what comes until `mark` is seen (NULL: until the end), but does not wait for
 * ever. False at the end.
 */
static bool hand_on(int from, const char *mark)
{
	char text[CHUNK + 1];
	struct pollfd poll_for = { .fd = from, .events = POLLIN };

	while (poll(&poll_for, 1, PATIENCE) > 0) {
		ssize_t n = read(from, text, sizeof(text) - 1);

		if (n <= 0)
			return false;
		text[n] = '\0';
		fputs(text, stdout);
		if (mark && strstr(text, mark))
			break;
	}
	return true;
}

static void introduce(const struct demo_world *world)
{
	char inbound[ADDRESS_TEXT], outbound[ADDRESS_TEXT];

	address_text(&world->inbound, inbound);
	address_text(&world->outbound, outbound);
	printf("Sealpost demo: an old mail server that has no TLS, and the Internet.\n\n"
	       "    in     Internet --STARTTLS--> Sealpost %s --clear--> server\n"
	       "    out    server --clear--> Sealpost %s --STARTTLS--> Internet\n"
	       "\n"
	       "The configuration (what is not said has its default; keys and\n"
	       "certificates were made for this demo, and are gone again). The\n"
	       "Internet is one server of the demo's own, hence the relay. With\n"
	       "\"route = smarthost\" or \"intercept\" mail goes to the MX hosts of\n"
	       "each domain, as the domain's policy file demands; the demo has no\n"
	       "such files, asks no DNS, and verifies nobody.\n\n",
		inbound, outbound);
	show_indented(world->config_text);
}

static void invite(const struct demo_world *world)
{
	char inbound[ADDRESS_TEXT], outbound[ADDRESS_TEXT];

	address_text(&world->inbound, inbound);
	address_text(&world->outbound, outbound);
	printf("\nMessages are files in %s:\n"
	       "those of the old server in backend, those of the Internet in "
	       "internet.\n\n"
	       "Now try it yourself; Ctrl-C ends the demo.\n\n"
	       "    nc -C %.*s %u    # mail out: SMTP in clear\n"
	       "    openssl s_client -starttls smtp -connect %s    # mail in\n\n",
		world->folder_name, (int)strcspn(outbound, ":"), outbound,
		world->outbound.port, inbound);
	fflush(stdout);
}

/* One message through the daemon, as each of the three saw it. */
static bool show_message(struct demo *demo, struct demo_errand errand,
	const struct address *to, int transcript)
{
	const char *from = errand.starttls ? "The Internet" : "The old server";
	const char *server = errand.starttls ? "the old server" : "the Internet";

	printf("\n%s and Sealpost ('>' goes to the server, '<' comes back):\n\n", from);
	errand.to = *to;
	if (!demo_client_send(&errand, demo->reason))
		return false;
	printf("\nSealpost and %s:\n\n", server);
	hand_on(transcript, NULL);
	printf("\nSealpost's log:\n\n");
	return hand_on(demo->log, " end=");
}

/* ---- the life of the demo ---- */

/* Whether this server was the child that has ended. */
static bool has_ended(pid_t *server)
{
	if (*server <= 0 || waitpid(*server, NULL, WNOHANG) != *server)
		return false;
	*server = 0;
	return true;
}

static void take_signal(struct demo *demo)
{
	struct signalfd_siginfo signal;
	ssize_t n = read(demo->signal_fd, &signal, sizeof(signal));

	if (n != (ssize_t)sizeof(signal))
		return;
	if (signal.ssi_signo != SIGCHLD)
		demo->told = true;
	else if (!has_ended(&demo->backend) && !has_ended(&demo->internet))
		return; /* the daemon's end shows as the end of its log */
	kill(demo->daemon, SIGTERM);
}

/* Hands on the daemon's log until the daemon has ended: when told, or by a fault. */
static bool attend(struct demo *demo)
{
	struct pollfd poll_for[] = {
		{ .fd = demo->log, .events = POLLIN },
		{ .fd = demo->signal_fd, .events = POLLIN },
	};

	do {
		fflush(stdout);
		if (poll(poll_for, 2, -1) < 0 && errno != EINTR)
			return cannot(demo, "waiting");
		if (poll_for[1].revents != 0)
			take_signal(demo);
	} while (poll_for[0].revents == 0 || hand_on(demo->log, ""));
	bool servers = demo->backend > 0 && demo->internet > 0;
	int status = 0;

	waitpid(demo->daemon, &status, 0);
	demo->daemon = 0;
	snprintf(demo->reason, sizeof(demo->reason), "%s ended by itself",
		servers ? "the daemon" : "a server");
	return demo->told && servers && status == 0;
}

static bool start(struct demo *demo)
{
	struct demo_world *world = &demo->world;

	if (!demo_world_make(world, demo->reason) ||
		!start_server(demo, &world->backend, &demo->backend,
			&demo->backend_transcript) ||
		!start_server(demo, &world->internet, &demo->internet,
			&demo->internet_transcript) ||
		!start_daemon(demo))
		return false;
	demo_world_remove_keys(world);
	return privileges_drop(world->config, demo->reason, sizeof(demo->reason));
}

static bool play(struct demo *demo)
{
	const struct demo_world *world = &demo->world;

	if (!start(demo))
		return false;
	introduce(world);
	if (!show_message(demo, errand_in, &world->inbound, demo->backend_transcript) ||
		!show_message(
			demo, errand_out, &world->outbound, demo->internet_transcript))
		return false;
	invite(world);
	if (!attend(demo))
		return false;
	printf("Ended. The messages are kept in %s\n", world->folder_name);
	return fflush(stdout) == 0 || cannot(demo, "standard output");
}

static void clean_up(struct demo *demo)
{
	end_child(&demo->daemon, SIGTERM);
	end_child(&demo->backend, SIGTERM);
	end_child(&demo->internet, SIGTERM);
	demo_world_end(&demo->world);
	close(demo->signal_fd);
}

enum status demo_run(const char *listen)
{
	struct demo *demo = calloc(1, sizeof(*demo));
	int status = STATUS_CANNOT;

	if (!demo) {
		fprintf(stderr, "sealpost: cannot run the demo: out of memory\n");
		return STATUS_CANNOT;
	}
	demo->world.folder = demo->log = -1;
	sigemptyset(&demo->signals);
	sigaddset(&demo->signals, SIGINT);
	sigaddset(&demo->signals, SIGTERM);
	sigaddset(&demo->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &demo->signals, NULL);
	demo->signal_fd = signalfd(-1, &demo->signals, SFD_CLOEXEC);
	if (!address_parse(&demo->world.inbound, listen, DEFAULT_PORT)) {
		fprintf(stderr,
			"sealpost: cannot listen on %s: no address (write "
			"127.0.0.1:2525)\n",
			listen);
		status = STATUS_USAGE;
	} else if (play(demo)) {
		status = STATUS_FINE;
	} else {
		fflush(stdout);
		fprintf(stderr, "sealpost: cannot run the demo: %s\n", demo->reason);
	}
	clean_up(demo);
	free(demo);
	return status;
}
