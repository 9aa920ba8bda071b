/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What was found, for programs (RFC 8259): sealpost(1) has every key. Each key is always
 * there. An octet that is no printable ASCII is \u00HH: strangers need not send UTF-8.
 */

#include "json.h"
#include "probe_private.h"

#include <string.h>

/* ---- a host ---- */

static void certificates(struct json *j, const struct probe_host *host)
{
	const struct chain_facts *chain = host->facts.chain;
	json_key(j, "certificates");
	json_begin(j, '[');
	for (unsigned i = 0; i < chain->count; i++) {
		const struct certificate_facts *c = &chain->certificates[i];
		json_begin(j, '{');
		json_pair(j, "subject", host->names[i].subject);
		json_pair(j, "issuer", host->names[i].issuer);
		json_moment(j, "not_before", c->not_before);
		json_moment(j, "not_after", c->not_after);
		json_octets(j, "sha256", c->certificate_sha256,
			sizeof(c->certificate_sha256));
		json_octets(j, "spki_sha256", c->spki_sha256, sizeof(c->spki_sha256));
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void names(struct json *j, const struct chain_facts *chain)
{
	json_key(j, "names");
	json_begin(j, '[');
	for (const char *name = chain->names; name[0] != '\0'; name += strlen(name) + 1)
		json_string(j, name);
	json_end(j, ']');
}

static void tls(struct json *j, const struct probe_host *host)
{
	const struct chain_facts *chain = host->facts.chain;
	if (host->facts.protocol == PROTOCOL_CLEAR || !chain) {
		json_nothing(j, "tls");
		return;
	}
	json_key(j, "tls");
	json_begin(j, '{');
	json_pair(j, "version", host->facts.version);
	json_pair(j, "cipher", host->facts.cipher);
	json_pair(j, "public_chain", chain_verdict_name(chain->public_chain));
	json_pair(j, "own_chain", chain_verdict_name(chain->own_chain));
	json_pair(j, "detail", chain->reason);
	names(j, chain);
	json_truth(j, "common_name", chain->common_name);
	certificates(j, host);
	json_end(j, '}');
}

static void tlsa(struct json *j, const struct candidate *c, const struct probe_host *host)
{
	json_key(j, "tlsa");
	json_begin(j, '[');
	for (unsigned i = 0; c && i < c->tlsa_count; i++) {
		json_begin(j, '{');
		json_number(j, "usage", c->tlsa[i].usage);
		json_number(j, "selector", c->tlsa[i].selector);
		json_number(j, "matching", c->tlsa[i].matching);
		json_octets(j, "data", c->tlsa[i].octets, c->tlsa[i].length);
		json_truth(j, "matched", probe_matched(host, i));
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void host_object(
	struct json *j, const struct probe *probe, const struct probe_host *host)
{
	const struct candidate *c = probe_candidate(probe, host);
	char address[ADDRESS_TEXT] = "", vouchers[64];
	bool judged = host->verdict < VERDICTS;
	if (host->address.family != AF_UNSPEC)
		address_host(&host->address, address);
	json_begin(j, '{');
	json_pair(j, "name", c ? c->name : "");
	json_number(j, "preference", c ? c->preference : 0);
	json_pair(j, "address", address);
	json_pair(j, "stage", probe_stage_name(host->stage));
	json_truth(j, "usable", host->stage == PROBE_COMPLETE);
	json_pair(j, "greeting", host->greeting);
	json_truth(j, "starttls", host->offered);
	json_pair(j, "starttls_refused", host->refused);
	json_pair(j, "server_name", host->server_name);
	json_pair(j, "in_clear", host->no_tls);
	tls(j, host);
	json_pair(j, "dane", probe_dane_name(c ? c->dane : DANE_UNAVAILABLE));
	tlsa(j, c, host);
	json_truth(j, "dane_counts", probe_dane_counts(probe));
	json_truth(j, "mta_sts_lists", judge_sts_lists(probe->peer, c));
	json_truth(j, "mta_sts_counts", probe_sts_holds(probe, host));
	json_pair(j, "mta_sts_testing", host->testing);
	json_pair(j, "verdict", judged ? verdict_name(host->verdict) : "");
	json_pair(j, "verified_by", probe_vouchers(probe, host, vouchers));
	json_pair(j, "code", host->code);
	json_pair(j, "reason", host->reason);
	json_pair(j, "said", host->said);
	json_end(j, '}');
}

/* ---- the whole ---- */

static void mta_sts(struct json *j, const struct probe *probe)
{
	const struct sts *sts = &probe->peer->sts;
	json_key(j, "mta_sts");
	json_begin(j, '{');
	json_pair(j, "mode", sts_mode_name((enum sts_mode)sts->mode));
	json_pair(j, "id", sts->id);
	json_key(j, "mx");
	json_begin(j, '[');
	for (unsigned i = 0; i < sts->mx_count; i++)
		json_string(j, sts->mx[i]);
	json_end(j, ']');
	json_moment(j, "fetched", sts->fetched);
	json_moment(j, "expires", sts->expires);
	json_pair(j, "reason", sts->text);
	json_truth(j, "counts", sts->mode != STS_NONE && probe_sts_counts(probe));
	json_end(j, '}');
}

void probe_write_json(FILE *out, const struct probe *probe)
{
	const struct peer *peer = probe->peer;
	struct json j = { .out = out };
	json_begin(&j, '{');
	json_pair(&j, "target", probe->target);
	json_pair(&j, "domain", probe->domain);
	json_number(&j, "port", probe->route.port);
	json_pair(&j, "status", probe_status_name(peer->status));
	json_pair(&j, "detail", peer->text);
	json_pair(&j, "level",
		peer->status == PEER_BROKEN ? "" : level_name(peer->demand.level));
	json_pair(&j, "where", peer->where);
	mta_sts(&j, probe);
	json_key(&j, "hosts");
	json_begin(&j, '[');
	for (unsigned i = 0; i < probe->host_count; i++)
		host_object(&j, probe, &probe->hosts[i]);
	json_end(&j, ']');
	json_truth(&j, "flows", probe->chosen >= 0);
	if (probe->chosen >= 0)
		json_number(&j, "host", (unsigned)probe->chosen);
	else
		json_nothing(&j, "host");
	json_pair(&j, "refusal", probe->refusal);
	json_pair(&j, "hint", probe->hint);
	json_pair(&j, "result", probe->result);
	json_end(&j, '}');
	fputc('\n', out);
}
