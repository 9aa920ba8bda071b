/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What a service presents: certificates, versions, ciphers, tickets; and its files. */

#include "tls.h"
#include "tls_world.h"

#include <gnutls/gnutls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what clients may be offered ---- */

static void check_choice(struct world *w, const char *priority, const char *name,
	const char *expected, int algorithm)
{
	struct odd o;

	odd_open(&o, w, w->server, priority);
	if (name)
		gnutls_server_name_set(o.session, GNUTLS_NAME_DNS, name, strlen(name));
	assert_int_equal(odd_shake(&o), TLS_OK);
	assert_true(odd_sees(&o, expected, algorithm));
	odd_close(&o);
}

#define ONLY(version, keys, signs)                                                       \
	"NORMAL:-VERS-ALL:+VERS-" version ":-KX-ALL:+ECDHE-" keys ":-SIGN-ALL:" signs
#define RSA_SIGNS   "+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256"
#define ECDSA_SIGNS "+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256"

static void test_names_and_key_types(void **state)
{
	static const char *const versions[][3] = {
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.3", ONLY("TLS1.3", "RSA", RSA_SIGNS),
			ONLY("TLS1.3", "ECDSA", ECDSA_SIGNS) },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.2", ONLY("TLS1.2", "RSA", RSA_SIGNS),
			ONLY("TLS1.2", "ECDSA", ECDSA_SIGNS) },
	};
	struct world *w = *state;

	for (size_t i = 0; i < 2; i++) {
		for (size_t name = 0; name < WORLD_NAMES; name++) {
			const char *host = world_names[name];
			check_choice(w, versions[i][0], host, host, GNUTLS_PK_ECDSA);
			check_choice(w, versions[i][1], host, host, GNUTLS_PK_RSA);
			check_choice(w, versions[i][2], host, host, GNUTLS_PK_ECDSA);
		}
		check_choice(w, versions[i][0], NULL, world_names[0], GNUTLS_PK_ECDSA);
		check_choice(w, versions[i][0], "who.example", world_names[0],
			GNUTLS_PK_ECDSA);
	}
}

/* The certificate with this very name, though one with a wildcard would do. */
static void check_exact(
	struct world *w, const char *priority, const char *name, int algorithm)
{
	struct odd o;

	odd_open(&o, w, w->server, priority);
	gnutls_server_name_set(o.session, GNUTLS_NAME_DNS, name, strlen(name));
	assert_int_equal(odd_shake(&o), TLS_OK);
	assert_true(odd_sees(&o, name, algorithm));
	assert_false(odd_sees(&o, "x.two.example", algorithm));
	odd_close(&o);
}

/* GnuTLS itself knows only exact names. */
static void test_wildcards(void **state)
{
	static const char *const names[] = { "*.one.example", "*.two.example",
		"mail.two.example" };
	struct world *w = *state;
	struct tls_pair pairs[1 + 3 * 2] = { w->pairs[1] };
	struct tls_server_options options = {
		.bundle = world_bundle(w), .pairs = pairs, .min_version = "1.2"
	};
	char reason[TLS_REASON];

	for (size_t i = 0; i < 6; i++)
		world_named_pair(w, names[i / 2], i % 2 == 0, &pairs[1 + i]);
	options.pair_count = 7;
	struct tls_server *server = tls_server_new(&options, reason);
	assert_non_null(server);
	struct tls_server *saved = w->server;
	w->server = server;
	for (unsigned i = 0; i < 2; i++) {
		const char *both = i ? "NORMAL" : "NORMAL:-VERS-ALL:+VERS-TLS1.2";
		const char *rsa = i ? ONLY("TLS1.3", "RSA", RSA_SIGNS)
				    : ONLY("TLS1.2", "RSA", RSA_SIGNS);
		check_choice(
			w, both, "mail.one.example", "x.one.example", GNUTLS_PK_ECDSA);
		check_choice(w, rsa, "mx.ONE.example", "x.one.example", GNUTLS_PK_RSA);
		check_choice(w, both, "mx.two.example", "x.two.example", GNUTLS_PK_ECDSA);
		check_choice(w, rsa, "mx.two.example", "x.two.example", GNUTLS_PK_RSA);
		check_choice(
			w, both, "a.mail.two.example", world_names[0], GNUTLS_PK_ECDSA);
		check_choice(w, both, "one.example", world_names[0], GNUTLS_PK_ECDSA);
		check_exact(w, both, "mail.two.example", GNUTLS_PK_ECDSA);
		check_exact(w, rsa, "mail.two.example", GNUTLS_PK_RSA);
	}
	w->server = saved;
	tls_server_free(server);
	for (size_t i = 0; i < 6; i++)
		world_forget_pair(&pairs[1 + i]);
}

static void check_refused(struct world *w, struct tls_server *server,
	const char *priority, const char *reason)
{
	struct odd o;

	odd_open(&o, w, server, priority);
	assert_int_equal(odd_shake(&o), TLS_FAILED);
	assert_string_equal(tls_reason(o.tls), reason);
	assert_int_equal(gnutls_error_is_fatal(o.code), 1);
	odd_close(&o);
}

static void test_versions(void **state)
{
	struct world *w = *state;
	struct tls_server *strict = world_server(w, "1.3", NULL);

	check_refused(w, w->server, "NORMAL:-VERS-ALL:+VERS-TLS1.1",
		"handshake: no TLS version in common with the client");
	check_refused(w, strict, "NORMAL:-VERS-ALL:+VERS-TLS1.2",
		"handshake: no cipher suite in common with the client (TLS1.2)");
	check_choice(w, "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL, world_names[0],
		GNUTLS_PK_ECDSA);
	tls_server_free(strict);
}

static void test_ciphers(void **state)
{
	struct world *w = *state;

	check_refused(w, w->server, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA",
		"handshake: no cipher suite in common with the client (TLS1.2)");
	check_refused(w, w->server,
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC",
		"handshake: no cipher suite in common with the client (TLS1.2)");
	check_choice(w, "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305", NULL, world_names[0],
		GNUTLS_PK_ECDSA);
	check_choice(w, "NORMAL:-GROUP-ALL:+GROUP-SECP256R1", NULL, world_names[0],
		GNUTLS_PK_ECDSA);
}

static void try_protocols(
	struct world *w, const char *first, const char *second, enum tls_status expected)
{
	gnutls_datum_t names[2] = {
		{ (unsigned char *)(uintptr_t)first, (unsigned)strlen(first) },
		{ (unsigned char *)(uintptr_t)second,
			second ? (unsigned)strlen(second) : 0 },
	};
	struct odd o;

	odd_open(&o, w, w->server, "NORMAL");
	gnutls_alpn_set_protocols(o.session, names, second ? 2 : 1, 0);
	assert_int_equal(odd_shake(&o), expected);
	if (expected == TLS_FAILED) {
		assert_string_equal(tls_reason(o.tls),
			"handshake: the client wants to speak another protocol (ALPN)");
		assert_int_equal(o.code, GNUTLS_E_FATAL_ALERT_RECEIVED);
		assert_int_equal(
			gnutls_alert_get(o.session), GNUTLS_A_NO_APPLICATION_PROTOCOL);
	}
	odd_close(&o);
}

static void test_alpn(void **state)
{
	try_protocols(*state, "h2", "http/1.1", TLS_FAILED);
	try_protocols(*state, "http/1.1", NULL, TLS_FAILED);
	try_protocols(*state, "smtps", NULL, TLS_FAILED);
	try_protocols(*state, "smtp", NULL, TLS_OK);
	try_protocols(*state, "h2", "smtp", TLS_OK);
}

/* ---- tickets ---- */

static bool resumes(struct world *w, struct tls_server *first, struct tls_server *second,
	const char *priority)
{
	gnutls_datum_t session = { .data = NULL };
	struct facts facts;
	struct odd o;

	odd_open(&o, w, first, priority);
	assert_int_equal(odd_shake(&o), TLS_OK);
	odd_hears(&o, "220 ready\r\n");
	assert_int_equal(gnutls_session_get_data2(o.session, &session), 0);
	odd_close(&o);

	odd_open(&o, w, second, priority);
	assert_int_equal(
		gnutls_session_set_data(o.session, session.data, session.size), 0);
	gnutls_free(session.data);
	assert_int_equal(odd_shake(&o), TLS_OK);
	odd_hears(&o, "220 ready again\r\n");
	tls_facts(o.tls, &facts);
	assert_int_equal(facts.resumed, gnutls_session_is_resumed(o.session) != 0);
	odd_close(&o);
	return facts.resumed;
}

static void test_tickets(void **state)
{
	static const char *const versions[] = { "NORMAL:-VERS-ALL:+VERS-TLS1.3",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2" };
	struct world *w = *state;
	struct tls_server *other = world_server(w, "1.2", NULL);
	char *key = world_file(w, "tickets", 64, 0600);
	struct tls_server *one = world_server(w, "1.2", key);
	struct tls_server *two = world_server(w, "1.2", key);

	for (size_t i = 0; i < 2; i++) {
		assert_true(resumes(w, w->server, w->server, versions[i]));
		assert_false(resumes(w, w->server, other, versions[i]));
		assert_true(resumes(w, one, two, versions[i]));
	}
	tls_server_free(other);
	tls_server_free(one);
	tls_server_free(two);
	free(key);
}

/* Workers of one bundle, and those of the next, share a key that no file has. */
static void test_ticket_key_of_bundle(void **state)
{
	static const char *const versions[] = { "NORMAL:-VERS-ALL:+VERS-TLS1.3",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2" };
	struct world *w = *state;
	struct bundle *first = bundle_new(), *next = bundle_new(), *other = bundle_new();
	struct tls_server *servers[4];
	char reason[TLS_REASON];

	assert_true(tls_ticket_key_put(first, NULL));
	assert_true(tls_ticket_key_put(next, first));
	assert_true(tls_ticket_key_put(other, w->bundle));
	struct bundle *const bundles[] = { first, first, next, other };
	for (size_t i = 0; i < 4; i++) {
		struct tls_server_options options = world_options(w);

		options.bundle = bundles[i];
		servers[i] = tls_server_new(&options, reason);
		assert_non_null(servers[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		assert_true(resumes(w, servers[0], servers[1], versions[i]));
		assert_true(resumes(w, servers[0], servers[2], versions[i]));
		assert_false(resumes(w, servers[0], servers[3], versions[i]));
	}
	for (size_t i = 0; i < 4; i++)
		tls_server_free(servers[i]);
	bundle_free(first);
	bundle_free(next);
	bundle_free(other);
}

static void check_ticket_key(struct world *w, size_t size, mode_t mode, const char *why)
{
	char *file = world_file(w, "bad-tickets", size, mode);
	char reason[TLS_REASON], expected[TLS_REASON];
	struct tls_server_options options = world_options(w);

	options.ticket_key = file;
	assert_null(tls_server_new(&options, reason));
	snprintf(expected, sizeof(expected), "%s: %s", file, why);
	assert_string_equal(reason, expected);
	unlink(file);
	free(file);
}

static void test_bad_ticket_keys(void **state)
{
	struct world *w = *state;

	check_ticket_key(w, 63, 0600, "a ticket key is a file of 64 octets");
	check_ticket_key(w, 65, 0640, "a ticket key is a file of 64 octets");
	check_ticket_key(w, 64, 0644, "others may read or change it: chmod 0640 or 0600");
}

/* ---- files ---- */

static void test_bad_pairs(void **state)
{
	struct world *w = *state;
	char reason[TLS_REASON], expected[TLS_REASON];
	struct tls_pair mixed = { w->pairs[0].certificate, w->pairs[1].key };
	struct tls_pair missing = { "/nonexistent/cert.pem", w->pairs[1].key };
	struct tls_pair swapped = { w->pairs[0].key, w->pairs[0].certificate };

	assert_true(tls_pair_check(world_bundle(w), &w->pairs[0], reason));
	assert_string_equal(reason, "");
	assert_false(tls_pair_check(world_bundle(w), &mixed, reason));
	snprintf(expected, sizeof(expected), "%s: the key does not belong to %s",
		mixed.key, mixed.certificate);
	assert_string_equal(reason, expected);
	assert_false(tls_pair_check(world_bundle(w), &missing, reason));
	assert_string_equal(reason,
		"/nonexistent/cert.pem: cannot be read: No such file or directory");
	assert_false(tls_pair_check(world_bundle(w), &swapped, reason));
	assert_non_null(strstr(reason, "no certificate in PEM format"));
}

static void test_dates(void **state)
{
	struct world *w = *state;
	char reason[TLS_REASON];
	struct tls_pair pair;

	world_dated_pair(w, -2, -1, &pair);
	assert_true(tls_pair_check(world_bundle(w), &pair, reason));
	assert_non_null(strstr(reason, ": expired on 20"));
	world_forget_pair(&pair);
	world_dated_pair(w, 1, 90, &pair);
	assert_true(tls_pair_check(world_bundle(w), &pair, reason));
	assert_non_null(strstr(reason, ": not valid before 20"));
	world_forget_pair(&pair);
	world_dated_pair(w, -1, 13, &pair);
	assert_true(tls_pair_check(world_bundle(w), &pair, reason));
	assert_non_null(strstr(reason, ": expires on 20"));
	world_forget_pair(&pair);
	world_dated_pair(w, -1, 15, &pair);
	assert_true(tls_pair_check(world_bundle(w), &pair, reason));
	assert_string_equal(reason, "");
	world_forget_pair(&pair);
}

static void test_about(void **state)
{
	struct world *w = *state;
	struct tls_about about;
	char reason[TLS_REASON];
	struct tls_pair pair;

	world_dated_pair(w, -2, -1, &pair);
	assert_true(tls_pair_about(world_bundle(w), &pair, &about, reason));
	assert_string_equal(about.names, "dated.example");
	assert_in_range(time(NULL) - about.until, 24 * 60 * 60, 24 * 60 * 60 + 60);
	assert_int_equal(about.until - about.from, 24 * 60 * 60);
	world_forget_pair(&pair);
	pair = (struct tls_pair){ "/nonexistent/cert.pem", NULL };
	assert_false(tls_pair_about(world_bundle(w), &pair, &about, reason));
	assert_string_equal(reason,
		"/nonexistent/cert.pem: cannot be read: No such file or directory");
}

static void test_selfsign(void **state)
{
	struct world *w = *state;
	char reason[TLS_REASON];
	struct stat about;

	assert_int_equal(stat(w->pairs[1].key, &about), 0);
	assert_int_equal(about.st_mode & 0777, 0600);
	assert_false(tls_selfsign(
		"x.example", w->pairs[1].certificate, w->pairs[1].key, reason));
	assert_non_null(strstr(reason, "File exists"));
}

static void test_bad_options(void **state)
{
	struct world *w = *state;
	struct tls_server_options options = world_options(w);
	char reason[TLS_REASON];

	options.priority = "NORMAL:+NONSENSE";
	assert_null(tls_server_new(&options, reason));
	assert_non_null(strstr(reason, "NONSENSE"));
	options = world_options(w);
	options.min_version = "1.1";
	assert_null(tls_server_new(&options, reason));
	assert_string_equal(reason, "1.1: min-version is 1.2 or 1.3");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_key_types),
		cmocka_unit_test(test_wildcards),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_ticket_key_of_bundle),
		cmocka_unit_test(test_bad_ticket_keys),
		cmocka_unit_test(test_bad_pairs),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_about),
		cmocka_unit_test(test_selfsign),
		cmocka_unit_test(test_bad_options),
	};

	return cmocka_run_group_tests_name(
		"tls_server", tests, world_setup, world_teardown);
}
