/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "policyfile_cases.h"

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

static void test_values(void **state)
{
	static const struct fault_case cases[] = {
		{ "subdomains = true\n[outbound]\ntls = may\n",
			"f:1: subdomains = true: not one of no, yes\n" },
		{ "[outbound]\ntls = Verify\n",
			"f:2: tls = Verify: not one of none, may, encrypt, dane, "
			"dane-only, verify, secure, fingerprint\n" },
		{ "[inbound]\ntls = none\n",
			"f:2: tls = none: not one of may, encrypt, verify, "
			"fingerprint\n" },
		{ "[inbound]\ntls = dane\n",
			"f:2: tls = dane: not one of may, encrypt, verify, "
			"fingerprint\n" },
		{ "[inbound]\ntls = secure\n",
			"f:2: tls = secure: not one of may, encrypt, verify, "
			"fingerprint\n" },
		{ "[outbound]\ntls = encrypt\nprotocols = tls1.1\n",
			"f:3: protocols = tls1.1: not one of tls1.2+, tls1.3, "
			"legacy\n" },
		{ "[outbound]\ntls = encrypt\nprotocols = tls1.3 legacy\n",
			"f:3: protocols = tls1.3 legacy: not one of tls1.2+, tls1.3, "
			"legacy\n" },
		{ "[outbound]\ntls = encrypt\nprotocols = tls1.3\nprotocols = legacy\n",
			"f:4: protocols again: it stands on line 3 already\n" },
		{ "[outbound]\ntls = may\non-failure = reject\n",
			"f:3: on-failure = reject: not one of defer, bounce\n" },
		{ "[outbound]\ntls = may\nidentity = a b\n",
			"f:3: identity = a b: not the NAME of an [identity NAME] in "
			"sealpost.conf\n" },
		{ "[outbound]\ntls = may\nidentity = "
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
			"f:3: identity = "
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aa: not the NAME of an [identity NAME] in sealpost.conf\n" },
	};

	(void)state;
	assert_fault_cases("a.example", cases, LENGTH(cases));
}

static void test_days(void **state)
{
	static const char *const bad[] = { "2027-1-31", "2027-01-31T00:00", "31.01.2027",
		"2027/01/31", "tomorrow", "+027-01-31" };
	static const char *const none[] = { "2027-02-29", "2027-13-01", "2027-00-10",
		"2027-01-00", "2027-04-31", "1999-12-31" };
	static const struct {
		const char *day;
		int64_t expires;
	} good[] = {
		{ "2000-01-01", 946771200 },
		{ "2027-01-31", 1801440000 }, /* 2027-02-01T00:00Z */
		{ "2028-02-29", 1835481600 },
		{ "2026-12-31", 1798761600 },
		{ "9999-12-31", INT64_C(253402300800) },
	};
	char text[100], faults[200];

	(void)state;
	for (size_t i = 0; i < LENGTH(bad) + LENGTH(none); i++) {
		const char *day = i < LENGTH(bad) ? bad[i] : none[i - LENGTH(bad)];

		snprintf(
			text, sizeof(text), "expires = %s\n[outbound]\ntls = may\n", day);
		snprintf(faults, sizeof(faults), "f:1: expires = %s: %s\n", day,
			i < LENGTH(bad) ? "not a day such as 2027-01-31"
					: "there is no such day");
		assert_faults("a.example", text, strlen(text), faults);
	}
	for (size_t i = 0; i < LENGTH(good); i++) {
		snprintf(text, sizeof(text), "expires = %s\n[outbound]\ntls = may\n",
			good[i].day);
		struct policyfile *file = parse_fine("a.example", text);

		assert_int_equal(file->expires, good[i].expires);
		policyfile_free(file);
	}
}

static void test_patterns(void **state)
{
#define MATCH_WANTED "not mx, domain, mail.example.net or .example.net\n"
#define MX_WANTED    "not domain, mx.example.net, *.example.net or .example.net\n"
	static const struct fault_case cases[] = {
		{ "[outbound]\ntls = secure\nmatch = nexthop\n",
			"f:3: match = nexthop: " MATCH_WANTED },
		{ "[outbound]\ntls = secure\nmatch = *.example.net\n",
			"f:3: match = *.example.net: " MATCH_WANTED },
		{ "[outbound]\ntls = secure\nmatch = a.example, b.example\n",
			"f:3: match = a.example,: " MATCH_WANTED },
		{ "[outbound]\ntls = secure\nmatch = a..b . -a.b a-.b 192.0.2.1\n",
			"f:3: match = a..b: " MATCH_WANTED "f:3: match = .: " MATCH_WANTED
			"f:3: match = -a.b: " MATCH_WANTED
			"f:3: match = a-.b: " MATCH_WANTED
			"f:3: match = 192.0.2.1: " MATCH_WANTED },
		{ "[outbound]\ntls = secure\nmatch = b\xC3\xA4nk.example\n",
			"f:3: match = b\xC3\xA4nk.example: an international name is "
			"written as A-labels: xn--...\n" },
		{ "[inbound]\ntls = verify\nmatch = mx\n",
			"f:3: match = mx: not domain, mail.example.net or "
			".example.net\n" },
		{ "[outbound]\ntls = may\nmx = mx *.*.example *example.net *.\n",
			"f:3: mx = mx: " MX_WANTED "f:3: mx = *.*.example: " MX_WANTED
			"f:3: mx = *example.net: " MX_WANTED "f:3: mx = *.: " MX_WANTED },
		{ "[outbound]\ntls = may\nmx = a.b a.c a.d a.e a.f a.g a.h a.i\n"
		  "mx = a.j a.k a.l a.m a.n a.o a.p a.q a.r\n",
			"f:4: mx = a.r: one too many: there is room for 16\n" },
	};

	(void)state;
	assert_fault_cases("a.example", cases, LENGTH(cases));
}

static void test_fingerprint_faults(void **state)
{
#define FINGERPRINT(value) "[outbound]\ntls = fingerprint\nfingerprint = " value "\n"
#define NOT_32(value)                                                                    \
	"f:3: fingerprint = " value ": neither 64 hexadecimal digits nor 44 of "         \
	"base64\n"
#define NOT_64(value)                                                                    \
	"f:3: fingerprint = " value ": neither 128 hexadecimal digits nor 88 of "        \
	"base64\n"
#define NO_KIND(value)                                                                   \
	"f:3: fingerprint = " value ": not sha256/spki:, sha256/cert:, sha512/spki: or " \
	"sha512/cert: and the digits\n"
#define A43 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	static const struct fault_case cases[] = {
		{ FINGERPRINT(ZEROS ZEROS), NO_KIND(ZEROS ZEROS) },
		{ FINGERPRINT("sha1/cert:00"), NO_KIND("sha1/cert:00") },
		{ FINGERPRINT("sha256:" ZEROS), NO_KIND("sha256:" ZEROS) },
		{ FINGERPRINT("sha256/cert:"), NOT_32("sha256/cert:") },
		{ FINGERPRINT(DIGEST "00"), NOT_32(DIGEST "00") },
		{ FINGERPRINT("sha256/cert:" ZEROS), NOT_32("sha256/cert:" ZEROS) },
		{ FINGERPRINT("sha512/cert:" ZEROS ZEROS),
			NOT_64("sha512/cert:" ZEROS ZEROS) },
		{ FINGERPRINT(DIGEST ":"), NOT_32(DIGEST ":") },
		{ FINGERPRINT("sha256/spki::" ZEROS ZEROS),
			NOT_32("sha256/spki::" ZEROS ZEROS) },
		{ FINGERPRINT("sha256/spki:g0" ZEROS), NOT_32("sha256/spki:g0" ZEROS) },
		/* base64: padding missing, too much, in the middle; a bit to spare */
		{ FINGERPRINT("sha256/spki:" A43), NOT_32("sha256/spki:" A43) },
		{ FINGERPRINT("sha256/spki:" A43 "=="), NOT_32("sha256/spki:" A43 "==") },
		{ FINGERPRINT("sha256/spki:=" A43), NOT_32("sha256/spki:=" A43) },
		{ FINGERPRINT("sha256/spki:" A43 "A"), NOT_32("sha256/spki:" A43 "A") },
		{ FINGERPRINT("sha256/spki:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB="),
			NOT_32("sha256/spki:"
			       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=") },
		{ FINGERPRINT("sha256/spki:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-_8="),
			NOT_32("sha256/spki:"
			       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-_8=") },
		{ FINGERPRINT(DIGEST " " DIGEST) FINGERPRINT(DIGEST),
			"f:4: [outbound] again: it began on line 1; write its keys "
			"there\n"
			"f:5: tls again: it stands on line 2 already\n" },
	};

	(void)state;
	assert_fault_cases("a.example", cases, LENGTH(cases));
}

static void test_too_many_fingerprints(void **state)
{
	char text[2000] = "[inbound]\ntls = fingerprint\n";

	(void)state;
	for (int i = 0; i < REQUIREMENT_FINGERPRINTS; i++)
		strcat(text, "fingerprint = " DIGEST "\n");
	policyfile_free(parse_fine("a.example", text));
	strcat(text, "fingerprint = " DIGEST "\n");
	assert_faults("a.example", text, strlen(text),
		"f:11: fingerprint = " DIGEST ": one too many: there is room for 8\n");
}

/* One digest in each way to write it: 00 01 02 ... 1f, and ... 3f. */
static void test_fingerprints(void **state)
{
	static const char *const ways[] = {
		"sha256/cert:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d"
		"1e1f",
		"sha256/spki:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:"
		"14:15:16:17:18:19:1A:1B:1C:1D:1E:1F",
		"sha256/spki:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"sha512/spki:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d"
		"1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
		"sha512/cert:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKiss"
		"LS4vMDEyMzQ1Njc4OTo7PD0+Pw==",
	};
	static const uint8_t of[] = { FINGERPRINT_CERTIFICATE, FINGERPRINT_SPKI,
		FINGERPRINT_SPKI, FINGERPRINT_SPKI, FINGERPRINT_CERTIFICATE };
	char text[1200] = "[outbound]\ntls = fingerprint\n";

	(void)state;
	for (size_t i = 0; i < LENGTH(ways); i++) {
		strcat(text, "fingerprint = ");
		strcat(text, ways[i]);
		strcat(text, "\n");
	}
	struct policyfile *file = parse_fine("a.example", text);

	assert_int_equal(file->outbound.fingerprint_count, LENGTH(ways));
	for (size_t i = 0; i < LENGTH(ways); i++) {
		const struct fingerprint *print = &file->outbound.fingerprints[i];

		assert_int_equal(print->of, of[i]);
		assert_int_equal(print->length, i < 3 ? 32 : 64);
		for (unsigned octet = 0; octet < print->length; octet++)
			assert_int_equal(print->octets[octet], octet);
	}
	policyfile_free(file);
}

/* ---- names ---- */

static void test_file_names(void **state)
{
	static const struct {
		const char *name, *domain; /* NULL: it stands for none */
	} cases[] = {
		{ "usbank.com.policy", "usbank.com" },
		{ "default.policy", "default" },
		{ "xn--bnk-qla.example.policy", "xn--bnk-qla.example" },
		{ "a_b.1.example.policy", "a_b.1.example" },
		{ "[192.0.2.1].policy", "[192.0.2.1]" },
		{ "[IPv6:2001:db8::1].policy", "[IPv6:2001:db8::1]" },
		{ "a.policy.policy", "a.policy" },
		{ "usbank.com", NULL },
		{ "usbank.com.policy~", NULL },
		{ "usbank.com.Policy", NULL },
		{ ".policy", NULL },
		{ "policy", NULL },
		{ "USbank.com.policy", NULL },
		{ "b\xC3\xA4nk.example.policy", NULL },
		{ "xn--.example.policy", NULL },
		{ "../../etc.policy", NULL },
		{ "a/b.policy", NULL },
		{ "a b.example.policy", NULL },
		{ "*.example.policy", NULL },
		{ ".example.policy", NULL },
		{ "a..example.policy", NULL },
		{ "example..policy", NULL },
		{ "-a.example.policy", NULL },
		{ "192.0.2.1.policy", NULL },
		{ "[192.0.2.1.policy", NULL },
		{ "[192.0.2.01].policy", NULL },
		{ "[192.0.2.256].policy", NULL },
		{ "[2001:db8::1].policy", NULL },
		{ "[IPv6:2001:DB8::1].policy", NULL },
		{ "[ipv6:2001:db8::1].policy", NULL },
		{ "[IPv6:2001:db8:0::1].policy", NULL },
		{ "[IPv6:].policy", NULL },
		{ "[].policy", NULL },
	};
	char name[400], domain[REQUIREMENT_NAME];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		bool valid = policyfile_domain(cases[i].name, domain);

		if (valid != (cases[i].domain != NULL))
			fail_msg("%s: %d", cases[i].name, valid);
		if (valid)
			assert_string_equal(domain, cases[i].domain);
	}
	/* 253 octets are a domain, 254 and 300 are none; 63 a label, 64 none */
	for (int length = 240; length <= 300; length++) {
		for (int at = 0; at < length; at++)
			name[at] = at % 50 == 49 && at < length - 1 ? '.' : 'a';
		strcpy(name + length, ".policy");
		assert_int_equal(policyfile_domain(name, domain), length <= 253);
	}
	for (int length = 60; length <= 66; length++) {
		memset(name, 'a', (size_t)length);
		strcpy(name + length, ".example.policy");
		assert_int_equal(policyfile_domain(name, domain), length <= 63);
	}
}

static void test_literal_names(void **state)
{
	static const struct {
		const char *text, *literal;
	} cases[] = {
		{ "[192.0.2.1]", "[192.0.2.1]" },
		{ "[IPv6:2001:DB8:0::1]", "[IPv6:2001:db8::1]" },
		{ "[ipv6:::1]", "[IPv6:::1]" },
		{ "", NULL },
		{ "[", NULL },
		{ "[]", NULL },
		{ "[ipv6:]", NULL },
		{ "[ipv6:", NULL },
		{ "[192.0.2.1", NULL },
		{ "192.0.2.1]", NULL },
		{ "[tag:value]", NULL },
		{ "[2001:db8::1]", NULL },
		{ "[IPv6:192.0.2.1]", NULL },
		{ "[IPv6:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]", NULL },
	};
	char literal[REQUIREMENT_NAME];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		bool valid = policyfile_literal(cases[i].text, literal);

		if (valid != (cases[i].literal != NULL))
			fail_msg("%s: %d", cases[i].text, valid);
		if (valid)
			assert_string_equal(literal, cases[i].literal);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_fingerprint_faults),
		cmocka_unit_test(test_too_many_fingerprints),
		cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_file_names),
		cmocka_unit_test(test_literal_names),
	};

	return cmocka_run_group_tests_name("policyfile_value", tests, NULL, NULL);
}
