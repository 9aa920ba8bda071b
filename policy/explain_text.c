/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "explain_text.h"

#include "facts.h"
#include "judge.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdarg.h>
#include <string.h>

static void line(FILE *out, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void line(FILE *out, const char *label, const char *format, ...)
{
	va_list arguments;
	fprintf(out, "  %-10s", label);
	va_start(arguments, format);
	vfprintf(out, format, arguments);
	va_end(arguments);
	fputc('\n', out);
}

/* ---- what the judge says ---- */

enum { DEMANDERS = 64, MANNER = DEMANDERS + 32 };

/* Who demands TLS, of judge_demanded_by(): "encrypt, dane". */
static const char *demanders(const struct peer *peer, unsigned by, char text[DEMANDERS])
{
	const char *level = level_name((enum level)peer->demand.level);
	const char *const names[] = { level, "dane", "mta-sts" };
	size_t length = 0;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (by & 1u << i)
			length += (size_t)snprintf(text + length, DEMANDERS - length,
				"%s%s", length > 0 ? ", " : "", names[i]);
	return text;
}

/* What can be judged without a connection: what the policy file and the DNS have against
 * a host. */
static enum verdict against(const struct peer *peer, const struct candidate *candidate,
	char reason[REQUIREMENT_TEXT])
{
	const struct facts clear = { .protocol = PROTOCOL_CLEAR };
	enum verdict verdict = judge(peer, candidate, &clear, reason);
	switch (verdict) {
	case VERDICT_MX:
	case VERDICT_DNS:
	case VERDICT_DANE:
	case VERDICT_STS: return verdict;
	default: return VERDICT_PASS;
	}
}

static bool is_used(const struct peer *peer, const struct candidate *candidate)
{
	char reason[REQUIREMENT_TEXT];
	return candidate->address_count > 0 &&
	       against(peer, candidate, reason) == VERDICT_PASS;
}

/* ---- the demand ---- */

static const char *const meanings[] = {
	[LEVEL_NONE] = "in clear: TLS is not tried",
	[LEVEL_MAY] = "by TLS where the host offers it, in clear where it fails",
	[LEVEL_ENCRYPT] = "by TLS or not at all, whosever the certificate",
	[LEVEL_DANE] = "as its TLSA records demand; without any, as under may",
	[LEVEL_DANE_ONLY] = "as its TLSA records demand, or not at all",
	[LEVEL_VERIFY] = "by TLS, to a host whose certificate is valid and bears an "
			 "allowed name, or not at all",
	[LEVEL_SECURE] = "by TLS, to a host whose certificate is valid and bears a name "
			 "of the domain's own, or not at all",
	[LEVEL_FINGERPRINT] = "by TLS, to a host with one of these certificates or "
			      "keys, or not at all",
};
static_assert(sizeof(meanings) / sizeof(meanings[0]) == LEVELS, "a meaning a level");

static const char *const inbound_meanings[] = {
	[LEVEL_NONE] = "in clear or by TLS, as it likes",
	[LEVEL_MAY] = "in clear or by TLS, as it likes",
	[LEVEL_ENCRYPT] = "by TLS; without it 530 5.7.0",
	[LEVEL_DANE] = "not available for mail that comes in",
	[LEVEL_DANE_ONLY] = "not available for mail that comes in",
	[LEVEL_VERIFY] = "by TLS, with a client certificate that is valid and bears an "
			 "allowed name; else 530 5.7.0 or 550 5.7.1",
	[LEVEL_SECURE] = "not available for mail that comes in",
	[LEVEL_FINGERPRINT] = "by TLS, with one of these client certificates or keys; "
			      "else 530 5.7.0 or 550 5.7.1",
};
static_assert(sizeof(inbound_meanings) / sizeof(inbound_meanings[0]) == LEVELS,
	"a meaning a level");

static const char *const protocols[] = {
	[PROTOCOLS_TLS_1_2] = NULL,
	[PROTOCOLS_TLS_1_3] = "TLS 1.3 alone",
	[PROTOCOLS_LEGACY] = "TLS 1.0 and 1.1 as well",
};
static_assert(sizeof(protocols) / sizeof(protocols[0]) == PROTOCOLS_COUNT, "one each");

static void patterns(FILE *out, const char *label, const char (*list)[REQUIREMENT_NAME],
	unsigned count)
{
	if (count == 0)
		return;
	fprintf(out, "  %-9s", label);
	for (unsigned i = 0; i < count; i++)
		fprintf(out, " %s", list[i]);
	fputc('\n', out);
}

static void fingerprint(FILE *out, const struct fingerprint *f)
{
	fprintf(out, "  %-10ssha%s/%s:", "pinned", f->length == 32 ? "256" : "512",
		f->of == FINGERPRINT_SPKI ? "spki" : "cert");
	for (unsigned i = 0; i < f->length && i < sizeof(f->octets); i++)
		fprintf(out, "%02x", f->octets[i]);
	fputc('\n', out);
}

/*
 * What the domain itself demands, of the hosts that are used, beyond what the file's
 * level says; *all: of every one.
 */
static unsigned beyond(const struct peer *peer, bool *all)
{
	unsigned by_any = 0, level = peer->demand.level;
	bool dane = level == LEVEL_DANE || level == LEVEL_DANE_ONLY;
	*all = true;
	for (unsigned i = 0; i < peer->candidate_count; i++) {
		if (!is_used(peer, &peer->candidates[i]))
			continue;
		unsigned by = judge_demanded_by(peer, &peer->candidates[i]);
		by &= dane ? DEMANDED_BY_STS : DEMANDED_BY_DANE | DEMANDED_BY_STS;
		by_any |= by;
		*all = *all && by != 0;
	}
	return by_any;
}

static void where(FILE *out, const struct peer *peer, const struct policyfile *file)
{
	if (peer->status == PEER_BROKEN)
		line(out, "because", "%s", peer->text);
	else if (!file)
		line(out, "because", "no policy file speaks of it");
	else if (file->note)
		line(out, "because", "%s (%s)", peer->where, file->note);
	else
		line(out, "because", "%s", peer->where);
}

void explain_demand(FILE *out, const struct peer *peer, const struct policyfile *file)
{
	const struct demand *demand = &peer->demand;
	bool inbound = peer->direction == DIRECTION_INBOUND;
	enum level level = demand->level < LEVELS ? demand->level : LEVEL_NONE;
	const char *label = inbound ? "from it" : "to it";
	char text[DEMANDERS];
	bool all;
	if (peer->status == PEER_BROKEN) {
		line(out, label, "nothing: 451 4.3.5 until its policy file is mended");
		where(out, peer, file);
		return;
	}
	line(out, label, "%s: %s", level_name(level),
		inbound ? inbound_meanings[level] : meanings[level]);
	unsigned more = beyond(peer, &all);
	if (more != 0)
		line(out, "", "but the domain itself demands more%s: %s",
			all ? "" : " for some of its hosts", demanders(peer, more, text));
	where(out, peer, file);
	patterns(out, "names", demand->match, demand->match_count);
	patterns(out, "mx", demand->mx, demand->mx_count);
	for (unsigned i = 0; i < demand->fingerprint_count; i++)
		fingerprint(out, &demand->fingerprints[i]);
	const char *ca = file ? inbound ? file->inbound_ca : file->outbound_ca : NULL;
	if (demand->ca_length > 0)
		line(out, "ca", "%s", ca ? ca : "its own");
	if (demand->protocols < PROTOCOLS_COUNT && protocols[demand->protocols])
		line(out, "protocols", "%s", protocols[demand->protocols]);
	if (demand->identity[0] != '\0')
		line(out, "identity", "we show the certificate of [identity %s]",
			demand->identity);
	if (demand->bounce)
		line(out, "failure", "sends the mail back (on-failure = bounce)");
}

/* ---- hosts ---- */

static void addresses(FILE *out, const struct candidate *candidate)
{
	for (unsigned i = 0; i < candidate->address_count; i++) {
		const struct peer_address *address = &candidate->addresses[i];
		char text[INET6_ADDRSTRLEN] = "";
		inet_ntop(address->family == FAMILY_IPV6 ? AF_INET6 : AF_INET,
			address->octets, text, sizeof(text));
		fprintf(out, " %s", text);
	}
}

void explain_hosts(FILE *out, const struct peer *peer)
{
	char reason[REQUIREMENT_TEXT];
	for (unsigned i = 0; i < peer->candidate_count; i++) {
		const struct candidate *candidate = &peer->candidates[i];
		fprintf(out, "  %-9s", i == 0 ? "hosts" : "");
		if (candidate->name[0] != '\0')
			fprintf(out, " %u %s", candidate->preference, candidate->name);
		addresses(out, candidate);
		enum verdict verdict = against(peer, candidate, reason);
		if (verdict != VERDICT_PASS)
			fprintf(out, "  not used (%s)", verdict_name(verdict));
		fputc('\n', out);
	}
	if (peer->status == PEER_FINE && peer->text[0] != '\0')
		line(out, "but", "%s", peer->text);
}

/* ---- the result ---- */

static const char *const replies[] = {
	[PEER_FINE] = NULL,
	[PEER_UNAVAILABLE] = "deferred (451 4.3.0)",
	[PEER_BROKEN] = "deferred (451 4.3.5)",
	[PEER_DNS_FAILED] = "deferred (451 4.4.3)",
	[PEER_NO_DOMAIN] = "refused (550 5.1.2)",
	[PEER_NULL_MX] = "refused (556 5.1.10)",
	[PEER_INVALID] = "refused (501 5.1.3)",
};
static_assert(sizeof(replies) / sizeof(replies[0]) == PEER_STATUSES, "a reply a status");

static const char *manner(
	const struct peer *peer, const struct candidate *candidate, char text[MANNER])
{
	char by[DEMANDERS];
	switch (judge_encryption(peer, candidate)) {
	case ENCRYPTION_NONE: return "in clear";
	case ENCRYPTION_MAY: return "by TLS if it is offered";
	case ENCRYPTION_MUST: break;
	}
	snprintf(text, MANNER, "by TLS alone (%s)",
		demanders(peer, judge_demanded_by(peer, candidate), by));
	return text;
}

/* Those that are used, in their order; the number of them. */
static unsigned used_hosts(const struct peer *peer,
	const struct candidate *used[REQUIREMENT_CANDIDATES], bool *alike)
{
	char first[MANNER], other[MANNER];
	unsigned count = 0;
	*alike = true;
	for (unsigned i = 0; i < peer->candidate_count; i++) {
		const struct candidate *c = &peer->candidates[i];
		if (!is_used(peer, c))
			continue;
		used[count++] = c;
		if (strcmp(manner(peer, used[0], first), manner(peer, c, other)) != 0)
			*alike = false;
	}
	return count;
}

static bool no_status(FILE *out, const struct peer *peer)
{
	line(out, "result", "mail to %s is %s: %s", peer->domain, replies[peer->status],
		peer->text);
	if (peer->status == PEER_DNS_FAILED && !judge_needs_candidates(peer))
		line(out, "", "but what is intercepted on its way to a host goes there");
	return false;
}

static void mail_goes(FILE *out, const struct peer *peer,
	const struct candidate *const *used, unsigned count, bool alike)
{
	char text[MANNER];
	if (alike)
		line(out, "result", "mail to %s goes %s, to %s", peer->domain,
			manner(peer, used[0], text),
			count == 1 ? "one host" : "the first host that takes it");
	else
		line(out, "result",
			"mail to %s goes to the first host that takes it:", peer->domain);
	for (unsigned i = 0; !alike && i < count; i++)
		line(out, "", "%s %s", used[i]->name, manner(peer, used[i], text));
}

static bool result(FILE *out, const struct peer *peer)
{
	const char *fate = peer->demand.bounce ? "sent back" : "deferred";
	char reason[REQUIREMENT_TEXT];
	const struct candidate *used[REQUIREMENT_CANDIDATES];
	bool alike;
	unsigned count = used_hosts(peer, used, &alike);
	if (peer->status != PEER_FINE && peer->status < PEER_STATUSES)
		return no_status(out, peer);
	enum verdict verdict = judge_before(peer, reason);
	if (verdict != VERDICT_PASS) {
		line(out, "result", "mail to %s is %s (%s): %s", peer->domain, fate,
			verdict_code(verdict), reason);
		return false;
	}
	if (count == 0) {
		verdict = against(peer, &peer->candidates[0], reason);
		line(out, "result",
			"mail to %s is %s (%s): none of its hosts is used: %s",
			peer->domain, fate, verdict_code(verdict), reason);
		return false;
	}
	mail_goes(out, peer, used, count, alike);
	return true;
}

bool explain_result(FILE *out, const struct peer *peer)
{
	bool arrives = result(out, peer);
	if (peer->lifetime > 0)
		line(out, "", "this answer holds for %u s", peer->lifetime);
	return arrives;
}
