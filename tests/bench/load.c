/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The load of the bench: clients that deliver mail over STARTTLS, session after session.
 * Every client first warms up by one session that does not count (and gains its ticket);
 * then "ready" is printed and a line on stdin awaited, so that the bench can read the
 * servers' CPU time in between. Ends with one line of results: "sessions N resumed N p50
 * US p99 US seconds S".
 *
 *     -n clients side by side     -s sessions at most      -t seconds at most
 *     -k messages a session       -b octets a message
 *     -r resume by ticket         -R take RSA certificates only
 *     -P MAIL, RCPT and DATA in one write                  -i TLS from the first octet on
 *     -H hold n sessions after their messages; prints "held N", ends with stdin
 *     -c stay in clear: towards a smart host
 *     -d the recipients' domain   -u one below it for every session: d0, d1, ...
 */

#include "bench.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <time.h>

enum {
	EVENTS = 64,
	LINE = 76,
	OPENING = 32, /* sessions opened side by side in hold mode */
	CODE = 4,     /* "250 " */
	ENVELOPE = 256,
	READ_SIZE = 16 * 1024,
};

/* What is awaited: the connection's or the handshake's end, or the reply to a command. */
enum step {
	STEP_GREETING,
	STEP_EHLO,
	STEP_STARTTLS,
	STEP_HANDSHAKE,
	STEP_EHLO_TLS,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_BODY,
	STEP_QUIT,
	STEP_IDLE,
	STEPS
};

static const char *const step_names[] = { "greeting", "EHLO", "STARTTLS", "handshake",
	"EHLO under TLS", "MAIL", "RCPT", "DATA", "body", "QUIT", "nothing" };
static_assert(sizeof(step_names) / sizeof(*step_names) == STEPS, "a name for each step");

struct client {
	int fd;
	enum step step;
	bool warm; /* has had its first session */
	gnutls_session_t tls;
	gnutls_datum_t ticket;
	const char *out; /* what is still to be sent, in static memory */
	size_t left;
	uint32_t events;
	char envelope[ENVELOPE]; /* MAIL, RCPT and DATA */
	size_t envelope_length;
	char code[CODE]; /* of the reply line under way */
	unsigned column;
	unsigned messages;
	double began;
};

static struct {
	unsigned clients, sessions, messages, octets;
	double seconds;
	bool resume, rsa, pipeline, implicit, hold, clear, unique;
	const char *domain;
	struct sockaddr_in server;
} options = {
	.clients = 1,
	.sessions = 1,
	.messages = 1,
	.octets = 10000,
	.seconds = 1e9,
	.domain = "example.org",
};

static struct {
	int epoll;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	char *body;
	size_t body_length;
	struct client *clients;
	double *latencies;
	double deadline;
	unsigned warm, started, done, resumed, addressed;
} load;

static const char ehlo[] = "EHLO client.example.net\r\n";
static const char starttls[] = "STARTTLS\r\n";
static const char mail[] = "MAIL FROM:<sender@example.net>\r\n";
static const char data[] = "DATA\r\n";
static const char quit[] = "QUIT\r\n";

static void client_begin(struct client *c);

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const struct client *c, const char *why)
{
	fprintf(stderr, "load: awaiting %s: %s\n", step_names[c->step], why);
	exit(1);
}

/* ---- octets out ---- */

static void want(struct client *c, uint32_t events)
{
	if (c->events != events)
		bench_watch(load.epoll, EPOLL_CTL_MOD, c->fd, events, c);
	c->events = events;
}

static void flush(struct client *c)
{
	while (c->left > 0) {
		ssize_t put = c->tls != NULL ? gnutls_record_send(c->tls, c->out, c->left)
					     : send(c->fd, c->out, c->left, MSG_NOSIGNAL);

		if (put == GNUTLS_E_AGAIN || put == GNUTLS_E_INTERRUPTED ||
			(c->tls == NULL && put < 0 && errno == EAGAIN))
			break;
		if (put < 0)
			fail(c, c->tls != NULL ? gnutls_strerror((int)put)
					       : strerror(errno));
		c->out += put;
		c->left -= (size_t)put;
	}
	want(c, c->left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void say(struct client *c, enum step awaiting, const char *text, size_t length)
{
	c->step = awaiting;
	c->out = text;
	c->left = length;
	flush(c);
}

/* ---- the conversation ---- */

static void begin_tls(struct client *c)
{
	unsigned flags =
		GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_KEY_SHARE_TOP;

	c->step = STEP_HANDSHAKE;
	die_unless(gnutls_init(&c->tls, flags) == 0, "gnutls_init");
	gnutls_priority_set(c->tls, load.priority);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, load.credentials);
	gnutls_handshake_set_timeout(c->tls, GNUTLS_INDEFINITE_TIMEOUT);
	gnutls_transport_set_int(c->tls, c->fd);
	if (c->ticket.size > 0)
		gnutls_session_set_data(c->tls, c->ticket.data, c->ticket.size);
}

static void handshake(struct client *c)
{
	int status;

	do
		status = gnutls_handshake(c->tls);
	while (status < 0 && status != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(status));
	if (status == GNUTLS_E_AGAIN)
		want(c, gnutls_record_get_direction(c->tls) ? EPOLLOUT : EPOLLIN);
	else if (status < 0)
		fail(c, gnutls_strerror(status));
	else if (options.implicit)
		c->step = STEP_GREETING;
	else
		say(c, STEP_EHLO_TLS, ehlo, sizeof(ehlo) - 1);
}

static void keep_ticket(struct client *c)
{
	if (!options.resume || c->ticket.size > 0)
		return;
	if ((gnutls_session_get_flags(c->tls) & GNUTLS_SFLAGS_SESSION_TICKET) == 0)
		fail(c, "no ticket came");
	gnutls_session_get_data2(c->tls, &c->ticket);
}

static void end_tls(struct client *c)
{
	if (c->warm)
		load.resumed += (unsigned)gnutls_session_is_resumed(c->tls);
	keep_ticket(c);
	gnutls_bye(c->tls, GNUTLS_SHUT_WR);
	gnutls_deinit(c->tls);
}

static void all_warm(void)
{
	char line[16];

	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(1);
	load.deadline = now() + options.seconds;
	for (unsigned i = 0; i < options.clients; i++)
		client_begin(&load.clients[i]);
}

static void client_end(struct client *c)
{
	if (c->warm)
		load.latencies[load.done++] = now() - c->began;
	if (c->tls != NULL)
		end_tls(c);
	close(c->fd);
	if (c->warm) {
		client_begin(c);
		return;
	}
	c->warm = true;
	c->step = STEP_IDLE;
	if (++load.warm == options.clients)
		all_warm();
}

/* In hold mode the next session begins when one has been brought to rest. */
static void client_hold(struct client *c)
{
	c->step = STEP_IDLE;
	load.done++;
	if (load.started < options.clients)
		client_begin(&load.clients[load.started]);
	if (load.done < options.clients)
		return;
	printf("held %u\n", load.done);
	fflush(stdout);
	while (getchar() != EOF)
		;
	exit(0);
}

static void next_message(struct client *c)
{
	if (c->messages < options.messages) {
		c->messages++;
		if (options.pipeline)
			say(c, STEP_MAIL, c->envelope, c->envelope_length);
		else
			say(c, STEP_MAIL, mail, sizeof(mail) - 1);
	} else if (options.hold) {
		client_hold(c);
	} else {
		say(c, STEP_QUIT, quit, sizeof(quit) - 1);
	}
}

/* A whole reply has come to what was awaited. */
static void advance(struct client *c)
{
	switch (c->step) {
	case STEP_GREETING:
		say(c, c->tls != NULL || options.clear ? STEP_EHLO_TLS : STEP_EHLO, ehlo,
			sizeof(ehlo) - 1);
		break;
	case STEP_EHLO: say(c, STEP_STARTTLS, starttls, sizeof(starttls) - 1); break;
	case STEP_STARTTLS:
		begin_tls(c);
		handshake(c);
		break;
	case STEP_MAIL:
		if (options.pipeline)
			c->step = STEP_RCPT;
		else
			say(c, STEP_RCPT, c->envelope + sizeof(mail) - 1,
				c->envelope_length - (sizeof(mail) - 1) -
					(sizeof(data) - 1));
		break;
	case STEP_RCPT:
		if (options.pipeline)
			c->step = STEP_DATA;
		else
			say(c, STEP_DATA, data, sizeof(data) - 1);
		break;
	case STEP_DATA: say(c, STEP_BODY, load.body, load.body_length); break;
	case STEP_EHLO_TLS:
	case STEP_BODY: next_message(c); break;
	case STEP_QUIT: client_end(c); break;
	default: fail(c, "a reply to nothing");
	}
}

/* ---- octets in ---- */

static void take(struct client *c, const char *octets, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (c->column < CODE)
			c->code[c->column] = octets[i];
		c->column++;
		if (octets[i] != '\n')
			continue;
		bool last = c->code[CODE - 1] != '-';

		c->column = 0;
		if (c->code[0] != (c->step == STEP_DATA ? '3' : '2'))
			fail(c, "refused");
		if (last)
			advance(c);
	}
}

static void client_event(struct client *c, uint32_t events)
{
	static char octets[READ_SIZE];
	ssize_t got;

	if (c->step == STEP_HANDSHAKE) {
		handshake(c);
		return;
	}
	if (events & EPOLLOUT)
		flush(c);
	if ((events & EPOLLIN) == 0)
		return;
	if (c->tls != NULL) {
		got = gnutls_record_recv(c->tls, octets, sizeof(octets));
		if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED)
			return;
	} else {
		got = recv(c->fd, octets, sizeof(octets), 0);
		if (got < 0 && errno == EAGAIN)
			return;
	}
	if (got <= 0)
		fail(c, "the server ended the session");
	take(c, octets, (size_t)got);
}

static void address_envelope(struct client *c)
{
	char below[16] = "";

	if (options.unique)
		snprintf(below, sizeof(below), "d%u.", load.addressed++);
	int n = snprintf(c->envelope, ENVELOPE, "%sRCPT TO:<recipient@%s%s>\r\n%s", mail,
		below, options.domain, data);

	die_unless(n < ENVELOPE, "a domain that is too long");
	c->envelope_length = (size_t)n;
}

static void client_begin(struct client *c)
{
	if (c->warm && (load.started >= options.sessions || now() > load.deadline)) {
		c->step = STEP_IDLE;
		return;
	}
	if (c->warm || options.hold)
		load.started++;
	c->began = now();
	c->fd = bench_connect(&options.server);
	c->events = options.implicit ? EPOLLIN | EPOLLOUT : EPOLLIN;
	c->tls = NULL;
	c->step = STEP_GREETING;
	c->messages = 0;
	address_envelope(c);
	bench_watch(load.epoll, EPOLL_CTL_ADD, c->fd, c->events, c);
	if (options.implicit)
		begin_tls(c);
}

/* ---- the whole ---- */

static void make_body(void)
{
	static const char header[] =
		"From: sender@example.net\r\nTo: recipient@example.org\r\n"
		"Subject: bench\r\n\r\n";
	size_t length = sizeof(header) - 1;

	load.body = malloc(options.octets + sizeof(header) + LINE + 8);
	die_unless(load.body != NULL, "malloc");
	memcpy(load.body, header, length);
	while (length < options.octets) {
		memset(load.body + length, 'a' + (int)(length % 26), LINE);
		memcpy(load.body + length + LINE, "\r\n", 2);
		length += LINE + 2;
	}
	memcpy(load.body + length, ".\r\n", 3);
	load.body_length = length + 3;
}

static void setup(void)
{
	const char *priority = "NONE:+VERS-TLS1.3:+AES-128-GCM:+AES-256-GCM:+AEAD:"
			       "+GROUP-X25519:+GROUP-SECP256R1:+SIGN-ALL:+CTYPE-X509";

	if (options.rsa)
		priority =
			"NONE:+VERS-TLS1.3:+AES-128-GCM:+AES-256-GCM:+AEAD:+GROUP-X25519:"
			"+GROUP-SECP256R1:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256:"
			"+CTYPE-X509";
	die_unless(gnutls_priority_init(&load.priority, priority, NULL) == 0, "priority");
	die_unless(gnutls_certificate_allocate_credentials(&load.credentials) == 0,
		"gnutls");
	load.clients = calloc(options.clients, sizeof(*load.clients));
	load.latencies = calloc(options.sessions, sizeof(*load.latencies));
	die_unless(load.clients != NULL && load.latencies != NULL, "calloc");
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	make_body();
	bench_raise_files();
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_result(void)
{
	qsort(load.latencies, load.done, sizeof(*load.latencies), compare);
	printf("sessions %u resumed %u p50 %.0f p99 %.0f seconds %.3f\n", load.done,
		load.resumed, load.latencies[load.done / 2] * 1e6,
		load.latencies[load.done * 99 / 100] * 1e6,
		now() - load.deadline + options.seconds);
}

static void parse_options(int argc, char **argv)
{
	for (int option; (option = getopt(argc, argv, "n:s:t:k:b:d:rRPiHcu")) != -1;) {
		unsigned number =
			optarg != NULL ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		switch (option) {
		case 'n': options.clients = number; break;
		case 's': options.sessions = number; break;
		case 't': options.seconds = number; break;
		case 'k': options.messages = number; break;
		case 'b': options.octets = number; break;
		case 'r': options.resume = true; break;
		case 'R': options.rsa = true; break;
		case 'P': options.pipeline = true; break;
		case 'i': options.implicit = true; break;
		case 'H': options.hold = true; break;
		case 'c': options.clear = true; break;
		case 'd': options.domain = optarg; break;
		case 'u': options.unique = true; break;
		default: exit(2);
		}
	}
	if (optind + 1 != argc || options.clients == 0 || options.sessions == 0) {
		fputs("usage: load [-nstkb NUMBER] [-d DOMAIN] [-rRPiHcu] "
		      "[ADDRESS:]PORT\n",
			stderr);
		exit(2);
	}
	options.server = bench_address(argv[optind]);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];

	parse_options(argc, argv);
	setup();
	unsigned first =
		options.hold && options.clients > OPENING ? OPENING : options.clients;

	for (unsigned i = 0; i < first; i++)
		client_begin(&load.clients[i]);
	while (load.done == 0 || load.done < load.started || options.hold) {
		int count = epoll_wait(load.epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++)
			client_event(events[i].data.ptr, events[i].events);
	}
	print_result();
	return 0;
}
