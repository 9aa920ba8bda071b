/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What all that was found comes to: the last line, and a hint to who can mend what. */

#include "origin.h"
#include "probe_private.h"

#include <assert.h>
#include <string.h>

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

bool probe_dane_counts(const struct probe *probe)
{
	static const struct candidate some = { .dane = DANE_USABLE };
	return probe->config->policy.dane &&
	       judge_dane_state(probe->peer, &some) == DANE_USABLE;
}

bool probe_sts_counts(const struct probe *probe)
{
	return probe->peer->direction == DIRECTION_OUTBOUND &&
	       probe->config->policy.mta_sts && probe->peer->demand.mta_sts;
}

bool probe_sts_holds(const struct probe *probe, const struct probe_host *host)
{
	const struct candidate *c = probe_candidate(probe, host);
	/* Of a host that may have been smuggled in, it holds beside its records. */
	return judge_sts_mode(probe->peer, c) != STS_NONE || host->verdict == VERDICT_STS;
}

const char *probe_host_name(
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

/* ---- the last line ---- */

static void conclude_well(struct probe *probe, const char *whose)
{
	const struct probe_host *host = &probe->hosts[probe->chosen];
	const struct candidate *c = probe_candidate(probe, host);
	bool named = c && c->name[0] != '\0'; /* a literal has told its address */
	char name[ROUTE_HOST], vouchers[64];
	probe_host_name(probe, host, name);
	probe_vouchers(probe, host, vouchers);
	if (host->facts.protocol == PROTOCOL_CLEAR)
		snprintf(probe->result, sizeof(probe->result),
			"mail %s would flow in clear, protected by nothing (%s)%s%s",
			whose, host->no_tls, named ? ", via " : "", named ? name : "");
	else
		snprintf(probe->result, sizeof(probe->result),
			"mail %s would flow by %s, certificate %sverified (%s)%s%s",
			whose, host->facts.version, vouchers[0] != '\0' ? "" : "not ",
			vouchers[0] != '\0' ? vouchers
					    : level_name(probe->peer->demand.level),
			named ? ", via " : "", named ? name : "");
}

static void conclude(struct probe *probe)
{
	char whose[PROBE_TARGET + REQUIREMENT_NAME];
	if (probe->route.kind == ROUTE_KIND_RELAY)
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

/* ---- the hint ---- */

/* What can be done where the demand is not met, and by whom. */
static const char *const advice[] = {
	[VERDICT_PASS] = "",
	[VERDICT_NO_TLS] = "the host has to offer TLS, as is demanded of it",
	[VERDICT_PROTOCOL] = "the host has to speak a newer TLS, or `protocols` of the "
			     "policy file allow what it speaks",
	[VERDICT_MX] = "either `mx` of the policy file is out of date, or somebody "
		       "forges the domain's DNS",
	[VERDICT_CHAIN] = "whoever runs the host has to mend its certificate",
	[VERDICT_NAME] = "whoever runs the host has to mend its certificate, or `match` "
			 "of the policy file allow the name that it bears",
	[VERDICT_FINGERPRINT] = "either its certificate is a new one, and the policy "
				"file has to name that, or somebody stands in between: "
				"ask whoever runs the host",
	[VERDICT_NO_CERTIFICATE] = "whoever runs the host has to give it a certificate",
	[VERDICT_DANE] = "whoever runs the domain has to make its TLSA records and its "
			 "certificates agree; dane = no does without",
	[VERDICT_DNS] = "whoever runs that DNS has to mend it, unless sealpost check "
			"finds fault with our resolver; dane = no does without",
	[VERDICT_STS] = "whoever runs the domain has to make its MTA-STS policy and its "
			"hosts agree; mta-sts = no does without",
	[VERDICT_NOT_AVAILABLE] = "the policy file demands what dane = no of [policy] "
				  "rules out",
	[VERDICT_LITERAL] = "an address has no name that a certificate could bear: "
			    "tls = encrypt or fingerprint can be met",
};
static_assert(sizeof(advice) / sizeof(*advice) == VERDICTS, "for every verdict");

static const char *advice_on_status(const struct probe *probe)
{
	switch ((enum peer_status)probe->peer->status) {
	case PEER_BROKEN:
		if (probe->stranger)
			return "policy files were not read as the user that serves, who "
			       "may be allowed more: probe as root";
		return "mail waits until that file is mended, which serve notices by "
		       "itself";
	case PEER_DNS_FAILED:
		return "whoever runs that DNS has to mend it, unless sealpost check "
		       "finds fault with our resolver";
	case PEER_NO_DOMAIN: return "is the domain spelt as it should be?";
	case PEER_INVALID:
		return "is an address meant? write it in brackets, [192.0.2.1], or as "
		       "a relay with its port, 192.0.2.1:25";
	default: return "";
	}
}

/* Its records need not agree with anything where it has none (dane-only). */
static bool lacks_dane(const struct probe *probe, const struct probe_host *host)
{
	const struct candidate *c = probe_candidate(probe, host);
	return host->verdict == VERDICT_DANE && c &&
	       judge_dane_state(probe->peer, c) != DANE_USABLE;
}

static const char *advice_on_host(
	const struct probe *probe, const struct probe_host *host)
{
	if (lacks_dane(probe, host))
		return "the policy file demands DANE, which that host does not have";
	if (host->verdict < VERDICTS && host->verdict != VERDICT_PASS)
		return advice[host->verdict];
	if (strncmp(host->code, "4.7.", 4) == 0)
		return advice[VERDICT_NO_TLS];
	return host->said[0] != '\0' ? "whoever runs the host can tell more of that reply"
				     : "";
}

/* Where nobody took the connection; NULL: somebody did, or none was tried. */
static const char *advice_on_way(const struct probe *probe)
{
	unsigned tried = 0, public = 0;
	for (unsigned i = 0; i < probe->host_count; i++) {
		if (probe->hosts[i].stage > PROBE_CONNECT)
			return NULL;
		if (probe->hosts[i].stage == PROBE_CONNECT) {
			tried++;
			public += !origin_is_private(&probe->hosts[i].address);
		}
	}
	if (tried == 0)
		return NULL;
	if (public > 0 && probe->route.port == SMTP_PORT)
		return "no host could be reached: port 25 may be blocked on the way, as "
		       "many providers do";
	if (public == 0 && probe->route.kind == ROUTE_KIND_SMARTHOST)
		return "no host could be reached: addresses such as these are not those "
		       "of hosts on the Internet";
	return "";
}

/* The host that the refusal names is the last one that was tried, or passed over. */
static void advise(struct probe *probe)
{
	const struct peer *peer = probe->peer;
	const char *way = advice_on_way(probe), *what = way;
	bool of_file = peer->demand.level != LEVEL_MAY && strchr(peer->where, '/');
	if (probe->host_count == 0)
		what = advice_on_status(probe);
	else if (!way)
		what = advice_on_host(probe, &probe->hosts[probe->host_count - 1]);
	of_file = of_file && !way && probe->host_count > 0 && what[0] != '\0';
	snprintf(probe->hint, sizeof(probe->hint), "%s%s%s%s", what, of_file ? " (" : "",
		of_file ? peer->where : "", of_file ? ")" : "");
}

void probe_conclude(struct probe *probe)
{
	const char *hint = "";
	conclude(probe);
	if (probe->late)
		hint = "the time was over before every address was tried";
	else if (probe->chosen >= 0 && probe->hosts[probe->chosen].testing[0] != '\0')
		hint = "its MTA-STS policy is only tested yet: in mode enforce it would "
		       "refuse that host";
	snprintf(probe->hint, sizeof(probe->hint), "%s", hint);
	if (!probe->late && probe->chosen < 0)
		advise(probe);
}
