/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef BENCH_H
#define BENCH_H

/* What the programs of the bench share: sockets on loopback, and dying with a word. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void die_unless(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	exit(1);
}

/* As many descriptors as the system allows: the load runs into thousands. */
static inline void bench_raise_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* "PORT" of loopback, or "ADDRESS:PORT". */
static inline struct sockaddr_in bench_address(const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	const char *colon = strchr(text, ':');
	char address[INET_ADDRSTRLEN] = "127.0.0.1";

	if (colon != NULL)
		snprintf(address, sizeof(address), "%.*s", (int)(colon - text), text);
	die_unless(inet_pton(AF_INET, address, &sin.sin_addr) == 1, text);
	sin.sin_port = htons((in_port_t)atoi(colon != NULL ? colon + 1 : text));
	return sin;
}

static inline void bench_nodelay(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
}

/* Listens there and prints "port N": port 0 is one of the kernel's choice. */
static inline int bench_listen(const char *address)
{
	struct sockaddr_in sin = bench_address(address);
	socklen_t size = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	die_unless(fd >= 0, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	die_unless(bind(fd, (struct sockaddr *)&sin, size) == 0, "bind");
	die_unless(listen(fd, 4096) == 0, "listen");
	getsockname(fd, (struct sockaddr *)&sin, &size);
	printf("port %d\n", ntohs(sin.sin_port));
	fflush(stdout);
	return fd;
}

static inline int bench_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		bench_nodelay(fd);
	return fd;
}

/* A connection under way. */
static inline int bench_connect(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	die_unless(fd >= 0, "socket");
	bench_nodelay(fd);
	connect(fd, (const struct sockaddr *)to, sizeof(*to));
	return fd;
}

/* `tag` comes back in the event's data.ptr. */
static inline void bench_watch(
	int epoll, int operation, int fd, uint32_t events, void *tag)
{
	struct epoll_event event = { .events = events, .data.ptr = tag };

	die_unless(epoll_ctl(epoll, operation, fd, &event) == 0, "epoll_ctl");
}

#endif
