/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "unit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct unit_socket sockets[UNIT_SOCKETS];

enum { FIRST = 3 }; /* where systemd begins */

static const char *const variables[] = { "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" };

static int no_environment(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	return 0;
}

/* Half of the tests are processes of their own, out of which cmocka cannot jump. */
static void expect(bool condition)
{
	if (!condition)
		_exit(1);
}

static void set_number(const char *name, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	expect(setenv(name, text, 1) == 0);
}

static void give(int count, const char *names)
{
	set_number("LISTEN_PID", getpid());
	set_number("LISTEN_FDS", count);
	expect(setenv("LISTEN_FDNAMES", names, 1) == 0);
}

#ifdef HAVE_SYSTEMD
/* ---- sockets ---- */

static int tcp(sa_family_t family, bool listening)
{
	struct sockaddr_storage ss = { .ss_family = family };
	socklen_t length = family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
	int fd = socket(family, SOCK_STREAM, 0);

	expect(fd >= 0);
	expect(bind(fd, (struct sockaddr *)&ss, length) == 0);
	if (listening)
		expect(listen(fd, 1) == 0);
	return fd;
}

static void place(int fd, int at)
{
	expect(fd >= 0);
	if (fd == at)
		return;
	expect(dup2(fd, at) == at);
	close(fd);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* What stands at 3 and above is the test driver's: each test is a process of its own. */
static void apart(void (*test)(void))
{
	fflush(NULL);
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		test();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void both_families_in_a_process(void)
{
	char reason[256];

	place(tcp(AF_INET, true), FIRST);
	place(tcp(AF_INET6, true), FIRST + 1);
	give(2, "inbound:outbound");
	expect(unit_sockets(sockets, reason, sizeof(reason)) == 2);
	expect(reason[0] == '\0');
	expect(strcmp(sockets[0].name, "inbound") == 0);
	expect(sockets[0].fd == FIRST && sockets[0].address.family == AF_INET);
	expect(strcmp(sockets[1].name, "outbound") == 0);
	expect(sockets[1].fd == FIRST + 1 && sockets[1].address.family == AF_INET6);
	for (int i = 0; i < 2; i++) {
		expect(sockets[i].address.port != 0 && !sockets[i].taken);
		expect((fcntl(sockets[i].fd, F_GETFL) & O_NONBLOCK) != 0);
		expect((fcntl(sockets[i].fd, F_GETFD) & FD_CLOEXEC) != 0);
	}
	expect(getenv("LISTEN_FDS") == NULL && getenv("LISTEN_PID") == NULL);
	expect(getenv("LISTEN_FDNAMES") == NULL);
	expect(unit_sockets(sockets, reason, sizeof(reason)) == 0);
}

static void both_families(void **state)
{
	(void)state;
	apart(both_families_in_a_process);
}

static void what_cannot_serve_in_a_process(void)
{
	int names[2];
	char reason[256];

	expect(pipe(names) == 0);
	place(names[0], FIRST + 10);
	place(tcp(AF_INET, false), FIRST);
	place(tcp(AF_INET, true), FIRST + 1);
	place(socket(AF_INET, SOCK_DGRAM, 0), FIRST + 2);
	place(FIRST + 10, FIRST + 3);
	give(4, "silent:inbound:datagrams:a-pipe");
	expect(unit_sockets(sockets, reason, sizeof(reason)) == 1);
	expect(strcmp(sockets[0].name, "inbound") == 0 && sockets[0].fd == FIRST + 1);
	expect(strcmp(reason, "a-pipe: no TCP socket that listens") == 0);
	expect(!is_open(FIRST) && !is_open(FIRST + 2) && !is_open(FIRST + 3));
}

static void what_cannot_serve(void **state)
{
	(void)state;
	apart(what_cannot_serve_in_a_process);
}

static void one_too_many_in_a_process(void)
{
	char reason[256], names[1024] = "n";

	place(tcp(AF_INET, true), FIRST);
	for (int i = 1; i <= UNIT_SOCKETS; i++) {
		expect(dup2(FIRST, FIRST + i) == FIRST + i);
		strcat(names, ":n");
	}
	give(UNIT_SOCKETS + 1, names);
	expect(unit_sockets(sockets, reason, sizeof(reason)) == UNIT_SOCKETS);
	expect(strcmp(reason, "n: one socket too many") == 0);
	expect(is_open(FIRST + UNIT_SOCKETS - 1) && !is_open(FIRST + UNIT_SOCKETS));
}

static void one_too_many(void **state)
{
	(void)state;
	apart(one_too_many_in_a_process);
}

/* ---- what systemd hears ---- */

static int systemd_new(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char name[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	/* an abstract address, written with an @ */
	snprintf(name, sizeof(name), "@sealpost-test-unit-%ld", (long)getpid());
	expect(setenv("NOTIFY_SOCKET", name, 1) == 0);
	memcpy(un.sun_path + 1, name + 1, strlen(name) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&un,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					     strlen(name))),
		0);
	return fd;
}

static void assert_hears(int systemd, const char *wanted)
{
	char packet[1024];
	ssize_t length = recv(systemd, packet, sizeof(packet) - 1, MSG_DONTWAIT);

	assert_true(length >= 0);
	packet[length] = '\0';
	assert_string_equal(packet, wanted);
}

static void states(void **state)
{
	(void)state;
	int systemd = systemd_new();

	unit_ready();
	assert_hears(systemd, "READY=1");
	unit_alive();
	assert_hears(systemd, "WATCHDOG=1");
	unit_stopping();
	assert_hears(systemd, "STOPPING=1");
	close(systemd);
}

static void reloading_with_its_time(void **state)
{
	char packet[256] = "";
	unsigned long long microseconds = 0;

	(void)state;
	int systemd = systemd_new();

	unit_reloading();
	assert_true(recv(systemd, packet, sizeof(packet) - 1, MSG_DONTWAIT) > 0);
	assert_int_equal(
		sscanf(packet, "RELOADING=1\nMONOTONIC_USEC=%llu", &microseconds), 1);
	assert_true(microseconds > 0);
	close(systemd);
}

static void status_is_one_line(void **state)
{
	char text[2048];

	(void)state;
	int systemd = systemd_new();

	unit_status("%u sessions", 7);
	assert_hears(systemd, "STATUS=7 sessions");
	unit_status("%s", "a\nREADY=1\tb\xff\x7f");
	assert_hears(systemd, "STATUS=a?READY=1?b??");

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	unit_status("%s", text);
	assert_true(recv(systemd, text, sizeof(text), MSG_DONTWAIT) > 500);
	close(systemd);
}

static void watchdog(void **state)
{
	(void)state;
	assert_true(unit_watchdog() == 0);
	setenv("WATCHDOG_USEC", "2500000", 1);
	assert_true(unit_watchdog() == 2.5);
	set_number("WATCHDOG_PID", getpid());
	assert_true(unit_watchdog() == 2.5);
	set_number("WATCHDOG_PID", getpid() + 1);
	assert_true(unit_watchdog() == 0);
}

#endif

/* ---- without it ---- */

static void not_for_us(void **state)
{
	char reason[256] = "unset";

	(void)state;
	assert_int_equal(unit_sockets(sockets, reason, sizeof(reason)), 0);
	assert_string_equal(reason, "");
	give(1, "inbound");
	set_number("LISTEN_PID", getpid() + 1);
	assert_int_equal(unit_sockets(sockets, reason, sizeof(reason)), 0);
	assert_string_equal(reason, "");
}

static void nobody_listens(void **state)
{
	(void)state;
	unit_ready();
	unit_reloading();
	unit_status("%s", "alone");
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	unit_alive();
	unit_stopping();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(not_for_us, no_environment),
		cmocka_unit_test_setup(nobody_listens, no_environment),
#ifdef HAVE_SYSTEMD
		cmocka_unit_test_setup(both_families, no_environment),
		cmocka_unit_test_setup(what_cannot_serve, no_environment),
		cmocka_unit_test_setup(one_too_many, no_environment),
		cmocka_unit_test_setup(states, no_environment),
		cmocka_unit_test_setup(reloading_with_its_time, no_environment),
		cmocka_unit_test_setup(status_is_one_line, no_environment),
		cmocka_unit_test_setup(watchdog, no_environment),
#endif
	};

	return cmocka_run_group_tests(tests, no_environment, NULL);
}
