/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Two policies of one domain, and what is told of the second. */

#include "policyfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "b0b1b2b3bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct pair {
	const char *before, *after; /* below the section */
	const char *told;	    /* a line each; "w " weaker, "o " other */
};

static const struct pair outbound[] = {
	{ "tls = may", "tls = may", "" },
	{ "tls = none", "tls = secure", "" },
	{ "tls = may", "tls = none", "w tls = may is now none\n" },
	{ "tls = encrypt", "tls = may", "w tls = encrypt is now may\n" },
	{ "tls = encrypt", "tls = dane", "w tls = encrypt is now dane\n" },
	/* with DANE on top of each, they are the same */
	{ "tls = dane", "tls = may", "" },
	{ "tls = may", "tls = dane", "" },
	{ "tls = dane", "tls = none", "w tls = dane is now none\n" },
	{ "tls = dane", "tls = encrypt", "" },
	{ "tls = encrypt", "tls = dane-only", "" },
	{ "tls = dane-only", "tls = dane", "w tls = dane-only is now dane\n" },
	{ "tls = dane-only", "tls = encrypt", "w tls = dane-only is now encrypt\n" },
	{ "tls = dane-only", "tls = secure", "o tls = dane-only is now secure\n" },
	{ "tls = verify", "tls = dane-only", "o tls = verify is now dane-only\n" },
	{ "tls = verify", "tls = encrypt", "w tls = verify is now encrypt\n" },
	{ "tls = verify", "tls = secure", "" },
	{ "tls = secure", "tls = verify", "w tls = secure is now verify\n" },
	{ "tls = secure", "tls = may", "w tls = secure is now may\n" },
	{ "tls = secure", "tls = fingerprint\nfingerprint = sha256/spki:" A32,
		"o tls = secure is now fingerprint\n" },
	{ "tls = fingerprint\nfingerprint = sha256/spki:" A32, "tls = verify",
		"o tls = fingerprint is now verify\n" },
	{ "tls = fingerprint\nfingerprint = sha256/spki:" A32, "tls = encrypt",
		"w tls = fingerprint is now encrypt\n" },

	{ "tls = secure", "tls = secure\nmatch = a.lab mail.a.lab .a.lab .b.a.lab", "" },
	{ "tls = secure", "tls = secure\nmatch = domain xa.lab .lab",
		"w match now takes xa.lab, .lab\n" },
	{ "tls = secure", "tls = secure\nmatch = mx", "w match now takes mx\n" },
	{ "tls = secure\nmatch = .b.lab", "tls = secure\nmatch = x.y.b.lab .y.b.lab",
		"" },
	{ "tls = secure\nmatch = .b.lab", "tls = secure\nmatch = b.lab",
		"w match now takes b.lab\n" },
	{ "tls = secure\nmatch = .b.lab", "tls = secure\nmatch = xb.lab",
		"w match now takes xb.lab\n" },
	{ "tls = secure\nmatch = x.b.lab", "tls = secure\nmatch = .x.b.lab",
		"w match now takes .x.b.lab\n" },
	{ "tls = verify\nmatch = x.b.lab", "tls = secure\nmatch = y.b.lab",
		"w match now takes y.b.lab\n" },
	/* whatever DNS said was believed already */
	{ "tls = verify", "tls = verify\nmatch = .evil.lab", "" },
	{ "tls = verify\nmx = .b.lab", "tls = verify\nmx = .b.lab\nmatch = .evil.lab",
		"w match now takes .evil.lab\n" },
	/* told already */
	{ "tls = secure", "tls = verify\nmatch = mx", "w tls = secure is now verify\n" },

	{ "tls = may", "tls = may\nmx = mx.b.lab", "" },
	{ "tls = may\nmx = mx.b.lab", "tls = may",
		"w mx is gone, and every MX host is used\n" },
	{ "tls = may\nmx = *.b.lab", "tls = may\nmx = mx.b.lab *.b.lab", "" },
	{ "tls = may\nmx = *.b.lab", "tls = may\nmx = x.mx.b.lab b.lab .b.lab *.c.b.lab",
		"w mx now takes x.mx.b.lab, b.lab, .b.lab, *.c.b.lab\n" },
	{ "tls = may\nmx = .b.lab", "tls = may\nmx = *.b.lab *.c.b.lab", "" },
	{ "tls = may\nmx = domain", "tls = may\nmx = *.a.lab .x.a.lab a.lab", "" },
	{ "tls = may\nmx = domain", "tls = may\nmx = *.lab", "w mx now takes *.lab\n" },

	{ "tls = fingerprint\nfingerprint = sha256/spki:" A32 " sha256/spki:" B32,
		"tls = fingerprint\nfingerprint = sha256/spki:" B32, "" },
	{ "tls = fingerprint\nfingerprint = sha256/spki:" A32,
		"tls = fingerprint\nfingerprint = sha256/spki:" A32 " sha256/spki:" B32,
		"o fingerprint now takes sha256/spki:b0b1b2b3...\n" },
	{ "tls = fingerprint\nfingerprint = sha256/spki:" B32,
		"tls = fingerprint\nfingerprint = sha256/cert:" B32,
		"o fingerprint now takes sha256/cert:b0b1b2b3...\n" },
	{ "tls = fingerprint\nfingerprint = sha256/spki:" B32,
		"tls = fingerprint\nfingerprint = sha512/spki:" B32 B32,
		"o fingerprint now takes sha512/spki:b0b1b2b3...\n" },

	{ "tls = encrypt", "tls = encrypt\nprotocols = tls1.3", "" },
	{ "tls = encrypt\nprotocols = tls1.3", "tls = encrypt",
		"w protocols = tls1.3 is now tls1.2+\n" },
	{ "tls = encrypt\nprotocols = tls1.3", "tls = encrypt\nprotocols = legacy",
		"w protocols = tls1.3 is now legacy\n" },
	{ "tls = may", "tls = may\nprotocols = legacy",
		"w protocols = tls1.2+ is now legacy\n" },
	{ "tls = may\nprotocols = legacy", "tls = may", "" },
	/* there was no TLS that could be older now */
	{ "tls = none", "tls = may\nprotocols = legacy", "" },

	{ "tls = none", "tls = none\ndane = no", "w dane = yes is now no\n" },
	{ "tls = secure\ndane = no", "tls = secure\ndane = yes", "" },
	{ "tls = may", "tls = may\nmta-sts = no", "w mta-sts = yes is now no\n" },
	{ "tls = secure\nmx = mx.a.lab", "tls = none\ndane = no\nmta-sts = no",
		"w tls = secure is now none\nw mx is gone, and every MX host is used\n"
		"w dane = yes is now no\nw mta-sts = yes is now no\n" },

	/* how a refusal is told, and who we are, protects nobody */
	{ "tls = secure\non-failure = bounce", "tls = secure\nidentity = x", "" },
};

static const struct pair inbound[] = {
	{ "tls = may", "tls = verify", "" },
	{ "tls = encrypt", "tls = may", "w tls = encrypt is now may\n" },
	{ "tls = verify", "tls = encrypt", "w tls = verify is now encrypt\n" },
	{ "tls = verify", "tls = verify\nmatch = .b.lab", "w match now takes .b.lab\n" },
	{ "tls = verify", "tls = fingerprint\nfingerprint = sha256/cert:" A32,
		"o tls = verify is now fingerprint\n" },
};

static struct policyfile *policy(const char *section, const char *keys)
{
	char text[500];
	bool subdomains;
	snprintf(text, sizeof(text), "[%s]\n%s\n", section, keys);
	FILE *in = fmemopen(text, strlen(text), "r");
	struct policyfile *file = policyfile_read(in, "f", "a.lab", stderr, &subdomains);
	assert_non_null(file);
	fclose(in);
	return file;
}

static void compare(const struct demand *before, const struct demand *after, char *told)
{
	char text[REQUIREMENT_TEXT];
	for (enum policyfile_aspect aspect = 0; aspect < ASPECTS; aspect++) {
		enum change change =
			policyfile_compare(aspect, "a.lab", before, after, text);
		assert_int_equal(change == CHANGE_NONE, text[0] == '\0');
		if (change != CHANGE_NONE)
			told += sprintf(told, "%c %s\n",
				change == CHANGE_WEAKER ? 'w' : 'o', text);
	}
	*told = '\0';
}

static void check(const char *section, const struct pair *pair)
{
	struct policyfile *before = policy(section, pair->before);
	struct policyfile *after = policy(section, pair->after);
	char told[ASPECTS * (REQUIREMENT_TEXT + 4)];
	bool out = before->has_outbound;
	compare(out ? &before->outbound : &before->inbound,
		out ? &after->outbound : &after->inbound, told);
	if (strcmp(told, pair->told) != 0)
		fail_msg("%s\n->\n%s\ntold:\n%s", pair->before, pair->after, told);
	policyfile_free(before);
	policyfile_free(after);
}

static void test_outbound(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(outbound) / sizeof(outbound[0]); i++)
		check("outbound", &outbound[i]);
}

static void test_inbound(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(inbound) / sizeof(inbound[0]); i++)
		check("inbound", &inbound[i]);
}

static void test_ca(void **state)
{
	static const struct {
		const char *before, *after, *told;
	} cases[] = {
		{ "", "", "" },
		{ "one", "one", "" },
		{ "", "one", "o ca is new, in place of the public ones\n" },
		{ "one", "two", "o ca holds other certificates\n" },
		{ "one", "one more", "o ca holds other certificates\n" },
		{ "one", "", "w ca is gone, and the public authorities count\n" },
	};
	char told[ASPECTS * (REQUIREMENT_TEXT + 4)];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct demand before = demand_default, after = demand_default;
		before.level = after.level = LEVEL_SECURE;
		before.ca = (uint8_t *)cases[i].before;
		before.ca_length = strlen(cases[i].before);
		after.ca = (uint8_t *)cases[i].after;
		after.ca_length = strlen(cases[i].after);
		compare(&before, &after, told);
		assert_string_equal(told, cases[i].told);
		after.level = LEVEL_ENCRYPT;
		compare(&before, &after, told);
		assert_string_equal(told, "w tls = secure is now encrypt\n");
	}
}

/* What is told fits, however much there is. */
static void test_long(void **state)
{
	struct demand before = demand_default, after = demand_default;
	char told[ASPECTS * (REQUIREMENT_TEXT + 4)];
	(void)state;
	before.level = after.level = LEVEL_SECURE;
	before.match_count = 1;
	strcpy(before.match[0], "domain");
	after.match_count = REQUIREMENT_PATTERNS;
	for (unsigned i = 0; i < REQUIREMENT_PATTERNS; i++)
		memset(after.match[i], 'a', REQUIREMENT_NAME - 1);
	compare(&before, &after, told);
	assert_int_equal(strlen(told), REQUIREMENT_TEXT - 1 + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outbound),
		cmocka_unit_test(test_inbound),
		cmocka_unit_test(test_ca),
		cmocka_unit_test(test_long),
	};
	return cmocka_run_group_tests_name("policyfile_weaker", tests, NULL, NULL);
}
