/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What becomes of a peer's protection when one demand takes the place of another. */

#include "policyfile_private.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

struct comparison {
	const char *domain;
	const struct demand *before, *after;
	char *text;
};

__attribute__((format(printf, 2, 3))) static void tell(
	const struct comparison *comparison, const char *format, ...)
{
	size_t used = strlen(comparison->text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(comparison->text + used, REQUIREMENT_TEXT - used, format, arguments);
	va_end(arguments);
}

/* ---- levels ---- */

enum {
	TRIES = 1 << 0,	  /* TLS, where there is any */
	NEEDS = 1 << 1,	  /* no mail in clear */
	TLSA = 1 << 2,	  /* never without records of the peer's */
	VOUCHED = 1 << 3, /* by an authority, for a name */
	OWN = 1 << 4,	  /* and that is no name that DNS tells */
	KNOWN = 1 << 5,	  /* beforehand */
};

/* What a level gives of itself: what the peer publishes comes on top, at each. */
static unsigned level_gives(const struct demand *demand)
{
	switch ((enum level)demand->level) {
	case LEVEL_NONE: return 0;
	case LEVEL_MAY:
	case LEVEL_DANE: return TRIES;
	case LEVEL_ENCRYPT: return TRIES | NEEDS;
	case LEVEL_DANE_ONLY: return TRIES | NEEDS | TLSA;
	case LEVEL_VERIFY: return TRIES | NEEDS | VOUCHED;
	case LEVEL_SECURE: return TRIES | NEEDS | VOUCHED | OWN;
	case LEVEL_FINGERPRINT: return TRIES | NEEDS | KNOWN;
	case LEVELS: break;
	}
	return 0;
}

static enum change level_change(const struct comparison *comparison)
{
	unsigned before = level_gives(comparison->before);
	unsigned after = level_gives(comparison->after);

	if ((before & ~after) == 0)
		return CHANGE_NONE;
	tell(comparison, "tls = %s is now %s",
		level_name((enum level)comparison->before->level),
		level_name((enum level)comparison->after->level));
	return (after & ~before) == 0 ? CHANGE_WEAKER : CHANGE_OTHER;
}

/* Whether all of `gives` is demanded as before, so that it can be asked how. */
static bool both_give(const struct comparison *comparison, unsigned gives)
{
	unsigned before = level_gives(comparison->before);
	unsigned after = level_gives(comparison->after);

	return (before & after & gives) == gives && (before & ~after) == 0;
}

/* ---- names ---- */

struct patterns {
	const char (*at)[REQUIREMENT_NAME];
	unsigned count;
};

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* All that `pattern` fits is the domain, or a name below it. */
static bool within_domain(const char *domain, const char *pattern)
{
	size_t length = strlen(domain);

	return strcmp(pattern, domain) == 0 ||
	       (ends_with(pattern, domain) && strlen(pattern) > length &&
		       pattern[strlen(pattern) - length - 1] == '.');
}

/* All that `pattern` fits is fitted by `by`. */
static bool pattern_within(const char *domain, const char *by, const char *pattern)
{
	if (strcmp(by, pattern) == 0)
		return true;
	if (strcmp(by, "domain") == 0)
		return within_domain(domain, pattern);
	if (by[0] == '.')
		return ends_with(pattern, by);
	/* "*.example.net" */
	return by[0] == '*' && pattern[0] != '.' && pattern[0] != '*' &&
	       strchr(pattern, '.') && strcmp(strchr(pattern, '.'), by + 1) == 0;
}

static bool any_has(
	const char *domain, const struct patterns *patterns, const char *pattern)
{
	for (unsigned i = 0; i < patterns->count; i++) {
		if (pattern_within(domain, patterns->at[i], pattern))
			return true;
	}
	return false;
}

/* Those of `after` that fit what nothing of `before` did. */
static enum change patterns_change(const struct comparison *comparison, const char *key,
	const struct patterns *before, const struct patterns *after)
{
	enum change change = CHANGE_NONE;

	for (unsigned i = 0; i < after->count; i++) {
		if (any_has(comparison->domain, before, after->at[i]))
			continue;
		tell(comparison, change == CHANGE_NONE ? "%s now takes %s" : "%s %s",
			change == CHANGE_NONE ? key : ",", after->at[i]);
		change = CHANGE_WEAKER;
	}
	return change;
}

/* Where "mx" stands and any MX host will do, whatever DNS says fitted. */
static bool takes_any_host(const struct demand *demand)
{
	for (unsigned i = 0; i < demand->match_count; i++) {
		if (strcmp(demand->match[i], "mx") == 0)
			return demand->mx_count == 0;
	}
	return false;
}

static enum change match_change(const struct comparison *comparison)
{
	const struct demand *before = comparison->before, *after = comparison->after;

	if (!both_give(comparison, VOUCHED) || takes_any_host(before))
		return CHANGE_NONE;
	return patterns_change(comparison, "match",
		&(struct patterns){ before->match, before->match_count },
		&(struct patterns){ after->match, after->match_count });
}

static enum change mx_change(const struct comparison *comparison)
{
	const struct demand *before = comparison->before, *after = comparison->after;

	if (before->mx_count == 0)
		return CHANGE_NONE;
	if (after->mx_count == 0) {
		tell(comparison, "mx is gone, and every MX host is used");
		return CHANGE_WEAKER;
	}
	return patterns_change(comparison, "mx",
		&(struct patterns){ before->mx, before->mx_count },
		&(struct patterns){ after->mx, after->mx_count });
}

/* ---- what else there is to a demand ---- */

static bool has_fingerprint(
	const struct demand *demand, const struct fingerprint *fingerprint)
{
	for (unsigned i = 0; i < demand->fingerprint_count; i++) {
		const struct fingerprint *has = &demand->fingerprints[i];

		if (has->of == fingerprint->of && has->length == fingerprint->length &&
			memcmp(has->octets, fingerprint->octets, has->length) == 0)
			return true;
	}
	return false;
}

/* A rollover looks no different from somebody else's key. */
static enum change fingerprint_change(const struct comparison *comparison)
{
	const struct demand *after = comparison->after;

	if (!both_give(comparison, KNOWN))
		return CHANGE_NONE;
	for (unsigned i = 0; i < after->fingerprint_count; i++) {
		const struct fingerprint *new = &after->fingerprints[i];

		if (has_fingerprint(comparison->before, new))
			continue;
		tell(comparison, "fingerprint now takes %s/%s:%02x%02x%02x%02x...",
			new->length == 32 ? "sha256" : "sha512",
			new->of == FINGERPRINT_SPKI ? "spki" : "cert", new->octets[0],
			new->octets[1], new->octets[2], new->octets[3]);
		return CHANGE_OTHER;
	}
	return CHANGE_NONE;
}

static enum change ca_change(const struct comparison *comparison)
{
	const struct demand *before = comparison->before, *after = comparison->after;

	if (!both_give(comparison, VOUCHED) ||
		(before->ca_length == after->ca_length &&
			(before->ca_length == 0 ||
				memcmp(before->ca, after->ca, before->ca_length) == 0)))
		return CHANGE_NONE;
	if (after->ca_length == 0) {
		tell(comparison, "ca is gone, and the public authorities count");
		return CHANGE_WEAKER;
	}
	tell(comparison, before->ca_length == 0 ? "ca is new, in place of the public ones"
						: "ca holds other certificates");
	return CHANGE_OTHER;
}

static enum change protocols_change(const struct comparison *comparison)
{
	static const uint8_t ranks[] = {
		[PROTOCOLS_LEGACY] = 0, [PROTOCOLS_TLS_1_2] = 1, [PROTOCOLS_TLS_1_3] = 2
	};
	const char *const *words = policyfile_keys[KEY_PROTOCOLS].words;
	uint8_t before = comparison->before->protocols;
	uint8_t after = comparison->after->protocols;

	static_assert(sizeof(ranks) == PROTOCOLS_COUNT, "a rank for all `protocols`");
	if (!both_give(comparison, TRIES) || ranks[before] <= ranks[after])
		return CHANGE_NONE;
	tell(comparison, "protocols = %s is now %s", words[before], words[after]);
	return CHANGE_WEAKER;
}

static enum change dane_change(const struct comparison *comparison)
{
	if (!comparison->before->dane || comparison->after->dane)
		return CHANGE_NONE;
	tell(comparison, "dane = yes is now no");
	return CHANGE_WEAKER;
}

static enum change mta_sts_change(const struct comparison *comparison)
{
	if (!comparison->before->mta_sts || comparison->after->mta_sts)
		return CHANGE_NONE;
	tell(comparison, "mta-sts = yes is now no");
	return CHANGE_WEAKER;
}

enum change policyfile_compare(enum policyfile_aspect aspect, const char *domain,
	const struct demand *before, const struct demand *after,
	char text[REQUIREMENT_TEXT])
{
	static enum change (*const compare[])(const struct comparison *) = {
		[ASPECT_TLS] = level_change,
		[ASPECT_MATCH] = match_change,
		[ASPECT_MX] = mx_change,
		[ASPECT_FINGERPRINT] = fingerprint_change,
		[ASPECT_CA] = ca_change,
		[ASPECT_PROTOCOLS] = protocols_change,
		[ASPECT_DANE] = dane_change,
		[ASPECT_MTA_STS] = mta_sts_change,
	};
	const struct comparison comparison = { domain, before, after, text };

	static_assert(sizeof(compare) / sizeof(compare[0]) == ASPECTS,
		"each aspect has its comparison");
	text[0] = '\0';
	return compare[aspect](&comparison);
}
