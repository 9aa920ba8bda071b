/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What a session tells: its trace (for Received and XCLIENT) and its log lines. */

#include "session_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct trace session_trace(const struct session *s)
{
	bool tls = s->near.tls && !s->near_shaking;
	return (struct trace){
		.hostname = session_config(s)->hostname,
		.client = &s->client,
		.server = &s->server,
		.id = s->id,
		.tls = tls ? tls_version(s->near.tls) : NULL,
		.cipher = tls ? tls_cipher(s->near.tls) : NULL,
		.when = (time_t)ev_now(s->worker->loop),
	};
}

const char session_far_ended[] = "the connection to the mail server was lost";

enum { FAR_FIELDS = 2 };

static const char *leg_text(const struct leg *leg, bool tls_up, char text[LEG_TEXT])
{
	if (!tls_up || !leg->tls)
		return "clear";
	struct facts facts;
	tls_facts(leg->tls, &facts);
	snprintf(text, LEG_TEXT, "%s/%s%s", facts.version, facts.cipher,
		facts.resumed ? "/resumed" : "");
	return text;
}

void session_log_note(struct session *s, bool tls)
{
	struct errand *e = s->errand;
	char text[LEG_TEXT];
	if (!e || !s->service->outbound || !log_wants(LOG_LEVEL_INFO))
		return;
	snprintf(e->far, sizeof(e->far), "%s", leg_text(&s->far, tls, text));
	e->in_clear = s->stream.dialogue.far_clear ? "failed" : e->clear;
	if (tls)
		e->in_clear = NULL;
}

/* Of messages that the log has not heard of; else as it is now. */
static void far_fields(
	const struct session *s, struct log_field fields[FAR_FIELDS], char text[LEG_TEXT])
{
	const struct errand *e = s->errand;
	const struct dialogue *d = &s->stream.dialogue;
	bool noted = e && e->far[0] != '\0' && d->transactions > e->told;
	const char *far = noted ? e->far : leg_text(&s->far, d->far_tls, text);
	const struct log_field all[FAR_FIELDS] = {
		{ "far", far },
		{ "in-clear", noted ? e->in_clear : NULL },
	};
	memcpy(fields, all, sizeof(all));
}

static const char *path_text(const char *path, bool known, char *text, size_t size)
{
	if (!known)
		return NULL;
	snprintf(text, size, "<%s>", path);
	return text;
}

enum { ROUTE_FIELDS = 7 };

/* What the host's TLSA records made of its certificate; NULL where it has none. */
static const char *dane_text(const struct route *r, const struct candidate *c)
{
	static const char *const matches[] = {
		[DANE_MATCH_NOT_ASKED] = "not-asked",
		[DANE_MATCH_NONE] = "none",
		[DANE_MATCH_EE] = "EE",
		[DANE_MATCH_TA] = "TA",
	};
	switch (judge_dane_state(r->peer, c)) {
	case DANE_USABLE: return matches[r->dane];
	case DANE_UNUSABLE: return "unusable";
	case DANE_FAILED: return "failed";
	default: return NULL;
	}
}

static const char *sts_text(const struct route *r, const struct candidate *c)
{
	enum sts_mode mode = judge_sts_mode(r->peer, c);
	return mode == STS_NONE ? NULL : sts_mode_name(mode);
}

static const char *verdict_text(const struct route *r)
{
	if (r->verdict == ROUTE_NOT_JUDGED)
		return "none";
	return verdict_name((enum verdict)r->verdict);
}

/* What was demanded, where that led, and how it was judged; all NULL where nobody asked,
 * and all but the domain where nobody knew. */
static void route_fields(const struct session *s, struct log_field fields[ROUTE_FIELDS],
	char host[ROUTE_HOST])
{
	const struct route *r = s->errand ? &s->errand->route : NULL;
	const struct peer *peer = r ? r->peer : NULL;
	bool out = s->service->outbound;
	const char *chain = peer && out ? chain_verdict_name(r->chain) : NULL;
	const struct candidate *c = peer ? route_candidate(peer, r->rule) : NULL;
	const char *asked = out && r && s->errand->asked[0] ? s->errand->asked : NULL;
	const struct log_field all[ROUTE_FIELDS] = {
		{ "domain", peer ? peer->domain : asked },
		{ "level", peer ? level_name((enum level)peer->demand.level) : NULL },
		{ "host", peer && out ? route_host(r, host) : NULL },
		{ "chain", chain },
		{ "dane", peer && out ? dane_text(r, c) : NULL },
		{ "mta-sts", peer && out ? sts_text(r, c) : NULL },
		{ "verdict", peer ? verdict_text(r) : NULL },
	};
	memcpy(fields, all, sizeof(all));
}

void session_log_testing(struct session *s, const struct facts *facts)
{
	const struct route *r = &s->errand->route;
	char host[ROUTE_HOST], what[ROUTE_HOST + 80], reason[REQUIREMENT_TEXT];
	const struct candidate *c = route_candidate(r->peer, r->rule);
	if (judge_sts_testing(r->peer, c, facts, reason) == VERDICT_PASS)
		return;
	snprintf(what, sizeof(what), "MTA-STS, which is only tested, would refuse %s",
		route_host(r, host));
	session_log_failure(s, what, reason);
}

/* In clear there was nothing to judge but that clear is allowed. */
static void judge_clear(struct session *s)
{
	const struct facts clear = { .protocol = PROTOCOL_CLEAR };
	struct route *r = s->errand ? &s->errand->route : NULL;
	bool ready = s->service->outbound && s->stream.dialogue.far_ready;
	int8_t rules[ROUTE_RULES];
	if (!r || !r->peer || !ready || r->verdict != ROUTE_NOT_JUDGED ||
		route_rules(r, r->peer, rules) == 0)
		return;
	route_judge(r, rules[0], &clear);
	session_log_testing(s, &clear);
}

void session_log_leg(struct session *s)
{
	struct errand *e = s->errand;
	const struct dialogue *d = &s->stream.dialogue;
	uint32_t count = d->transactions - e->told;
	if (count > 0 && e->route.peer && log_wants(LOG_LEVEL_INFO)) {
		char id[TRACE_ID], far[LEG_TEXT], host[ROUTE_HOST], number[32];
		snprintf(number, sizeof(number), "%" PRIu32, count);
		struct log_field fields[5 + ROUTE_FIELDS] = {
			{ "session", trace_id(s->id, id) },
			{ "service", s->service->name },
			[4] = { "transactions", number },
		};
		far_fields(s, fields + 2, far);
		route_fields(s, fields + 5, host);
		log_fields(LOG_LEVEL_INFO, "leg done", fields, 5 + ROUTE_FIELDS);
	}
	e->told = d->transactions;
}

/* Why the session ended; else why it refused mail last. */
static const char *end_reason(const struct session *s)
{
	const struct dialogue *d = &s->stream.dialogue;
	if (d->reason && d->reason[0])
		return d->reason;
	return s->errand && s->errand->route.reply[0] ? s->errand->route.reply : NULL;
}

void session_log_end(struct session *s)
{
	const struct dialogue *d = &s->stream.dialogue;
	if (!log_wants(LOG_LEVEL_INFO))
		return;
	char id[TRACE_ID], client[ADDRESS_TEXT], near[LEG_TEXT], number[3][32];
	char host[ROUTE_HOST], far_text[LEG_TEXT];
	struct log_field route[ROUTE_FIELDS], far[FAR_FIELDS];
	route_fields(s, route, host);
	far_fields(s, far, far_text);
	char from[DIALOGUE_PATH + 2], to[DIALOGUE_PATH + 2];
	snprintf(number[0], sizeof(number[0]), "%" PRIu32, d->transactions);
	snprintf(number[1], sizeof(number[1]), "%" PRIu64, s->stream.octets);
	snprintf(number[2], sizeof(number[2]), "%.3f", clock_steady() - s->started);
	bool mailed = d->to[0] != '\0' || d->from[0] != '\0';
	const struct log_field fields[] = {
		{ "session", trace_id(s->id, id) },
		{ "service", s->service->name },
		{ "client", address_text(&s->client, client) },
		{ "helo", d->helo[0] ? d->helo : NULL },
		{ "near", leg_text(&s->near, d->near_tls, near) },
		far[0],
		far[1],
		{ "transactions", number[0] },
		{ "from", path_text(d->from, mailed, from, sizeof(from)) },
		{ "to", path_text(d->to, d->to[0] != '\0', to, sizeof(to)) },
		route[0],
		route[1],
		route[2],
		route[3],
		route[4],
		route[5],
		route[6],
		{ "repaired", s->stream.repaired ? "yes" : NULL },
		{ "reason", end_reason(s) },
		{ "bytes", number[1] },
		{ "seconds", number[2] },
		{ "end", dialogue_end_name(d->end) },
	};
	log_fields(LOG_LEVEL_INFO, NULL, fields, sizeof(fields) / sizeof(*fields));
}

void session_warn_of_duplicate(struct session *s)
{
	if (dialogue_awaits_verdict(&s->stream.dialogue) || s->stream.verdict_lost)
		session_log_failure(
			s, "no answer to a whole message: it may come twice", NULL);
	s->stream.verdict_lost = false;
}

void session_log_run(struct session *s, enum dialogue_want want)
{
	struct stream *stream = &s->stream;
	const struct dialogue *d = &stream->dialogue;
	judge_clear(s);
	bool lost = d->reason == session_far_ended; /* that has had its line */
	if (stream->verdict_lost)
		session_warn_of_duplicate(s);
	if (d->dsn_lost)
		session_log_failure(s, "delivery notices cannot be asked for",
			"the next server has no DSN");
	stream->dialogue.dsn_lost = false;
	if (stream->fault != BODY_FINE)
		session_log_failure(s, "message refused", body_fault_name(stream->fault));
	stream->fault = BODY_FINE;
	if (want == DIALOGUE_CLOSE && !lost &&
		(d->end == DIALOGUE_END_ABUSE || d->end == DIALOGUE_END_SERVER))
		session_log_failure(s, "session ended", d->reason);
}

void session_log_failure(struct session *s, const char *what, const char *why)
{
	char id[TRACE_ID], client[ADDRESS_TEXT];
	const struct log_field fields[] = {
		{ "session", trace_id(s->id, id) },
		{ "service", s->service->name },
		{ "client", address_text(&s->client, client) },
		{ "reason", why && why[0] ? why : NULL },
	};
	log_fields(LOG_LEVEL_WARNING, what, fields, sizeof(fields) / sizeof(*fields));
}
