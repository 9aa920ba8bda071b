/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The byte pump: what relaying over GnuTLS costs at the least. It plays a fixed STARTTLS
 * preamble, shakes hands with the daemon's own settings, then copies octets both ways and
 * knows no SMTP. The daemon is measured against it, so it leaves out nothing that makes a
 * pump fast: one epoll, shared buffers, a read-ahead that fetches a burst of records by
 * one recv(), one send() a flight, no memory held while idle. As a client it verifies
 * nothing, and resumes whenever it can.
 *
 *     pump [-p PRIORITY] BACKEND-PORT CERTIFICATE KEY [CERTIFICATE KEY]...
 *     pump -c [-p PRIORITY] SERVER [SERVER]...      from clear to a server's STARTTLS
 *
 * SERVER is [ADDRESS:]PORT. Prints "port N", for each server one; ends with stdin.
 */

#include "bench.h"
#include "pump_wire.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <string.h>

enum {
	RECORD = 16 * 1024,
	EVENTS = 64,
	GATES_MAX = 4,
};

enum phase {
	PHASE_PREAMBLE,
	PHASE_HANDSHAKE,
	PHASE_COPY,
	PHASE_DEAD,
};

struct session;

/* Where sessions come in, and whither they go: the backend, or who offers STARTTLS. */
struct gate {
	int listener;
	struct sockaddr_in server;
	gnutls_datum_t ticket; /* the first that the server gave */
};

struct end {
	struct session *session;
	int fd;
	uint32_t events; /* as epoll knows them */
};

struct session {
	struct gate *gate;
	struct end wire, clear; /* with TLS, and without */
	enum phase phase;
	bool greeted;	 /* the backend's greeting was swallowed */
	bool ticket_due; /* a session ticket goes out with our first words */
	unsigned asked;	 /* of `questions` */
	struct pump_wire tls;
	struct rest to_wire, to_clear;
	struct session *next_dead;
};

static struct {
	int epoll;
	bool client;
	struct gate gates[GATES_MAX];
	unsigned gate_count;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	gnutls_datum_t ticket_key;
	struct session *dead;
} pump;

static char record[RECORD];
static const char greeting[] = "220 pump ESMTP\r\n";

/* What a client says before TLS; each reply comes in one piece. */
static const char *const questions[] = { "EHLO pump.example.net\r\n", "STARTTLS\r\n" };

/* The daemon's own, see tls_client.c. */
static const char client_priority[] =
	"NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA"
	":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD"
	":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:+SIGN-ALL";

/* And tls_server.c. */
static const char server_priority[] =
	"NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA"
	":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD"
	":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"
	":+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256:+SIGN-EDDSA-ED25519"
	":+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA384"
	":+SIGN-ECDSA-SECP521R1-SHA512:+SIGN-ECDSA-SHA512"
	":+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-SHA256:+SIGN-RSA-SHA256"
	":+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-SHA384:+SIGN-RSA-SHA384"
	":+SIGN-RSA-PSS-RSAE-SHA512:+SIGN-RSA-PSS-SHA512:+SIGN-RSA-SHA512"
	":%SERVER_PRECEDENCE";

/* ---- a session's life ---- */

static void keep_ticket(struct session *s)
{
	unsigned flags = gnutls_session_get_flags(s->tls.session);

	if (s->gate->ticket.size == 0 && (flags & GNUTLS_SFLAGS_SESSION_TICKET) != 0)
		gnutls_session_get_data2(s->tls.session, &s->gate->ticket);
}

static void session_end(struct session *s)
{
	if (s->phase == PHASE_DEAD)
		return;
	if (s->phase == PHASE_COPY)
		gnutls_bye(s->tls.session, GNUTLS_SHUT_WR);
	if (s->phase == PHASE_COPY && pump.client)
		keep_ticket(s);
	pump_wire_free(&s->tls);
	if (s->wire.fd >= 0)
		close(s->wire.fd);
	if (s->clear.fd >= 0)
		close(s->clear.fd);
	rest_set(&s->to_wire, NULL, 0);
	rest_set(&s->to_clear, NULL, 0);
	s->phase = PHASE_DEAD;
	s->next_dead = pump.dead;
	pump.dead = s;
}

/* Events of the same batch may still point at them. */
static void bury(void)
{
	while (pump.dead != NULL) {
		struct session *s = pump.dead;

		pump.dead = s->next_dead;
		free(s);
	}
}

static void want(struct end *end, uint32_t events)
{
	if (end->fd < 0 || end->events == events)
		return;
	bench_watch(pump.epoll, EPOLL_CTL_MOD, end->fd, events, end);
	end->events = events;
}

static void session_rearm(struct session *s)
{
	bool copying = s->phase == PHASE_COPY;
	bool wire_out = s->to_wire.length > 0;

	if (s->phase == PHASE_DEAD)
		return;
	want(&s->wire,
		(s->to_clear.length == 0 ? EPOLLIN : 0) | (wire_out ? EPOLLOUT : 0));
	want(&s->clear, (copying && s->to_wire.length == 0 ? EPOLLIN : 0) |
				(s->to_clear.length > 0 ? EPOLLOUT : 0));
}

static void wire_write(struct session *s, const char *text)
{
	if (write(s->wire.fd, text, strlen(text)) < 0)
		session_end(s);
}

static void begin_tls(struct session *s)
{
	unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;

	flags |= pump.client ? GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP
			     : GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET;
	die_unless(gnutls_init(&s->tls.session, flags) == 0, "gnutls_init");
	gnutls_priority_set(s->tls.session, pump.priority);
	gnutls_credentials_set(s->tls.session, GNUTLS_CRD_CERTIFICATE, pump.credentials);
	if (!pump.client)
		gnutls_session_ticket_enable_server(s->tls.session, &pump.ticket_key);
	else if (s->gate->ticket.size > 0)
		gnutls_session_set_data(
			s->tls.session, s->gate->ticket.data, s->gate->ticket.size);
	gnutls_handshake_set_timeout(s->tls.session, GNUTLS_INDEFINITE_TIMEOUT);
	pump_wire_transport(&s->tls, s->wire.fd);
	s->phase = PHASE_HANDSHAKE;
}

/* Each read is one command or one reply: either side awaits the other. */
static void preamble(struct session *s)
{
	ssize_t got = recv(s->wire.fd, record, sizeof(record), 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		session_end(s);
	} else if (pump.client && s->asked < sizeof(questions) / sizeof(*questions)) {
		wire_write(s, questions[s->asked++]);
	} else if (pump.client) {
		begin_tls(s);
	} else if (record[0] == 'E') {
		wire_write(s, "250-pump\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n"
			      "250-8BITMIME\r\n250 STARTTLS\r\n");
	} else if (record[0] == 'S') {
		wire_write(s, "220 go on\r\n");
		if (s->phase == PHASE_PREAMBLE)
			begin_tls(s);
	} else {
		session_end(s);
	}
}

static void end_open(struct end *end, int fd, uint32_t events)
{
	end->fd = fd;
	end->events = events;
	bench_watch(pump.epoll, EPOLL_CTL_ADD, fd, events, end);
}

static void begin_copying(struct session *s)
{
	s->phase = PHASE_COPY;
	if (pump.client)
		return;
	end_open(&s->clear, bench_connect(&s->gate->server), EPOLLIN);
	s->ticket_due = gnutls_protocol_get_version(s->tls.session) == GNUTLS_TLS1_3;
}

static void handshake(struct session *s)
{
	int status;

	pump_wire_collect(true);
	do
		status = gnutls_handshake(s->tls.session);
	while (status < 0 && status != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(status));
	pump_wire_collect(false);
	if (!pump_wire_flush(&s->tls) || (status < 0 && status != GNUTLS_E_AGAIN))
		session_end(s);
	else if (status == 0)
		begin_copying(s);
}

/* Octets in clear that did not go at once wait in to_clear. */
static void clear_send(struct session *s, const char *octets, size_t length)
{
	ssize_t put = send(s->clear.fd, octets, length, MSG_NOSIGNAL);

	if (put < 0 && errno != EAGAIN && errno != ENOTCONN) {
		session_end(s);
		return;
	}
	size_t done = put > 0 ? (size_t)put : 0;
	rest_set(&s->to_clear, octets + done, length - done);
}

static void wire_to_clear(struct session *s)
{
	while (s->to_clear.length == 0) {
		ssize_t got = gnutls_record_recv(s->tls.session, record, sizeof(record));

		if (got > 0)
			clear_send(s, record, (size_t)got);
		else if (got == GNUTLS_E_AGAIN && pump_wire_more())
			continue;
		else if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED)
			return;
		else
			session_end(s);
		if (s->phase == PHASE_DEAD)
			return;
	}
}

/* Octets under TLS that did not go are in to_wire; GnuTLS keeps its place in them. */
static void wire_send(struct session *s, const char *octets, size_t length)
{
	if (s->ticket_due) {
		pump_wire_collect(true);
		gnutls_session_ticket_send(s->tls.session, 1, 0);
		pump_wire_collect(false);
		s->ticket_due = false;
	}
	ssize_t put = gnutls_record_send(s->tls.session, octets, length);

	if (put < 0 && put != GNUTLS_E_AGAIN && put != GNUTLS_E_INTERRUPTED) {
		session_end(s);
		return;
	}
	size_t done = put > 0 ? (size_t)put : 0;
	rest_set(&s->to_wire, octets + done, length - done);
}

static void clear_to_wire(struct session *s)
{
	ssize_t got = recv(s->clear.fd, record, sizeof(record), 0);
	const char *from = record;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		session_end(s);
		return;
	}
	if (!s->greeted) {
		const char *line = memchr(record, '\n', (size_t)got);

		if (line == NULL)
			return;
		s->greeted = true;
		from = line + 1;
	}
	if (from < record + got)
		wire_send(s, from, (size_t)(record + got - from));
}

static void wire_event(struct session *s, uint32_t events)
{
	if (s->phase == PHASE_PREAMBLE) {
		preamble(s);
		if (s->phase != PHASE_HANDSHAKE || !pump.client)
			return; /* the client's is the first word */
	}
	if ((events & EPOLLOUT) && s->to_wire.length > 0)
		wire_send(s, s->to_wire.octets, s->to_wire.length);
	if (s->phase == PHASE_DEAD)
		return;
	pump_wire_open(&s->tls);
	if (s->phase == PHASE_HANDSHAKE)
		handshake(s);
	if (s->phase == PHASE_COPY)
		wire_to_clear(s);
	if (s->phase != PHASE_DEAD)
		pump_wire_close(&s->tls);
}

static void clear_event(struct session *s, uint32_t events)
{
	if ((events & EPOLLOUT) && s->to_clear.length > 0) {
		clear_send(s, s->to_clear.octets, s->to_clear.length);
		if (s->phase == PHASE_COPY && s->tls.unread.length > 0)
			wire_event(s, EPOLLIN);
	}
	if (s->phase == PHASE_COPY && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		clear_to_wire(s);
}

static void welcome(struct gate *gate)
{
	int fd;

	while ((fd = bench_accept(gate->listener)) >= 0) {
		struct session *s = calloc(1, sizeof(*s));

		die_unless(s != NULL, "calloc");
		s->gate = gate;
		s->wire = (struct end){ .session = s, .fd = -1 };
		s->clear = (struct end){ .session = s, .fd = -1 };
		s->greeted = pump.client;
		end_open(pump.client ? &s->clear : &s->wire, fd,
			pump.client ? 0 : EPOLLIN);
		if (pump.client)
			end_open(&s->wire, bench_connect(&s->gate->server), EPOLLIN);
		if (write(fd, greeting, sizeof(greeting) - 1) < 0)
			session_end(s);
	}
}

static struct gate *gate_of(const void *tag)
{
	for (unsigned i = 0; i < pump.gate_count; i++)
		if (tag == &pump.gates[i])
			return &pump.gates[i];
	return NULL;
}

static void dispatch(struct epoll_event *event)
{
	struct end *end = event->data.ptr;
	struct session *s = end->session;

	if (s->phase == PHASE_DEAD)
		return;
	if (end == &s->wire)
		wire_event(s, event->events);
	else
		clear_event(s, event->events);
	session_rearm(s);
}

static void load_credentials(int argc, char **argv, const char *priority)
{
	die_unless(gnutls_certificate_allocate_credentials(&pump.credentials) == 0,
		"gnutls");
	for (int i = 0; i + 1 < argc; i += 2) {
		int status = gnutls_certificate_set_x509_key_file(
			pump.credentials, argv[i], argv[i + 1], GNUTLS_X509_FMT_PEM);

		die_unless(status >= 0, argv[i]);
	}
	die_unless(gnutls_priority_init(&pump.priority, priority, NULL) == 0, priority);
	die_unless(gnutls_session_ticket_key_generate(&pump.ticket_key) == 0, "gnutls");
}

static void parse_options(int argc, char **argv)
{
	const char *priority = NULL;

	for (int option; (option = getopt(argc, argv, "cp:")) != -1;) {
		if (option == 'c')
			pump.client = true;
		else if (option == 'p')
			priority = optarg;
		else
			exit(2);
	}
	int gates = pump.client ? argc - optind : 1;

	if (argc - optind < (pump.client ? 1 : 3) || gates > GATES_MAX) {
		fputs("usage: pump [-p PRIORITY] BACKEND-PORT CERTIFICATE KEY...\n"
		      "       pump -c [-p PRIORITY] SERVER...\n",
			stderr);
		exit(2);
	}
	if (priority == NULL)
		priority = pump.client ? client_priority : server_priority;
	for (; pump.gate_count < (unsigned)gates; pump.gate_count++)
		pump.gates[pump.gate_count].server = bench_address(argv[optind++]);
	load_credentials(argc - optind, argv + optind, priority);
}

static void open_gates(void)
{
	pump.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < pump.gate_count; i++) {
		struct gate *gate = &pump.gates[i];

		gate->listener = bench_listen("0");
		bench_watch(pump.epoll, EPOLL_CTL_ADD, gate->listener, EPOLLIN, gate);
	}
}

int main(int argc, char **argv)
{
	static char stdin_tag;
	struct epoll_event events[EVENTS];

	parse_options(argc, argv);
	bench_raise_files();
	open_gates();
	bench_watch(pump.epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &stdin_tag);
	for (;;) {
		int count = epoll_wait(pump.epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			struct gate *gate = gate_of(events[i].data.ptr);

			if (events[i].data.ptr == &stdin_tag)
				return 0;
			if (gate != NULL)
				welcome(gate);
			else
				dispatch(&events[i]);
		}
		bury();
	}
}
