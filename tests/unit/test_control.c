/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The control socket, served by a process of its own, and `sealpost status`. */

#include "control.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PLENTY = 8 }; /* callers that are heard at a time */

struct world {
	char directory[64], path[96], config[96];
	pid_t server;		 /* 0: none */
	char *said, *complained; /* by `sealpost status` */
};

static char *read_all(int fd)
{
	char *text = calloc(1, 1 << 20);
	size_t length = 0;
	ssize_t n;

	assert_non_null(text);
	while ((n = read(fd, text + length, (1 << 20) - 1 - length)) > 0)
		length += (size_t)n;
	/* Whoever hangs up on octets that it has not read resets the connection. */
	assert_true(n == 0 || errno == ECONNRESET);
	close(fd);
	return text;
}

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char text[256];

	strcpy(w->directory, "/tmp/test_control.XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	snprintf(w->path, sizeof(w->path), "%s/control", w->directory);
	snprintf(w->config, sizeof(w->config), "%s/sealpost.conf", w->directory);
	snprintf(text, sizeof(text), "[server]\ncontrol = %s\n", w->path);
	write_file(w->config, text);
	*state = w;
	return 0;
}

/* ---- who serves ---- */

static void fill(struct overview *overview, void *fault)
{
	*overview = (struct overview){
		.version = "1.2.3", .config = "/etc/x.conf", .now = 1000, .since = 10
	};
	strcpy(overview->fault, fault);
}

static void end(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)signal, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

static int serve(const char *path, char *fault, int ready)
{
	struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
	ev_signal terminate;
	char reason[256];
	ev_signal_init(&terminate, end, SIGTERM);
	ev_signal_start(loop, &terminate);
	struct control *control =
		control_open(loop, path, fill, fault, reason, sizeof(reason));
	if (!control) {
		dprintf(ready, "%s", reason);
		ev_loop_destroy(loop);
		return 1;
	}
	close(ready);
	ev_run(loop, 0);
	control_close(control);
	ev_loop_destroy(loop);
	return 0;
}

/* Returns why it does not serve, "" when it does; to be freed. */
static char *start(struct world *w, char *fault)
{
	int ready[2];

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	w->server = fork();
	assert_true(w->server >= 0);
	if (w->server == 0) {
		close(ready[0]);
		exit(serve(w->path, fault, ready[1]));
	}
	close(ready[1]);
	return read_all(ready[0]);
}

static void stop(struct world *w, int with)
{
	int status;

	kill(w->server, with);
	assert_int_equal(waitpid(w->server, &status, 0), w->server);
	if (with == SIGTERM)
		assert_int_equal(status, 0);
	w->server = 0;
}

static void assert_serves(struct world *w)
{
	char *reason = start(w, "");

	assert_string_equal(reason, "");
	free(reason);
}

static void assert_does_not(struct world *w, const char *before, const char *after)
{
	char *reason = start(w, ""), expected[256];

	snprintf(expected, sizeof(expected), "%s%s%s", before, w->path, after);
	assert_string_equal(reason, expected);
	assert_int_equal(waitpid(w->server, NULL, 0), w->server);
	w->server = 0;
	free(reason);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	if (w->server > 0)
		stop(w, SIGTERM);
	unlink(w->config);
	unlink(w->path);
	assert_int_equal(rmdir(w->directory), 0);
	free(w->said);
	free(w->complained);
	free(w);
	return 0;
}

/* ---- who asks ---- */

static int call(const struct world *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, w->path);
	assert_int_equal(
		connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* What is answered, until it hangs up. */
static char *asked(const struct world *w, const char *request)
{
	int fd = call(w);

	assert_int_equal(
		send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return read_all(fd);
}

/* As main() would run it; returns its exit status. */
static int run_status(struct world *w, bool json)
{
	int out[2], error[2], status;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(error, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(error[1], STDERR_FILENO);
		_exit(control_run(w->config, json));
	}
	close(out[1]);
	close(error[1]);
	free(w->said);
	free(w->complained);
	w->said = read_all(out[0]);
	w->complained = read_all(error[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void assert_begins(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", text, with);
}

/* ---- the socket ---- */

static void test_answers(void **state)
{
	struct world *w = *state;
	struct overview overview;
	char *body = NULL, *expected;
	size_t length;

	assert_serves(w);
	fill(&overview, (char[]){ "" });
	for (int json = 0; json < 2; json++) {
		FILE *out = open_memstream(&body, &length);
		(json ? overview_json : overview_print)(&overview, out);
		fclose(out);
		assert_true(asprintf(&expected, "0 %zu\n%s", length, body) > 0);
		char *answer = asked(w, json ? "status json\n" : "status\n");
		assert_string_equal(answer, expected);
		free(answer);
		free(expected);
		free(body);
	}
}

static void test_attention(void **state)
{
	struct world *w = *state;

	free(start(w, "what a fault"));
	char *answer = asked(w, "status\n");
	assert_begins(answer, "1 ");
	assert_non_null(strstr(answer, "what a fault"));
	free(answer);
}

static void test_nonsense(void **state)
{
	static const char *const requests[] = { "\n", "stat\n", "status \n",
		"status json json\n", "0123456789abcdef0123456789abcdef",
		"0123456789abcdef0123456789abcdef\n" };
	struct world *w = *state;

	assert_serves(w);
	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		char *answer = asked(w, requests[i]);
		assert_string_equal(answer, "");
		free(answer);
	}
	int fd = call(w);
	shutdown(fd, SHUT_WR);
	char *answer = read_all(fd);
	assert_string_equal(answer, "");
	free(answer);
}

/* A request may come in pieces. */
static void test_pieces(void **state)
{
	struct world *w = *state;

	assert_serves(w);
	int fd = call(w);
	for (const char *c = "status\n"; *c != '\0'; c++)
		assert_int_equal(send(fd, c, 1, MSG_NOSIGNAL), 1);
	char *answer = read_all(fd);
	assert_begins(answer, "0 ");
	free(answer);
}

/* Who says nothing holds up nobody for long, and not more than so many are heard. */
static void test_silence(void **state)
{
	struct world *w = *state;
	int silent[PLENTY];

	assert_serves(w);
	for (unsigned i = 0; i < PLENTY; i++)
		silent[i] = call(w);
	char *answer = asked(w, "status\n");
	assert_begins(answer, "0 ");
	free(answer);
	char octet;
	assert_int_equal(recv(silent[0], &octet, 1, MSG_DONTWAIT), 0);
	for (unsigned i = 0; i < PLENTY; i++)
		close(silent[i]);
}

static void test_room(void **state)
{
	struct world *w = *state;
	int silent[PLENTY];
	char octet;

	assert_serves(w);
	for (unsigned i = 0; i < PLENTY; i++)
		silent[i] = call(w);
	int fd = call(w);
	assert_int_equal(send(fd, "status\n", 7, MSG_NOSIGNAL), 7);
	close(silent[0]);
	assert_int_equal(recv(fd, &octet, 1, 0), 1);
	assert_int_equal(octet, '0');
	/* It was one's going that made room, not the time. */
	assert_int_equal(recv(silent[1], &octet, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	for (unsigned i = 1; i < PLENTY; i++)
		close(silent[i]);
	close(fd);
}

static void test_file(void **state)
{
	struct world *w = *state;
	struct stat file;

	assert_serves(w);
	assert_int_equal(lstat(w->path, &file), 0);
	assert_true(S_ISSOCK(file.st_mode));
	assert_int_equal(file.st_mode & 07777, 0660);
	assert_int_equal(file.st_gid, getegid());
	stop(w, SIGTERM);
	assert_int_equal(lstat(w->path, &file), -1);
}

static void test_stale(void **state)
{
	struct world *w = *state;

	assert_serves(w);
	stop(w, SIGKILL);
	assert_int_equal(access(w->path, F_OK), 0);
	assert_serves(w);
	char *answer = asked(w, "status\n");
	assert_begins(answer, "0 ");
	free(answer);
}

/* What is not ours to replace stays, also when we end. */
static void test_others(void **state)
{
	struct world *w = *state;
	pid_t first;

	write_file(w->path, "precious");
	assert_does_not(w, "", " is there, and is no socket");
	assert_int_equal(access(w->path, F_OK), 0);
	unlink(w->path);

	assert_serves(w);
	first = w->server;
	assert_does_not(w, "", " is another process's");
	w->server = first;
	char *answer = asked(w, "status\n");
	assert_begins(answer, "0 ");
	free(answer);

	unlink(w->path);
	write_file(w->path, "precious");
	stop(w, SIGTERM);
	assert_int_equal(access(w->path, F_OK), 0);
}

static void test_no_place(void **state)
{
	struct world *w = *state;
	char good[sizeof(w->path)];

	strcpy(good, w->path);
	strcpy(w->path, "/nonexistent/control");
	assert_does_not(w, "cannot listen on ",
		": No such file or directory (its "
		"directory has to be made first)");
	strcpy(w->path, good);
	char reason[256], path[200];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_null(control_open(NULL, path, fill, NULL, reason, sizeof(reason)));
	assert_non_null(strstr(reason, " is too long for a socket's path"));
}

/* ---- sealpost status ---- */

static void test_status(void **state)
{
	struct world *w = *state;

	assert_serves(w);
	assert_int_equal(run_status(w, false), STATUS_FINE);
	assert_begins(w->said, "sealpost 1.2.3, serving for 16 min\n");
	assert_int_equal(run_status(w, true), STATUS_FINE);
	assert_begins(w->said, "{\"version\": \"1.2.3\", ");
	assert_string_equal(w->said + strlen(w->said) - 2, "}\n");
	assert_string_equal(w->complained, "");
	stop(w, SIGTERM);
	free(start(w, "what a fault"));
	assert_int_equal(run_status(w, false), STATUS_NO);
	assert_non_null(strstr(w->said, "what a fault"));
}

/* Just when a configuration was refused one asks, so its faults do not matter. */
static void test_broken_configuration(void **state)
{
	struct world *w = *state;
	char text[512];

	snprintf(text, sizeof(text),
		"nonsense\n[server]\nwhat = ever\ncontrol = %s\n[tls]\n"
		"control = /nonexistent\n[broken\ncontrol = /nonexistent\n",
		w->path);
	write_file(w->config, text);
	assert_serves(w);
	assert_int_equal(run_status(w, false), STATUS_FINE);
}

static void assert_cannot(struct world *w, const char *what, const char *why)
{
	char expected[512];

	assert_int_equal(run_status(w, false), STATUS_CANNOT);
	assert_string_equal(w->said, "");
	snprintf(expected, sizeof(expected), "sealpost: cannot %s %s: %s\n", what,
		w->path, why);
	assert_string_equal(w->complained, expected);
}

static void test_nobody(void **state)
{
	struct world *w = *state;

	assert_cannot(w, "reach", "is sealpost serving? (No such file or directory)");
	assert_serves(w);
	stop(w, SIGKILL);
	assert_cannot(w, "reach", "is sealpost serving? (Connection refused)");
	write_file(w->config, "");
	assert_int_equal(run_status(w, false), STATUS_CANNOT);
	assert_begins(w->complained, "sealpost: cannot reach /run/sealpost/control: ");
	unlink(w->config);
	assert_int_equal(run_status(w, false), STATUS_CANNOT);
	assert_begins(w->complained, "sealpost: cannot read /tmp/test_control.");
}

/* Something else answers, or nothing to the end. */
static void test_half_an_answer(void **state)
{
	static const char *const answers[] = { "", "0", "0 5\n", "0 5\n1234",
		"0 5\n123456", "0 5 12345", "7 5\n12345", "0 -1\n", "220 hello\r\n" };
	struct world *w = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, w->path);
	assert_int_equal(
		bind(listening, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listening, 1), 0);
	for (unsigned i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			char request[32];
			int fd = accept(listening, NULL, NULL);
			if (recv(fd, request, sizeof(request), 0) > 0)
				send(fd, answers[i], strlen(answers[i]), MSG_NOSIGNAL);
			_exit(0);
		}
		assert_cannot(w, "understand", "it hung up before it had said all");
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	close(listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_attention, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stale, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_broken_configuration, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_half_an_answer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
