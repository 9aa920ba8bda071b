/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "route.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	DETAIL = 200, /* octets of a reason that a reply has room for */
};

void route_init(struct route *r, enum route_kind kind, in_port_t port)
{
	*r = (struct route){ .kind = (uint8_t)kind,
		.port = port,
		.verdict = ROUTE_NOT_JUDGED,
		.rule = -1 };
}

/* ---- words ---- */

/* What others have sent us must not break our reply line, nor reach a terminal. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

const char *route_host(const struct route *r, char text[ROUTE_HOST])
{
	char address[ADDRESS_TEXT];
	snprintf(text, ROUTE_HOST, "%s[%s]", r->host, address_host(&r->address, address));
	return text;
}

/* Where a client that hears 421 goes to its next host: it has walked to this one. */
static const char *later(const struct route *r)
{
	return r->kind == ROUTE_KIND_SMARTHOST ? "451" : "421";
}

static const char *refuse(
	struct route *r, const char *code, const char *status, const char *text)
{
	int n = snprintf(r->reply, sizeof(r->reply), "%s %s ", code, status);
	snprintf(r->reply + n, sizeof(r->reply) - (size_t)n, "%s", text);
	make_printable(r->reply);
	return r->reply;
}

/* The same fact for good: "4.7.5" is "5.7.5". */
static const char *bounce(struct route *r, const char *status, const char *text)
{
	char permanent[16];
	snprintf(permanent, sizeof(permanent), "5%s", status + 1);
	return refuse(r, "550", permanent, text);
}

/* ---- before there is a leg ---- */

static const struct {
	const char *code, *status;
	bool dns; /* an intercepted destination may do without */
} refusals[] = {
	[PEER_FINE] = { NULL, NULL, false },
	[PEER_UNAVAILABLE] = { "451", "4.3.0", false },
	[PEER_BROKEN] = { "451", "4.3.5", false },
	[PEER_DNS_FAILED] = { "451", "4.4.3", true },
	[PEER_NO_DOMAIN] = { "550", "5.1.2", true },
	[PEER_NULL_MX] = { "556", "5.1.10", false },
	[PEER_INVALID] = { "501", "5.1.3", false },
};
static_assert(sizeof(refusals) / sizeof(*refusals) == PEER_STATUSES, "one each");

static const char *refuse_status(struct route *r, const struct peer *peer)
{
	bool intercept = r->kind == ROUTE_KIND_INTERCEPT;
	if (peer->status == PEER_FINE && peer->domain[0] == '\0' && !intercept)
		return refuse(r, "501", "5.1.3", "A recipient without a domain");
	if (peer->status == PEER_FINE)
		return NULL;
	if (intercept && refusals[peer->status].dns && !judge_needs_candidates(peer))
		return NULL;
	/* The client's own DNS has found a host: who is right may be seen later. */
	if (peer->status == PEER_NO_DOMAIN && r->kind != ROUTE_KIND_SMARTHOST)
		return refuse(r, "451", "4.4.3", peer->text);
	return refuse(r, refusals[peer->status].code, refusals[peer->status].status,
		peer->text);
}

const char *route_refuses(struct route *r, const struct peer *peer)
{
	char reason[REQUIREMENT_TEXT];
	const char *refusal = refuse_status(r, peer);
	if (refusal)
		return refusal;
	enum verdict verdict = judge_before(peer, reason);
	if (verdict == VERDICT_PASS)
		return NULL;
	r->verdict = (uint8_t)verdict;
	const char *status = verdict_code(verdict);
	/* What we were told not to ask for (dane = no) is not what the peer lacks. */
	if (peer->demand.bounce && verdict != VERDICT_NOT_AVAILABLE)
		return bounce(r, status, reason);
	return refuse(r, "451", status, reason);
}

/* ---- planning ---- */

static struct address address_of(const struct peer_address *a, in_port_t port)
{
	struct address address = {
		.family = a->family == FAMILY_IPV4 ? AF_INET : AF_INET6, .port = port
	};
	memcpy(address.octets, a->octets, a->family == FAMILY_IPV4 ? 4 : 16);
	return address;
}

static bool has_address(const struct candidate *c, const struct address *address)
{
	for (unsigned i = 0; i < c->address_count; i++) {
		struct address other = address_of(&c->addresses[i], 0);
		if (address_same_host(&other, address))
			return true;
	}
	return false;
}

static bool is_listed(const struct peer *peer, const struct address *address)
{
	for (unsigned i = 0; i < peer->candidate_count; i++)
		if (has_address(&peer->candidates[i], address))
			return true;
	return false;
}

/*
 * Whether this candidate's rule may be used for a leg to the route's address. Where that
 * is no address of the domain's, and some of its hosts have DANE, whoever led the backend
 * there must not choose the rule of one that has none.
 */
static bool may_lend(const struct route *r, const struct peer *peer,
	const struct candidate *c, bool listed)
{
	if (r->kind != ROUTE_KIND_INTERCEPT || listed)
		return has_address(c, &r->address);
	return judge_dane_state(peer, NULL) != DANE_FAILED ||
	       judge_dane_state(peer, c) == DANE_USABLE;
}

static void add(struct route *r, int candidate, unsigned address)
{
	if (r->count >= ROUTE_TRIES)
		return;
	r->tries[r->count].candidate = (int8_t)candidate;
	r->tries[r->count++].address = (uint8_t)address;
}

/* A host that is no good whatever it says is not even called. */
static bool believed(struct route *r, const struct candidate *c)
{
	struct facts facts = { .protocol = PROTOCOL_CLEAR };
	char reason[REQUIREMENT_TEXT];
	enum verdict verdict = judge(r->peer, c, &facts, reason);
	if (verdict != VERDICT_MX && verdict != VERDICT_DNS && verdict != VERDICT_DANE &&
		verdict != VERDICT_STS)
		return true;
	r->verdict = (uint8_t)verdict;
	snprintf(r->status, sizeof(r->status), "%s", verdict_code(verdict));
	memcpy(r->text, reason, sizeof(r->text));
	return false;
}

/* The candidates by preference, equal ones in an order that chance decides. */
static unsigned in_order(
	const struct peer *peer, uint32_t random, uint8_t order[REQUIREMENT_CANDIDATES])
{
	unsigned count = peer->candidate_count;
	for (unsigned i = 0; i < count; i++) {
		unsigned low = i, j = i;
		uint16_t preference = peer->candidates[i].preference;
		while (low > 0 &&
			peer->candidates[order[low - 1]].preference > preference)
			low--;
		for (; j > low; j--)
			order[j] = order[j - 1];
		order[low] = (uint8_t)i;
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned equal = 1;
		while (i + equal < count &&
			peer->candidates[order[i + equal]].preference ==
				peer->candidates[order[i]].preference)
			equal++;
		random = random * 1664525u + 1013904223u;
		unsigned chosen = i + (random >> 16) % equal;
		uint8_t swapped = order[i];
		order[i] = order[chosen];
		order[chosen] = swapped;
	}
	return count;
}

static void plan_walk(struct route *r, const uint8_t *order, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct candidate *c = &r->peer->candidates[order[i]];
		if (!believed(r, c))
			continue;
		for (unsigned a = 0; a < c->address_count && a < ROUTE_TRIES_EACH; a++)
			add(r, order[i], a);
	}
}

void route_greeted(struct route *r, const char *said, size_t length)
{
	size_t start = 4, end = start; /* behind "220 " or "220-" */
	while (end < length && said[end] > ' ' && end - start < REQUIREMENT_NAME - 1)
		end++;
	int n = end > start ? (int)(end - start) : 0;
	snprintf(r->greeted, sizeof(r->greeted), "%.*s", n, n > 0 ? said + start : "");
}

/* How likely it is that an intercepted host bears this candidate's name: 0 is first. */
static unsigned rank(const struct route *r, const struct candidate *c)
{
	if (has_address(c, &r->destination))
		return 0;
	return strcasecmp(c->name, r->greeted) == 0 ? 1 : 2;
}

/* One address; whose names it may bear. */
static void plan_intercept(struct route *r, const uint8_t *order, unsigned count)
{
	bool listed = is_listed(r->peer, &r->destination);
	for (unsigned pass = 0; pass < 3; pass++)
		for (unsigned i = 0; i < count; i++) {
			const struct candidate *c = &r->peer->candidates[order[i]];
			if (rank(r, c) == pass && may_lend(r, r->peer, c, listed) &&
				believed(r, c))
				add(r, order[i], 0);
		}
	if (!listed && r->count == 0 && believed(r, NULL))
		add(r, -1, 0);
	if (r->count > ROUTE_TRIES_INTERCEPT)
		r->count = ROUTE_TRIES_INTERCEPT;
}

/* The try in hand becomes the leg that is spoken of. */
static void take_up(struct route *r)
{
	r->address = route_address(r);
	r->rule = r->tries[r->at].candidate;
	snprintf(r->host, sizeof(r->host), "%s", route_name(r));
}

static void forget_verdict(struct route *r)
{
	r->verdict = ROUTE_NOT_JUDGED;
	r->chain = CHAIN_NOT_ASKED;
	r->dane = DANE_MATCH_NOT_ASKED;
	r->rule = -1;
}

bool route_plan(struct route *r, struct peer *peer, uint32_t random)
{
	uint8_t order[REQUIREMENT_CANDIDATES];
	r->peer = peer;
	r->count = r->at = 0;
	/* What DNS does not tell now it may tell soon. */
	r->may_pass = false;
	for (unsigned i = 0; i < peer->candidate_count; i++)
		r->may_pass |=
			judge_dane_state(peer, &peer->candidates[i]) == DANE_FAILED;
	forget_verdict(r);
	r->text[0] = r->host[0] = r->status[0] = '\0';
	r->address = r->destination;
	unsigned count = in_order(peer, random, order);
	if (r->kind == ROUTE_KIND_INTERCEPT)
		plan_intercept(r, order, count);
	else
		plan_walk(r, order, count);
	if (r->count == 0)
		return false;
	forget_verdict(r);
	r->text[0] = r->status[0] = '\0';
	take_up(r);
	return true;
}

/* ---- the try in hand ---- */

const struct candidate *route_candidate(const struct peer *peer, int rule)
{
	return rule < 0 ? NULL : &peer->candidates[rule];
}

static const struct candidate *tried(const struct route *r)
{
	return route_candidate(r->peer, r->count > 0 ? r->tries[r->at].candidate : -1);
}

struct address route_address(const struct route *r)
{
	const struct candidate *c = tried(r);
	if (r->kind == ROUTE_KIND_INTERCEPT || !c)
		return r->destination;
	return address_of(&c->addresses[r->tries[r->at].address], r->port);
}

const char *route_name(const struct route *r)
{
	const struct candidate *c = tried(r);
	return c ? c->name : "";
}

const char *route_sni(const struct route *r)
{
	const struct candidate *c = tried(r);
	bool dane = c && judge_dane_state(r->peer, c) == DANE_USABLE;
	return dane ? c->tlsa_base : route_name(r);
}

enum encryption route_encryption(const struct route *r)
{
	/* A relay gets our users' passwords and all their mail: never in clear. */
	if (r->kind == ROUTE_KIND_RELAY)
		return ENCRYPTION_MUST;
	return judge_encryption(r->peer, tried(r));
}

/* ---- judging ---- */

unsigned route_rules(
	const struct route *r, const struct peer *peer, int8_t rules[ROUTE_RULES])
{
	bool listed = is_listed(peer, &r->address);
	bool trying = r->peer == peer && r->count > 0;
	int first = trying ? r->tries[r->at].candidate : -1;
	unsigned count = 0;
	if (trying)
		rules[count++] = (int8_t)first;
	if (trying && r->kind != ROUTE_KIND_INTERCEPT)
		return count;
	for (int i = 0; i < peer->candidate_count; i++)
		if (i != first && may_lend(r, peer, &peer->candidates[i], listed))
			rules[count++] = (int8_t)i;
	if (r->kind == ROUTE_KIND_INTERCEPT && !listed && !(trying && first < 0))
		rules[count++] = -1;
	return count;
}

enum verdict route_judge(struct route *r, int rule, const struct facts *facts)
{
	char reason[REQUIREMENT_TEXT];
	const struct peer *peer = r->peer;
	bool own = peer->demand.ca_length > 0;
	enum verdict verdict = judge(peer, route_candidate(peer, rule), facts, reason);
	if (verdict != VERDICT_PASS && r->verdict != ROUTE_NOT_JUDGED)
		return verdict;
	memcpy(r->text, reason, sizeof(r->text));
	r->verdict = (uint8_t)verdict;
	r->rule = (int8_t)rule;
	r->chain = CHAIN_NOT_ASKED;
	r->dane = DANE_MATCH_NOT_ASKED;
	if (facts->chain) {
		r->chain = own ? facts->chain->own_chain : facts->chain->public_chain;
		r->dane = facts->chain->dane;
	}
	return verdict;
}

/* ---- tickets ---- */

/* FNV-1a. A collision costs nothing: a resumed session is judged like any other. */
static uint64_t mix(uint64_t hash, const void *octets, size_t size)
{
	const uint8_t *at = octets;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * UINT64_C(1099511628211);
	return hash;
}

static uint64_t mix_records(uint64_t hash, const struct candidate *c)
{
	for (unsigned i = 0; c && i < c->tlsa_count; i++) {
		const struct tlsa *t = &c->tlsa[i];
		const uint8_t kind[] = { t->usage, t->selector, t->matching };
		hash = mix(hash, kind, sizeof(kind));
		hash = mix(hash, &t->length, sizeof(t->length));
		hash = mix(hash, t->octets, t->length);
	}
	return hash;
}

static bool asks_anything(const struct route *r)
{
	int8_t rules[ROUTE_RULES];
	unsigned count = route_rules(r, r->peer, rules), asks = 0;
	for (unsigned i = 0; i < count; i++)
		asks |= judge_asks(r->peer, route_candidate(r->peer, rules[i]));
	return asks != 0;
}

/* What is demanded, where anything is; hosters' names serve many domains that ask
 * nothing. */
static uint64_t mix_demand(uint64_t hash, const struct route *r)
{
	const struct peer *peer = r->peer;
	const uint8_t kind[] = { peer->demand.level, peer->demand.protocols };
	hash = mix(hash, kind, sizeof(kind));
	hash = mix(hash, peer->demand.identity, strlen(peer->demand.identity) + 1);
	if (!asks_anything(r))
		return hash;
	hash = mix_records(hash, tried(r));
	hash = mix(hash, peer->domain, strlen(peer->domain) + 1);
	return mix(hash, &peer->generation, sizeof(peer->generation));
}

uint64_t route_ticket(const struct route *r)
{
	struct address address = route_address(r);
	const char *name = route_sni(r);
	uint64_t hash = mix_demand(UINT64_C(14695981039346656037), r);
	hash = mix(hash, address.octets, sizeof(address.octets));
	hash = mix(hash, &address.port, sizeof(address.port));
	hash = mix(hash, name, strlen(name) + 1);
	return hash != 0 ? hash : 1;
}

/* ---- failing ---- */

bool route_failed(struct route *r, const char *code, const char *reason, const char *said)
{
	char detail[DETAIL];
	snprintf(detail, sizeof(detail), "%s", reason);
	snprintf(r->text, sizeof(r->text), "%s%s%.160s%s", detail,
		said[0] ? " (it said: " : "", said, said[0] ? ")" : "");
	make_printable(r->text);
	snprintf(r->status, sizeof(r->status), "%s", code);
	/* But for a host that has no TLS, what was not judged may be so only now. */
	r->may_pass |= r->verdict == ROUTE_NOT_JUDGED && strcmp(code, "4.7.4") != 0;
	if (r->verdict == ROUTE_NOT_JUDGED && strncmp(code, "4.7.", 4) == 0)
		r->verdict = VERDICT_NO_TLS;
	bool renamed = r->verdict == VERDICT_CHAIN || r->verdict == VERDICT_NAME ||
		       r->verdict == VERDICT_DANE || r->verdict == VERDICT_STS ||
		       r->verdict == VERDICT_FINGERPRINT;
	if (r->at + 1u >= r->count || (r->kind == ROUTE_KIND_INTERCEPT && !renamed))
		return false;
	if (r->kind == ROUTE_KIND_INTERCEPT)
		route_refusal(r);
	r->at++;
	forget_verdict(r);
	take_up(r);
	return true;
}

/*
 * Whether it is the file's demand that was not met, which may be final. DNS may work
 * again, and a policy of MTA-STS never ends in a bounce (RFC 8461 §5).
 */
static bool is_final(const struct route *r)
{
	enum level level = r->peer->demand.level;
	switch (r->verdict) {
	case VERDICT_PASS:
	case VERDICT_DNS:
	case VERDICT_STS:
	case ROUTE_NOT_JUDGED: return false;
	case VERDICT_NO_TLS: return level != LEVEL_NONE && level != LEVEL_MAY;
	/* Below the file's own demand it is what the domain publishes. */
	case VERDICT_DANE: return level == LEVEL_DANE || level == LEVEL_DANE_ONLY;
	case VERDICT_PROTOCOL: return r->peer->demand.protocols != PROTOCOLS_LEGACY;
	default: return true;
	}
}

const char *route_refusal(struct route *r)
{
	char host[ROUTE_HOST] = "", text[sizeof(r->reply)];
	const struct peer *peer = r->peer;
	/* An address that failed under its own name did not fail under another's. */
	if (r->kind == ROUTE_KIND_INTERCEPT && r->at > 0 && !r->may_pass)
		return r->reply;
	/* An address literal has told its host. */
	if (r->count > 0 && (peer->domain[0] != '[' || r->kind == ROUTE_KIND_INTERCEPT))
		route_host(r, host);
	const char *status = r->status[0] != '\0' ? r->status : "4.4.4";
	snprintf(text, sizeof(text), "%.128s%s%.150s: %.200s", peer->domain,
		host[0] ? " via " : "", host, r->text);
	if (peer->demand.bounce && is_final(r) && !r->may_pass)
		return bounce(r, status, text);
	return refuse(r, later(r), status, text);
}

const char *route_silent(struct route *r, const char *domain)
{
	char text[DETAIL + 64];
	snprintf(text, sizeof(text),
		"%.200s: no answer about its hosts and policy in time", domain);
	return refuse(r, "451", "4.4.3", text);
}

const char *route_refuses_sender(struct route *r, const struct peer *peer,
	enum verdict verdict, const char *reason)
{
	char text[REQUIREMENT_NAME + DETAIL + 16];
	snprintf(text, sizeof(text), "%.200s: %.200s", peer->domain, reason);
	switch (verdict) {
	case VERDICT_NO_TLS: return refuse(r, "530", "5.7.0", text);
	case VERDICT_NOT_AVAILABLE: return refuse(r, "451", "4.3.5", text);
	default: return refuse(r, "550", "5.7.1", text);
	}
}

const char *route_other_domain(
	struct route *r, const struct peer *peer, const char *reason)
{
	char text[REQUIREMENT_NAME + DETAIL + 80];
	snprintf(text, sizeof(text),
		"Too many recipients (send mail for %.200s by itself: %.200s)",
		peer->domain, reason[0] ? reason : "it goes to another host");
	return refuse(r, "452", "4.5.3", text);
}
