/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* [outbound], [policy] and [identity NAME]. */

#include "config.h"
#include "config_text.h"
#include "smtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* Lines 4 to 6: what a case adds begins on line 7. */
#define OUTBOUND "[outbound]\nlisten = 10.0.0.1:10025\nbackends = 10.0.0.10\n"
#define OFFER_ALL                                                                        \
	(SMTP_KW(PIPELINING) | SMTP_KW(SIZE) | SMTP_KW(8BITMIME) | SMTP_KW(DSN) |        \
		SMTP_KW(ENHANCEDSTATUSCODES) | SMTP_KW(SMTPUTF8) | SMTP_KW(CHUNKING) |   \
		SMTP_KW(LIMITS))

/* ---- what is read ---- */

static void test_defaults(void **state)
{
	struct config *config = parse_fine(SERVER OUTBOUND);

	(void)state;
	assert_int_equal(config->inbound_count, 0);
	assert_int_equal(config->outbound_count, 1);
	assert_int_equal(config->identity_count, 0);
	assert_int_equal(config->limits.policy_timeout, 60);
	assert_int_equal(config->limits.rcpt_budget, 240);

	const struct config_outbound *outbound = &config->outbound[0];

	assert_string_equal(outbound->name, "outbound");
	assert_int_equal(outbound->line, 4);
	assert_int_equal(outbound->listen_count, 1);
	assert_int_equal(outbound->route, ROUTE_SMARTHOST);
	assert_int_equal(outbound->backends_count, 1);
	assert_int_equal(outbound->backends[0].prefix, 32);
	assert_int_equal(outbound->source, SOURCE_AUTO);
	assert_int_equal(outbound->tls, NEAR_TLS_OFF);
	assert_int_equal(outbound->relay_tls, RELAY_TLS_STARTTLS);
	assert_null(outbound->credentials);
	assert_false(outbound->allow_private);
	assert_int_equal(outbound->helo, HELO_AUTO);
	assert_int_equal(outbound->offer, OFFER_ALL);
	assert_int_equal(outbound->received, RECEIVED_OFF);
	assert_int_equal(outbound->bare_newline, BARE_NEWLINE_NORMALIZE);

	const struct config_policy *policy = &config->policy;

	assert_string_equal(policy->directory, SYSCONFDIR "/sealpost/policy.d");
	assert_int_equal(policy->directory_line, 0);
	assert_string_equal(policy->resolver, "system");
	assert_string_equal(policy->trust_anchor, "/usr/share/dns/root.key");
	assert_true(policy->dane);
	assert_true(policy->mta_sts);
	assert_string_equal(policy->cache, "/var/lib/sealpost");
	assert_int_equal(policy->cache_line, 0);
	assert_string_equal(policy->ca, "system");
	assert_int_equal(policy->ca_line, 0);
	assert_int_equal(policy->stub_count, 0);
	config_free(config);
}

static void test_policy(void **state)
{
	struct config *config =
		parse_fine(SERVER "[policy]\ndirectory = /p\nresolver = ::1@5353\n"
				  "trust-anchor = /t\nca = /c\nstub = lab. 127.0.0.1\n"
				  "stub = .\t  2001:db8::1@65535\ndane = no\n"
				  "mta-sts = no\ncache = /v\n" OUTBOUND
				  "[limits]\npolicy-timeout = 5\nrcpt-budget = 1m\n"
				  "[identity a]\ncertificate = c\nkey = k\n"
				  "[identity outbound]\nkey = l\ncertificate = d\n");
	const struct config_policy *policy = &config->policy;

	(void)state;
	assert_string_equal(policy->directory, "/p");
	assert_int_equal(policy->directory_line, 5);
	assert_string_equal(policy->resolver, "::1@5353");
	assert_string_equal(policy->trust_anchor, "/t");
	assert_false(policy->dane);
	assert_false(policy->mta_sts);
	assert_string_equal(policy->cache, "/v");
	assert_int_equal(policy->cache_line, 13);
	assert_string_equal(policy->ca, "/c");
	assert_int_equal(policy->ca_line, 8);
	assert_int_equal(policy->stub_count, 2);
	assert_string_equal(policy->stubs[0].zone, "lab.");
	assert_string_equal(policy->stubs[0].server, "127.0.0.1");
	assert_string_equal(policy->stubs[1].zone, ".");
	assert_string_equal(policy->stubs[1].server, "2001:db8::1@65535");
	assert_int_equal(config->limits.policy_timeout, 5);
	assert_int_equal(config->limits.rcpt_budget, 60);
	assert_int_equal(config->identity_count, 2);
	assert_string_equal(config->identities[0].name, "a");
	assert_string_equal(config->identities[0].pair.certificate, "c");
	assert_string_equal(config->identities[0].pair.key, "k");
	assert_string_equal(config->identities[1].name, "outbound");
	assert_string_equal(config->identities[1].pair.key, "l");
	assert_int_equal(config->identities[1].line, 23);
	config_free(config);
}

/* Nobody switches DNSSEC off by the way. */
static void test_no_trust_anchor_is_the_default(void **state)
{
	struct config *config = parse_fine(SERVER "[policy]\ntrust-anchor =\n" OUTBOUND);

	(void)state;
	assert_string_equal(config->policy.trust_anchor, "/usr/share/dns/root.key");
	config_free(config);
}

static void test_intercept(void **state)
{
	struct config *config = parse_fine(
		SERVER PAIR "[outbound one]\nlisten = 0.0.0.0:25 [::]:25\n"
			    "route = intercept\nallow-private = yes\n"
			    "guard = eth1 br-lan_0.5\nguard = a23456789012345\n"
			    "backends = 10.0.0.10 10.0.1.0/24\nbackends = fd00::10\n"
			    "source = transparent\ntls = offer\nhelo = client\n"
			    "received = on\nbare-newline = reject\n"
			    "offer = size\noffer = Pipelining CHUNKING\n");
	const struct config_outbound *outbound = &config->outbound[0];

	(void)state;
	assert_string_equal(outbound->name, "one");
	assert_int_equal(outbound->listen_count, 2);
	assert_int_equal(outbound->route, ROUTE_INTERCEPT);
	assert_true(outbound->allow_private);
	assert_int_equal(outbound->backends_count, 3);
	assert_int_equal(outbound->backends[1].prefix, 24);
	assert_int_equal(outbound->backends[2].base.family, AF_INET6);
	assert_int_equal(outbound->guard_count, 3);
	assert_string_equal(outbound->guard[1], "br-lan_0.5");
	assert_string_equal(outbound->guard[2], "a23456789012345");
	assert_int_equal(outbound->source, SOURCE_TRANSPARENT);
	assert_int_equal(outbound->tls, NEAR_TLS_OFFER);
	assert_int_equal(outbound->helo, HELO_CLIENT);
	assert_int_equal(outbound->received, RECEIVED_ON);
	assert_int_equal(outbound->bare_newline, BARE_NEWLINE_REJECT);
	/* what is written, and nothing of the default */
	assert_int_equal(
		outbound->offer, SMTP_KW(SIZE) | SMTP_KW(PIPELINING) | SMTP_KW(CHUNKING));
	config_free(config);
}

/* The port that is written; else the one that relay-tls stands for, wherever it stands.
 */
static void test_relay(void **state)
{
	static const struct {
		const char *text, *host;
		sa_family_t family;
		in_port_t port;
	} cases[] = {
		{ "route = relay mail.example.net\n", "mail.example.net", AF_UNSPEC, 25 },
		{ "route = relay Mail.Example.NET\n", "mail.example.net", AF_UNSPEC, 25 },
		{ "route = relay\t mail.example.net:587\nrelay-tls = starttls\n",
			"mail.example.net", AF_UNSPEC, 587 },
		{ "relay-tls = implicit\nroute = relay mail.example.net\n",
			"mail.example.net", AF_UNSPEC, 465 },
		{ "route = relay mail.example.net:25\nrelay-tls = implicit\n",
			"mail.example.net", AF_UNSPEC, 25 },
		{ "route = relay 192.0.2.1\nrelay-tls = implicit\n", NULL, AF_INET, 465 },
		{ "route = relay 192.0.2.1:26\nrelay-tls = implicit\n", NULL, AF_INET,
			26 },
		{ "route = relay 2001:db8::1\n", NULL, AF_INET6, 25 },
		{ "route = relay 2001:db8::1\nrelay-tls = implicit\n", NULL, AF_INET6,
			465 },
		{ "route = relay [2001:db8::1]\n", NULL, AF_INET6, 25 },
		{ "route = relay [2001:db8::1]\nrelay-tls = implicit\n", NULL, AF_INET6,
			465 },
		{ "route = relay [2001:db8::1]:26\n", NULL, AF_INET6, 26 },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		snprintf(text, sizeof(text), "%scredentials = c\n%s", SERVER OUTBOUND,
			cases[i].text);
		struct config *config = parse_fine(text);
		const struct config_outbound *outbound = &config->outbound[0];

		assert_int_equal(outbound->route, ROUTE_RELAY);
		assert_string_equal(outbound->credentials, "c");
		if (cases[i].host == NULL)
			assert_null(outbound->relay.host);
		else
			assert_string_equal(outbound->relay.host, cases[i].host);
		assert_int_equal(outbound->relay.address.family, cases[i].family);
		assert_int_equal(outbound->relay.address.port, cases[i].port);
		config_free(config);
	}
}

static void test_source_address(void **state)
{
	struct config *config = parse_fine(SERVER OUTBOUND "source = 2001:db8::7\n");
	const struct config_outbound *outbound = &config->outbound[0];

	(void)state;
	assert_int_equal(outbound->source, SOURCE_ADDRESS);
	assert_int_equal(outbound->source_address.family, AF_INET6);
	assert_int_equal(outbound->source_address.octets[15], 7);
	config_free(config);
}

/* ---- faults ---- */

static void test_sections(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER OUTBOUND OUTBOUND,
			"f:7: a second service named outbound: the first is on line 4; "
			"give each its own [outbound NAME]\n" },
		{ SERVER OUTBOUND "[inbound outbound]\n",
			"f:7: a second service named outbound: the first is on line 4; "
			"give each its own [inbound NAME]\n" },
		{ SERVER OUTBOUND "[identity]\nkey = k\n",
			"f:7: [identity]: it needs a name: [identity NAME]\n" },
		{ SERVER OUTBOUND
			"[identity a]\ncertificate = c\nkey = k\n[identity a]\n",
			"f:10: a second identity named a: the first is on line 7; give "
			"each its own [identity NAME]\n" },
		{ SERVER OUTBOUND "[identity a b]\n",
			"f:7: [identity a b]: a name is 1 to 32 letters, digits, '-', "
			"'_' or '.'\n" },
		{ SERVER OUTBOUND "[identty a]\n[polcy]\n[policy x]\n",
			"f:7: unknown section [identty a]: is [identity a] meant?\n"
			"f:8: unknown section [polcy]: is [policy] meant?\n"
			"f:9: unknown section [policy x]: is [policy] meant?\n" },
		{ SERVER OUTBOUND "[policy]\n[policy]\n",
			"f:8: [policy] again: it began on line 7; write its keys "
			"there\n" },
		{ SERVER "[outbound]\n", "f:4: this [outbound] lacks its backends\n" },
		{ SERVER OUTBOUND "[identity a]\n",
			"f:7: this [identity] lacks its certificate\n"
			"f:7: this [identity] lacks its key\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_keys(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER OUTBOUND "backend = 10.0.0.1\n",
			"f:7: unknown key backend in [outbound]: is backends meant?\n" },
		{ SERVER OUTBOUND "reley-tls = starttls\n",
			"f:7: unknown key reley-tls in [outbound]: is relay-tls "
			"meant?\n" },
		{ SERVER OUTBOUND "certificate = c\n",
			"f:7: unknown key certificate in [outbound]: it belongs in [tls] "
			"or [identity]\n" },
		{ SERVER OUTBOUND "resolver = system\n",
			"f:7: unknown key resolver in [outbound]: it belongs in "
			"[policy]\n" },
		{ SERVER OUTBOUND "route = smarthost\nroute = intercept\n",
			"f:8: route again: it stands on line 7 already\n" },
		{ SERVER OUTBOUND "[policy]\ndane = maybe\nmta-sts = 1\n",
			"f:8: dane = maybe: not one of no, yes\n"
			"f:9: mta-sts = 1: not one of no, yes\n" },
		{ SERVER OUTBOUND "[identity a]\ncertificate = c\nkey =\n",
			"f:9: key is empty\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

#define ROUTES_ARE  "not one of intercept, smarthost, relay HOST and relay HOST:PORT\n"
#define SOURCES_ARE "not one of auto, transparent and an address without a port\n"

static void test_values(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER OUTBOUND "route = interept\nallow-private = yes\n",
			"f:7: route = interept: " ROUTES_ARE },
		{ SERVER OUTBOUND "route = relay\n", "f:7: route = relay: " ROUTES_ARE },
		{ SERVER OUTBOUND "route = smarthost mx.example.net\n",
			"f:7: route = smarthost mx.example.net: " ROUTES_ARE },
		{ SERVER OUTBOUND "route = relay mx.example.net:0\n",
			"f:7: route = relay mx.example.net:0: " ROUTES_ARE },
		{ SERVER OUTBOUND "route = relay 192.0.2.1:65536\n",
			"f:7: route = relay 192.0.2.1:65536: " ROUTES_ARE },
		{ SERVER OUTBOUND "route = relay a.example b.example\n",
			"f:7: route = relay a.example b.example: " ROUTES_ARE },
		{ SERVER OUTBOUND "source = 192.0.2.1:25\n",
			"f:7: source = 192.0.2.1:25: " SOURCES_ARE },
		{ SERVER OUTBOUND "source = 192.0.2.0/24\n",
			"f:7: source = 192.0.2.0/24: " SOURCES_ARE },
		{ SERVER OUTBOUND "source = 0.0.0.0\n",
			"f:7: source = 0.0.0.0: " SOURCES_ARE },
		{ SERVER OUTBOUND "tls = require\n",
			"f:7: tls = require: not one of off, offer\n" },
		{ SERVER OUTBOUND "route = intercept\nallow-private = true\n",
			"f:8: allow-private = true: not one of no, yes\n" },
		{ SERVER OUTBOUND "offer = SIZE STARTTLS\n",
			"f:7: offer = STARTTLS: not one of PIPELINING, SIZE, 8BITMIME, "
			"DSN, ENHANCEDSTATUSCODES, SMTPUTF8, CHUNKING, LIMITS\n" },
		{ SERVER OUTBOUND "backends = 10.0.0.10:25\n",
			"f:7: backends = 10.0.0.10:25: not a network such as "
			"192.0.2.0/24 or 2001:db8::/32\n" },
		{ SERVER OUTBOUND "route = intercept\nguard = a234567890123456\n",
			"f:8: guard = a234567890123456: not an interface such as "
			"eth1\n" },
		{ SERVER OUTBOUND "route = intercept\nguard = eth1\"\n",
			"f:8: guard = eth1\": not an interface such as eth1\n" },
		{ SERVER OUTBOUND "route = intercept\nguard = a b c d e f g h i\n",
			"f:8: guard = i: one too many: there is room for 8\n" },
		{ SERVER OUTBOUND "[policy]\nresolver = 127.0.0.1:53\n",
			"f:8: resolver = 127.0.0.1:53: not one of system, recursive and "
			"an address such as 192.0.2.53 or 192.0.2.53@5353\n" },
		{ SERVER OUTBOUND "[limits]\nrcpt-budget = 0\n",
			"f:8: rcpt-budget = 0: not a time from 1s to 1h (digits with s, "
			"m or h; seconds without)\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

#define STUBS_ARE                                                                        \
	"not a zone and an address such as corp.example.com 192.0.2.53 or "              \
	"corp.example.com 192.0.2.53@5353\n"

static void test_stubs(void **state)
{
	static const char *const stubs[] = { "lab", "lab. ", "a_b 192.0.2.1",
		".. 192.0.2.1", "lab. lab.", "lab. 192.0.2.1@0", "lab. 192.0.2.1@65536",
		"lab. 192.0.2.1@", "lab. 192.0.2.1 192.0.2.2", "lab. 192.0.2.0/24" };
	char text[2048] = SERVER OUTBOUND "[policy]\n", faults[512];

	(void)state;
	for (size_t i = 0; i < LENGTH(stubs); i++) {
		size_t shown = strlen(stubs[i]);

		snprintf(text, sizeof(text), "%s[policy]\nstub = %s\n", SERVER OUTBOUND,
			stubs[i]);
		while (stubs[i][shown - 1] == ' ')
			shown--;
		snprintf(faults, sizeof(faults), "f:8: stub = %.*s: %s", (int)shown,
			stubs[i], STUBS_ARE);
		assert_faults(text, strlen(text), faults);
	}
	size_t length =
		(size_t)snprintf(text, sizeof(text), "%s[policy]\n", SERVER OUTBOUND);

	for (int i = 0; i <= CONFIG_STUB_MAX; i++)
		length += (size_t)snprintf(
			text + length, sizeof(text) - length, "stub = lab ::1\n");
	assert_faults(text, length,
		"f:24: stub = lab ::1: one too many: there is room for 16\n");
}

static void test_route_keys(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER OUTBOUND "relay-tls = starttls\ncredentials = c\n",
			"f:7: relay-tls means nothing with route = smarthost (TLS "
			"follows the policy of each domain): take it out\n"
			"f:8: credentials means nothing with route = smarthost (servers "
			"on the Internet ask for none): take it out\n" },
		{ SERVER OUTBOUND "route = intercept\ncredentials = c\n",
			"f:8: credentials means nothing with route = intercept (servers "
			"on the Internet ask for none): take it out\n" },
		{ SERVER OUTBOUND "bypass = 192.0.2.0/24\n",
			"f:7: bypass means nothing with route = smarthost (nothing is "
			"intercepted): take it out\n" },
		{ SERVER OUTBOUND "guard = eth1\n",
			"f:7: guard means nothing with route = smarthost (nothing is "
			"intercepted): take it out\n" },
		{ SERVER OUTBOUND "allow-private = no\n",
			"f:7: allow-private means nothing with route = smarthost (it "
			"judges intercepted destinations): take it out\n" },
		{ SERVER OUTBOUND "offer = SIZE\nroute = relay a.example\n",
			"f:7: offer means nothing with route = relay (the relay's own "
			"keywords are shown): take it out\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_contradictions(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER OUTBOUND "tls = offer\n",
			"f:7: tls = offer, and there is no certificate: write "
			"certificate = and key = in [tls], or tls = off\n" },
		{ SERVER SERVICE "listen = 0.0.0.0:10025\n" OUTBOUND,
			"f:10: listen = 10.0.0.1:10025: taken by listen = 0.0.0.0:10025 "
			"on line 6\n" },
		{ SERVER "[outbound]\nlisten = ::1\nbackends = 10.0.0.0/8\n",
			"f:6: backends: none of them can come, for listen has no address "
			"of their version of IP\n" },
		{ SERVER OUTBOUND "route = intercept\nsource = ::1\n",
			"f:8: source = ::1: what comes by IPv4 leaves by IPv4; do not "
			"listen there, or write source = auto\n" },
		{ SERVER OUTBOUND "route = relay ::2\nsource = 10.0.0.1\n",
			"f:8: source = 10.0.0.1: the relay has an IPv6 address\n" },
		{ SERVER OUTBOUND "route = relay ::2\nsource = transparent\n",
			"f:8: source = transparent: backends come by IPv4, and the relay "
			"has an IPv6 address\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
	/* these agree */
	config_free(parse_fine(SERVER OUTBOUND "route = relay ::2\nsource = ::1\n"));
	config_free(
		parse_fine(SERVER OUTBOUND "route = relay a.example\nsource = ::1\n"));
	config_free(parse_fine(SERVER OUTBOUND "route = intercept\nsource = 10.0.0.1\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_no_trust_anchor_is_the_default),
		cmocka_unit_test(test_intercept),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_source_address),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_stubs),
		cmocka_unit_test(test_route_keys),
		cmocka_unit_test(test_contradictions),
	};

	return cmocka_run_group_tests_name("config_outbound", tests, NULL, NULL);
}
