/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Which MTA-STS policy goes where there are too many, or too long ones. */

#include "sts_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1767225600 };

static void on_warning(const char *text, void *context)
{
	(void)context;
	fail_msg("%s", text);
}

static int set_up(void **state)
{
	*state = sts_cache_new("", true, NOW, on_warning, NULL);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	sts_cache_free(*state);
	return 0;
}

static const char *name(const char *before, unsigned i, const char *behind)
{
	static char domain[64];
	snprintf(domain, sizeof(domain), "%s%u%s", before, i, behind);
	return domain;
}

/* `hosts` are as long as hosts can be. */
static void keep(struct sts_cache *cache, const char *domain, unsigned hosts)
{
	struct sts sts = { .mode = STS_ENFORCE,
		.mx_count = (uint8_t)hosts,
		.id = "1",
		.fetched = NOW,
		.expires = NOW + 86400 };
	for (unsigned i = 0; i < hosts; i++) {
		memset(sts.mx[i], 'a', 251);
		for (unsigned dot = 50; dot < 250; dot += 50)
			sts.mx[i][dot] = '.';
		memcpy(sts.mx[i], (char[]){ 'm', (char)('a' + i % 26) }, 2);
	}
	sts_cache_keep(cache, domain, &sts);
}

static bool is_kept(struct sts_cache *cache, const char *domain)
{
	static struct sts sts;
	return sts_cache_find(cache, domain, NOW, &sts);
}

static void test_what_was_not_asked_for_longest_goes(void **state)
{
	struct sts_cache *cache = *state;
	for (unsigned i = 0; i < STS_CACHE_POLICIES; i++)
		keep(cache, name("d", i, ".lab"), 1);
	assert_true(is_kept(cache, "d0.lab"));
	keep(cache, "more.lab", 1);
	assert_true(is_kept(cache, "d0.lab"));
	assert_false(is_kept(cache, "d1.lab"));
	assert_true(is_kept(cache, "d2.lab"));
}

/* One stranger's domains are many, and come last. */
static void test_a_crowd_makes_room_for_itself(void **state)
{
	struct sts_cache *cache = *state;
	const unsigned others = STS_CACHE_POLICIES - STS_CACHE_KIN;
	const unsigned crowd = 3 * STS_CACHE_KIN;
	for (unsigned i = 0; i < others; i++)
		keep(cache, name("mail.d", i, ".lab"), 1);
	for (unsigned i = 0; i < crowd; i++)
		keep(cache, name("d", i, ".of.stranger.lab"), 1);
	for (unsigned i = 0; i < crowd; i++)
		assert_int_equal(is_kept(cache, name("d", i, ".of.stranger.lab")),
			i >= crowd - STS_CACHE_KIN);
	/* Another has a place for all that. */
	keep(cache, "d.another.lab", 1);
	assert_true(is_kept(cache, "d.another.lab"));
	for (unsigned i = 0; i < others; i++)
		assert_int_equal(is_kept(cache, name("mail.d", i, ".lab")), i > 0);
}

static void test_long_ones_make_room_sooner(void **state)
{
	struct sts_cache *cache = *state;
	const unsigned fit = STS_CACHE_OCTETS / (REQUIREMENT_STS_MX * 251);
	for (unsigned i = 0; i < fit; i++)
		keep(cache, name("d", i, ".lab"), REQUIREMENT_STS_MX);
	assert_false(is_kept(cache, "d0.lab"));
	assert_true(is_kept(cache, name("d", fit / 2, ".lab")));
	/* In place of a long one: nobody has to go. */
	for (unsigned i = 0; i < 2 * fit; i++)
		keep(cache, name("d", fit / 2, ".lab"), REQUIREMENT_STS_MX);
	assert_true(is_kept(cache, name("d", fit / 2 + 1, ".lab")));
	/* What has gone takes no room. */
	sts_cache_expire(cache, NOW + 86400);
	for (unsigned i = 0; i < fit / 2; i++)
		keep(cache, name("e", i, ".lab"), REQUIREMENT_STS_MX);
	assert_true(is_kept(cache, "e0.lab"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_what_was_not_asked_for_longest_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_crowd_makes_room_for_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_long_ones_make_room_sooner, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
