/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "explain_text.h"

#include "judge.h"

enum { SHOWN = 64 /* octets of a record */ };

static void label(FILE *out, bool first)
{
	fprintf(out, "  %-10s", first ? "dane" : "");
}

/* Whether it was validated, and for how long it may be believed. */
static void security(FILE *out, const struct candidate *candidate)
{
	fputs(candidate->tlsa_secure ? ", signed" : "", out);
	if (candidate->tlsa_ttl > 0)
		fprintf(out, ", for %u s", candidate->tlsa_ttl);
	fputc('\n', out);
}

/* As `dig` shows it, which is how people compare it. */
static void record(FILE *out, const struct tlsa *tlsa)
{
	label(out, false);
	fprintf(out, "  %u %u %u ", tlsa->usage, tlsa->selector, tlsa->matching);
	for (unsigned i = 0; i < tlsa->length && i < SHOWN; i++)
		fprintf(out, "%02x", tlsa->octets[i]);
	if (tlsa->length > SHOWN)
		fprintf(out, "... (%u octets)", tlsa->length);
	fputc('\n', out);
}

static void host(FILE *out, const struct peer *peer, const struct candidate *candidate)
{
	const char *base = candidate->tlsa_base;
	bool fails = judge_dane_state(peer, candidate) == DANE_FAILED;
	label(out, false);
	fprintf(out, "%s: ", candidate->name);
	switch ((enum dane_state)candidate->dane) {
	case DANE_UNAVAILABLE: fputs("not asked for", out); break;
	case DANE_FAILED:
		fprintf(out, "cannot be known%s",
			fails ? ", so that it is not used" : "");
		break;
	case DANE_ABSENT:
		fputs(candidate->tlsa_secure ? "none" : "none that is signed", out);
		break;
	case DANE_UNUSABLE:
		fprintf(out, "none that can be used, at _25._tcp.%s", base);
		break;
	case DANE_USABLE:
		fprintf(out, "%u that can be used, at _25._tcp.%s", candidate->tlsa_count,
			base);
		break;
	}
	security(out, candidate);
	for (unsigned i = 0; i < candidate->tlsa_count; i++)
		record(out, &candidate->tlsa[i]);
}

static const char *which_hosts(const struct peer *peer)
{
	if (peer->direction == DIRECTION_HOST)
		return "the host was named to us";
	return peer->secure_mx ? "which hosts it has is signed"
			       : "which hosts it has is not signed: somebody may have "
				 "forged that";
}

void explain_dane(FILE *out, const struct peer *peer)
{
	if (peer->candidate_count == 0 || peer->domain[0] == '[')
		return;
	label(out, true);
	if (peer->candidates[0].dane == DANE_UNAVAILABLE) {
		fprintf(out, "TLSA records are not asked for (dane = no)\n");
		return;
	}
	fprintf(out, "%s\n", which_hosts(peer));
	for (unsigned i = 0; i < peer->candidate_count; i++)
		host(out, peer, &peer->candidates[i]);
	if (peer->direction == DIRECTION_OUTBOUND && !peer->demand.dane) {
		label(out, false);
		fputs("they do not count: the policy file says dane = no\n", out);
	}
}
