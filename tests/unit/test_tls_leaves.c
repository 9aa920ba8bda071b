/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* One leaf after another, as a server shows it: its names, and what is wrong with it. */

#include "tls_zoo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LONG_LABEL "a123456789012345678901234567890123456789012345678901234567890123."

enum issuer { SELF, ROOT, MIDDLE, STRANGER, NARROW, LAPSED, UNBORN, WEAK, OLD };

static const struct animal *issuer_of(const struct zoo *z, enum issuer issuer)
{
	switch (issuer) {
	case ROOT: return &z->root;
	case MIDDLE: return &z->middle;
	case STRANGER: return &z->stranger;
	case NARROW: return &z->narrow;
	case LAPSED: return &z->lapsed;
	case UNBORN: return &z->unborn;
	case WEAK: return &z->weak;
	case OLD: return &z->old;
	default: return NULL;
	}
}

static const struct row {
	const char *what;
	struct species leaf;
	enum issuer issuer;
	bool alone; /* the issuer's certificate is not sent */
	enum chain_verdict verdict;
	const char *names, *reason;
} rows[] = {
	{ "a good one", { .cn = "x", .dns = { "Good.Example", "*.good.example" } },
		MIDDLE, false, CHAIN_VALID, "good.example *.good.example", "" },
	{ "wildcard", { .dns = { "*.example.com" } }, MIDDLE, false, CHAIN_VALID,
		"*.example.com", "" },
	{ "too wild", { .dns = { "*.com" } }, MIDDLE, false, CHAIN_VALID, "*.com", "" },
	{ "CN only", { .cn = "Good.Example" }, MIDDLE, false, CHAIN_VALID, "good.example",
		"" },
	{ "CN only, no server",
		{ .cn = "c.example", .purpose = GNUTLS_KP_TLS_WWW_CLIENT }, MIDDLE, false,
		CHAIN_PURPOSE, "", "not made for TLS" },
	{ "a CN beside an IP address", { .cn = "good.example", .ip = true }, MIDDLE,
		false, CHAIN_VALID, "good.example", "" },
	{ "an IP address beside a name",
		{ .cn = "no.example", .dns = { "good.example" }, .ip = true }, MIDDLE,
		false, CHAIN_VALID, "good.example", "" },
	{ "NUL",
		{ .cn = "good.example",
			.dns_octets = "good.example\0.evil.example",
			.dns_length = 26 },
		MIDDLE, false, CHAIN_VALID, "", "" },
	{ "a blank", { .dns = { "good.example" }, .dns_octets = "a b", .dns_length = 3 },
		MIDDLE, false, CHAIN_VALID, "good.example", "" },
	{ "a name beyond what DNS has",
		{ .cn = "good.example",
			.dns = { LONG_LABEL LONG_LABEL LONG_LABEL LONG_LABEL
				"example" } },
		MIDDLE, false, CHAIN_VALID, "", "" },
	{ "no name at all", { .cn = NULL }, MIDDLE, false, CHAIN_VALID, "", "" },
	{ "expired", { .dns = { "good.example" }, .from = -90, .until = -1 }, MIDDLE,
		false, CHAIN_EXPIRED, "good.example", "\"Zoo\" expired on 20" },
	{ "not yet valid",
		{ .cn = "x", .dns = { "good.example" }, .from = 1, .until = 90 }, MIDDLE,
		false, CHAIN_NOT_YET_VALID, "good.example",
		"\"x\" is not valid before 20" },
	{ "of an expired CA", { .dns = { "good.example" } }, LAPSED, false, CHAIN_EXPIRED,
		"good.example", "\"Lapsed\" expired on 20" },
	{ "of a CA not yet valid", { .dns = { "good.example" } }, UNBORN, false,
		CHAIN_NOT_YET_VALID, "good.example", "\"Unborn\" is not valid before" },
	{ "for clients alone",
		{ .dns = { "good.example" }, .purpose = GNUTLS_KP_TLS_WWW_CLIENT },
		MIDDLE, false, CHAIN_PURPOSE, "good.example", "not made for TLS" },
	{ "for signing programs",
		{ .dns = { "good.example" }, .purpose = GNUTLS_KP_CODE_SIGNING }, MIDDLE,
		false, CHAIN_PURPOSE, "good.example", "not made for TLS" },
	{ "for any purpose", { .dns = { "good.example" }, .purpose = GNUTLS_KP_ANY },
		MIDDLE, false, CHAIN_VALID, "good.example", "" },
	{ "signed with SHA-1",
		{ .cn = "x", .dns = { "good.example" }, .hash = GNUTLS_DIG_SHA1 }, MIDDLE,
		false, CHAIN_WEAK, "good.example", "\"x\" is signed with ECDSA-SHA1" },
	{ "of a CA signed with SHA-1", { .dns = { "good.example" } }, OLD, false,
		CHAIN_WEAK, "good.example", "\"Old\" is signed with ECDSA-SHA1" },
	{ "RSA-1024", { .cn = "x", .dns = { "good.example" }, .rsa = 1024 }, MIDDLE,
		false, CHAIN_WEAK, "good.example", "\"x\" has an RSA key of 1024 bits" },
	{ "of a CA with RSA-1024", { .dns = { "good.example" } }, WEAK, false, CHAIN_WEAK,
		"good.example", "\"Weak\" has an RSA key of 1024 bits" },
	{ "RSA-2048", { .dns = { "good.example" }, .rsa = 2048 }, MIDDLE, false,
		CHAIN_VALID, "good.example", "" },
	{ "within its CA's constraint", { .dns = { "mx.good.example" } }, NARROW, false,
		CHAIN_VALID, "mx.good.example", "" },
	{ "beyond its CA's constraint", { .dns = { "bank.example" } }, NARROW, false,
		CHAIN_CONSTRAINED, "bank.example", "not allowed to issue" },
	{ "one of two names beyond", { .dns = { "mx.good.example", "bank.example" } },
		NARROW, false, CHAIN_CONSTRAINED, "mx.good.example bank.example",
		"not allowed to issue" },
	{ "a CN beyond", { .cn = "bank.example" }, NARROW, false, CHAIN_CONSTRAINED,
		"bank.example", "not allowed to issue" },
	{ "self-signed", { .dns = { "good.example" } }, SELF, true, CHAIN_UNTRUSTED,
		"good.example", "self-signed" },
	{ "self-signed and expired",
		{ .dns = { "good.example" }, .from = -9, .until = -1 }, SELF, true,
		CHAIN_UNTRUSTED, "good.example", "self-signed" },
	{ "without its intermediate", { .dns = { "good.example" } }, MIDDLE, true,
		CHAIN_UNTRUSTED, "good.example",
		"issuer \"Middle\" is no trusted CA, and no intermediate certificate was "
		"sent" },
	{ "of a CA that nobody knows", { .dns = { "good.example" } }, STRANGER, false,
		CHAIN_UNTRUSTED, "good.example",
		"the chain ends in \"Stranger\", which is none of the trusted CAs" },
};

static void test_leaves(void **state)
{
	struct zoo *z = *state;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *r = &rows[i];
		const struct animal *issuer = issuer_of(z, r->issuer);
		struct animal leaf;

		zoo_breed(&leaf, issuer, &r->leaf);
		const struct chain_facts *f =
			zoo_look_at(z, &leaf, r->alone ? NULL : issuer);
		if (f->public_chain != r->verdict)
			fail_msg("%s: %u instead of %u, \"%s\"", r->what, f->public_chain,
				r->verdict, f->reason);
		zoo_expect_names(r->what, f, r->names);
		zoo_expect_reason(r->what, f, r->reason);
		if (r->verdict == CHAIN_VALID)
			assert_string_equal(f->reason, "");
		assert_int_equal(f->own_chain, CHAIN_NOT_ASKED);
		assert_int_equal(f->dane, DANE_MATCH_NOT_ASKED);
		zoo_free(&leaf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaves),
	};

	return cmocka_run_group_tests(tests, zoo_setup, zoo_teardown);
}
