/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The backend of the bench: a plaintext SMTP server that accepts everything and keeps
 * nothing. One thread, one write a batch of commands, so that it costs as little as a
 * server can and its own weight stays out of the comparison.
 *
 * Prints "port N"; answers each line on stdin by "messages N octets N sessions N"; ends
 * with stdin.
 */

#include "bench.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum {
	READ_SIZE = 256 * 1024,
	REPLIES_SIZE = 16 * 1024,
	VERB_SIZE = 4,
	EVENTS = 64,
};

enum state {
	STATE_COMMAND,
	STATE_BODY,
};

struct connection {
	int fd;
	enum state state;
	unsigned matched;     /* octets of CRLF.CRLF seen */
	unsigned verb_length; /* of the command line under way, counted to VERB_SIZE */
	char verb[VERB_SIZE];
	bool closing;
};

/* Replies of one batch; they fit in the socket's buffer, for every client awaits them. */
struct replies {
	char text[REPLIES_SIZE];
	size_t length;
};

static struct {
	unsigned long messages, sessions;
	unsigned long long octets;
} counts;

static char read_buffer[READ_SIZE];
static const char end_of_data[] = "\r\n.\r\n";

static void reply(struct replies *replies, const char *text)
{
	size_t length = strlen(text);

	if (length > sizeof(replies->text) - replies->length)
		return;
	memcpy(replies->text + replies->length, text, length);
	replies->length += length;
}

static bool is(const struct connection *c, const char *verb)
{
	return c->verb_length == VERB_SIZE && strncasecmp(c->verb, verb, VERB_SIZE) == 0;
}

static void command(struct connection *c, struct replies *replies)
{
	if (is(c, "EHLO")) {
		reply(replies, "250-sink\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n"
			       "250 8BITMIME\r\n");
	} else if (is(c, "DATA")) {
		c->state = STATE_BODY;
		c->matched = 2; /* the line before ended in CRLF */
		reply(replies, "354 go on\r\n");
	} else if (is(c, "QUIT")) {
		c->closing = true;
		reply(replies, "221 bye\r\n");
	} else {
		reply(replies, "250 fine\r\n");
	}
	c->verb_length = 0;
}

static const char *eat_command(
	struct connection *c, const char *at, const char *end, struct replies *replies)
{
	while (at < end && *at != '\n') {
		if (c->verb_length < VERB_SIZE)
			c->verb[c->verb_length++] = *at;
		at++;
	}
	if (at == end)
		return end;
	command(c, replies);
	return at + 1;
}

static void match(struct connection *c, char octet)
{
	if (octet == end_of_data[c->matched])
		c->matched++;
	else if (octet == '\r')
		c->matched = 1;
	else
		c->matched = 0;
}

static const char *eat_body(
	struct connection *c, const char *at, const char *end, struct replies *replies)
{
	const char *start = at;

	while (at < end && c->matched < sizeof(end_of_data) - 1) {
		if (c->matched == 0) {
			at = memchr(at, '\r', (size_t)(end - at));
			if (at == NULL)
				at = end;
			else
				match(c, *at++);
		} else {
			match(c, *at++);
		}
	}
	counts.octets += (unsigned long long)(at - start);
	if (c->matched == sizeof(end_of_data) - 1) {
		counts.messages++;
		c->state = STATE_COMMAND;
		reply(replies, "250 taken\r\n");
	}
	return at;
}

static void drop(struct connection *c)
{
	close(c->fd);
	free(c);
}

static void serve(struct connection *c)
{
	struct replies replies = { .length = 0 };
	ssize_t got = read(c->fd, read_buffer, sizeof(read_buffer));

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		drop(c);
		return;
	}
	const char *at = read_buffer, *end = read_buffer + got;
	while (at < end)
		at = c->state == STATE_BODY ? eat_body(c, at, end, &replies)
					    : eat_command(c, at, end, &replies);
	if (replies.length > 0 &&
		write(c->fd, replies.text, replies.length) != (ssize_t)replies.length)
		c->closing = true;
	if (c->closing)
		drop(c);
}

static void welcome(int epoll, int listener)
{
	static const char greeting[] = "220 sink ESMTP\r\n";
	int fd;

	while ((fd = bench_accept(listener)) >= 0) {
		struct connection *c = calloc(1, sizeof(*c));

		die_unless(c != NULL, "calloc");
		c->fd = fd;
		counts.sessions++;
		bench_watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
		if (write(fd, greeting, sizeof(greeting) - 1) < 0)
			shutdown(fd, SHUT_RDWR);
	}
}

static void report(void)
{
	char line[64];

	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		exit(0);
	printf("messages %lu octets %llu sessions %lu\n", counts.messages, counts.octets,
		counts.sessions);
	fflush(stdout);
}

int main(void)
{
	static char listener_tag, stdin_tag;
	struct epoll_event events[EVENTS];

	bench_raise_files();
	int listener = bench_listen();
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	bench_watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, &listener_tag);
	bench_watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &stdin_tag);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &listener_tag)
				welcome(epoll, listener);
			else if (events[i].data.ptr == &stdin_tag)
				report();
			else
				serve(events[i].data.ptr);
		}
	}
}
