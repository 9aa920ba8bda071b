/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What another reading of the files has made weaker. Not files are compared but what is
 * demanded of a domain: so it does not matter whether its file was edited, came, went,
 * expired, or lost its section. A domain without a file of its own is told of with the
 * file that speaks for it.
 */

#include "directory_private.h"

#include <string.h>

struct side {
	const struct set *set;
	int64_t now;
	const struct entry *decides; /* NULL: no file does */
};

struct comparison {
	const char *path, *domain;
	enum direction direction;
	bool below; /* the names below the domain, not itself */
	struct side before, after;
	FILE *to;
};

static void look(const struct comparison *comparison, struct side *side)
{
	side->decides = directory_decider(side->set, comparison->direction,
		comparison->domain, side->now, comparison->below);
}

/* Whether the domain's own file decides. */
static bool is_own(const struct comparison *comparison, const struct side *side)
{
	return side->decides && strcmp(side->decides->domain, comparison->domain) == 0;
}

/* A broken file without a good version lets nothing through. */
static bool is_closed(const struct side *side)
{
	return side->decides && !side->decides->version.file;
}

static const struct demand *demanded(
	const struct comparison *comparison, const struct side *side)
{
	if (!side->decides)
		return &demand_default;
	const struct policyfile *file = side->decides->version.file;

	return comparison->direction == DIRECTION_INBOUND ? &file->inbound
							  : &file->outbound;
}

static void tell(
	const struct comparison *comparison, enum change change, const char *what)
{
	const struct entry *decides = comparison->after.decides;
	bool own = is_own(comparison, &comparison->before) &&
		   is_own(comparison, &comparison->after);

	fprintf(comparison->to, "%s/%s.policy: warning: [%s]%s is %s than before",
		comparison->path, comparison->domain,
		comparison->direction == DIRECTION_INBOUND ? "inbound" : "outbound",
		comparison->below ? " for names below" : "",
		change == CHANGE_WEAKER ? "weaker" : "other");
	if (!own && !decides)
		fputs(", as no file decides now", comparison->to);
	else if (!own)
		fprintf(comparison->to, ", as %s.policy decides now", decides->domain);
	fprintf(comparison->to, ": %s\n", what);
}

static void compare(struct comparison *comparison)
{
	char text[REQUIREMENT_TEXT];

	look(comparison, &comparison->before);
	look(comparison, &comparison->after);
	bool was_own = is_own(comparison, &comparison->before);
	bool is_own_now = is_own(comparison, &comparison->after);

	/* told with another file, or with this one's own domain */
	if ((!was_own && !is_own_now) || (comparison->below && was_own && is_own_now))
		return;
	if (is_closed(&comparison->before) || is_closed(&comparison->after))
		return;
	for (enum policyfile_aspect aspect = 0; aspect < ASPECTS; aspect++) {
		enum change change = policyfile_compare(aspect, comparison->domain,
			demanded(comparison, &comparison->before),
			demanded(comparison, &comparison->after), text);

		if (change != CHANGE_NONE)
			tell(comparison, change, text);
	}
}

static void compare_domain(struct comparison *comparison, const char *domain)
{
	bool has_names_below = domain[0] != '[' && strcmp(domain, "default") != 0;

	comparison->domain = domain;
	for (enum direction d = DIRECTION_OUTBOUND; d <= DIRECTION_INBOUND; d++) {
		comparison->direction = d;
		for (int below = 0; below <= has_names_below; below++) {
			comparison->below = below;
			compare(comparison);
		}
	}
}

void directory_compare(
	const struct directory *directory, const struct set *after, int64_t now, FILE *to)
{
	const struct set *before = &directory->set;
	struct comparison comparison = {
		.path = directory->path,
		.before = { .set = before, .now = directory->read_at },
		.after = { .set = after, .now = now },
		.to = to,
	};

	for (size_t b = 0, a = 0; b < before->count || a < after->count;) {
		int order = b == before->count ? 1 : -1;

		if (b < before->count && a < after->count)
			order = strcmp(
				before->entries[b].domain, after->entries[a].domain);
		compare_domain(&comparison, order <= 0 ? before->entries[b].domain
						       : after->entries[a].domain);
		b += order <= 0;
		a += order >= 0;
	}
}
