/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What `sealpost policy` says of TLSA records and an MTA-STS policy where both are. */

#include "explain_text.h"

#include "judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct peer peer;
	char *text;
	size_t length;
};

static const uint8_t digest[32] = { 0xde, 0xad };

static void add_host(struct peer *peer, const char *name, enum dane_state state)
{
	struct candidate *c = &peer->candidates[peer->candidate_count++];
	strcpy(c->name, name);
	c->address_count = 1;
	c->addresses[0] = (struct peer_address){ FAMILY_IPV4, { 192, 0, 2, 1 } };
	c->dane = (uint8_t)state;
	if (state == DANE_USABLE)
		c->tlsa[c->tlsa_count++] = (struct tlsa){ TLSA_EE, TLSA_SPKI, TLSA_SHA256,
			sizeof(digest), digest };
}

/* A domain with an MTA-STS policy for two hosts of it, of which the first has DANE. */
static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	strcpy(w->peer.domain, "bank.example");
	w->peer.demand.dane = w->peer.demand.mta_sts = true;
	w->peer.secure_mx = true;
	w->peer.sts.mode = STS_ENFORCE;
	w->peer.sts.mx_count = 1;
	strcpy(w->peer.sts.mx[0], "*.bank.example");
	strcpy(w->peer.sts.id, "1");
	add_host(&w->peer, "mx1.bank.example", DANE_USABLE);
	add_host(&w->peer, "mx2.bank.example", DANE_ABSENT);
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

static const char *explained(struct world *w)
{
	free(w->text);
	FILE *out = open_memstream(&w->text, &w->length);
	assert_non_null(out);
	explain_demand(out, &w->peer, NULL);
	explain_sts(out, &w->peer, 0, 0);
	explain_result(out, &w->peer);
	assert_int_equal(fclose(out), 0);
	return w->text;
}

static void assert_says(struct world *w, const char *part)
{
	if (!strstr(explained(w), part))
		assert_string_equal(w->text, part);
}

static void test_each_host_has_its_own(void **state)
{
	struct world *w = *state;
	assert_says(w, "but the domain itself demands more: dane, mta-sts\n");
	assert_says(w, "            hosts with DANE are held to their TLSA records\n");
	assert_says(w, "mail to bank.example goes to the first host that takes it:\n"
		       "            mx1.bank.example by TLS alone (dane)\n"
		       "            mx2.bank.example by TLS alone (mta-sts)\n");
	w->peer.demand.dane = false;
	assert_says(w, "but the domain itself demands more: mta-sts\n");
	assert_says(w, "goes by TLS alone (mta-sts), to the first host");
	assert_null(strstr(w->text, "held to"));
}

/* The words never promise less than the judge demands, nor more. */
static void test_words_and_judge_agree(void **state)
{
	struct world *w = *state;
	struct peer *peer = &w->peer;
	static const char *const words[] = {
		[ENCRYPTION_NONE] = "goes in clear, ",
		[ENCRYPTION_MAY] = "goes by TLS if it is offered, ",
		[ENCRYPTION_MUST] = "goes by TLS alone (",
	};
	peer->candidate_count = 1;
	for (unsigned i = 0; i < LEVELS * STS_MODES * 2 * 2 * 3; i++) {
		static const uint8_t states[] = { DANE_ABSENT, DANE_UNUSABLE,
			DANE_USABLE };
		unsigned n = i;
		peer->demand.level = (uint8_t)(n % LEVELS), n /= LEVELS;
		peer->sts.mode = (uint8_t)(n % STS_MODES), n /= STS_MODES;
		peer->demand.dane = n & 1;
		peer->demand.mta_sts = n >> 1 & 1;
		peer->candidates[0].dane = states[n >> 2];
		enum encryption how = judge_encryption(peer, &peer->candidates[0]);
		const char *text = explained(w);
		bool goes = strstr(text, "mail to bank.example goes ");
		if (goes && !strstr(text, words[how]))
			assert_string_equal(text, words[how]);
		/* What is said of the level holds, or what overrules it is said, too. */
		bool weak = strstr(text, "in clear");
		if (goes && how == ENCRYPTION_MUST && weak)
			assert_true(strstr(text, "but the domain itself demands more") ||
				    peer->demand.level == LEVEL_DANE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_each_host_has_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_words_and_judge_agree, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
