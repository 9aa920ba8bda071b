/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The truth table of the judgement: every cell of every slice below, a line each, is
 * compared with tests/golden/judge.txt, as TAP. `make golden` writes that file anew: read
 * what `git diff` says of it then, for each changed line is a changed promise.
 */

#include "judge_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 512, TOLD = 10 /* differences that are printed of a slice */ };

#define HOSTS (ONLY(HOST_LISTED) | ONLY(HOST_UNLISTED) | ONLY(HOST_UNNAMED))

enum kind {
	KIND_VERDICT,
	KIND_PLAN,    /* how a leg begins, and what is asked about its certificate */
	KIND_TESTING, /* what MTA-STS would have said, were it in force */
};

static const struct slice {
	const char *title;
	enum kind kind;
	struct walk walk;
} slices[] = {
	{ "how a leg begins, and what is asked of TLS", KIND_PLAN,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_DANE] = ALL,
			[DIM_CA] = ALL,
			[DIM_HOST] = ONLY(HOST_LISTED) | ONLY(HOST_UNLISTED),
			[DIM_TLSA] = ALL,
		} } },
	{ "how a client must come, and what is asked of TLS", KIND_PLAN,
		{ {
			[DIM_DIRECTION] = ONLY(INBOUND),
			[DIM_LEVEL] = ALL,
			[DIM_CA] = ALL,
			[DIM_HOST] = ONLY(HOST_UNLISTED),
		} } },
	{ "versions of TLS", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_PROTOCOLS] = ALL,
			[DIM_TLS] = ALL,
		} } },
	{ "certificates shown", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_NONE),
			[DIM_SHOWN] = ALL,
		} } },
	{ "chains", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_CA] = ALL,
			[DIM_PUBLIC] = ALL,
			[DIM_OWN] = ALL,
		} } },
	{ "names", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ONLY(LEVEL_VERIFY) | ONLY(LEVEL_SECURE),
			[DIM_MATCH] = ALL,
			[DIM_HOST] = HOSTS,
			[DIM_NAMES] = ALL,
		} } },
	{ "names where they do not count", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL & ~ONLY(LEVEL_VERIFY) & ~ONLY(LEVEL_SECURE),
			[DIM_MATCH] = ONLY(0) | ONLY(1),
			[DIM_NAMES] = ALL,
		} } },
	{ "fingerprints", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ONLY(LEVEL_FINGERPRINT),
			[DIM_PIN] = ALL,
			[DIM_PUBLIC] = ALL,
			[DIM_NAMES] = ONLY(NAMES_BOTH) | ONLY(11),
		} } },
	{ "MX hosts that are believed", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_MX] = ALL,
			[DIM_HOST] = HOSTS,
			[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_NONE),
		} } },
	{ "DANE", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_DANE] = ALL,
			[DIM_TLSA] = ALL,
			[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_NONE),
			[DIM_RECORDS] = ALL,
		} } },
	{ "DANE of hosts that somebody may have forged", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_HOST] = HOSTS,
			[DIM_TLSA] = ALL,
			[DIM_SIGNED] = ALL,
			[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_NONE),
			[DIM_RECORDS] = ONLY(DANE_MATCH_EE),
		} } },
	{ "DANE, names and dates", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_TLSA] = ONLY(DANE_USABLE),
			[DIM_PUBLIC] = ONLY(VERDICT_VALID) | ONLY(VERDICT_EXPIRED),
			[DIM_NAMES] = ALL,
			[DIM_RECORDS] = ONLY(DANE_MATCH_EE) | ONLY(DANE_MATCH_TA),
		} } },
	{ "DANE, names and the TLSA base", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ONLY(LEVEL_MAY) | ONLY(LEVEL_DANE_ONLY),
			[DIM_TLSA] = ONLY(DANE_USABLE),
			[DIM_BASE] = ALL,
			[DIM_NAMES] = ALL,
			[DIM_RECORDS] = ONLY(DANE_MATCH_TA),
		} } },
	{ "how a leg begins where there is MTA-STS", KIND_PLAN,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_MTA_STS] = ALL,
			[DIM_TLSA] = ONLY(DANE_ABSENT) | ONLY(DANE_UNUSABLE) |
				     ONLY(DANE_USABLE),
			[DIM_STS] = ALL,
		} } },
	{ "MTA-STS", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_MTA_STS] = ALL,
			[DIM_TLSA] = ONLY(DANE_ABSENT),
			[DIM_STS] = ALL,
			[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_NONE),
			[DIM_PUBLIC] = ONLY(VERDICT_VALID) | ONLY(VERDICT_UNTRUSTED),
		} } },
	{ "MTA-STS, hosts and names", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ONLY(LEVEL_MAY),
			[DIM_HOST] = ONLY(HOST_LISTED) | ONLY(HOST_UNLISTED),
			[DIM_TLSA] = ONLY(DANE_ABSENT),
			[DIM_STS] = ONLY(STS_ENFORCE),
			[DIM_STS_MX] = ALL,
			[DIM_NAMES] = ALL,
			[DIM_NAMED_BY] = ALL,
		} } },
	{ "MTA-STS, versions of TLS and certificates", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ONLY(LEVEL_NONE) | ONLY(LEVEL_MAY),
			[DIM_PROTOCOLS] = ALL,
			[DIM_TLSA] = ONLY(DANE_ABSENT),
			[DIM_STS] = ONLY(STS_ENFORCE),
			[DIM_TLS] = ALL,
			[DIM_SHOWN] = ALL,
		} } },
	{ "MTA-STS and DANE", KIND_VERDICT,
		{ {
			[DIM_LEVEL] =
				ONLY(LEVEL_NONE) | ONLY(LEVEL_MAY) | ONLY(LEVEL_VERIFY),
			[DIM_DANE] = ALL,
			[DIM_TLSA] = ALL,
			[DIM_STS] = ONLY(STS_TESTING) | ONLY(STS_ENFORCE),
			[DIM_PUBLIC] = ONLY(VERDICT_VALID) | ONLY(VERDICT_UNTRUSTED),
			[DIM_RECORDS] = ONLY(DANE_MATCH_NONE) | ONLY(DANE_MATCH_EE) |
					ONLY(DANE_MATCH_TA),
		} } },
	{ "what MTA-STS in mode testing would have refused", KIND_TESTING,
		{ {
			[DIM_LEVEL] = ONLY(LEVEL_MAY),
			[DIM_TLSA] = ONLY(DANE_ABSENT) | ONLY(DANE_USABLE),
			[DIM_STS] = ALL,
			[DIM_STS_MX] = ONLY(STS_MX_LISTED) | ONLY(STS_MX_OTHER),
			[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_1_1) | ONLY(TLS_NONE),
			[DIM_PUBLIC] = ONLY(VERDICT_VALID) | ONLY(VERDICT_UNTRUSTED),
			[DIM_NAMES] = ONLY(NAMES_MX) | ONLY(NAMES_DOMAIN),
		} } },
	{ "what is needed of DNS where it has failed", KIND_PLAN,
		{ {
			[DIM_STATUS] = ALL,
			[DIM_LEVEL] = ALL,
			[DIM_DANE] = ALL,
			[DIM_HOST] = ONLY(HOST_UNKNOWN),
			[DIM_STS] = ONLY(STS_NONE) | ONLY(STS_ENFORCE),
		} } },
	{ "hosts where DNS has failed", KIND_VERDICT,
		{ {
			[DIM_STATUS] = ALL,
			[DIM_LEVEL] = ALL,
			[DIM_DANE] = ALL,
			[DIM_HOST] = ONLY(HOST_UNKNOWN),
			[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_NONE),
		} } },
	{ "hosts that the domain does not list", KIND_VERDICT,
		{ {
			[DIM_LEVEL] = ALL,
			[DIM_DANE] = ALL,
			[DIM_HOST] = ONLY(HOST_UNLISTED),
			[DIM_TLSA] = ALL,
			[DIM_TLS] = ONLY(TLS_1_3) | ONLY(TLS_NONE),
		} } },
	{ "address literals, and no domain at all", KIND_VERDICT,
		{ {
			[DIM_DIRECTION] = ALL,
			[DIM_DOMAIN] = ALL,
			[DIM_LEVEL] = ALL,
			[DIM_MATCH] = ONLY(0) | ONLY(2) | ONLY(4),
			[DIM_HOST] = ONLY(HOST_UNNAMED),
		} } },
	{ "clients: versions of TLS and certificates", KIND_VERDICT,
		{ {
			[DIM_DIRECTION] = ONLY(INBOUND),
			[DIM_LEVEL] = ALL,
			[DIM_HOST] = ONLY(HOST_UNLISTED),
			[DIM_TLS] = ALL,
			[DIM_SHOWN] = ALL,
		} } },
	{ "clients: chains", KIND_VERDICT,
		{ {
			[DIM_DIRECTION] = ONLY(INBOUND),
			[DIM_LEVEL] = ALL,
			[DIM_CA] = ALL,
			[DIM_HOST] = ONLY(HOST_UNLISTED),
			[DIM_PUBLIC] = ALL,
			[DIM_OWN] = ONLY(VERDICT_VALID) | ONLY(VERDICT_UNTRUSTED),
		} } },
	{ "clients: names", KIND_VERDICT,
		{ {
			[DIM_DIRECTION] = ONLY(INBOUND),
			[DIM_LEVEL] = ONLY(LEVEL_VERIFY),
			[DIM_MATCH] = ALL,
			[DIM_HOST] = ONLY(HOST_UNLISTED),
			[DIM_NAMES] = ALL,
		} } },
	{ "clients: fingerprints", KIND_VERDICT,
		{ {
			[DIM_DIRECTION] = ONLY(INBOUND),
			[DIM_LEVEL] = ONLY(LEVEL_FINGERPRINT),
			[DIM_PIN] = ALL,
			[DIM_HOST] = ONLY(HOST_UNLISTED),
			[DIM_PUBLIC] = ONLY(VERDICT_VALID) | ONLY(VERDICT_EXPIRED),
		} } },
};
enum { SLICES = sizeof(slices) / sizeof(*slices) };

/* The table that is written, or the one that was. */
struct table {
	FILE *golden;		     /* NULL: print */
	unsigned lines, differences; /* of this slice */
};

/* ---- a line ---- */

static void append(char line[LINE], const char *text)
{
	size_t length = strlen(line);
	snprintf(line + length, LINE - length, "%s", text);
}

static void append_value(
	char line[LINE], const struct judge_world *world, enum dimension dimension)
{
	append(line, dimension_name(dimension));
	append(line, "=");
	append(line, value_name(dimension, world->at[dimension]));
	append(line, " ");
}

static void append_plan(char line[LINE], const struct judge_world *world)
{
	static const char *const encryptions[] = {
		[ENCRYPTION_NONE] = "none",
		[ENCRYPTION_MAY] = "may",
		[ENCRYPTION_MUST] = "must",
	};
	unsigned asks = judge_asks(&world->peer, world->candidate);
	append(line, encryptions[judge_encryption(&world->peer, world->candidate)]);
	append(line, asks & ASK_LEAF ? " leaf" : "");
	append(line, asks & ASK_PUBLIC_CHAIN ? " public-chain" : "");
	append(line, asks & ASK_OWN_CHAIN ? " own-chain" : "");
	append(line, asks & ASK_DANE ? " dane" : "");
	append(line, judge_needs_candidates(&world->peer) ? " (needs MX hosts)" : "");
}

static void append_verdict(
	char line[LINE], const struct judge_world *world, enum kind kind)
{
	char reason[REQUIREMENT_TEXT];
	enum verdict verdict = kind == KIND_VERDICT
				       ? judge_world_judge(world, reason)
				       : judge_sts_testing(&world->peer, world->candidate,
						 &world->facts, reason);
	append(line, verdict_name(verdict));
	if (verdict != VERDICT_PASS) {
		append(line, " ");
		append(line, verdict_code(verdict));
	}
}

static void emit(struct table *table, const char *line)
{
	char wanted[LINE] = "";
	if (!table->golden) {
		puts(line);
		return;
	}
	table->lines++;
	if (!fgets(wanted, sizeof(wanted), table->golden))
		wanted[0] = '\0';
	wanted[strcspn(wanted, "\n")] = '\0';
	if (strcmp(line, wanted) != 0 && table->differences++ < TOLD)
		printf("# expected: %s\n#      got: %s\n", wanted, line);
}

/* ---- a slice, and all of them ---- */

static void emit_slice(struct table *table, const struct slice *slice)
{
	struct judge_world world;
	char line[LINE] = "# ";
	table->lines = table->differences = 0;
	walk_begin(&slice->walk, &world);
	append(line, slice->title);
	append(line, ": ");
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		if (!walk_varies(&slice->walk, d) && world.at[d] != 0)
			append_value(line, &world, d);
	line[strlen(line) - 1] = '\0';
	emit(table, line);
	do {
		line[0] = '\0';
		for (enum dimension d = 0; d < DIMENSIONS; d++)
			if (walk_varies(&slice->walk, d))
				append_value(line, &world, d);
		append(line, "-> ");
		if (slice->kind == KIND_PLAN)
			append_plan(line, &world);
		else
			append_verdict(line, &world, slice->kind);
		emit(table, line);
	} while (walk_next(&slice->walk, &world));
}

static int print(void)
{
	struct table table = { .golden = NULL };
	for (unsigned i = 0; i < SLICES; i++)
		emit_slice(&table, &slices[i]);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int compare(const char *path)
{
	struct table table = { .golden = fopen(path, "r") };
	bool fine = true;
	if (!table.golden) {
		printf("Bail out! cannot open %s\n", path);
		return 1;
	}
	printf("1..%d\n", SLICES + 1);
	for (unsigned i = 0; i < SLICES; i++) {
		emit_slice(&table, &slices[i]);
		printf("%sok %u - %s (%u lines)\n", table.differences ? "not " : "",
			i + 1, slices[i].title, table.lines);
		fine = fine && table.differences == 0;
	}
	bool ended = fgetc(table.golden) == EOF;
	printf("%sok %d - nothing is left of %s\n", ended ? "" : "not ", SLICES + 1,
		path);
	fclose(table.golden);
	return fine && ended ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	if (argc > 1)
		return strcmp(argv[1], "--print") == 0 ? print() : 2;
	snprintf(path, sizeof(path), "%s/tests/golden/judge.txt", srcdir ? srcdir : ".");
	return compare(path);
}
