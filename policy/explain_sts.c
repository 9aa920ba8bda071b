/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "explain_text.h"

#include "judge.h"

#include <assert.h>
#include <stdarg.h>
#include <time.h>

static const char *const modes[] = {
	[STS_NONE] = "none: it was withdrawn",
	[STS_TESTING] =
		"testing: mail goes as if there were none; what would fail is logged",
	[STS_ENFORCE] = "enforce: to these hosts alone, by TLS with a valid certificate",
};
static_assert(sizeof(modes) / sizeof(modes[0]) == STS_MODES, "a meaning a mode");

static void line(FILE *out, bool first, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void line(FILE *out, bool first, const char *format, ...)
{
	va_list arguments;
	fprintf(out, "  %-10s", first ? "mta-sts" : "");
	va_start(arguments, format);
	vfprintf(out, format, arguments);
	va_end(arguments);
	fputc('\n', out);
}

static const char *date(int64_t when, char text[32])
{
	time_t t = (time_t)when;
	struct tm parts;
	if (!gmtime_r(&t, &parts) ||
		strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
		text[0] = '\0';
	return text;
}

static const char *span(int64_t seconds, char text[32])
{
	if (seconds >= 2 * 24 * 3600)
		snprintf(text, 32, "%lld days", (long long)seconds / (24 * 3600));
	else if (seconds >= 2 * 3600)
		snprintf(text, 32, "%lld hours", (long long)seconds / 3600);
	else if (seconds >= 2 * 60)
		snprintf(text, 32, "%lld minutes", (long long)seconds / 60);
	else
		snprintf(text, 32, "%lld seconds", (long long)seconds);
	return text;
}

static void explain_policy(FILE *out, const struct sts *sts, int64_t asked, int64_t now)
{
	char at[32], how_long[32];
	line(out, true, "%s", sts->mode < STS_MODES ? modes[sts->mode] : "");
	for (unsigned i = 0; i < sts->mx_count; i++)
		line(out, false, "mx %s", sts->mx[i]);
	line(out, false, "id %s, %s", sts->id,
		sts->fetched >= asked ? "fetched just now" : "from the cache");
	line(out, false, "fetched %s, %s ago", date(sts->fetched, at),
		span(now - sts->fetched, how_long));
	line(out, false, "holds until %s, %s more", date(sts->expires, at),
		span(sts->expires - now, how_long));
}

static bool any_has_dane(const struct peer *peer)
{
	for (unsigned i = 0; i < peer->candidate_count; i++)
		if (judge_dane_state(peer, &peer->candidates[i]) == DANE_USABLE)
			return true;
	return false;
}

void explain_sts(FILE *out, const struct peer *peer, int64_t asked, int64_t now)
{
	const struct sts *sts = &peer->sts;
	if (peer->domain[0] == '[')
		return;
	if (sts->id[0] != '\0')
		explain_policy(out, sts, asked, now);
	else
		line(out, true, "%s",
			sts->text[0] != '\0' ? sts->text : "no policy is published");
	if (!peer->demand.mta_sts)
		line(out, false, "%s",
			"it does not count: the policy file says mta-sts = no");
	else if (sts->mode != STS_NONE && any_has_dane(peer))
		line(out, false, "hosts with DANE are held to their TLSA records");
}
