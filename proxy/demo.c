/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The demo's first process. The key lies on disk only until the daemon has read it; from
 * then on no process of the demo is root, and none outlives this one.
 */

#include "demo.h"

#include "config.h"
#include "privileges.h"
#include "serve.h"
#include "status.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOSTNAME "mail.example"

enum {
	DEFAULT_PORT = 2525,
	BACKLOG = 128,
	FOLDER = 160, /* octets of its name: a line of sealpost.conf holds it */
	FILE_NAME = FOLDER + 32,
	CONFIG_TEXT_MAX = 1024,
	CHUNK = 4096,	 /* what a pipe takes in one piece: more than a log line */
	PATIENCE = 5000, /* milliseconds */
};

static const char certificate_name[] = "certificate.pem", key_name[] = "key.pem";

struct demo {
	struct address listen, backend;
	char folder_name[FOLDER];
	char config_text[CONFIG_TEXT_MAX];
	struct config *config;
	sigset_t signals; /* those that we wait for, ... */
	int signal_fd;	  /* ... which come here */
	int folder;
	int listener;	/* the backend's */
	int log;	/* what the daemon says */
	int transcript; /* the first session, as the backend saw it */
	pid_t server, backend_server;
	bool told; /* to end */
	char reason[DEMO_REASON];
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

/* ---- what the daemon needs ---- */

/* A socket that listens there; the port that it has is written to `address`. */
static int listen_on(struct address *address)
{
	struct sockaddr_storage ss;
	socklen_t size = address_to_sockaddr(address, &ss);
	int on = 1, fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, size) == 0 && listen(fd, BACKLOG) == 0 &&
		getsockname(fd, (struct sockaddr *)&ss, &size) == 0 &&
		address_from_sockaddr(address, (struct sockaddr *)&ss))
		return fd;
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

/* The daemon will listen itself: this is to learn early whether it can. */
static bool address_free(struct demo *demo)
{
	char text[ADDRESS_TEXT];
	int fd = listen_on(&demo->listen);

	if (fd >= 0) {
		close(fd);
		return true;
	}
	snprintf(demo->reason, sizeof(demo->reason),
		"cannot listen on %s: %s (choose another address: sealpost demo "
		"--listen 127.0.0.1:2626)",
		address_text(&demo->listen, text), strerror(errno));
	return false;
}

static bool make_folder(struct demo *demo)
{
	const char *parent = getenv("TMPDIR");
	char *name = demo->folder_name;

	if (parent == NULL || *parent != '/')
		parent = "/tmp";
	errno = ENAMETOOLONG;
	if (snprintf(name, FOLDER, "%s/sealpost-demo.XXXXXX", parent) >= FOLDER ||
		mkdtemp(name) == NULL) {
		name[0] = '\0';
		return cannot(demo, "a folder in $TMPDIR");
	}
	demo->folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return demo->folder >= 0 || cannot(demo, name);
}

static bool make_certificate(struct demo *demo)
{
	char certificate[FILE_NAME], key[FILE_NAME], why[TLS_REASON];

	snprintf(certificate, sizeof(certificate), "%s/%s", demo->folder_name,
		certificate_name);
	snprintf(key, sizeof(key), "%s/%s", demo->folder_name, key_name);
	if (tls_selfsign(HOSTNAME, certificate, key, why))
		return true;
	snprintf(demo->reason, sizeof(demo->reason), "%s", why);
	return false;
}

static bool make_config(struct demo *demo)
{
	char listen[ADDRESS_TEXT], backend[ADDRESS_TEXT];
	int n = snprintf(demo->config_text, sizeof(demo->config_text),
		"[server]\n"
		"hostname    = " HOSTNAME "\n"
		"user        = nobody\n"
		"log         = stderr\n"
		"\n"
		"[tls]\n"
		"certificate = %s/%s\n"
		"key         = %s/%s\n"
		"\n"
		"[inbound]\n"
		"listen      = %s\n"
		"backend     = %s\n",
		demo->folder_name, certificate_name, demo->folder_name, key_name,
		address_text(&demo->listen, listen),
		address_text(&demo->backend, backend));
	FILE *in = fmemopen(demo->config_text, (size_t)n, "r");

	if (in == NULL)
		return cannot(demo, "the configuration");
	demo->config = config_parse(in, "the demo's configuration", stderr);
	fclose(in);
	snprintf(demo->reason, sizeof(demo->reason), "its configuration is at fault");
	return demo->config != NULL;
}

/* The backend writes there, and will be the configuration's user. */
static bool give_folder_away(struct demo *demo)
{
	if (geteuid() != 0)
		return true;
	errno = ENOENT;
	const struct passwd *user = getpwnam(demo->config->user);

	if (user == NULL)
		return cannot(demo, demo->config->user);
	return fchown(demo->folder, user->pw_uid, user->pw_gid) == 0 ||
	       cannot(demo, demo->folder_name);
}

/* Neither needs to lie there once the daemon has read it. */
static void remove_key(const struct demo *demo)
{
	unlinkat(demo->folder, key_name, 0);
	unlinkat(demo->folder, certificate_name, 0);
}

static bool make_world(struct demo *demo)
{
	address_parse(&demo->backend, "127.0.0.1:0", 0);
	if (!address_free(demo) || !make_folder(demo) || !make_certificate(demo))
		return false;
	demo->listener = listen_on(&demo->backend);
	if (demo->listener < 0)
		return cannot(demo, "the backend's socket");
	return make_config(demo) && give_folder_away(demo);
}

/* ---- the other processes ---- */

/* In the child: a group of its own, so that Ctrl-C is for us to pass on. */
static void begin_child(struct demo *demo)
{
	setpgid(0, 0);
	close(demo->signal_fd);
	sigprocmask(SIG_UNBLOCK, &demo->signals, NULL);
}

static void run_backend(struct demo *demo, pid_t parent, int transcript)
{
	const struct demo_backend backend = {
		.listener = demo->listener,
		.folder = demo->folder,
		.transcript = transcript,
	};

	if (privileges_drop(demo->config, demo->reason, sizeof(demo->reason))) {
		privileges_end_with(parent);
		demo_backend_serve(&backend);
	}
}

static bool start_backend(struct demo *demo)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return cannot(demo, "a pipe");
	demo->backend_server = fork();
	if (demo->backend_server == 0) {
		begin_child(demo);
		close(ends[0]);
		run_backend(demo, parent, ends[1]);
		_exit(1);
	}
	close(ends[1]);
	demo->transcript = ends[0];
	close(demo->listener);
	return demo->backend_server > 0 || cannot(demo, "a process");
}

static void server_ready(void *context)
{
	const struct ready *ready = context;

	privileges_end_with(ready->parent);
	if (write(ready->status, "", 1) != 1)
		_exit(1);
}

/* Returns what to exit with. */
static int run_server(struct demo *demo, struct ready *ready, int log)
{
	if (dup2(log, STDERR_FILENO) < 0)
		return STATUS_CANNOT;
	close(log);
	close(demo->transcript);
	close(demo->folder);
	if (serve_config(demo->config, server_ready, ready, demo->reason))
		return STATUS_FINE;
	ssize_t n = write(ready->status, demo->reason, strlen(demo->reason) + 1);

	(void)n; /* whoever does not hear it hears us end */
	return STATUS_CANNOT;
}

/* Waits until the daemon listens. */
static bool await_server(struct demo *demo, int status)
{
	ssize_t n = read(status, demo->reason, sizeof(demo->reason) - 1);

	if (n > 0) {
		demo->reason[n] = '\0';
		return demo->reason[0] == '\0';
	}
	snprintf(demo->reason, sizeof(demo->reason), "the daemon did not start");
	return false;
}

static bool start_server(struct demo *demo)
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
	demo->server = fork();
	if (demo->server == 0) {
		begin_child(demo);
		close(log[0]);
		close(status[0]);
		_exit(run_server(demo, &ready, log[1]));
	}
	close(log[1]);
	close(status[1]);
	bool fine = demo->server > 0 ? await_server(demo, status[0])
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
	for (size_t i = 0; view->to != NULL && i < n; i++) {
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
		if (mark != NULL && strstr(text, mark) != NULL)
			break;
	}
	return true;
}

static void introduce(const struct demo *demo)
{
	char listen[ADDRESS_TEXT], backend[ADDRESS_TEXT];

	printf("Sealpost demo: mail that comes in, for a server that has no TLS.\n\n"
	       "    client --STARTTLS--> Sealpost %s --clear--> backend %s\n\n"
	       "The configuration (certificate and key were made for this demo, and are\n"
	       "gone again; what is not said has its default):\n\n",
		address_text(&demo->listen, listen),
		address_text(&demo->backend, backend));
	show_indented(demo->config_text);
}

static void invite(const struct demo *demo)
{
	char listen[ADDRESS_TEXT];

	address_text(&demo->listen, listen);
	printf("\nThe backend's messages are files in %s\n\n"
	       "Now try it yourself; Ctrl-C ends the demo.\n\n"
	       "    openssl s_client -starttls smtp -connect %s\n"
	       "    openssl s_client -quiet -starttls smtp -connect %s   # to type a "
	       "message\n\n",
		demo->folder_name, listen, listen);
	fflush(stdout);
}

/* One message through the daemon, as each of the three saw it. */
static bool show_message(struct demo *demo)
{
	printf("\nThe client and Sealpost ('>' goes to the server, '<' comes back):\n\n");
	if (!demo_client_send(&demo->listen, demo->reason))
		return false;
	printf("\nSealpost and the backend:\n\n");
	hand_on(demo->transcript, NULL);
	printf("\nSealpost's log:\n\n");
	return hand_on(demo->log, " end=");
}

/* ---- the life of the demo ---- */

static void take_signal(struct demo *demo)
{
	struct signalfd_siginfo signal;
	ssize_t n = read(demo->signal_fd, &signal, sizeof(signal));

	if (n != (ssize_t)sizeof(signal))
		return;
	if (signal.ssi_signo != SIGCHLD)
		demo->told = true;
	else if (waitpid(demo->backend_server, NULL, WNOHANG) == demo->backend_server)
		demo->backend_server = 0;
	else
		return; /* the daemon's end shows as the end of its log */
	kill(demo->server, SIGTERM);
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
	int status = 0;

	waitpid(demo->server, &status, 0);
	demo->server = 0;
	snprintf(demo->reason, sizeof(demo->reason), "%s ended by itself",
		demo->backend_server > 0 ? "the daemon" : "the backend");
	return demo->told && demo->backend_server > 0 && status == 0;
}

static bool play(struct demo *demo)
{
	if (!make_world(demo) || !start_backend(demo) || !start_server(demo))
		return false;
	remove_key(demo);
	if (!privileges_drop(demo->config, demo->reason, sizeof(demo->reason)))
		return false;
	introduce(demo);
	if (!show_message(demo))
		return false;
	invite(demo);
	if (!attend(demo))
		return false;
	printf("Ended. The messages are kept in %s\n", demo->folder_name);
	return fflush(stdout) == 0 || cannot(demo, "standard output");
}

static void clean_up(struct demo *demo)
{
	end_child(&demo->server, SIGTERM);
	end_child(&demo->backend_server, SIGTERM);
	if (demo->folder >= 0) {
		remove_key(demo);
		close(demo->folder);
	}
	if (demo->folder_name[0] != '\0')
		rmdir(demo->folder_name); /* where there is a message, it stays */
	config_free(demo->config);
	close(demo->signal_fd);
}

int demo_run(const char *listen)
{
	struct demo *demo = calloc(1, sizeof(*demo));
	int status = STATUS_CANNOT;

	if (demo == NULL) {
		fprintf(stderr, "sealpost: cannot run the demo: out of memory\n");
		return STATUS_CANNOT;
	}
	demo->folder = demo->log = demo->transcript = -1;
	sigemptyset(&demo->signals);
	sigaddset(&demo->signals, SIGINT);
	sigaddset(&demo->signals, SIGTERM);
	sigaddset(&demo->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &demo->signals, NULL);
	demo->signal_fd = signalfd(-1, &demo->signals, SFD_CLOEXEC);
	if (!address_parse(&demo->listen, listen, DEFAULT_PORT)) {
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
