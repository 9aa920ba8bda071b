/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What a probe says of what it found: the last line, the hint, words and JSON. */

#include "probe_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct probe probe;
	struct peer peer;
	struct probe_host hosts[PROBE_HOSTS];
	char *text;
	size_t length;
};

static const struct config asks_all = { .policy = { .dane = true, .mta_sts = true } };
static const uint8_t digest[] = { 0xde, 0xad, 0xbe, 0xef };

/* bank.example has mx1, which was reached by TLS and is what mail would go to. */
static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->probe = (struct probe){
		.target = "bank.example", .domain = "bank.example", .host_count = 1
	};
	w->probe.config = &asks_all;
	w->probe.peer = &w->peer;
	w->probe.hosts = w->hosts;
	route_init(&w->probe.route, ROUTE_KIND_SMARTHOST, SMTP_PORT);
	strcpy(w->peer.domain, "bank.example");
	strcpy(w->peer.where, "/policy.d/bank.example.policy:3");
	w->peer.demand.level = LEVEL_SECURE;
	w->peer.demand.dane = w->peer.demand.mta_sts = true;
	w->peer.candidate_count = 1;
	struct candidate *c = &w->peer.candidates[0];
	strcpy(c->name, "mx1.bank.example");
	c->preference = 10;
	c->dane = DANE_ABSENT;
	struct probe_host *h = &w->hosts[0];
	h->address = (struct address){ AF_INET, 25, { 192, 0, 2, 1 } };
	h->stage = PROBE_COMPLETE;
	h->verdict = VERDICT_PASS;
	h->facts.protocol = PROTOCOL_TLS_1_3;
	strcpy(h->facts.version, "TLS1.3");
	strcpy(h->facts.cipher, "TLS_AES_256_GCM_SHA384");
	h->facts.chain = &h->chain;
	h->chain.count = 1;
	h->chain.certificates[0].not_before = 86400;
	h->chain.certificates[0].not_after = 365 * 86400;
	h->chain.public_chain = CHAIN_VALID;
	strcpy(h->chain.names, "mx1.bank.example");
	strcpy(h->names[0].subject, "CN=mx1.bank.example,O=Bank\\, Inc.");
	strcpy(h->names[0].issuer, "CN=Some CA");
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	free(w->text);
	free(w);
	return 0;
}

static void add_record(struct world *w, enum dane_state state)
{
	struct candidate *c = &w->peer.candidates[0];
	c->dane = (uint8_t)state;
	c->tlsa[c->tlsa_count++] =
		(struct tlsa){ TLSA_EE, TLSA_SPKI, TLSA_SHA256, sizeof(digest), digest };
}

static void assert_concludes(struct world *w, const char *result)
{
	probe_conclude(&w->probe);
	assert_string_equal(w->probe.result, result);
}

static const char *written(
	struct world *w, void (*writer)(FILE *out, const struct probe *probe))
{
	free(w->text);
	FILE *out = open_memstream(&w->text, &w->length);
	assert_non_null(out);
	writer(out, &w->probe);
	assert_int_equal(fclose(out), 0);
	return w->text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		assert_string_equal(text, part);
}

/* ---- the last line ---- */

static void test_what_vouches_for_the_host(void **state)
{
	struct world *w = *state;
	assert_concludes(w, "mail to bank.example would flow by TLS1.3, certificate "
			    "verified (secure), via mx1.bank.example[192.0.2.1]");
	w->peer.demand.level = LEVEL_MAY;
	assert_concludes(w, "mail to bank.example would flow by TLS1.3, certificate not "
			    "verified (may), via mx1.bank.example[192.0.2.1]");
	w->peer.sts.mode = STS_TESTING;
	assert_concludes(w, "mail to bank.example would flow by TLS1.3, certificate not "
			    "verified (may), via mx1.bank.example[192.0.2.1]");
	w->peer.sts.mode = STS_ENFORCE;
	assert_concludes(w, "mail to bank.example would flow by TLS1.3, certificate "
			    "verified (mta-sts), via mx1.bank.example[192.0.2.1]");
	add_record(w, DANE_USABLE);
	assert_concludes(w, "mail to bank.example would flow by TLS1.3, certificate "
			    "verified (dane), via mx1.bank.example[192.0.2.1]");
	w->peer.demand.level = LEVEL_VERIFY;
	assert_concludes(w, "mail to bank.example would flow by TLS1.3, certificate "
			    "verified (verify, dane), via mx1.bank.example[192.0.2.1]");
}

static void test_in_clear_nothing_vouches(void **state)
{
	struct world *w = *state;
	w->hosts[0].facts = (struct facts){ .protocol = PROTOCOL_CLEAR };
	strcpy(w->hosts[0].no_tls, "TLS is not to be tried");
	assert_concludes(w, "mail to bank.example would flow in clear, protected by "
			    "nothing (TLS is not to be tried), via "
			    "mx1.bank.example[192.0.2.1]");
}

static void test_no_mail(void **state)
{
	struct world *w = *state;
	w->probe.chosen = -1;
	strcpy(w->probe.refusal, "451 4.7.5 bank.example: expired");
	assert_concludes(w, "mail to bank.example would be deferred: "
			    "451 4.7.5 bank.example: expired");
	strcpy(w->probe.refusal, "556 5.1.10 bank.example: takes none");
	assert_concludes(w, "mail to bank.example would be sent back: "
			    "556 5.1.10 bank.example: takes none");
}

static void test_one_host_is_a_relay(void **state)
{
	struct world *w = *state;
	route_init(&w->probe.route, ROUTE_KIND_RELAY, 587);
	assert_concludes(w, "mail through bank.example:587 would flow by TLS1.3, "
			    "certificate verified (secure), via "
			    "mx1.bank.example[192.0.2.1]");
}

static void test_a_literal_is_its_own_host(void **state)
{
	struct world *w = *state;
	w->peer.candidates[0].name[0] = '\0';
	strcpy(w->probe.domain, "[192.0.2.1]");
	assert_concludes(w, "mail to [192.0.2.1] would flow by TLS1.3, certificate "
			    "verified (secure)");
	w->hosts[0].facts = (struct facts){ .protocol = PROTOCOL_CLEAR };
	strcpy(w->hosts[0].no_tls, "none");
	assert_concludes(w, "mail to [192.0.2.1] would flow in clear, protected by "
			    "nothing (none)");
}

/* ---- the hint ---- */

static void assert_hints(struct world *w, const char *hint)
{
	probe_conclude(&w->probe);
	if (hint[0] == '\0')
		assert_string_equal(w->probe.hint, "");
	else if (!strstr(w->probe.hint, hint))
		assert_string_equal(w->probe.hint, hint);
}

static void test_a_blocked_port_is_hinted_at(void **state)
{
	struct world *w = *state;
	w->probe.chosen = -1;
	w->probe.host_count = 2;
	w->hosts[0].stage = PROBE_CONNECT;
	w->hosts[0].verdict = ROUTE_NOT_JUDGED;
	w->hosts[0].address = (struct address){ AF_INET, 25, { 44, 128, 0, 1 } };
	w->hosts[1] = w->hosts[0];
	w->hosts[1].stage = PROBE_PASSED_OVER;
	assert_hints(w, "port 25 may be blocked");
	w->hosts[1].stage = PROBE_GREETING;
	assert_hints(w, "");
	w->hosts[1].stage = PROBE_CONNECT;
	w->probe.route.port = 587;
	assert_hints(w, "");
	w->probe.route.port = SMTP_PORT;
	w->hosts[0].address.octets[0] = 127;
	assert_hints(w, "port 25 may be blocked");
	w->hosts[1].address.octets[0] = 10;
	assert_hints(w, "are not those of hosts on the Internet");
	w->probe.route.kind = ROUTE_KIND_RELAY;
	assert_hints(w, "");
	w->probe.route.kind = ROUTE_KIND_SMARTHOST;
	w->hosts[0].stage = w->hosts[1].stage = PROBE_PASSED_OVER;
	assert_hints(w, "");
	w->probe.chosen = 0;
	w->hosts[0].stage = w->hosts[1].stage = PROBE_CONNECT;
	assert_hints(w, "");
}

static void test_want_of_time_is_told(void **state)
{
	struct world *w = *state;
	w->probe.late = true;
	assert_hints(w, "the time was over");
	w->probe.chosen = -1;
	assert_hints(w, "the time was over");
}

static void test_a_testing_policy_is_hinted_at(void **state)
{
	struct world *w = *state;
	assert_hints(w, "");
	strcpy(w->hosts[0].testing, "expired");
	assert_hints(w, "its MTA-STS policy is only tested");
}

/* Who has to do what, and which line of which file demands it. */
static void test_every_verdict_has_a_hint(void **state)
{
	struct world *w = *state;
	w->probe.chosen = -1;
	add_record(w, DANE_USABLE);
	for (unsigned v = VERDICT_PASS + 1; v < VERDICTS; v++) {
		w->hosts[0].verdict = (uint8_t)v;
		w->hosts[0].stage = PROBE_POLICY;
		w->peer.demand.level = LEVEL_SECURE;
		assert_hints(w, " (/policy.d/bank.example.policy:3)");
		assert_true(strlen(w->probe.hint) > 50);
		w->peer.demand.level = LEVEL_MAY;
		probe_conclude(&w->probe);
		assert_null(strstr(w->probe.hint, "/policy.d"));
	}
	w->hosts[0].verdict = VERDICT_DANE;
	assert_hints(w, "TLSA records and its certificates agree");
	w->peer.candidates[0].dane = DANE_ABSENT;
	assert_hints(w, "demands DANE, which that host does not have");
}

static void test_what_was_not_judged_has_a_hint(void **state)
{
	struct world *w = *state;
	w->probe.chosen = -1;
	w->hosts[0].verdict = ROUTE_NOT_JUDGED;
	w->hosts[0].stage = PROBE_STARTTLS;
	strcpy(w->hosts[0].code, "4.7.4");
	assert_hints(w, "has to offer TLS");
	strcpy(w->hosts[0].code, "4.3.0");
	assert_hints(w, "");
	strcpy(w->hosts[0].said, "554 no");
	assert_hints(w, "can tell more of that reply");
}

static void test_without_a_host_the_status_hints(void **state)
{
	static const char *const hints[] = {
		[PEER_FINE] = "",
		[PEER_UNAVAILABLE] = "",
		[PEER_BROKEN] = "mail waits until that file is mended",
		[PEER_DNS_FAILED] = "whoever runs that DNS",
		[PEER_NO_DOMAIN] = "spelt",
		[PEER_NULL_MX] = "",
		[PEER_INVALID] = "in brackets",
	};
	struct world *w = *state;
	w->probe.chosen = -1;
	w->probe.host_count = 0;
	for (unsigned i = 0; i < PEER_STATUSES; i++) {
		w->peer.status = (uint8_t)i;
		assert_hints(w, hints[i]);
	}
	w->peer.status = PEER_BROKEN;
	w->probe.stranger = true;
	assert_hints(w, "probe as root");
}

/* ---- TLSA records ---- */

static void test_the_record_that_matched(void **state)
{
	struct world *w = *state;
	add_record(w, DANE_USABLE);
	add_record(w, DANE_USABLE);
	w->hosts[0].chain.dane = DANE_MATCH_NONE;
	assert_false(probe_matched(&w->hosts[0], 0));
	w->hosts[0].chain.dane = DANE_MATCH_EE;
	w->hosts[0].chain.dane_record = 1;
	assert_false(probe_matched(&w->hosts[0], 0));
	assert_true(probe_matched(&w->hosts[0], 1));
	const char *text = written(w, probe_write_text);
	assert_has(text, "3 1 1 deadbeef\n");
	assert_has(text, "3 1 1 deadbeef  matched\n");
	w->hosts[0].facts.chain = NULL;
	assert_false(probe_matched(&w->hosts[0], 1));
}

/* ---- words ---- */

static void test_words(void **state)
{
	struct world *w = *state;
	probe_conclude(&w->probe);
	const char *text = written(w, probe_write_text);
	assert_has(text, "bank.example\n    demand      secure "
			 "(/policy.d/bank.example.policy:3)\n");
	assert_has(text, "  10 mx1.bank.example[192.0.2.1]\n");
	assert_has(text, "    tls         TLS1.3 TLS_AES_256_GCM_SHA384\n");
	assert_has(text, "    names       mx1.bank.example\n");
	assert_has(text, "    starttls    not offered\n");
	assert_has(text, "    certificate CN=mx1.bank.example,O=Bank\\, Inc.\n"
			 "                given by CN=Some CA\n"
			 "                valid from 1970-01-02 to 1971-01-01, key");
	assert_has(text, "    chain       valid, to the public CAs\n");
	assert_has(text, "    tlsa        none, or none that is signed\n");
	assert_has(text, "    policy      is met\n");
}

static void test_what_was_wrong_in_words(void **state)
{
	struct world *w = *state;
	struct probe_host *h = &w->hosts[0];
	h->stage = PROBE_POLICY;
	h->verdict = VERDICT_NAME;
	strcpy(h->code, "4.7.5");
	strcpy(h->reason, "other.example");
	assert_has(written(w, probe_write_text),
		"    policy      refuses it (name, 4.7.5): other.example\n");
	h->verdict = ROUTE_NOT_JUDGED;
	h->stage = PROBE_GREETING;
	strcpy(h->said, "554 no");
	const char *text = written(w, probe_write_text);
	assert_has(text, "    failed      at greeting (4.7.5): other.example\n");
	assert_has(text, "    it said     554 no\n");
}

static void test_many_names_are_counted(void **state)
{
	struct world *w = *state;
	char *at = w->hosts[0].chain.names;
	for (unsigned i = 0; i < 20; i++)
		at += sprintf(at, "h%u.%0250u", i, 0) + 1;
	*at = '\0';
	assert_has(written(w, probe_write_text), " and 12 more\n");
}

static void test_strangers_are_escaped(void **state)
{
	struct world *w = *state;
	struct probe_host *h = &w->hosts[0];
	strcpy(h->greeting, "220 \x1b]0;x\x07 \xc3\xa9 \\ \"");
	memset(h->chain.names, 0, sizeof(h->chain.names));
	strcpy(h->chain.names, "a\"b\\c\nd");
	strcpy(w->peer.sts.text, "\r\nforged");
	strcpy(h->names[0].issuer, "CN=\x1b[2J");
	strcpy(h->refused, "454 \x1b");
	h->offered = true;
	const char *text = written(w, probe_write_text);
	assert_has(text, "220 \\x1b]0;x\\x07 \\xc3\\xa9 \\x5c \"\n");
	assert_has(text, "names       a\"b\\x5cc\\x0ad\n");
	assert_has(text, "mta-sts     \\x0d\\x0aforged\n");
	assert_has(text, "given by CN=\\x1b[2J\n");
	assert_has(text, "starttls    offered, and refused: 454 \\x1b\n");
	for (const char *c = text; *c != '\0'; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
	text = written(w, probe_write_json);
	assert_has(text, "\"220 \\u001b]0;x\\u0007 \\u00c3\\u00a9 \\\\ \\\"\"");
	assert_has(text, "\"issuer\": \"CN=\\u001b[2J\"");
	assert_has(text, "[\"a\\\"b\\\\c\\u000ad\"]");
	for (const char *c = text; *c != '\0'; c++)
		assert_true((*c == '\n' && c[1] == '\0') || (*c >= ' ' && *c <= '~'));
}

/* ---- what does not count ---- */

static void test_records_that_do_not_count(void **state)
{
	struct world *w = *state;
	const char no[] = "                does not count: ";
	add_record(w, DANE_USABLE);
	assert_null(strstr(written(w, probe_write_text), no));
	assert_has(written(w, probe_write_json), "\"dane_counts\": true");
	w->peer.demand.dane = false;
	assert_has(written(w, probe_write_text),
		"does not count: dane = no (/policy.d/bank.example.policy:3)\n");
	assert_has(written(w, probe_write_json), "\"dane_counts\": false");
	w->peer.direction = DIRECTION_HOST;
	w->probe.route.kind = ROUTE_KIND_RELAY;
	w->peer.demand.dane = true;
	assert_has(written(w, probe_write_text),
		"does not count: a relay's do where its policy file says tls = dane\n");
	w->peer.demand.level = LEVEL_DANE;
	assert_null(strstr(written(w, probe_write_text), no));
	assert_has(written(w, probe_write_json), "\"dane_counts\": true");
}

static void test_a_policy_that_does_not_count(void **state)
{
	struct world *w = *state;
	const char no[] = "                does not count: mta-sts = no "
			  "(/policy.d/bank.example.policy:3)\n";
	w->peer.sts.mode = STS_ENFORCE;
	w->peer.sts.mx_count = 1;
	strcpy(w->peer.sts.mx[0], "mx1.bank.example");
	const char *text = written(w, probe_write_text);
	assert_null(strstr(text, no));
	assert_has(text, "    mta-sts     lists it\n");
	text = written(w, probe_write_json);
	assert_has(text, "\"counts\": true");
	assert_has(text, "\"mta_sts_counts\": true");
	add_record(w, DANE_USABLE);
	assert_has(written(w, probe_write_text),
		"    mta-sts     lists it; its TLSA records count instead\n");
	text = written(w, probe_write_json);
	assert_has(text, "\"counts\": true");
	assert_has(text, "\"mta_sts_counts\": false");
	w->hosts[0].verdict = VERDICT_STS; /* which says that it counts all the same */
	assert_has(written(w, probe_write_text), "    mta-sts     lists it\n");
	assert_has(written(w, probe_write_json), "\"mta_sts_counts\": true");
	w->peer.demand.mta_sts = false;
	text = written(w, probe_write_text);
	assert_has(text, no);
	assert_null(strstr(text, "lists it"));
	assert_has(written(w, probe_write_json), "\"counts\": false");
}

static void test_what_is_not_asked_for(void **state)
{
	static const struct config asks_nothing;
	struct world *w = *state;
	w->probe.config = &asks_nothing;
	w->peer.candidates[0].dane = DANE_UNAVAILABLE;
	const char *text = written(w, probe_write_text);
	assert_has(text, "    tlsa        not asked for (dane = no in [policy])\n");
	assert_has(text, "    mta-sts     not asked for (mta-sts = no in [policy])\n");
	w->probe.route.kind = ROUTE_KIND_RELAY; /* has none anyhow */
	assert_null(strstr(written(w, probe_write_text), "mta-sts"));
}

/* ---- STARTTLS ---- */

static void test_what_became_of_starttls(void **state)
{
	struct world *w = *state;
	struct probe_host *h = &w->hosts[0];
	h->offered = true;
	h->encryption = ENCRYPTION_MAY;
	assert_has(written(w, probe_write_text), "    starttls    offered\n");
	h->encryption = ENCRYPTION_NONE;
	assert_has(
		written(w, probe_write_text), "    starttls    offered, and not tried\n");
	strcpy(h->refused, "454 no");
	strcpy(h->said, "454 no");
	const char *text = written(w, probe_write_text);
	assert_has(text, "    starttls    offered, and refused: 454 no\n");
	assert_null(strstr(text, "it said"));
	assert_has(written(w, probe_write_json), "\"starttls_refused\": \"454 no\"");
	h->stage = PROBE_EHLO;
	assert_null(strstr(written(w, probe_write_text), "starttls"));
	h->stage = PROBE_COMPLETE;
	w->probe.implicit = true;
	assert_has(written(w, probe_write_text),
		"    starttls    not used: TLS comes first\n");
}

/* ---- JSON ---- */

static void test_json(void **state)
{
	struct world *w = *state;
	add_record(w, DANE_USABLE);
	w->hosts[0].chain.dane = DANE_MATCH_EE;
	w->peer.sts.mode = STS_ENFORCE;
	w->peer.sts.mx_count = 2;
	strcpy(w->peer.sts.mx[0], "mx1.bank.example");
	strcpy(w->peer.sts.mx[1], "*.bank.example");
	const char *text = written(w, probe_write_json);
	assert_has(text, "{\"target\": \"bank.example\", \"domain\": \"bank.example\", "
			 "\"port\": 25, \"status\": \"fine\", ");
	assert_has(text, "\"mx\": [\"mx1.bank.example\", \"*.bank.example\"], ");
	assert_has(text, "\"tlsa\": [{\"usage\": 3, \"selector\": 1, \"matching\": 1, "
			 "\"data\": \"deadbeef\", \"matched\": true}], "
			 "\"dane_counts\": true, \"mta_sts_lists\": true, ");
	assert_has(text, "\"subject\": \"CN=mx1.bank.example,O=Bank\\\\, Inc.\", "
			 "\"issuer\": \"CN=Some CA\", ");
	assert_has(text, "\"not_before\": \"1970-01-02T00:00:00Z\"");
	assert_has(text, "\"fetched\": \"\"");
	assert_has(text, "\"flows\": true, \"host\": 0, ");
	w->probe.chosen = -1;
	w->hosts[0].facts = (struct facts){ .protocol = PROTOCOL_CLEAR };
	w->hosts[0].verdict = ROUTE_NOT_JUDGED;
	text = written(w, probe_write_json);
	assert_has(text, "\"tls\": null, ");
	assert_has(text, "\"verdict\": \"\", ");
	assert_has(text, "\"flows\": false, \"host\": null, ");
	w->probe.host_count = 0;
	assert_has(written(w, probe_write_json), "\"hosts\": [], ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_what_vouches_for_the_host),
		TEST(test_in_clear_nothing_vouches),
		TEST(test_no_mail),
		TEST(test_one_host_is_a_relay),
		TEST(test_a_literal_is_its_own_host),
		TEST(test_a_blocked_port_is_hinted_at),
		TEST(test_want_of_time_is_told),
		TEST(test_a_testing_policy_is_hinted_at),
		TEST(test_every_verdict_has_a_hint),
		TEST(test_what_was_not_judged_has_a_hint),
		TEST(test_without_a_host_the_status_hints),
		TEST(test_the_record_that_matched),
		TEST(test_words),
		TEST(test_what_was_wrong_in_words),
		TEST(test_many_names_are_counted),
		TEST(test_strangers_are_escaped),
		TEST(test_records_that_do_not_count),
		TEST(test_a_policy_that_does_not_count),
		TEST(test_what_is_not_asked_for),
		TEST(test_what_became_of_starttls),
		TEST(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
