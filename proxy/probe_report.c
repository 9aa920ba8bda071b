/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What was found, as lines for people. Hosts and certificates say what they like: nothing
 * of it gets out but printable ASCII.
 */

#include "probe_private.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

enum {
	SHOWN_NAMES = 8,  /* of a certificate */
	SHOWN_OCTETS = 8, /* of a digest */
};

/* ---- words ---- */

static const char *const stages[] = {
	[PROBE_PASSED_OVER] = "passed-over",
	[PROBE_CONNECT] = "connect",
	[PROBE_GREETING] = "greeting",
	[PROBE_EHLO] = "ehlo",
	[PROBE_STARTTLS] = "starttls",
	[PROBE_HANDSHAKE] = "handshake",
	[PROBE_POLICY] = "policy",
	[PROBE_EHLO_AGAIN] = "ehlo-again",
	[PROBE_COMPLETE] = "complete",
};
static_assert(sizeof(stages) / sizeof(*stages) == PROBE_STAGES, "a name each");

const char *probe_stage_name(enum probe_stage stage)
{
	return stages[stage];
}

const char *probe_dane_name(enum dane_state state)
{
	static const char *const states[] = {
		[DANE_UNAVAILABLE] = "unavailable",
		[DANE_FAILED] = "failed",
		[DANE_ABSENT] = "absent",
		[DANE_UNUSABLE] = "unusable",
		[DANE_USABLE] = "usable",
	};
	static_assert(sizeof(states) / sizeof(*states) == DANE_USABLE + 1, "one each");
	return states[state];
}

const char *probe_sts_name(enum sts_mode mode)
{
	static const char *const modes[] = {
		[STS_NONE] = "none",
		[STS_TESTING] = "testing",
		[STS_ENFORCE] = "enforce",
	};
	static_assert(sizeof(modes) / sizeof(*modes) == STS_MODES, "a name each");
	return modes[mode];
}

const char *probe_status_name(enum peer_status status)
{
	static const char *const statuses[] = {
		[PEER_FINE] = "fine",
		[PEER_UNAVAILABLE] = "unavailable",
		[PEER_BROKEN] = "broken",
		[PEER_DNS_FAILED] = "dns-failed",
		[PEER_NO_DOMAIN] = "no-domain",
		[PEER_NULL_MX] = "null-mx",
		[PEER_INVALID] = "invalid",
	};
	static_assert(
		sizeof(statuses) / sizeof(*statuses) == PEER_STATUSES, "a name each");
	return statuses[status];
}

/* ---- what it comes to ---- */

const struct candidate *probe_candidate(
	const struct probe *probe, const struct probe_host *host)
{
	return host->candidate < 0 ? NULL : &probe->peer->candidates[host->candidate];
}

bool probe_matched(const struct probe_host *host, unsigned record)
{
	const struct chain_facts *chain = host->facts.chain;
	return chain && chain->dane_record == record &&
	       (chain->dane == DANE_MATCH_EE || chain->dane == DANE_MATCH_TA);
}

static void list(char text[64], const char *word)
{
	size_t length = strlen(text);
	snprintf(text + length, 64 - length, "%s%s", length > 0 ? ", " : "", word);
}

const char *probe_vouchers(
	const struct probe *probe, const struct probe_host *host, char text[64])
{
	const struct candidate *candidate = probe_candidate(probe, host);
	enum level level = probe->peer->demand.level;
	text[0] = '\0';
	if (host->verdict != VERDICT_PASS || host->facts.protocol == PROTOCOL_CLEAR)
		return text;
	if (level == LEVEL_VERIFY || level == LEVEL_SECURE || level == LEVEL_FINGERPRINT)
		list(text, level_name(level));
	if (judge_dane_state(probe->peer, candidate) == DANE_USABLE)
		list(text, level == LEVEL_DANE_ONLY ? "dane-only" : "dane");
	if (judge_sts_mode(probe->peer, candidate) == STS_ENFORCE)
		list(text, "mta-sts");
	return text;
}

/* "mx1.bank.example[192.0.2.1]" */
static const char *host_name(
	const struct probe *probe, const struct probe_host *host, char text[ROUTE_HOST])
{
	char address[ADDRESS_TEXT];
	const struct candidate *c = probe_candidate(probe, host);
	if (host->address.family == AF_UNSPEC)
		snprintf(text, ROUTE_HOST, "%s", c ? c->name : "");
	else
		snprintf(text, ROUTE_HOST, "%s[%s]", c ? c->name : "",
			address_host(&host->address, address));
	return text;
}

static void conclude_well(struct probe *probe, const char *whose)
{
	const struct probe_host *host = &probe->hosts[probe->chosen];
	char name[ROUTE_HOST], vouchers[64];
	host_name(probe, host, name);
	probe_vouchers(probe, host, vouchers);
	if (host->facts.protocol == PROTOCOL_CLEAR)
		snprintf(probe->result, sizeof(probe->result),
			"mail %s would flow in clear, by nothing protected, via %s",
			whose, name);
	else
		snprintf(probe->result, sizeof(probe->result),
			"mail %s would flow by %s, certificate %sverified (%s), via %s",
			whose, host->facts.version, vouchers[0] != '\0' ? "" : "not ",
			vouchers[0] != '\0' ? vouchers
					    : level_name(probe->peer->demand.level),
			name);
}

void probe_conclude(struct probe *probe)
{
	char whose[PROBE_TARGET + REQUIREMENT_NAME];
	bool relay = probe->route.kind == ROUTE_KIND_RELAY;
	if (relay)
		snprintf(whose, sizeof(whose), "through %s:%u", probe->domain,
			(unsigned)probe->route.port);
	else
		snprintf(whose, sizeof(whose), "to %s", probe->domain);
	if (probe->chosen >= 0)
		conclude_well(probe, whose);
	else
		snprintf(probe->result, sizeof(probe->result), "mail %s would be %s: %s",
			whose, probe->refusal[0] == '5' ? "sent back" : "deferred",
			probe->refusal);
}

const char *probe_hint(const struct probe *probe)
{
	bool any = false;
	if (probe->late)
		return "the time was over before every address was tried";
	if (probe->peer->status == PEER_BROKEN && probe->stranger)
		return "policy files were not read as the user that serves, who may be "
		       "allowed more: probe as root";
	for (unsigned i = 0; i < probe->host_count; i++) {
		const struct probe_host *host = &probe->hosts[i];
		if (host->stage > PROBE_CONNECT)
			return "";
		any = any || host->stage == PROBE_CONNECT;
	}
	return any && probe->route.port == SMTP_PORT
		       ? "no host could be reached: port 25 may be blocked on the way, "
			 "as many providers do"
		       : "";
}

/* ---- lines ---- */

static void escape(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~' || *text == '\\')
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			fputc(*text, out);
}

static void line(FILE *out, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void line(FILE *out, const char *label, const char *format, ...)
{
	char text[2048];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(out, "    %-12s", label);
	escape(out, text);
	fputc('\n', out);
}

static const char *day(int64_t seconds, char text[16])
{
	time_t t = (time_t)seconds;
	struct tm utc;
	if (!gmtime_r(&t, &utc) || strftime(text, 16, "%Y-%m-%d", &utc) == 0)
		strcpy(text, "?");
	return text;
}

static void write_names(FILE *out, const struct chain_facts *chain)
{
	char text[SHOWN_NAMES * 80 + 64] = "";
	unsigned count = 0;
	size_t n = 0;
	for (const char *name = chain->names; name[0] != '\0'; name += strlen(name) + 1)
		if (count++ < SHOWN_NAMES)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %.76s", name);
	if (count > SHOWN_NAMES)
		snprintf(text + n, sizeof(text) - n, " and %u more", count - SHOWN_NAMES);
	line(out, "names", "%s%s", count > 0 ? text + 1 : "none",
		chain->common_name ? " (as CN alone)" : "");
}

static void write_chain(FILE *out, const struct chain_facts *chain)
{
	char from[16], to[16], digest[2 * SHOWN_OCTETS + 1];
	if (chain->count == 0) {
		line(out, "certificate", "none was shown");
		return;
	}
	write_names(out, chain);
	for (unsigned i = 0; i < chain->count; i++) {
		const struct certificate_facts *c = &chain->certificates[i];
		for (unsigned j = 0; j < SHOWN_OCTETS; j++)
			snprintf(digest + 2 * j, 3, "%02x", c->spki_sha256[j]);
		line(out, i == 0 ? "certificate" : "issued by",
			"valid from %s to %s, key sha256 %s...", day(c->not_before, from),
			day(c->not_after, to), digest);
	}
	if (chain->own_chain != CHAIN_NOT_ASKED)
		line(out, "chain", "%s, to the ca of its policy file",
			chain_verdict_name(chain->own_chain));
	line(out, "chain", "%s, to the public CAs%s%s%s",
		chain_verdict_name(chain->public_chain), chain->reason[0] ? " (" : "",
		chain->reason, chain->reason[0] ? ")" : "");
}

static void write_tlsa(
	FILE *out, const struct candidate *c, const struct probe_host *host)
{
	for (unsigned i = 0; i < c->tlsa_count; i++) {
		const struct tlsa *tlsa = &c->tlsa[i];
		char data[2 * 32 + 1] = "";
		for (unsigned j = 0; j < tlsa->length && j < 32; j++)
			snprintf(data + 2 * j, 3, "%02x", tlsa->octets[j]);
		line(out, "tlsa", "%u %u %u %s%s%s", tlsa->usage, tlsa->selector,
			tlsa->matching, data, tlsa->length > 32 ? "..." : "",
			probe_matched(host, i) ? "  matched" : "");
	}
	if (c->tlsa_count == 0 && c->dane != DANE_UNAVAILABLE && c->name[0] != '\0')
		line(out, "tlsa", "%s", probe_dane_name(c->dane));
	if (host->facts.chain && host->facts.chain->dane_reason[0] != '\0')
		line(out, "", "%s", host->facts.chain->dane_reason);
}

static void write_session(FILE *out, const struct probe_host *host)
{
	if (host->stage > PROBE_CONNECT)
		line(out, "connect", "done");
	if (host->greeting[0] != '\0')
		line(out, "greeting", "%s", host->greeting);
	if (host->stage > PROBE_EHLO && host->server_name[0] != '\0')
		line(out, "server name", "%s", host->server_name);
	if (host->stage >= PROBE_STARTTLS && !host->facts.chain)
		line(out, "starttls", "%s", host->offered ? "offered" : "not offered");
	if (host->no_tls[0] != '\0')
		line(out, "in clear", "%s", host->no_tls);
	if (host->facts.protocol == PROTOCOL_CLEAR)
		return;
	line(out, "tls", "%s %s", host->facts.version, host->facts.cipher);
	if (host->facts.chain)
		write_chain(out, host->facts.chain);
}

static void write_outcome(FILE *out, const struct probe_host *host)
{
	if (host->verdict < VERDICTS && host->verdict != VERDICT_PASS)
		line(out, "policy", "refuses it (%s, %s): %s",
			verdict_name(host->verdict), host->code, host->reason);
	else if (host->reason[0] != '\0')
		line(out, "failed", "at %s (%s): %s", probe_stage_name(host->stage),
			host->code, host->reason);
	else
		line(out, "policy", "is met");
	if (host->said[0] != '\0')
		line(out, "it said", "%s", host->said);
	if (host->testing[0] != '\0')
		line(out, "mta-sts", "would refuse it, were it in force: %s",
			host->testing);
}

static void write_host(
	FILE *out, const struct probe *probe, const struct probe_host *host)
{
	const struct candidate *c = probe_candidate(probe, host);
	char name[ROUTE_HOST];
	fputs("  ", out);
	if (c && c->name[0] != '\0' && probe->route.kind != ROUTE_KIND_RELAY)
		fprintf(out, "%u ", c->preference);
	escape(out, host_name(probe, host, name));
	fputc('\n', out);
	write_session(out, host);
	if (c)
		write_tlsa(out, c, host);
	if (judge_sts_mode(probe->peer, c) != STS_NONE)
		line(out, "mta-sts", "%s",
			judge_sts_lists(probe->peer, c) ? "lists it"
							: "does not list it");
	write_outcome(out, host);
}

static void write_demand(FILE *out, const struct probe *probe)
{
	const struct peer *peer = probe->peer;
	char from[16], to[16];
	if (peer->status != PEER_BROKEN)
		line(out, "demand", "%s (%s)", level_name(peer->demand.level),
			peer->where[0] != '\0' ? peer->where : "default");
	if (peer->sts.mode != STS_NONE)
		line(out, "mta-sts", "%s, id %s, fetched %s, until %s",
			probe_sts_name(peer->sts.mode), peer->sts.id,
			day(peer->sts.fetched, from), day(peer->sts.expires, to));
	for (unsigned i = 0; i < peer->sts.mx_count; i++)
		line(out, "", "mx %s", peer->sts.mx[i]);
	if (peer->sts.text[0] != '\0')
		line(out, "mta-sts", "%s", peer->sts.text);
	if (peer->status == PEER_FINE && peer->text[0] != '\0')
		line(out, "but", "%s", peer->text);
}

void probe_write_text(FILE *out, const struct probe *probe)
{
	const char *hint = probe_hint(probe);
	escape(out, probe->target);
	fputc('\n', out);
	write_demand(out, probe);
	for (unsigned i = 0; i < probe->host_count; i++)
		write_host(out, probe, &probe->hosts[i]);
	if (probe->user)
		fputs("  no mail was sent: whether the user exists was not asked\n", out);
	if (hint[0] != '\0')
		fprintf(out, "  %s\n", hint);
	escape(out, probe->result);
	fputc('\n', out);
}
