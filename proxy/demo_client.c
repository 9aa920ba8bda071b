/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The demo's client: the old server, or one of the Internet, with one message to send. */

#include "demo.h"
#include "leg.h"
#include "smtp.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PATIENCE = 15000, /* milliseconds that any one step may take */
	MESSAGE = 1024,
	LINE = 256,
	ENOUGH = 4096, /* octets read at a time */
};

struct client {
	struct leg leg;
	struct buf_pool pool;
	struct buf in, out;
	struct tls_client *tls;
	struct facts facts;
	struct demo_view view;
	char *reason; /* of DEMO_REASON octets */
};

static bool failed(struct client *c, const char *what, const char *why)
{
	snprintf(c->reason, DEMO_REASON, "%s: %s", what, why);
	return false;
}

/* After LEG_AGAIN: until the descriptor is ready for `events`. */
static bool ready(struct client *c, const char *what, short events)
{
	struct pollfd poll_for = { .fd = c->leg.fd, .events = events };
	int n = poll(&poll_for, 1, PATIENCE);

	if (n > 0)
		return true;
	return failed(c, what, n == 0 ? "nothing came in time" : strerror(errno));
}

static bool connected(struct client *c, const struct address *to)
{
	enum leg_status status = leg_connect(&c->leg, to, NULL, false);

	if (status == LEG_AGAIN && ready(c, "connecting", POLLOUT))
		status = leg_connected(&c->leg);
	return status == LEG_OK || failed(c, "connecting", leg_reason(&c->leg));
}

static bool flush(struct client *c)
{
	for (;;) {
		enum leg_status status = leg_flush(&c->leg, &c->out);

		if (status == LEG_OK)
			return true;
		if (status != LEG_AGAIN)
			return failed(c, "sending", leg_reason(&c->leg));
		if (!ready(c, "sending", POLLOUT))
			return false;
	}
}

static bool say(struct client *c, const char *line)
{
	demo_show(&c->view, '>', line, strlen(line));
	buf_puts(&c->out, line);
	return flush(c);
}

/* The next whole reply, which must have this code. */
static bool hear(struct client *c, unsigned code)
{
	const struct smtp_reply_limits limits = { .length = 65536, .lines = 200 };
	struct smtp_reply reply;
	enum smtp_reply_status found = SMTP_REPLY_PARTIAL;

	for (;;) {
		if (buf_length(&c->in) > 0)
			found = smtp_reply(
				buf_head(&c->in), buf_length(&c->in), &limits, &reply);
		if (found != SMTP_REPLY_PARTIAL)
			break;
		enum leg_status status = leg_fill(&c->leg, &c->in, ENOUGH);

		if (status == LEG_EOF)
			return failed(c, "waiting for a reply", "the connection ended");
		if (status == LEG_FAILED)
			return failed(c, "waiting for a reply", leg_reason(&c->leg));
		if (status == LEG_AGAIN && !ready(c, "waiting for a reply", POLLIN))
			return false;
	}
	if (found != SMTP_REPLY_OK)
		return failed(c, "waiting for a reply", "what came is no reply");
	demo_show(&c->view, '<', reply.octets, reply.length);
	unsigned got = reply.code;

	buf_consume(&c->in, reply.length);
	return got == code || failed(c, "the message", "refused, see above");
}

static bool start_tls(struct client *c)
{
	const struct tls_target target = { .protocols = TLS_PROTOCOLS_1_2 };
	enum leg_status status;

	if (buf_length(&c->in) > 0)
		return failed(c, "TLS", "something in clear came behind the 220");
	if (!leg_connect_tls(&c->leg, c->tls, &target, &c->pool))
		return failed(c, "TLS", "out of memory");
	while ((status = leg_handshake(&c->leg)) == LEG_AGAIN) {
		short events = c->leg.want_write_to_read ? POLLOUT : POLLIN;

		if (!ready(c, "TLS", events))
			return false;
	}
	if (status != LEG_OK)
		return failed(c, "TLS", leg_reason(&c->leg));
	tls_facts(c->leg.tls, &c->facts);
	c->view.wire = c->facts.version;
	printf("    %-7s - from here on %s\n", c->facts.version, c->facts.cipher);
	return true;
}

static bool send_message(struct client *c, const struct demo_errand *errand)
{
	char text[MESSAGE], date[48] = "", shown[64];
	time_t now = time(NULL);
	struct tm utc;

	if (gmtime_r(&now, &utc))
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &utc);
	int n = snprintf(text, sizeof(text),
		"From: <%s>\r\n"
		"To: <%s>\r\n"
		"Subject: Sealpost demo\r\n"
		"Date: %s\r\n"
		"Message-ID: <%" PRIdMAX ".%" PRIdMAX "@%s>\r\n"
		"\r\n"
		"%s\r\n",
		errand->from, errand->recipient, date, (intmax_t)now, (intmax_t)getpid(),
		errand->helo, errand->text);
	snprintf(shown, sizeof(shown), "(the message, %d octets)\r\n", n);
	demo_show(&c->view, '>', shown, strlen(shown));
	buf_append(&c->out, text, (size_t)n);
	buf_puts(&c->out, ".\r\n");
	return flush(c);
}

static bool say_of(struct client *c, const char *verb, const char *what, const char *end)
{
	char line[LINE];

	snprintf(line, sizeof(line), "%s%s%s\r\n", verb, what, end);
	return say(c, line);
}

static bool greet(struct client *c, const struct demo_errand *errand)
{
	return say_of(c, "EHLO ", errand->helo, "") && hear(c, 250);
}

static bool converse(struct client *c, const struct demo_errand *errand)
{
	if (!hear(c, 220) || !greet(c, errand))
		return false;
	if (errand->starttls && !(say(c, "STARTTLS\r\n") && hear(c, 220) &&
					start_tls(c) && greet(c, errand)))
		return false;
	return say_of(c, "MAIL FROM:<", errand->from, ">") && hear(c, 250) &&
	       say_of(c, "RCPT TO:<", errand->recipient, ">") && hear(c, 250) &&
	       say(c, "DATA\r\n") && hear(c, 354) && send_message(c, errand) &&
	       hear(c, 250) && say(c, "QUIT\r\n") && hear(c, 221);
}

bool demo_client_send(const struct demo_errand *errand, char reason[DEMO_REASON])
{
	const struct tls_client_options options = { .ca = NULL };
	struct client c = {
		.view = { .to = stdout, .wire = "clear" },
		.reason = reason,
	};
	bool sent = false;

	leg_init(&c.leg);
	buf_pool_init(&c.pool, 0);
	buf_init(&c.in, &c.pool);
	buf_init(&c.out, &c.pool);
	c.tls = tls_client_new(&options, reason);
	if (c.tls && connected(&c, &errand->to)) {
		sent = converse(&c, errand);
		leg_shutdown(&c.leg);
	}
	leg_close(&c.leg);
	tls_client_free(c.tls);
	buf_release(&c.in);
	buf_release(&c.out);
	buf_pool_free(&c.pool);
	return sent;
}
