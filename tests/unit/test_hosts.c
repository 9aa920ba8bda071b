/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "hosts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Names that no resolver knows (RFC 6761 §6.4), and one that all do. */
static char nowhere[] = "nowhere.invalid", here[] = "localhost";

/* See -Wl,--wrap in Makefile.am. */
static unsigned signs_of_life;

void __wrap_unit_alive(void);

void __wrap_unit_alive(void)
{
	signs_of_life++;
}

static struct config_endpoint endpoint_of(char *host)
{
	return (struct config_endpoint){ .address = { .port = 25 }, .host = host };
}

static void test_what_the_resolver_tells_is_kept(void **state)
{
	struct bundle *bundle = bundle_new();
	struct config_endpoint asked = endpoint_of(here), found = endpoint_of(here);
	const char *why;

	(void)state;
	assert_non_null(bundle);
	assert_false(hosts_find(bundle, &found));
	assert_true(hosts_look_up(bundle, &asked, &why));
	assert_int_equal(asked.address.port, 25);
	assert_true(hosts_find(bundle, &found));
	assert_true(address_same_host(&asked.address, &found.address));
	bundle_free(bundle);
}

static void test_silence_changes_nothing(void **state)
{
	struct bundle *bundle = bundle_new();
	struct config_endpoint endpoint = endpoint_of(nowhere);
	char text[ADDRESS_TEXT];
	const char *why;

	(void)state;
	assert_non_null(bundle);
	assert_false(hosts_look_up(bundle, &endpoint, &why));
	assert_true(bundle_put(bundle, "host nowhere.invalid", "192.0.2.7", 9));
	assert_true(hosts_look_up(bundle, &endpoint, &why));
	assert_string_equal(address_text(&endpoint.address, text), "192.0.2.7:25");
	bundle_free(bundle);
}

static void test_moved(void **state)
{
	static struct config config;
	struct config_endpoint *backend = config.inbound[0].backend;

	(void)state;
	config.inbound_count = 1;
	config.inbound[0].backend_count = 1;
	*backend = endpoint_of(here);
	assert_true(address_parse(&backend->address, "127.0.0.1", 25));
	assert_false(hosts_moved(&config));
	assert_true(address_parse(&backend->address, "192.0.2.7", 25));
	assert_true(hosts_moved(&config));
	backend->host = nowhere;
	assert_false(hosts_moved(&config));
	backend->host = NULL;
	assert_false(hosts_moved(&config));
}

/* A resolver that does not answer costs seconds for each name. */
static void test_who_waits_for_names_is_alive(void **state)
{
	static struct config config;
	struct config_inbound *inbound = &config.inbound[0];
	struct config_endpoint endpoint = endpoint_of(nowhere);
	struct bundle *bundle = bundle_new();
	const char *why;

	(void)state;
	assert_non_null(bundle);
	config.inbound_count = 1;
	inbound->backend_count = 3;
	for (unsigned i = 0; i < inbound->backend_count; i++)
		inbound->backend[i] = endpoint_of(nowhere);
	signs_of_life = 0;
	assert_false(hosts_moved(&config));
	assert_int_equal(signs_of_life, 3);
	assert_false(hosts_look_up(bundle, &endpoint, &why));
	assert_int_equal(signs_of_life, 4);
	bundle_free(bundle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_resolver_tells_is_kept),
		cmocka_unit_test(test_silence_changes_nothing),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_who_waits_for_names_is_alive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
