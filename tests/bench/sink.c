/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Where the mail of the bench ends: an SMTP server that accepts everything and keeps
 * nothing. In clear it is the backend, with a certificate an MX host of the Internet. One
 * thread, one write a batch of commands or a flight of the handshake, so that it costs as
 * little as a server can and its own weight stays out of the comparison.
 *
 *     sink [-l ADDRESS:PORT] [-c CHAIN -k KEY] [-T]
 *
 * -T gives no session tickets. Prints "port N"; answers each line on stdin by "messages N
 * octets N sessions N secured N resumed N"; ends with stdin.
 */

#include "bench.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <strings.h>

enum {
	READ_SIZE = 256 * 1024,
	OUT_SIZE = 32 * 1024,
	VERB_SIZE = 4,
	EVENTS = 64,
};

enum state {
	STATE_COMMAND,
	STATE_BODY,
	STATE_HANDSHAKE,
};

struct connection {
	int fd;
	enum state state;
	unsigned matched;     /* octets of CRLF.CRLF seen */
	unsigned verb_length; /* of the command line under way, counted to VERB_SIZE */
	char verb[VERB_SIZE];
	bool closing;
	gnutls_session_t tls;
};

/* Octets of one batch; they fit in the socket's buffer, for every client awaits them. */
struct batch {
	char octets[OUT_SIZE];
	size_t length;
};

static struct {
	unsigned long messages, sessions, secured, resumed;
	unsigned long long octets;
} counts;

static struct {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	gnutls_datum_t ticket_key;
	bool no_tickets;
} tls;

/* Of the connection at work: what it is to be told, and what that becomes on the wire. */
static struct batch replies, flight;

static char read_buffer[READ_SIZE];
static const char end_of_data[] = "\r\n.\r\n";

static bool add(struct batch *batch, const void *octets, size_t length)
{
	if (length > sizeof(batch->octets) - batch->length)
		return false;
	memcpy(batch->octets + batch->length, octets, length);
	batch->length += length;
	return true;
}

static void reply(const char *text)
{
	add(&replies, text, strlen(text));
}

static bool is(const struct connection *c, const char *verb)
{
	return c->verb_length == VERB_SIZE && strncasecmp(c->verb, verb, VERB_SIZE) == 0;
}

/* ---- TLS ---- */

static ssize_t push(gnutls_transport_ptr_t tag, const void *octets, size_t length)
{
	(void)tag;
	return add(&flight, octets, length) ? (ssize_t)length : -1;
}

static void load_tls(const char *chain, const char *key)
{
	int status = gnutls_certificate_allocate_credentials(&tls.credentials);

	die_unless(status == 0, "gnutls");
	status = gnutls_certificate_set_x509_key_file(
		tls.credentials, chain, key, GNUTLS_X509_FMT_PEM);
	die_unless(status >= 0, chain);
	die_unless(gnutls_priority_init(&tls.priority, "NORMAL", NULL) == 0, "gnutls");
	die_unless(gnutls_session_ticket_key_generate(&tls.ticket_key) == 0, "gnutls");
}

static void begin_tls(struct connection *c)
{
	unsigned flags = GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;

	die_unless(gnutls_init(&c->tls, flags) == 0, "gnutls_init");
	gnutls_priority_set(c->tls, tls.priority);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, tls.credentials);
	if (!tls.no_tickets)
		gnutls_session_ticket_enable_server(c->tls, &tls.ticket_key);
	gnutls_handshake_set_timeout(c->tls, GNUTLS_INDEFINITE_TIMEOUT);
	gnutls_transport_set_int(c->tls, c->fd);
	gnutls_transport_set_push_function(c->tls, push);
	c->state = STATE_HANDSHAKE;
}

static void handshake(struct connection *c)
{
	int status;

	do
		status = gnutls_handshake(c->tls);
	while (status < 0 && status != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(status));
	if (status == GNUTLS_E_AGAIN)
		return;
	if (status < 0) {
		fprintf(stderr, "sink: %s\n", gnutls_strerror(status));
		c->closing = true;
		return;
	}
	counts.secured++;
	counts.resumed += (unsigned long)gnutls_session_is_resumed(c->tls);
	c->state = STATE_COMMAND;
}

/* ---- SMTP ---- */

static void command(struct connection *c)
{
	if (is(c, "EHLO")) {
		reply("250-sink\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n");
		if (tls.credentials != NULL && c->tls == NULL)
			reply("250-STARTTLS\r\n");
		reply("250 8BITMIME\r\n");
	} else if (is(c, "STAR")) {
		reply("220 go on\r\n");
		begin_tls(c);
	} else if (is(c, "DATA")) {
		c->state = STATE_BODY;
		c->matched = 2; /* the line before ended in CRLF */
		reply("354 go on\r\n");
	} else if (is(c, "QUIT")) {
		c->closing = true;
		reply("221 bye\r\n");
	} else {
		reply("250 fine\r\n");
	}
	c->verb_length = 0;
}

static const char *eat_command(struct connection *c, const char *at, const char *end)
{
	while (at < end && *at != '\n') {
		if (c->verb_length < VERB_SIZE)
			c->verb[c->verb_length++] = *at;
		at++;
	}
	if (at == end)
		return end;
	command(c);
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

static const char *eat_body(struct connection *c, const char *at, const char *end)
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
		reply("250 taken\r\n");
	}
	return at;
}

/* ---- connections ---- */

static void drop(struct connection *c)
{
	if (c->tls != NULL)
		gnutls_deinit(c->tls);
	close(c->fd);
	free(c);
}

static void take(struct connection *c, const char *at, size_t length)
{
	const char *end = at + length;

	while (at < end && c->state != STATE_HANDSHAKE)
		at = c->state == STATE_BODY ? eat_body(c, at, end)
					    : eat_command(c, at, end);
	if (at < end)
		c->closing = true; /* it did not await the 220 of STARTTLS */
}

static void take_clear(struct connection *c)
{
	ssize_t got = read(c->fd, read_buffer, sizeof(read_buffer));

	if (got > 0)
		take(c, read_buffer, (size_t)got);
	else if (got == 0 || errno != EAGAIN)
		c->closing = true;
}

static void take_tls(struct connection *c)
{
	do {
		ssize_t got =
			gnutls_record_recv(c->tls, read_buffer, sizeof(read_buffer));

		if (got > 0)
			take(c, read_buffer, (size_t)got);
		else if (got == 0 || gnutls_error_is_fatal((int)got))
			c->closing = true;
	} while (!c->closing && gnutls_record_check_pending(c->tls) > 0);
}

static void answer(struct connection *c, bool under_tls)
{
	if (!under_tls)
		add(&flight, replies.octets, replies.length);
	else if (replies.length > 0)
		gnutls_record_send(c->tls, replies.octets, replies.length);
	if (under_tls && c->closing)
		gnutls_bye(c->tls, GNUTLS_SHUT_WR);
	if (flight.length > 0 && send(c->fd, flight.octets, flight.length,
					 MSG_NOSIGNAL) != (ssize_t)flight.length)
		c->closing = true;
}

static void serve(struct connection *c)
{
	bool under_tls = c->tls != NULL;

	replies.length = flight.length = 0;
	if (c->state == STATE_HANDSHAKE)
		handshake(c);
	else if (under_tls)
		take_tls(c);
	else
		take_clear(c);
	answer(c, under_tls);
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
	printf("messages %lu octets %llu sessions %lu secured %lu resumed %lu\n",
		counts.messages, counts.octets, counts.sessions, counts.secured,
		counts.resumed);
	fflush(stdout);
}

static int listen_as_told(int argc, char **argv)
{
	const char *address = "0", *chain = NULL, *key = NULL;

	for (int option; (option = getopt(argc, argv, "l:c:k:T")) != -1;) {
		switch (option) {
		case 'l': address = optarg; break;
		case 'c': chain = optarg; break;
		case 'k': key = optarg; break;
		case 'T': tls.no_tickets = true; break;
		default: exit(2);
		}
	}
	if (chain != NULL && key != NULL)
		load_tls(chain, key);
	return bench_listen(address);
}

int main(int argc, char **argv)
{
	static char listener_tag, stdin_tag;
	struct epoll_event events[EVENTS];

	bench_raise_files();
	int listener = listen_as_told(argc, argv);
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
