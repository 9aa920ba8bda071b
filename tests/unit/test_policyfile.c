/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "manual.h"
#include "policyfile_cases.h"
#include "policyfile_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ZEROS  "00000000000000000000000000000000"
#define DIGEST "sha256/spki:" ZEROS ZEROS

/* ---- lines and sections ---- */

static void test_lines(void **state)
{
	static const struct fault_case cases[] = {
		{ "nonsense\n[outbound]\ntls = may\n",
			"f:1: neither [SECTION] nor key = value nor a comment\n" },
		{ "= 4\n[outbound]\ntls = may\n",
			"f:1: a value without a key: write key = value\n" },
		{ "[outbound]\ntls = may\n[inbound\ntls = x\n",
			"f:3: a section is begun by [NAME]\n" },
		{ "[outbound]\ntls = may\n[]\n", "f:3: a section is begun by [NAME]\n" },
		{ "[outbound] tls = may\n",
			"f:1: something stands behind the section's ]: write it on the "
			"next line\n" },
		{ "[outbound]\n[outbound]\ntls = may\n",
			"f:2: [outbound] again: it began on line 1; write its keys "
			"there\n" },
		{ "[outbund]\ntls = x\n",
			"f:1: unknown section [outbund]: is [outbound] meant?\n" },
		{ "[Inbound]\ntls = x\n",
			"f:1: unknown section [Inbound]: is [inbound] meant?\n" },
		{ "[tls]\nmatch = x\n", "f:1: unknown section [tls]: there are "
					"[outbound] and [inbound]\n" },
		{ "", "f: demands nothing: write [outbound] or [inbound], and a tls = "
		      "below it\n" },
		{ "note = x\n; [outbound]\n",
			"f: demands nothing: write [outbound] or [inbound], and a tls = "
			"below it\n" },
	};

	(void)state;
	assert_fault_cases("a.example", cases, LENGTH(cases));
}

static void test_octets(void **state)
{
	static const char nul[] = "[outbound]\ntls = may\0\n[zzz]\n",
			  escape[] = "[outbound]\n\033[2J\n";
	char text[600], letters[400];

	(void)state;
	assert_faults("a.example", nul, sizeof(nul) - 1,
		"f:2: a control character: this is no text file\n"
		"f:1: this [outbound] lacks its tls: write tls = may or another "
		"level\n");
	assert_faults("a.example", escape, sizeof(escape) - 1,
		"f:2: a control character: this is no text file\n"
		"f:1: this [outbound] lacks its tls: write tls = may or another "
		"level\n");
	memset(letters, 'a', sizeof(letters));
	snprintf(text, sizeof(text), "note = %.190s\r\n[outbound]\r\ntls = may", letters);
	policyfile_free(parse_fine("a.example", text));
	snprintf(text, sizeof(text), "note = %.191s\n[outbound]\ntls = may", letters);
	assert_faults(
		"a.example", text, strlen(text), "f:1: a line longer than 197 octets\n");
	snprintf(text, sizeof(text), "# %.300s\n[outbound]\ntls = may\n", letters);
	policyfile_free(parse_fine("a.example", text));
}

/* ---- keys ---- */

static void test_keys(void **state)
{
	static const struct fault_case cases[] = {
		{ "tls = may\n[outbound]\ntls = may\n",
			"f:1: unknown key tls above [outbound] and [inbound]: it belongs "
			"in [outbound]\n" },
		{ "[outbound]\ntls = may\nnote = x\n",
			"f:3: unknown key note in [outbound]: it belongs above "
			"[outbound] and [inbound]\n" },
		{ "[inbound]\ntls = may\nmx = a.example\n",
			"f:3: unknown key mx in [inbound]: it belongs in [outbound]\n" },
		{ "[outbound]\ntls = may\nfingerprnt = x\n",
			"f:3: unknown key fingerprnt in [outbound]: is fingerprint "
			"meant?\n" },
		{ "[outbound]\ntls = may\nmta_sts = no\n",
			"f:3: unknown key mta_sts in [outbound]: is mta-sts meant?\n" },
		{ "[outbound]\ntls = may\nzzzzzz = x\n",
			"f:3: unknown key zzzzzz in [outbound]: see sealpost.policy(5) "
			"for those there are\n" },
		{ "[outbound]\ntls = may\ntls = verify\n",
			"f:3: tls again: it stands on line 2 already\n" },
		{ "[outbound]\ntls = verify\nca = a\nca = b\n",
			"f:4: ca again: it stands on line 3 already\n" },
		{ "[outbound]\ntls =\n",
			"f:2: tls is empty: give it a value, or leave the line out\n" },
		{ "[outbound]\ntls = verify\nmatch =\n",
			"f:3: match is empty: give it a value, or leave the line out\n" },
		{ "[outbound]\nmatch = mx\n",
			"f:1: this [outbound] lacks its tls: write tls = may or another "
			"level\n" },
		{ "[outbound]\ntls = may\n[inbound]\n",
			"f:3: this [inbound] lacks its tls: write tls = may or another "
			"level\n" },
	};

	(void)state;
	assert_fault_cases("a.example", cases, LENGTH(cases));
}

/* ---- contradictions ---- */

static void test_idle_keys(void **state)
{
	static const struct fault_case cases[] = {
		{ "[outbound]\ntls = encrypt\nmatch = a.example\n",
			"f:3: match does not count: tls = encrypt looks at no names: is "
			"tls = verify meant?\n" },
		{ "[outbound]\nmatch = a.example\ntls = dane\n",
			"f:2: match does not count: tls = dane looks at no names: is tls "
			"= verify meant?\n" },
		{ "[inbound]\ntls = encrypt\nca = x.pem\n",
			"f:3: ca does not count: tls = encrypt asks no CA: is tls = "
			"verify meant?\n" },
		{ "[outbound]\ntls = secure\nfingerprint = " DIGEST "\n",
			"f:3: fingerprint does not count: tls = secure looks at no "
			"fingerprint: is tls = fingerprint meant?\n" },
		{ "[inbound]\ntls = may\nfingerprint = " DIGEST "\n",
			"f:3: fingerprint does not count: tls = may looks at no "
			"fingerprint: is tls = fingerprint meant?\n" },
		{ "[outbound]\ntls = none\nprotocols = legacy\nidentity = us\n",
			"f:3: protocols does not count: tls = none does without TLS: "
			"leave it out\n"
			"f:4: identity does not count: tls = none does without TLS: "
			"leave it out\n" },
		{ "[outbound]\ntls = fingerprint\nfingerprint = " DIGEST
		  "\nmatch = mx\nca = x\n",
			"f:4: match does not count: tls = fingerprint looks at no names: "
			"is tls = verify meant?\n"
			"f:5: ca does not count: tls = fingerprint asks no CA: is tls = "
			"verify meant?\n" },
	};

	(void)state;
	assert_fault_cases("a.example", cases, LENGTH(cases));
}

static void test_contradictions(void **state)
{
	static const struct fault_case cases[] = {
		{ "[inbound]\ntls = fingerprint\n",
			"f:2: tls = fingerprint, and there is no fingerprint: write "
			"fingerprint = sha256/spki:... below it\n" },
		{ "[outbound]\ntls = dane\ndane = no\n",
			"f:3: dane = no, and tls = dane asks for DANE: leave one of them "
			"out\n" },
		{ "[outbound]\ntls = dane-only\ndane = no\n",
			"f:3: dane = no, and tls = dane-only asks for DANE: leave one of "
			"them out\n" },
		{ "[outbound]\ntls = may\nprotocols = tls1.3\n",
			"f:3: protocols = tls1.3 under tls = may would send in clear to "
			"a peer that has TLS 1.2 alone: is tls = encrypt meant?\n" },
	};

	(void)state;
	assert_fault_cases("a.example", cases, LENGTH(cases));
}

static void test_literals(void **state)
{
	static const struct fault_case cases[] = {
		{ "[outbound]\ntls = verify\n",
			"f:2: tls = verify: an address has no name to be verified; is "
			"tls = fingerprint meant?\n" },
		{ "[outbound]\ntls = secure\nmatch = a.example\n",
			"f:2: tls = secure: an address has no name to be verified; is "
			"tls = fingerprint meant?\n" },
		{ "[outbound]\ntls = dane\n",
			"f:2: tls = dane: an address has no name to be verified; is tls "
			"= fingerprint meant?\n" },
		{ "[inbound]\ntls = verify\n",
			"f:2: tls = verify: an address has no name to be verified; is "
			"tls = fingerprint meant?\n" },
		{ "[outbound]\ntls = encrypt\ndane = no\nmta-sts = no\nmx = a.example\n",
			"f:5: mx means nothing for an address: leave it out\n"
			"f:3: dane means nothing for an address: leave it out\n"
			"f:4: mta-sts means nothing for an address: leave it out\n" },
		{ "subdomains = no\n[outbound]\ntls = encrypt\n",
			"f:1: subdomains: there are no names below an address\n" },
	};
	static const char *const good[] = { "[outbound]\ntls = none\n",
		"[outbound]\ntls = may\n",
		"[outbound]\ntls = encrypt\n[inbound]\ntls = encrypt\n",
		"[outbound]\ntls = fingerprint\nfingerprint = " DIGEST "\n" };
	static const struct fault_case of_default[] = {
		{ "subdomains = yes\n[outbound]\ntls = may\n",
			"f:1: subdomains: default.policy speaks for every name "
			"already\n" },
	};

	(void)state;
	assert_fault_cases("[192.0.2.1]", cases, LENGTH(cases));
	for (size_t i = 0; i < LENGTH(good); i++)
		policyfile_free(parse_fine("[192.0.2.1]", good[i]));
	assert_fault_cases("default", of_default, LENGTH(of_default));
}

/* Whoever closes a domain for its broken file must know how much of it. */
static void test_subdomains_of_the_broken(void **state)
{
	static const struct {
		const char *text;
		bool subdomains;
	} cases[] = {
		{ "subdomains = yes\n[outbound]\ntls = verfy\n", true },
		{ "[oops\nsubdomains = yes\n", false },
		{ "zzz\nsubdomains = yes\n", true },
		{ "subdomains = no\nzzz\n", false },
		{ "subdomains = yess\n", false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		bool subdomains = !cases[i].subdomains;
		char *faults;

		assert_null(parse("a.example", cases[i].text, strlen(cases[i].text),
			&faults, &subdomains));
		assert_int_equal(subdomains, cases[i].subdomains);
		free(faults);
	}
}

/* ---- what is read ---- */

static void test_defaults(void **state)
{
	struct policyfile *file = parse_fine("a.example", "[outbound]\ntls = encrypt\n");

	(void)state;
	assert_string_equal(file->domain, "a.example");
	assert_string_equal(file->path, "f");
	assert_false(file->subdomains);
	assert_int_equal(file->expires, 0);
	assert_null(file->note);
	assert_true(file->has_outbound);
	assert_false(file->has_inbound);
	assert_int_equal(file->outbound_line, 2);
	assert_int_equal(file->inbound_line, 0);
	assert_int_equal(file->outbound.level, LEVEL_ENCRYPT);
	assert_int_equal(file->outbound.protocols, PROTOCOLS_TLS_1_2);
	assert_false(file->outbound.bounce);
	assert_true(file->outbound.dane);
	assert_true(file->outbound.mta_sts);
	assert_int_equal(file->outbound.match_count, 0);
	assert_int_equal(file->outbound.mx_count, 0);
	assert_string_equal(file->outbound.identity, "");
	assert_null(file->outbound_ca);
	assert_null(file->outbound.ca);
	assert_int_equal(file->inbound.level, LEVEL_MAY);
	policyfile_free(file);
}

static void test_default_match(void **state)
{
	static const struct {
		const char *text, *outbound, *inbound;
	} cases[] = {
		{ "[outbound]\ntls = verify\n[inbound]\ntls = verify\n", "mx", "domain" },
		{ "[outbound]\ntls = secure\n[inbound]\ntls = encrypt\n", "domain", "" },
		{ "[outbound]\ntls = dane\n", "", "" },
		{ "[outbound]\ntls = verify\nmatch = .b.example\n", ".b.example", "" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct policyfile *file = parse_fine("a.example", cases[i].text);

		assert_string_equal(file->outbound.match[0], cases[i].outbound);
		assert_int_equal(file->outbound.match_count, *cases[i].outbound != '\0');
		assert_string_equal(file->inbound.match[0], cases[i].inbound);
		assert_int_equal(file->inbound.match_count, *cases[i].inbound != '\0');
		policyfile_free(file);
	}
}

static void test_everything(void **state)
{
	struct policyfile *file = parse_fine("a.example",
		"\xEF\xBB\xBFsubdomains = yes ; with a byte order mark\r\n"
		"  expires: 2027-01-31\r\n"
		"note = asked for by J\xC3\xBCrgen; in June\n"
		"[inbound]\n"
		"tls = verify\nmatch = domain .Relay.Example\nca = in.pem\n"
		"[outbound]\n"
		"tls = secure\n"
		"match = mx\tdomain mail.example.net\nmatch = .EXAMPLE.net\n"
		"mx = *.Mail.example.net domain\nmx = .example.org mx.example.com a_b.c\n"
		"ca = dir/my ca.pem\nprotocols = legacy\ndane = no\nmta-sts = no\n"
		"on-failure = bounce\nidentity = us-1");
	const struct demand *outbound = &file->outbound;

	(void)state;
	assert_true(file->subdomains);
	assert_int_equal(file->expires, 1801440000);
	assert_string_equal(file->note, "asked for by J\xC3\xBCrgen; in June");
	assert_int_equal(file->outbound_line, 9);
	assert_int_equal(outbound->level, LEVEL_SECURE);
	assert_int_equal(outbound->match_count, 4);
	assert_string_equal(outbound->match[0], "mx");
	assert_string_equal(outbound->match[1], "domain");
	assert_string_equal(outbound->match[2], "mail.example.net");
	assert_string_equal(outbound->match[3], ".example.net");
	assert_int_equal(outbound->mx_count, 5);
	assert_string_equal(outbound->mx[0], "*.mail.example.net");
	assert_string_equal(outbound->mx[1], "domain");
	assert_string_equal(outbound->mx[2], ".example.org");
	assert_string_equal(outbound->mx[4], "a_b.c");
	assert_string_equal(file->outbound_ca, "dir/my ca.pem");
	assert_int_equal(file->outbound_ca_line, 14);
	assert_int_equal(outbound->protocols, PROTOCOLS_LEGACY);
	assert_false(outbound->dane);
	assert_false(outbound->mta_sts);
	assert_true(outbound->bounce);
	assert_string_equal(outbound->identity, "us-1");
	assert_int_equal(file->inbound_line, 5);
	assert_int_equal(file->inbound.level, LEVEL_VERIFY);
	assert_int_equal(file->inbound.match_count, 2);
	assert_string_equal(file->inbound.match[1], ".relay.example");
	assert_string_equal(file->inbound_ca, "in.pem");
	assert_int_equal(file->inbound_ca_line, 7);
	policyfile_free(file);
}

/* ---- the manual ---- */

/* Each literal display is a whole file, but those of commands, which begin with "$". */
static void test_manual_examples(void **state)
{
	char *manual = manual_read("sealpost.policy.5"), *at = manual;
	unsigned count = 0;

	(void)state;
	for (char *example; (example = manual_example(&at)) != NULL;) {
		if (*example == '$')
			continue;
		policyfile_free(parse_fine("peer.example", example));
		count++;
	}
	assert_int_equal(count, 7);
	free(manual);

	char *installed = manual_read("examples/default.policy");

	policyfile_free(parse_fine("default", installed));
	free(installed);
}

/* Every key has its paragraph where it belongs, and every level. */
static void test_manual_keys(void **state)
{
	static const char *const parts[SECTIONS] = { "\n.Ss Above the sections\n",
		"\n.Ss Section outbound\n", "\n.Ss Section inbound\n" };
	char *manual = manual_read("sealpost.policy.5"), mark[128];

	(void)state;
	for (size_t i = 0; i < KEYS * SECTIONS; i++) {
		const struct policyfile_key *key = &policyfile_keys[i / SECTIONS];
		enum section section = i % SECTIONS;

		if ((key->sections & 1u << section) == 0)
			continue;
		snprintf(mark, sizeof(mark), "\n.It Ic %s Li = ", key->name);
		const char *part = strstr(manual, parts[section]);

		assert_non_null(part);
		const char *item = strstr(part, mark);
		const char *next = strstr(part + 1, "\n.Ss ");

		if (item == NULL || item > next)
			fail_msg("sealpost.policy(5) lacks %s%s", key->name,
				parts[section]);
	}
	for (enum level level = LEVEL_NONE; level < LEVELS; level++) {
		snprintf(mark, sizeof(mark), "\n.It Cm %s\n", level_name(level));
		if (strstr(manual, mark) == NULL)
			fail_msg("sealpost.policy(5) lacks %s", level_name(level));
	}
	free(manual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_idle_keys),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_subdomains_of_the_broken),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_default_match),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_manual_examples),
		cmocka_unit_test(test_manual_keys),
	};

	return cmocka_run_group_tests_name("policyfile", tests, NULL, NULL);
}
