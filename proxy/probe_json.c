/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What was found, for programs (RFC 8259): sealpost(1) has every key. Each key is always
 * there. An octet that is no printable ASCII is \u00HH: strangers need not send UTF-8.
 */

#include "probe_private.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

struct json {
	FILE *out;
	bool comma; /* something stands before what comes next */
};

static void string(struct json *j, const char *text)
{
	fputc('"', j->out);
	for (; *text != '\0'; text++)
		if (*text == '"' || *text == '\\')
			fprintf(j->out, "\\%c", *text);
		else if (*text < ' ' || *text > '~')
			fprintf(j->out, "\\u%04x", (unsigned char)*text);
		else
			fputc(*text, j->out);
	fputc('"', j->out);
	j->comma = true;
}

static void separate(struct json *j)
{
	if (j->comma)
		fputs(", ", j->out);
	j->comma = false;
}

static void key(struct json *j, const char *name)
{
	separate(j);
	string(j, name);
	fputs(": ", j->out);
	j->comma = false;
}

static void begin(struct json *j, char bracket)
{
	fputc(bracket, j->out);
	j->comma = false;
}

static void end(struct json *j, char bracket)
{
	fputc(bracket, j->out);
	j->comma = true;
}

static void pair(struct json *j, const char *name, const char *value)
{
	key(j, name);
	string(j, value);
}

static void truth(struct json *j, const char *name, bool value)
{
	key(j, name);
	fputs(value ? "true" : "false", j->out);
	j->comma = true;
}

static void number(struct json *j, const char *name, unsigned value)
{
	key(j, name);
	fprintf(j->out, "%u", value);
	j->comma = true;
}

static void nothing(struct json *j, const char *name)
{
	key(j, name);
	fputs("null", j->out);
	j->comma = true;
}

/* RFC 3339, "" for none. */
static void moment(struct json *j, const char *name, int64_t seconds)
{
	char text[32] = "";
	time_t t = (time_t)seconds;
	struct tm utc;
	if (seconds != 0 && gmtime_r(&t, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	pair(j, name, text);
}

static void octets(struct json *j, const char *name, const uint8_t *at, size_t length)
{
	key(j, name);
	fputc('"', j->out);
	for (size_t i = 0; i < length; i++)
		fprintf(j->out, "%02x", at[i]);
	fputc('"', j->out);
	j->comma = true;
}

/* ---- a host ---- */

static void certificates(struct json *j, const struct probe_host *host)
{
	const struct chain_facts *chain = host->facts.chain;
	key(j, "certificates");
	begin(j, '[');
	for (unsigned i = 0; i < chain->count; i++) {
		const struct certificate_facts *c = &chain->certificates[i];
		separate(j);
		begin(j, '{');
		pair(j, "subject", host->names[i].subject);
		pair(j, "issuer", host->names[i].issuer);
		moment(j, "not_before", c->not_before);
		moment(j, "not_after", c->not_after);
		octets(j, "sha256", c->certificate_sha256, sizeof(c->certificate_sha256));
		octets(j, "spki_sha256", c->spki_sha256, sizeof(c->spki_sha256));
		end(j, '}');
	}
	end(j, ']');
}

static void names(struct json *j, const struct chain_facts *chain)
{
	key(j, "names");
	begin(j, '[');
	for (const char *name = chain->names; name[0] != '\0'; name += strlen(name) + 1) {
		separate(j);
		string(j, name);
	}
	end(j, ']');
}

static void tls(struct json *j, const struct probe_host *host)
{
	const struct chain_facts *chain = host->facts.chain;
	if (host->facts.protocol == PROTOCOL_CLEAR || !chain) {
		nothing(j, "tls");
		return;
	}
	key(j, "tls");
	begin(j, '{');
	pair(j, "version", host->facts.version);
	pair(j, "cipher", host->facts.cipher);
	pair(j, "public_chain", chain_verdict_name(chain->public_chain));
	pair(j, "own_chain", chain_verdict_name(chain->own_chain));
	pair(j, "detail", chain->reason);
	names(j, chain);
	truth(j, "common_name", chain->common_name);
	certificates(j, host);
	end(j, '}');
}

static void tlsa(struct json *j, const struct candidate *c, const struct probe_host *host)
{
	key(j, "tlsa");
	begin(j, '[');
	for (unsigned i = 0; c && i < c->tlsa_count; i++) {
		separate(j);
		begin(j, '{');
		number(j, "usage", c->tlsa[i].usage);
		number(j, "selector", c->tlsa[i].selector);
		number(j, "matching", c->tlsa[i].matching);
		octets(j, "data", c->tlsa[i].octets, c->tlsa[i].length);
		truth(j, "matched", probe_matched(host, i));
		end(j, '}');
	}
	end(j, ']');
}

static void host_object(
	struct json *j, const struct probe *probe, const struct probe_host *host)
{
	const struct candidate *c = probe_candidate(probe, host);
	char address[ADDRESS_TEXT] = "", vouchers[64];
	bool judged = host->verdict < VERDICTS;
	if (host->address.family != AF_UNSPEC)
		address_host(&host->address, address);
	separate(j);
	begin(j, '{');
	pair(j, "name", c ? c->name : "");
	number(j, "preference", c ? c->preference : 0);
	pair(j, "address", address);
	pair(j, "stage", probe_stage_name(host->stage));
	truth(j, "usable", host->stage == PROBE_COMPLETE);
	pair(j, "greeting", host->greeting);
	truth(j, "starttls", host->offered);
	pair(j, "starttls_refused", host->refused);
	pair(j, "server_name", host->server_name);
	pair(j, "in_clear", host->no_tls);
	tls(j, host);
	pair(j, "dane", probe_dane_name(c ? c->dane : DANE_UNAVAILABLE));
	tlsa(j, c, host);
	truth(j, "dane_counts", probe_dane_counts(probe));
	truth(j, "mta_sts_lists", judge_sts_lists(probe->peer, c));
	truth(j, "mta_sts_counts", probe_sts_holds(probe, host));
	pair(j, "mta_sts_testing", host->testing);
	pair(j, "verdict", judged ? verdict_name(host->verdict) : "");
	pair(j, "verified_by", probe_vouchers(probe, host, vouchers));
	pair(j, "code", host->code);
	pair(j, "reason", host->reason);
	pair(j, "said", host->said);
	end(j, '}');
}

/* ---- the whole ---- */

static void mta_sts(struct json *j, const struct probe *probe)
{
	const struct sts *sts = &probe->peer->sts;
	key(j, "mta_sts");
	begin(j, '{');
	pair(j, "mode", sts_mode_name((enum sts_mode)sts->mode));
	pair(j, "id", sts->id);
	key(j, "mx");
	begin(j, '[');
	for (unsigned i = 0; i < sts->mx_count; i++) {
		separate(j);
		string(j, sts->mx[i]);
	}
	end(j, ']');
	moment(j, "fetched", sts->fetched);
	moment(j, "expires", sts->expires);
	pair(j, "reason", sts->text);
	truth(j, "counts", sts->mode != STS_NONE && probe_sts_counts(probe));
	end(j, '}');
}

void probe_write_json(FILE *out, const struct probe *probe)
{
	const struct peer *peer = probe->peer;
	struct json j = { .out = out };
	begin(&j, '{');
	pair(&j, "target", probe->target);
	pair(&j, "domain", probe->domain);
	number(&j, "port", probe->route.port);
	pair(&j, "status", probe_status_name(peer->status));
	pair(&j, "detail", peer->text);
	pair(&j, "level",
		peer->status == PEER_BROKEN ? "" : level_name(peer->demand.level));
	pair(&j, "where", peer->where);
	mta_sts(&j, probe);
	key(&j, "hosts");
	begin(&j, '[');
	for (unsigned i = 0; i < probe->host_count; i++)
		host_object(&j, probe, &probe->hosts[i]);
	end(&j, ']');
	truth(&j, "flows", probe->chosen >= 0);
	if (probe->chosen >= 0)
		number(&j, "host", (unsigned)probe->chosen);
	else
		nothing(&j, "host");
	pair(&j, "refusal", probe->refusal);
	pair(&j, "hint", probe->hint);
	pair(&j, "result", probe->result);
	end(&j, '}');
	fputc('\n', out);
}
