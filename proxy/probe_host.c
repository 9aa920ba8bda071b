/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * One host: a session as the daemon would begin it, up to where MAIL would stand. One
 * host after another, so each step simply waits, with a deadline of its own.
 */

#include "leg.h"
#include "probe_private.h"
#include "smtp.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

enum {
	ENOUGH = 4096, /* octets read at a time */
};

struct talk {
	struct probe *probe;
	struct probe_host *host;
	struct leg leg;
	struct buf_pool pool;
	struct buf in, out;
	double until;		 /* the step under way has to be over */
	struct smtp_reply reply; /* the last one; its octets are gone */
	uint32_t keywords;	 /* of the last EHLO */
};

/* ---- steps ---- */

static void begin(struct talk *t, enum probe_stage stage, unsigned seconds)
{
	char host[ROUTE_HOST], doing[ROUTE_HOST + 40];
	double end = clock_steady() + (seconds < PROBE_STEP ? seconds : PROBE_STEP);
	t->host->stage = (uint8_t)stage;
	t->until = end < t->probe->deadline ? end : t->probe->deadline;
	snprintf(doing, sizeof(doing), "%s: %s", route_host(&t->probe->route, host),
		probe_stage_name(stage));
	probe_progress(t->probe, doing);
}

static bool fail(struct talk *t, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool fail(struct talk *t, const char *code, const char *format, ...)
{
	va_list arguments;
	snprintf(t->host->code, sizeof(t->host->code), "%s", code);
	va_start(arguments, format);
	vsnprintf(t->host->reason, sizeof(t->host->reason), format, arguments);
	va_end(arguments);
	return false;
}

/* Until the descriptor is ready; false when it is too late. */
static bool wait_for(const struct talk *t, short events)
{
	struct pollfd ready = { .fd = t->leg.fd, .events = events };
	for (;;) {
		double left = t->until - clock_steady();
		if (left <= 0)
			return false;
		int n = poll(&ready, 1, (int)(left * 1000) + 1);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static bool dial(struct talk *t)
{
	const struct config *config = t->probe->config;
	const struct address *from = NULL;
	begin(t, PROBE_CONNECT, config->limits.connect_timeout);
	for (unsigned i = 0; i < config->outbound_count && !from; i++)
		if (config->outbound[i].source == SOURCE_ADDRESS &&
			config->outbound[i].source_address.family ==
				t->host->address.family)
			from = &config->outbound[i].source_address;
	enum leg_status status = leg_connect(&t->leg, &t->host->address, from, false);
	if (status == LEG_AGAIN && !wait_for(t, POLLOUT))
		return fail(t, "4.4.1", "no answer in time");
	if (status == LEG_AGAIN)
		status = leg_connected(&t->leg);
	return status == LEG_OK || fail(t, "4.4.1", "%s", leg_reason(&t->leg));
}

/* ---- lines ---- */

static bool say(struct talk *t, const char *verb, const char *argument)
{
	enum leg_status status;
	buf_puts(&t->out, verb);
	buf_puts(&t->out, argument);
	buf_puts(&t->out, "\r\n");
	while ((status = leg_flush(&t->leg, &t->out)) == LEG_AGAIN)
		if (!wait_for(t, POLLOUT))
			return fail(t, "4.4.2", "it does not read what we say");
	return status == LEG_OK || fail(t, "4.4.2", "%s", leg_reason(&t->leg));
}

/* The first line of what it said, as it came. */
static void keep(const struct smtp_reply *reply, char text[PROBE_SAID])
{
	size_t n = 0;
	while (n < reply->length && n < PROBE_SAID - 1 && reply->octets[n] != '\r' &&
		reply->octets[n] != '\n')
		n++;
	/* A NUL would end it: what is behind is lost. */
	memcpy(text, reply->octets, n);
	text[n] = '\0';
}

static bool hear(struct talk *t)
{
	const struct config_limits *limits = &t->probe->config->limits;
	const struct smtp_reply_limits most = { limits->reply_length,
		limits->reply_lines };
	enum smtp_reply_status found = SMTP_REPLY_PARTIAL;
	for (;;) {
		if (buf_length(&t->in) > 0)
			found = smtp_reply(
				buf_head(&t->in), buf_length(&t->in), &most, &t->reply);
		if (found != SMTP_REPLY_PARTIAL)
			break;
		enum leg_status status = leg_fill(&t->leg, &t->in, ENOUGH);
		if (status == LEG_EOF || status == LEG_FAILED)
			return fail(t, "4.4.2", "%s", leg_reason(&t->leg));
		if (status == LEG_AGAIN && !wait_for(t, POLLIN))
			return fail(t, "4.4.2", "no answer in time");
	}
	if (found != SMTP_REPLY_OK)
		return fail(t, "4.3.0", "what came is no reply of SMTP");
	struct smtp_ehlo ehlo = { .keywords = 0 };
	if (t->reply.code == 250)
		smtp_ehlo_read(&t->reply, &ehlo);
	t->keywords = ehlo.keywords;
	keep(&t->reply, t->host->said);
	buf_consume(&t->in, t->reply.length);
	return true;
}

static bool is_positive(const struct talk *t)
{
	return t->reply.code / 100 == 2;
}

static bool greet(struct talk *t)
{
	begin(t, PROBE_GREETING, t->probe->config->limits.greeting_timeout);
	if (!hear(t))
		return false;
	memcpy(t->host->greeting, t->host->said, sizeof(t->host->greeting));
	if (t->reply.code == 220)
		return true;
	return fail(t, "4.3.0",
		is_positive(t) ? "the mail server gave an answer that makes no sense"
			       : "the mail server refused to serve");
}

/* EHLO, and HELO where that is refused: then nothing is offered. */
static bool hello(struct talk *t, enum probe_stage stage)
{
	const char *name = t->probe->config->hostname;
	begin(t, stage, t->probe->config->limits.command_timeout);
	if (!say(t, "EHLO ", name) || !hear(t))
		return false;
	if (is_positive(t))
		return true;
	if (t->host->encryption == ENCRYPTION_MUST && !t->leg.tls)
		return fail(
			t, "4.7.4", "the mail server refuses EHLO, and TLS is demanded");
	if (!say(t, "HELO ", name) || !hear(t))
		return false;
	t->keywords = 0;
	return is_positive(t) ||
	       fail(t, "4.3.0", "the mail server refuses EHLO and HELO");
}

/* ---- TLS ---- */

static bool shake(struct talk *t)
{
	static const enum tls_protocols protocols[] = {
		[PROTOCOLS_TLS_1_2] = TLS_PROTOCOLS_1_2,
		[PROTOCOLS_TLS_1_3] = TLS_PROTOCOLS_1_3,
		[PROTOCOLS_LEGACY] = TLS_PROTOCOLS_LEGACY,
	};
	static_assert(sizeof(protocols) / sizeof(*protocols) == PROTOCOLS_COUNT, "all");
	const struct demand *demand = &t->probe->peer->demand;
	const struct tls_target target = {
		.name = t->host->server_name,
		.protocols = protocols[demand->protocols],
		.identity = demand->identity,
	};
	enum leg_status status;
	begin(t, PROBE_HANDSHAKE, t->probe->config->limits.tls_timeout);
	if (!leg_connect_tls(&t->leg, t->probe->client, &target, &t->pool))
		return fail(t, "4.7.5", "out of memory, or no such identity");
	while ((status = leg_handshake(&t->leg)) == LEG_AGAIN)
		if (!wait_for(t, t->leg.want_write_to_read ? POLLOUT : POLLIN))
			return fail(t, "4.7.5", "TLS handshake: no answer in time");
	return status == LEG_OK || fail(t, "4.7.5", "TLS %s", leg_reason(&t->leg));
}

/* All that can be known of the chain, wanted or not: people are to read it. */
static void look(struct talk *t)
{
	const struct peer *peer = t->probe->peer;
	const struct candidate *candidate = probe_candidate(t->probe, t->host);
	struct tls_chain_question question = {
		.asks = judge_asks(peer, candidate) | ASK_LEAF | ASK_PUBLIC_CHAIN,
		.ca = peer->demand.ca,
		.ca_length = peer->demand.ca_length,
	};
	if (candidate && candidate->tlsa_count > 0) {
		question.asks |= ASK_DANE;
		question.tlsa = candidate->tlsa;
		question.tlsa_count = candidate->tlsa_count;
	}
	tls_facts(t->leg.tls, &t->host->facts);
	tls_certificate_names(t->leg.tls, t->host->names, FACTS_CHAIN);
	const struct chain_facts *chain =
		tls_chain(t->leg.tls, t->probe->client, &question, (int64_t)time(NULL));
	if (!chain)
		return;
	t->host->chain = *chain;
	t->host->facts.chain = &t->host->chain;
}

static bool assess(struct talk *t)
{
	struct probe_host *host = t->host;
	const struct candidate *candidate = probe_candidate(t->probe, host);
	host->stage = PROBE_POLICY;
	enum verdict verdict =
		route_judge(&t->probe->route, host->candidate, &host->facts);
	host->verdict = (uint8_t)verdict;
	judge_sts_testing(t->probe->peer, candidate, &host->facts, host->testing);
	if (verdict == VERDICT_PASS)
		return true;
	return fail(t, verdict_code(verdict), "%s", t->probe->route.text);
}

/* ---- the session ---- */

/* It is done without TLS, and the reason is kept. */
static bool in_clear(struct talk *t, const char *why)
{
	snprintf(t->host->no_tls, sizeof(t->host->no_tls), "%s", why);
	t->host->reason[0] = t->host->code[0] = '\0';
	return assess(t);
}

static bool start_tls(struct talk *t)
{
	bool must = t->host->encryption == ENCRYPTION_MUST;
	begin(t, PROBE_STARTTLS, t->probe->config->limits.command_timeout);
	if (!t->host->offered && must)
		return fail(t, "4.7.4", "the mail server does not offer STARTTLS");
	if (t->host->encryption == ENCRYPTION_NONE)
		return in_clear(t, "TLS is not to be tried");
	if (!t->host->offered)
		return in_clear(t, "the mail server does not offer STARTTLS");
	if (!say(t, "STARTTLS", "") || !hear(t))
		return false;
	if (t->reply.code != 220)
		memcpy(t->host->refused, t->host->said, sizeof(t->host->refused));
	if (t->reply.code != 220 && must)
		return fail(t, "4.7.4", "the mail server refuses STARTTLS");
	if (t->reply.code != 220)
		return in_clear(t, "the mail server refuses STARTTLS");
	if (buf_length(&t->in) > 0)
		return fail(t, "4.7.5", "octets behind the answer to STARTTLS");
	if (shake(t)) {
		look(t);
		return assess(t) && hello(t, PROBE_EHLO_AGAIN);
	}
	if (must)
		return false;
	char why[REQUIREMENT_TEXT];
	memcpy(why, t->host->reason, sizeof(why));
	return in_clear(t, why);
}

static bool converse(struct talk *t)
{
	if (!dial(t))
		return false;
	if (!t->probe->implicit)
		return greet(t) && hello(t, PROBE_EHLO) &&
		       ((t->host->offered = t->keywords & SMTP_KW(STARTTLS)), true) &&
		       start_tls(t);
	if (!shake(t))
		return false;
	look(t);
	return assess(t) && greet(t) && hello(t, PROBE_EHLO_AGAIN);
}

/* What comes of it is not waited for. */
static void leave(struct talk *t)
{
	bool tls = t->leg.tls;
	if (t->leg.fd < 0 || t->leg.broken || t->leg.eof)
		return;
	if (tls && t->host->facts.protocol == PROTOCOL_CLEAR)
		return; /* the handshake did not come to its end */
	buf_puts(&t->out, "QUIT\r\n");
	leg_flush(&t->leg, &t->out);
	leg_bye(&t->leg);
	leg_shutdown(&t->leg);
}

bool probe_host(struct probe *probe, struct probe_host *host)
{
	struct talk t = { .probe = probe, .host = host };
	leg_init(&t.leg);
	buf_pool_init(&t.pool, 0);
	buf_init(&t.in, &t.pool);
	buf_init(&t.out, &t.pool);
	bool fine = converse(&t);
	if (fine)
		host->stage = PROBE_COMPLETE;
	/* What it said last is of interest where that was a no. */
	if (fine || t.reply.code < 400)
		host->said[0] = '\0';
	leave(&t);
	leg_close(&t.leg);
	buf_release(&t.in);
	buf_release(&t.out);
	buf_pool_free(&t.pool);
	return fine;
}
