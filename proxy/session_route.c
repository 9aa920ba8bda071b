/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What is demanded and where that leads: asks the policy process, lets the route plan and
 * judge, and brings the dialogue the outcome. Who is asked about is the recipient's
 * domain on the way out, the sender's on the way in, and for a relay the one configured
 * host.
 */

#include "origin.h"
#include "policylink.h"
#include "session_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REFUSED_SECONDS = 30, /* for which a domain's refusal needs no new walk */
};

/* ---- life ---- */

static const uint8_t kinds[] = {
	[ROUTE_INTERCEPT] = ROUTE_KIND_INTERCEPT,
	[ROUTE_SMARTHOST] = ROUTE_KIND_SMARTHOST,
	[ROUTE_RELAY] = ROUTE_KIND_RELAY,
};
static_assert(sizeof(kinds) == ROUTES, "one each");

static bool have_errand(struct session *s)
{
	if (!s->errand)
		s->errand = calloc(1, sizeof(*s->errand));
	if (s->errand)
		s->stream.notes = &s->errand->notes;
	return s->errand;
}

static bool is_backend(const struct session *s)
{
	const struct config_outbound *outbound = s->service->outbound;
	for (unsigned i = 0; i < outbound->backends_count; i++)
		if (network_contains(&outbound->backends[i], &s->client))
			return true;
	return false;
}

const char *session_route_begin(struct session *s)
{
	const struct config_outbound *outbound = s->service->outbound;
	if (!is_backend(s))
		return "Your address is not among the backends of this service";
	if (!have_errand(s))
		return "Out of memory";
	struct route *r = &s->errand->route;
	bool relay = outbound->route == ROUTE_RELAY;
	route_init(r, kinds[outbound->route],
		relay ? outbound->relay.address.port : SMTP_PORT);
	if (outbound->route != ROUTE_INTERCEPT)
		return NULL;
	enum origin_verdict verdict = origin_find(s->near.fd, &r->destination);
	if (verdict == ORIGIN_FINE)
		verdict = origin_check(&r->destination, outbound->allow_private);
	return verdict == ORIGIN_FINE ? NULL : origin_reason(verdict);
}

void session_route_end(struct session *s)
{
	session_ask_no_more(s);
	if (s->errand)
		peer_release(s->errand->route.peer);
	free(s->errand);
}

/* The route speaks of another domain from now on. */
static void set_peer(struct session *s, struct peer *peer)
{
	struct route *r = &s->errand->route;
	if (r->peer == peer) {
		peer_release(peer);
		return;
	}
	if (s->service->outbound && r->peer && strcmp(r->peer->domain, peer->domain) != 0)
		session_log_leg(s);
	peer_release(r->peer);
	r->peer = peer;
	r->count = 0; /* the tries were the old one's, and so was the rule */
	r->rule = -1;
}

/* ---- telling the dialogue ---- */

static void tell(struct session *s, enum dialogue_verdict verdict, const char *refusal)
{
	struct dialogue_io io = stream_io(&s->stream, NULL);
	session_obey(s, dialogue_policy(&s->stream.dialogue, verdict, refusal, &io));
}

static void refuse(struct session *s, const char *domain, const char *refusal)
{
	struct errand *e = s->errand;
	session_log_failure(s, "mail refused", refusal);
	session_count(s, COUNTER_REFUSED, 1);
	snprintf(e->refused, sizeof(e->refused), "%s", domain);
	e->refused_until = domain[0] != '\0' ? clock_steady() + REFUSED_SECONDS : 0;
	tell(s, DIALOGUE_POLICY_REFUSED, refusal);
}

static void unfit(struct session *s, const char *code, const char *reason)
{
	struct dialogue_io io = stream_io(&s->stream, NULL);
	session_obey(s, dialogue_far_unfit(&s->stream.dialogue, code, reason, &io));
}

/* ---- facts of the legs ---- */

/* Without memory for the chain nothing that needs it passes. */
static struct facts leg_facts(struct session *s, struct leg *leg, const struct peer *peer,
	const struct candidate *c)
{
	unsigned asks = judge_asks(peer, c);
	struct facts facts = { .protocol = PROTOCOL_CLEAR };
	if (!leg->tls)
		return facts;
	const struct tls_chain_question question = {
		.asks = asks,
		.ca = peer->demand.ca,
		.ca_length = peer->demand.ca_length,
		.tlsa = c ? c->tlsa : NULL,
		.tlsa_count = c ? c->tlsa_count : 0,
		.client = leg == &s->near,
	};
	tls_facts(leg->tls, &facts);
	if (asks != 0)
		facts.chain = tls_chain(leg->tls, s->service->setup->client, &question,
			(int64_t)ev_now(s->worker->loop));
	return facts;
}

/* ---- outbound: each recipient ---- */

/* Whom the dialogue speaks of where something goes wrong later. */
static void take_note(struct session *s)
{
	char host[ROUTE_HOST];
	const struct route *r = &s->errand->route;
	snprintf(s->errand->notes.about, sizeof(s->errand->notes.about),
		"%.100s via %.149s:", r->peer->domain, route_host(r, host));
}

static void demand(struct session *s)
{
	static const uint8_t demands[] = {
		[ENCRYPTION_NONE] = DIALOGUE_FAR_CLEAR,
		[ENCRYPTION_MAY] = DIALOGUE_FAR_MAY,
		[ENCRYPTION_MUST] = DIALOGUE_FAR_ENCRYPT,
	};
	const struct route *r = &s->errand->route;
	enum encryption encryption = route_encryption(r);
	struct address address = route_address(r);
	s->errand->clear = encryption == ENCRYPTION_NONE ? "not-tried" : "not-offered";
	if (encryption == ENCRYPTION_MAY && fallback_known(&s->worker->fallback, &address,
						    route_sni(r), clock_steady())) {
		encryption = ENCRYPTION_NONE;
		s->errand->clear = "failed-before";
	}
	dialogue_demand(&s->stream.dialogue, demands[encryption]);
	s->errand->notes.said[0] = '\0';
	take_note(s);
}

/* The leg that is up is this peer's from now on. */
static void take_over(
	struct session *s, struct peer *peer, int rule, const struct facts *facts)
{
	set_peer(s, peer);
	route_judge(&s->errand->route, rule, facts);
	session_log_testing(s, facts);
	take_note(s);
}

/*
 * Whether the leg that is up does for this peer; its route is the peer's then. It is
 * judged each time: what was granted before was granted to another domain, by files that
 * may have changed, or until a date that may be over.
 */
static bool leg_serves(
	struct session *s, struct peer *peer, char reason[REQUIREMENT_TEXT])
{
	struct route *r = &s->errand->route;
	int8_t rules[ROUTE_RULES];
	reason[0] = '\0';
	if (!s->stream.dialogue.far_ready || !r->peer)
		return false;
	unsigned count = route_rules(r, peer, rules);
	for (unsigned i = 0; i < count; i++) {
		const struct candidate *c = route_candidate(peer, rules[i]);
		struct facts facts = leg_facts(s, &s->far, peer, c);
		if (judge(peer, c, &facts, reason) != VERDICT_PASS)
			continue;
		take_over(s, peer, rules[i], &facts);
		return true;
	}
	return false;
}

static void decide_outbound(struct session *s, struct peer *peer)
{
	struct route *r = &s->errand->route;
	const struct dialogue *d = &s->stream.dialogue;
	char reason[REQUIREMENT_TEXT];
	const char *refusal = route_refuses(r, peer);
	/* MAIL has gone to a leg that cannot be left: not for a recipient either. */
	bool taken = d->recipients > 0 || d->fifo_count > 0 ||
		     buf_length(&s->stream.held) == 0;
	if (!refusal && leg_serves(s, peer, reason)) {
		tell(s, DIALOGUE_POLICY_SERVED, NULL);
		return;
	}
	if (!refusal && taken)
		refusal = route_other_domain(r, peer, reason);
	if (refusal) {
		char domain[REQUIREMENT_NAME];
		memcpy(domain, taken ? "" : peer->domain, taken ? 1 : sizeof(domain));
		peer_release(peer);
		refuse(s, domain, refusal);
		return;
	}
	set_peer(s, peer);
	const struct buf *said = &s->stream.far_in;
	if (dialogue_far_waits(d))
		route_greeted(r, (const char *)buf_head(said), buf_length(said));
	s->worker->random = s->worker->random * 1664525u + 1013904223u;
	s->errand->refused_until = 0; /* its reply may be overwritten now */
	if (!route_plan(r, peer, s->worker->random)) {
		refuse(s, peer->domain, route_refusal(r));
		return;
	}
	demand(s);
	bool waits = dialogue_far_waits(d);
	tell(s, waits ? DIALOGUE_POLICY_SERVED : DIALOGUE_POLICY_OPEN, NULL);
}

void session_next_far(struct session *s)
{
	struct errand *e = s->errand;
	struct route *r = &e->route;
	const struct dialogue *d = &s->stream.dialogue;
	char host[ROUTE_HOST], what[ROUTE_HOST + 20];
	snprintf(what, sizeof(what), "cannot use %s", route_host(r, host));
	bool more = route_failed(r, d->unfit, d->reason, e->notes.said);
	session_log_failure(s, what, r->text);
	if (more && clock_steady() < e->deadline) {
		demand(s);
		tell(s, DIALOGUE_POLICY_OPEN, NULL);
		return;
	}
	refuse(s, r->peer->domain, route_refusal(r));
}

/* ---- relay ---- */

bool session_relay_known(struct session *s)
{
	const struct config_endpoint *relay = &s->service->outbound->relay;
	struct route *r = &s->errand->route;
	char literal[ADDRESS_TEXT + 8], address[ADDRESS_TEXT];
	if (r->kind != ROUTE_KIND_RELAY || r->peer)
		return true;
	snprintf(literal, sizeof(literal), "[%s%s]",
		relay->address.family == AF_INET6 ? "IPv6:" : "",
		address_host(&relay->address, address));
	struct peer *peer = policylink_ask(s->worker->policy, DIRECTION_HOST,
		relay->host ? relay->host : literal, s);
	s->asking = !peer;
	if (peer)
		session_answered(s, peer);
	return false;
}

static void decide_relay(struct session *s, struct peer *peer)
{
	struct route *r = &s->errand->route;
	const char *refusal = route_refuses(r, peer);
	if (refusal) {
		/* Its code is not for a session that has not begun. */
		snprintf(r->text, sizeof(r->text), "%s", refusal);
		peer_release(peer);
		session_far_lost(s, "cannot use the relay", r->text);
		return;
	}
	set_peer(s, peer);
	if (!route_plan(r, peer, s->worker->random)) {
		session_far_lost(s, "cannot use the relay", r->text);
		return;
	}
	demand(s);
	session_far_open(s);
}

/* ---- inbound: each sender ---- */

/*
 * A client that was not asked for its certificate may have one: its session is older than
 * the demand. Nor is it at fault where we have no memory to look.
 */
static bool could_not_show(const struct session *s, const struct facts *facts)
{
	return s->near.tls && (!tls_asked(s->near.tls) || !facts->chain);
}

static const char *judge_sender(struct session *s, const struct peer *peer)
{
	struct route *r = &s->errand->route;
	char reason[REQUIREMENT_TEXT];
	struct facts facts = leg_facts(s, &s->near, peer, NULL);
	enum verdict verdict = judge(peer, NULL, &facts, reason);
	if (verdict == VERDICT_NO_CERTIFICATE && could_not_show(s, &facts)) {
		verdict = VERDICT_NOT_AVAILABLE;
		snprintf(reason, sizeof(reason),
			"no certificate was asked for in this session: try another");
	}
	r->verdict = (uint8_t)verdict;
	return verdict == VERDICT_PASS ? NULL
				       : route_refuses_sender(r, peer, verdict, reason);
}

static void decide_inbound(struct session *s, struct peer *peer)
{
	struct route *r = &s->errand->route;
	const char *refusal = route_refuses(r, peer);
	if (!refusal)
		refusal = judge_sender(s, peer);
	set_peer(s, peer);
	if (refusal) {
		session_log_failure(s, "mail refused", refusal);
		session_count(s, COUNTER_REFUSED, 1);
	}
	tell(s, refusal ? DIALOGUE_POLICY_REFUSED : DIALOGUE_POLICY_SERVED, refusal);
}

/* ---- asking ---- */

void session_answered(struct session *s, struct peer *peer)
{
	s->asking = false;
	if (dialogue_closed(&s->stream.dialogue)) {
		peer_release(peer);
		return;
	}
	if (s->service->inbound)
		decide_inbound(s, peer);
	else if (s->errand->route.kind == ROUTE_KIND_RELAY)
		decide_relay(s, peer);
	else
		decide_outbound(s, peer);
}

void session_ask_no_more(struct session *s)
{
	if (s->asking)
		policylink_cancel(s->worker->policy, s);
	s->asking = false;
}

void session_ask_late(struct session *s)
{
	struct errand *e = s->errand;
	session_ask_no_more(s);
	if (s->waiting == DIALOGUE_WAIT_POLICY)
		refuse(s, "", route_silent(&e->route, e->asked));
	else
		session_far_lost(
			s, "cannot use the relay", "no answer about its address");
}

void session_ask(struct session *s)
{
	bool out = s->service->outbound;
	session_ask_no_more(s);
	if (!have_errand(s)) {
		tell(s, DIALOGUE_POLICY_REFUSED, "451 4.3.0 Out of memory");
		return;
	}
	struct errand *e = s->errand;
	if (!domain_normalise(s->stream.dialogue.asked, e->asked)) {
		tell(s, DIALOGUE_POLICY_REFUSED, "501 5.1.3 The domain cannot be read");
		return;
	}
	e->deadline = clock_steady() + session_config(s)->limits.rcpt_budget;
	if (out && strcmp(e->asked, e->refused) == 0 &&
		clock_steady() < e->refused_until) {
		session_count(s, COUNTER_REFUSED, 1);
		tell(s, DIALOGUE_POLICY_REFUSED, e->route.reply);
		return;
	}
	struct peer *peer = policylink_ask(s->worker->policy,
		out ? DIRECTION_OUTBOUND : DIRECTION_INBOUND, e->asked, s);
	s->asking = !peer;
	if (peer)
		session_answered(s, peer);
}

/* ---- the leg in hand ---- */

struct tls_target session_route_target(const struct session *s)
{
	static const enum tls_protocols protocols[] = {
		[PROTOCOLS_TLS_1_2] = TLS_PROTOCOLS_1_2,
		[PROTOCOLS_TLS_1_3] = TLS_PROTOCOLS_1_3,
		[PROTOCOLS_LEGACY] = TLS_PROTOCOLS_LEGACY,
	};
	const struct route *r = &s->errand->route;
	return (struct tls_target){
		.name = route_sni(r),
		.protocols = protocols[r->peer->demand.protocols],
		.identity = r->peer->demand.identity,
		.ticket = route_ticket(r),
	};
}

bool session_route_judge(struct session *s)
{
	struct route *r = &s->errand->route;
	int8_t rules[ROUTE_RULES];
	unsigned count = route_rules(r, r->peer, rules);
	for (unsigned i = 0; i < count; i++) {
		const struct candidate *c = route_candidate(r->peer, rules[i]);
		struct facts facts = leg_facts(s, &s->far, r->peer, c);
		if (route_judge(r, rules[i], &facts) != VERDICT_PASS)
			continue;
		session_log_testing(s, &facts);
		return true;
	}
	unfit(s, verdict_code((enum verdict)r->verdict), r->text);
	return false;
}

bool session_route_identified(const struct session *s)
{
	const struct route *r = s->errand ? &s->errand->route : NULL;
	return r && s->service->outbound && r->peer && r->verdict == VERDICT_PASS &&
	       judge_identifies(r->peer, route_candidate(r->peer, r->rule));
}

void session_route_closed(struct session *s)
{
	const struct dialogue *d = &s->stream.dialogue;
	bool relay = s->errand && s->errand->route.kind == ROUTE_KIND_RELAY;
	if (relay && d->unfit[0] != '\0')
		route_failed(
			&s->errand->route, d->unfit, d->reason, s->errand->notes.said);
}

void session_route_in_clear(struct session *s)
{
	if (!s->errand)
		return;
	const struct route *r = &s->errand->route;
	struct address address = route_address(r);
	char host[ROUTE_HOST], what[ROUTE_HOST + 40];
	fallback_note(&s->worker->fallback, &address, route_sni(r), clock_steady());
	snprintf(what, sizeof(what), "no TLS with %s, going on in clear",
		route_host(r, host));
	session_log_failure(s, what, s->stream.dialogue.reason);
}
