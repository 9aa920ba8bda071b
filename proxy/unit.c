/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

enum { STATUS_MAX = 512 };

/* ---- sockets ---- */

static bool is_option(int fd, int option, int wanted)
{
	int value;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 &&
	       value == wanted;
}

/* A descriptor's flags; systemd's own would leave accept() waiting. */
static bool make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool take(struct unit_socket *socket, int fd, const char *name)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	*socket = (struct unit_socket){ .fd = fd };
	snprintf(socket->name, sizeof(socket->name), "%s", name);
	return is_option(fd, SO_ACCEPTCONN, 1) && is_option(fd, SO_TYPE, SOCK_STREAM) &&
	       getsockname(fd, (struct sockaddr *)&ss, &length) == 0 &&
	       address_from_sockaddr(&socket->address, (struct sockaddr *)&ss) &&
	       make_nonblocking(fd);
}

/* Names are systemd's to allocate, and ours to free. */
static void free_names(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

unsigned unit_sockets(struct unit_socket sockets[UNIT_SOCKETS], char *reason, size_t size)
{
	char **names = NULL;
	int given = sd_listen_fds_with_names(true, &names);
	unsigned count = 0;

	snprintf(reason, size, "%s", given < 0 ? strerror(-given) : "");
	for (int i = 0; i < given; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		bool room = count < UNIT_SOCKETS;

		if (room && take(&sockets[count], fd, names[i])) {
			count++;
			continue;
		}
		snprintf(reason, size, "%s: %s", names[i],
			room ? "no TCP socket that listens" : "one socket too many");
		close(fd);
	}
	free_names(names);
	return count;
}

/* ---- what systemd hears ---- */

double unit_watchdog(void)
{
	uint64_t microseconds;

	if (sd_watchdog_enabled(false, &microseconds) <= 0)
		return 0;
	return (double)microseconds / 1e6;
}

/* Who does not hear us cannot be told so. */
static void notify(const char *state)
{
	(void)sd_notify(false, state);
}

void unit_reloading(void)
{
	struct timespec now;
	char state[128];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)now.tv_sec * 1000000 +
			(unsigned long long)now.tv_nsec / 1000);
	notify(state);
}

/* A line break would begin another assignment, and systemd wants UTF-8. */
static void make_line(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

void unit_status(const char *format, ...)
{
	char state[STATUS_MAX] = "STATUS=", *status = state + strlen(state);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(status, sizeof(state) - strlen("STATUS="), format, arguments);
	va_end(arguments);
	make_line(state);
	notify(state);
}
#else
unsigned unit_sockets(struct unit_socket sockets[UNIT_SOCKETS], char *reason, size_t size)
{
	(void)sockets;
	if (size > 0)
		reason[0] = '\0';
	return 0;
}

double unit_watchdog(void)
{
	return 0;
}

static void notify(const char *state)
{
	(void)state;
}

void unit_reloading(void)
{
}

void unit_status(const char *format, ...)
{
	(void)format;
}
#endif

void unit_ready(void)
{
	notify("READY=1");
}

void unit_stopping(void)
{
	notify("STOPPING=1");
}

void unit_alive(void)
{
	notify("WATCHDOG=1");
}
