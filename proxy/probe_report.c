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

/* ---- lines ---- */

/* A backslash is escaped as well, but in what has come through RFC 4514. */
static void escape(FILE *out, const char *text, bool backslash)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~' || (backslash && *text == '\\'))
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
	escape(out, text, true);
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

/* ---- certificates ---- */

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

static void write_dn(FILE *out, const char *label, const char *before, const char *dn)
{
	fprintf(out, "    %-12s%s", label, before);
	escape(out, dn[0] != '\0' ? dn : "(nobody)", false);
	fputc('\n', out);
}

static void write_certificate(FILE *out, const struct certificate_facts *c,
	const struct certificate_names *names)
{
	char from[16], to[16], digest[2 * SHOWN_OCTETS + 1];
	for (unsigned i = 0; i < SHOWN_OCTETS; i++)
		snprintf(digest + 2 * i, 3, "%02x", c->spki_sha256[i]);
	write_dn(out, "certificate", "", names->subject);
	write_dn(out, "", "given by ", names->issuer);
	line(out, "", "valid from %s to %s, key sha256 %s...", day(c->not_before, from),
		day(c->not_after, to), digest);
}

static void write_chain(FILE *out, const struct probe_host *host)
{
	const struct chain_facts *chain = host->facts.chain;
	if (chain->count == 0) {
		line(out, "certificate", "none was shown");
		return;
	}
	write_names(out, chain);
	for (unsigned i = 0; i < chain->count; i++)
		write_certificate(out, &chain->certificates[i], &host->names[i]);
	if (chain->own_chain != CHAIN_NOT_ASKED)
		line(out, "chain", "%s, to the ca of its policy file",
			chain_verdict_name(chain->own_chain));
	line(out, "chain", "%s, to the public CAs%s%s%s",
		chain_verdict_name(chain->public_chain), chain->reason[0] ? " (" : "",
		chain->reason, chain->reason[0] ? ")" : "");
}

/* ---- what is published ---- */

static void write_tlsa_record(FILE *out, const struct tlsa *tlsa, bool matched)
{
	char data[2 * 32 + 1] = "";
	for (unsigned i = 0; i < tlsa->length && i < 32; i++)
		snprintf(data + 2 * i, 3, "%02x", tlsa->octets[i]);
	line(out, "tlsa", "%u %u %u %s%s%s", tlsa->usage, tlsa->selector, tlsa->matching,
		data, tlsa->length > 32 ? "..." : "", matched ? "  matched" : "");
}

/* What is said where there is no record to show. */
static const char *const without_records[] = {
	[DANE_UNAVAILABLE] = "not asked for (dane = no in [policy])",
	[DANE_FAILED] = "bogus, or not to be had: such a host is not used",
	[DANE_ABSENT] = "none, or none that is signed",
	[DANE_UNUSABLE] = "none of a kind that can be used: any certificate will do",
	[DANE_USABLE] = "",
};
static_assert(sizeof(without_records) / sizeof(*without_records) == DANE_USABLE + 1,
	"words for each state");

static void write_tlsa(FILE *out, const struct probe *probe, const struct candidate *c,
	const struct probe_host *host)
{
	const struct chain_facts *chain = host->facts.chain;
	if (c->name[0] == '\0')
		return; /* an address literal */
	for (unsigned i = 0; i < c->tlsa_count; i++)
		write_tlsa_record(out, &c->tlsa[i], probe_matched(host, i));
	if (c->tlsa_count == 0)
		line(out, "tlsa", "%s", without_records[c->dane]);
	if (chain && chain->dane_reason[0] != '\0')
		line(out, "", "%s", chain->dane_reason);
	if (c->dane == DANE_UNAVAILABLE || c->dane == DANE_ABSENT ||
		probe_dane_counts(probe))
		return;
	if (probe->route.kind == ROUTE_KIND_RELAY)
		line(out, "",
			"does not count: a relay's do where its policy file says "
			"tls = dane");
	else
		line(out, "", "does not count: dane = no (%s)", probe->peer->where);
}

static void write_listing(
	FILE *out, const struct probe *probe, const struct probe_host *host)
{
	const struct candidate *c = probe_candidate(probe, host);
	bool listed = judge_sts_lists(probe->peer, c);
	if (probe->peer->sts.mode != STS_NONE && probe_sts_counts(probe))
		line(out, "mta-sts", "%s%s", listed ? "lists it" : "does not list it",
			probe_sts_holds(probe, host)
				? ""
				: "; its TLSA records count instead");
}

/* ---- a host ---- */

static void write_starttls(
	FILE *out, const struct probe *probe, const struct probe_host *host)
{
	if (probe->implicit)
		line(out, "starttls", "not used: TLS comes first");
	else if (!host->offered)
		line(out, "starttls", "not offered");
	else if (host->refused[0] != '\0')
		line(out, "starttls", "offered, and refused: %s", host->refused);
	else if (host->encryption == ENCRYPTION_NONE)
		line(out, "starttls", "offered, and not tried");
	else
		line(out, "starttls", "offered");
}

static void write_session(
	FILE *out, const struct probe *probe, const struct probe_host *host)
{
	bool clear = host->facts.protocol == PROTOCOL_CLEAR;
	if (host->stage > PROBE_CONNECT)
		line(out, "connect", "done");
	if (host->greeting[0] != '\0')
		line(out, "greeting", "%s", host->greeting);
	if (host->stage >= PROBE_STARTTLS)
		write_starttls(out, probe, host);
	if (host->no_tls[0] != '\0')
		line(out, "in clear", "%s", host->no_tls);
	if ((host->stage == PROBE_HANDSHAKE || !clear) && host->server_name[0] != '\0')
		line(out, "server name", "%s", host->server_name);
	if (clear)
		return;
	line(out, "tls", "%s %s", host->facts.version, host->facts.cipher);
	if (host->facts.chain)
		write_chain(out, host);
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
	if (host->said[0] != '\0' && host->refused[0] == '\0')
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
	escape(out, probe_host_name(probe, host, name), true);
	fputc('\n', out);
	write_session(out, probe, host);
	if (c)
		write_tlsa(out, probe, c, host);
	write_listing(out, probe, host);
	write_outcome(out, host);
}

/* ---- the whole ---- */

static void write_sts(FILE *out, const struct probe *probe)
{
	const struct sts *sts = &probe->peer->sts;
	char from[16], to[16];
	if (!probe->config->policy.mta_sts && probe->route.kind != ROUTE_KIND_RELAY)
		line(out, "mta-sts", "not asked for (mta-sts = no in [policy])");
	if (sts->mode != STS_NONE)
		line(out, "mta-sts", "%s, id %s, fetched %s, until %s",
			sts_mode_name((enum sts_mode)sts->mode), sts->id,
			day(sts->fetched, from), day(sts->expires, to));
	for (unsigned i = 0; i < sts->mx_count; i++)
		line(out, "", "mx %s", sts->mx[i]);
	if (sts->mode != STS_NONE && !probe_sts_counts(probe))
		line(out, "", "does not count: mta-sts = no (%s)", probe->peer->where);
	if (sts->text[0] != '\0')
		line(out, "mta-sts", "%s", sts->text);
}

static void write_demand(FILE *out, const struct probe *probe)
{
	const struct peer *peer = probe->peer;
	if (peer->status == PEER_BROKEN)
		return; /* the last line tells all that is known */
	line(out, "demand", "%s (%s)", level_name(peer->demand.level),
		peer->where[0] != '\0' ? peer->where : "default");
	write_sts(out, probe);
	if (peer->status == PEER_FINE && peer->text[0] != '\0')
		line(out, "but", "%s", peer->text);
}

void probe_write_text(FILE *out, const struct probe *probe)
{
	escape(out, probe->target, true);
	fputc('\n', out);
	write_demand(out, probe);
	for (unsigned i = 0; i < probe->host_count; i++)
		write_host(out, probe, &probe->hosts[i]);
	if (probe->user)
		fputs("  no mail was sent: whether the user exists was not asked\n", out);
	if (probe->hint[0] != '\0') {
		fputs("  ", out);
		escape(out, probe->hint, true);
		fputc('\n', out);
	}
	escape(out, probe->result, true);
	fputc('\n', out);
}
