/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* TLS towards servers: sessions resumed, certificates of ours, servers that misbehave. */

#include "judge.h"
#include "tls_world.h"
#include "tls_zoo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TLS_1_2 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define TLS_1_3 "NORMAL:-VERS-ALL:+VERS-TLS1.3"

enum {
	TICKETS_SENT = 2, /* by a GnuTLS server under TLS 1.3 */
	KEY = 4711,	  /* of tickets */
};

struct place {
	struct world *w;
	struct animal root, leaf;
	char *ca;
	gnutls_certificate_credentials_t shown; /* the leaf and the root */
	gnutls_datum_t ticket_key;		/* of odd servers */
	struct tls_client *client;		/* has identities, trusts the root */
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const struct animal *chain[] = { &p->leaf, &p->root };
	char reason[TLS_REASON];
	void *world;

	assert_non_null(p);
	world_setup(&world);
	p->w = world;
	zoo_breed(&p->root, NULL, &(struct species){ .cn = "Root", .ca = true });
	zoo_breed(&p->leaf, &p->root, &(struct species){ .dns = { "good.example" } });
	p->shown = zoo_show(chain, 2);
	gnutls_session_ticket_key_generate(&p->ticket_key);
	p->ca = world_file(p->w, "ca.pem", 0, 0600);
	zoo_append(p->ca, &p->root);
	const struct tls_identity identities[] = {
		{ "first", p->w->pairs[1] },
		{ "second", p->w->pairs[3] },
	};
	const struct tls_client_options options = { .bundle = world_bundle(p->w),
		.ca = p->ca,
		.identities = identities,
		.identity_count = 2 };
	p->client = tls_client_new(&options, reason);
	assert_string_equal(reason, "");
	assert_non_null(p->client);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	void *world = p->w;

	tls_client_free(p->client);
	gnutls_certificate_free_credentials(p->shown);
	gnutls_free(p->ticket_key.data);
	zoo_free(&p->root);
	zoo_free(&p->leaf);
	free(p->ca);
	free(p);
	return world_teardown(&world);
}

/* ---- sessions ---- */

static void serve(struct place *p, struct odd *o, const char *priority, uint64_t ticket)
{
	const struct tls_target target = { .name = "good.example", .ticket = ticket };

	odd_serve(o, p->w, p->client, &target, p->shown, priority);
	gnutls_session_ticket_enable_server(o->session, &p->ticket_key);
	assert_int_equal(odd_shake(o), TLS_OK);
}

/* What comes behind the handshake's end comes with the server's words. */
static void greet(struct odd *o)
{
	char octets[16];
	size_t n;

	assert_int_equal(gnutls_record_send(o->session, "220 x\r\n", 7), 7);
	assert_int_equal(read_some(o->tls, octets, sizeof(octets), &n), TLS_OK);
	assert_int_equal(n, 7);
}

/* A session, greeted or not; whether it was resumed. */
static bool visit(struct place *p, const char *priority, uint64_t ticket, bool greeted)
{
	struct facts facts;
	struct odd o;

	serve(p, &o, priority, ticket);
	if (greeted)
		greet(&o);
	tls_facts(o.tls, &facts);
	assert_int_equal(facts.resumed, gnutls_session_is_resumed(o.session));
	odd_close(&o);
	return facts.resumed;
}

static void test_tickets_1_3(void **state)
{
	struct place *p = *state;

	assert_false(visit(p, TLS_1_3, KEY, false)); /* its tickets were not read */
	assert_false(visit(p, TLS_1_3, KEY, true));
	assert_false(visit(p, TLS_1_3, KEY + 1, false)); /* something else is demanded */
	assert_false(visit(p, TLS_1_3, 0, false));
	for (unsigned i = 0; i < TICKETS_SENT; i++)
		assert_true(visit(p, TLS_1_3, KEY, false));
	assert_false(visit(p, TLS_1_3, KEY, true)); /* each is used once */
	for (unsigned i = 0; i < 8; i++)
		assert_true(visit(p, TLS_1_3, KEY, true));
	assert_false(visit(p, TLS_1_3, 0, true));
	assert_false(visit(p, TLS_1_3, 0, true));
}

static void test_tickets_1_2(void **state)
{
	struct place *p = *state;

	assert_false(visit(p, TLS_1_2, KEY + 2, false));
	for (unsigned i = 0; i < 3; i++)
		assert_true(visit(p, TLS_1_2, KEY + 2, true));
	assert_false(visit(p, TLS_1_2, KEY + 3, true));
	assert_false(visit(p, TLS_1_2, 0, true));
	assert_false(visit(p, TLS_1_2, 0, true));
}

/* Nothing is kept of what comes behind the fourth ticket, and nothing breaks. */
static void test_too_many_tickets(void **state)
{
	struct place *p = *state;
	unsigned resumed = 0;
	struct odd o;

	serve(p, &o, TLS_1_3, KEY + 4);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(gnutls_session_ticket_send(o.session, 1, 0), 0);
		greet(&o);
	}
	odd_close(&o);
	while (visit(p, TLS_1_3, KEY + 4, false))
		resumed++;
	assert_int_equal(resumed, 4);
}

/* A server that takes the ticket and then fails is met without one the next time. */
static void test_ticket_of_a_broken_server(void **state)
{
	struct place *p = *state;
	const struct tls_target target = { .name = "good.example", .ticket = KEY + 5 };
	struct odd o;

	assert_false(visit(p, TLS_1_2, KEY + 5, true));
	odd_serve(&o, p->w, p->client, &target, p->shown, TLS_1_2);
	assert_int_equal(tls_handshake(o.tls), TLS_WANT_READ);
	gnutls_alert_send(o.session, GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR);
	assert_int_equal(tls_handshake(o.tls), TLS_FAILED);
	odd_close(&o);
	assert_false(visit(p, TLS_1_2, KEY + 5, true));
}

/* A resumed session is judged by the chain of the first, with today's dates. */
static void try_resumed_chain(struct place *p, const char *priority, uint64_t ticket)
{
	const struct tls_chain_question question = { .asks = ASK_LEAF |
							     ASK_PUBLIC_CHAIN };
	int64_t now = time(NULL);
	struct odd o;

	for (unsigned i = 0; i < 3; i++) {
		serve(p, &o, priority, ticket);
		greet(&o);
		assert_int_equal(gnutls_session_is_resumed(o.session), i > 0);
		const struct chain_facts *f = tls_chain(o.tls, p->client, &question, now);
		assert_int_equal(f->count, 2);
		assert_int_equal(f->public_chain, CHAIN_VALID);
		assert_string_equal(f->names, "good.example");
		f = tls_chain(o.tls, p->client, &question, now + 100 * ZOO_DAY);
		assert_int_equal(f->public_chain, CHAIN_EXPIRED);
		odd_close(&o);
	}
}

static void test_resumed_chain(void **state)
{
	try_resumed_chain(*state, TLS_1_3, KEY + 6);
	try_resumed_chain(*state, TLS_1_2, KEY + 7);
}

/* ---- certificates of ours ---- */

static bool shows(struct place *p, const char *identity,
	gnutls_certificate_request_t request, const char *priority, const char *name)
{
	const struct tls_target target = { .identity = identity };
	unsigned count = 0;
	struct odd o;

	odd_serve(&o, p->w, p->client, &target, p->shown, priority);
	gnutls_certificate_server_set_request(o.session, request);
	assert_int_equal(odd_shake(&o), TLS_OK);
	bool shown = gnutls_certificate_get_peers(o.session, &count) && count > 0;
	if (shown)
		assert_true(odd_sees(&o, name, GNUTLS_PK_ECDSA));
	odd_close(&o);
	return shown;
}

static void test_identity(void **state)
{
	static const char *const priorities[] = { TLS_1_2, TLS_1_3 };
	struct place *p = *state;

	for (unsigned i = 0; i < 2; i++) {
		const char *v = priorities[i];
		assert_true(shows(p, "first", GNUTLS_CERT_REQUEST, v, world_names[0]));
		assert_true(shows(p, "second", GNUTLS_CERT_REQUIRE, v, world_names[1]));
		assert_false(shows(p, "first", GNUTLS_CERT_IGNORE, v, NULL));
		assert_false(shows(p, NULL, GNUTLS_CERT_REQUEST, v, NULL));
		assert_false(shows(p, "", GNUTLS_CERT_REQUEST, v, NULL));
	}
	/* A list of CAs that did not issue ours is no reason to keep it back. */
	gnutls_certificate_set_x509_trust_file(p->shown, p->ca, GNUTLS_X509_FMT_PEM);
	for (unsigned i = 0; i < 2; i++)
		assert_true(shows(
			p, "first", GNUTLS_CERT_REQUEST, priorities[i], world_names[0]));
}

static void test_unknown_identity(void **state)
{
	struct place *p = *state;
	const struct tls_target target = { .identity = "third", .ticket = KEY };
	int fds[2];

	world_socketpair(fds);
	struct tls *t = tls_connect(p->client, fds[0], &target, &p->w->pool);
	assert_non_null(t);
	assert_int_equal(tls_handshake(t), TLS_FAILED);
	assert_string_equal(tls_reason(t), "handshake: there is no identity \"third\"");
	tls_free(t);
	close(fds[0]);
	close(fds[1]);
}

static void test_bad_identity(void **state)
{
	struct place *p = *state;
	const struct tls_identity mixed = { "mixed",
		{ p->w->pairs[0].certificate, p->w->pairs[1].key } };
	const struct tls_client_options options = {
		.bundle = world_bundle(p->w), .identities = &mixed, .identity_count = 1
	};
	char reason[TLS_REASON];

	assert_null(tls_client_new(&options, reason));
	assert_non_null(strstr(reason, "1.key: the key does not belong to "));
}

static void test_certificate_required(void **state)
{
	struct place *p = *state;
	struct odd o;
	char octets[16];
	size_t n;

	odd_serve(&o, p->w, p->client, &(struct tls_target){ .name = NULL }, p->shown,
		TLS_1_3);
	gnutls_certificate_server_set_request(o.session, GNUTLS_CERT_REQUIRE);
	assert_int_equal(odd_shake(&o), TLS_OK); /* so far as we can tell */
	assert_int_equal(o.code, GNUTLS_E_CERTIFICATE_REQUIRED);
	gnutls_alert_send_appropriate(o.session, o.code);
	assert_int_equal(read_some(o.tls, octets, sizeof(octets), &n), TLS_FAILED);
	assert_string_equal(tls_reason(o.tls),
		"read: the server wants a certificate of ours "
		"(alert: Certificate is required)");
	odd_close(&o);
}

/* ---- certificates of clients ---- */

static const struct chain_facts *see_client(
	struct place *p, const char *identity, uint64_t ticket, bool *resumed)
{
	const struct tls_chain_question question = { .asks = ASK_LEAF | ASK_PUBLIC_CHAIN,
		.client = true };
	const struct tls_target target = { .identity = identity, .ticket = ticket };
	struct facts facts;
	struct ends e;

	ends_open(&e, p->w, p->w->server, NULL, NULL);
	e.client = tls_connect(p->client, e.fds[1], &target, &p->w->pool);
	assert_non_null(e.client);
	assert_int_equal(ends_shake(&e), TLS_OK);
	exchange(e.client, e.server, "EHLO\r\n");
	exchange(e.server, e.client, "250 x\r\n");
	tls_facts(e.server, &facts);
	*resumed = facts.resumed;
	const struct chain_facts *chain =
		tls_chain(e.server, p->client, &question, time(NULL));
	assert_non_null(chain);
	ends_close(&e);
	return chain;
}

static void test_request(void **state)
{
	struct place *p = *state;
	bool resumed;

	assert_int_equal(see_client(p, "first", KEY + 8, &resumed)->count, 0);
	see_client(p, "first", KEY + 8, &resumed);
	assert_true(resumed);
	/* Sessions of before do not hide that there is a certificate. */
	tls_server_request_certificates(p->w->server, true);
	const struct chain_facts *f = see_client(p, "first", KEY + 8, &resumed);
	assert_false(resumed);
	assert_int_equal(f->count, 1);
	assert_string_equal(f->names, world_names[0]);
	assert_int_equal(f->public_chain, CHAIN_UNTRUSTED);
	f = see_client(p, "first", KEY + 8, &resumed);
	assert_true(resumed);
	assert_int_equal(f->count, 1);
	assert_string_equal(f->names, world_names[0]);
	assert_int_equal(see_client(p, NULL, 0, &resumed)->count, 0);
	tls_server_request_certificates(p->w->server, false);
	assert_int_equal(see_client(p, "first", KEY + 8, &resumed)->count, 0);
	assert_false(resumed);
}

/* One made for servers will do, as mail servers have no other. */
static void try_purpose(struct place *p, const char *purpose, enum chain_verdict expected)
{
	const struct tls_chain_question question = { .asks = ASK_PUBLIC_CHAIN,
		.client = true };
	struct animal leaf;
	const struct animal *chain[] = { &leaf };
	struct odd o;

	zoo_breed(&leaf, &p->root, &(struct species){ .cn = "c", .purpose = purpose });
	gnutls_certificate_credentials_t shown = zoo_show(chain, 1);
	odd_open(&o, p->w, p->w->server, "NORMAL");
	gnutls_credentials_set(o.session, GNUTLS_CRD_CERTIFICATE, shown);
	assert_int_equal(odd_shake(&o), TLS_OK);
	const struct chain_facts *f = tls_chain(o.tls, p->client, &question, time(NULL));
	assert_int_equal(f->count, 1);
	assert_int_equal(f->public_chain, expected);
	odd_close(&o);
	gnutls_certificate_free_credentials(shown);
	zoo_free(&leaf);
}

/* A signature by such a key is not even looked at: that may take many seconds. */
static void test_dear_keys(void **state)
{
	static const char *const versions[] = { "NORMAL:-VERS-ALL:+VERS-TLS1.3",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2" };
	struct place *p = *state;
	struct animal leaf;
	const struct animal *chain[] = { &leaf };
	struct odd o;

	zoo_breed(&leaf, NULL, &(struct species){ .cn = "x", .rsa = 2048, .dear = true });
	gnutls_certificate_credentials_t shown = zoo_show(chain, 1);
	tls_server_request_certificates(p->w->server, true);
	for (unsigned i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		odd_serve(&o, p->w, p->client, &(struct tls_target){ .name = NULL },
			shown, versions[i]);
		assert_int_equal(odd_shake(&o), TLS_FAILED);
		assert_string_equal(tls_reason(o.tls),
			"handshake: the key of the server is larger than anybody needs");
		odd_close(&o);
		odd_open(&o, p->w, p->w->server, versions[i]);
		gnutls_credentials_set(o.session, GNUTLS_CRD_CERTIFICATE, shown);
		assert_int_equal(odd_shake(&o), TLS_FAILED);
		assert_string_equal(tls_reason(o.tls),
			"handshake: the key of the client is larger than anybody needs");
		odd_close(&o);
	}
	tls_server_request_certificates(p->w->server, false);
	gnutls_certificate_free_credentials(shown);
	zoo_free(&leaf);
}

static void test_purposes_of_clients(void **state)
{
	struct place *p = *state;

	tls_server_request_certificates(p->w->server, true);
	try_purpose(p, NULL, CHAIN_VALID);
	try_purpose(p, GNUTLS_KP_TLS_WWW_CLIENT, CHAIN_VALID);
	try_purpose(p, GNUTLS_KP_TLS_WWW_SERVER, CHAIN_VALID);
	try_purpose(p, GNUTLS_KP_CODE_SIGNING, CHAIN_PURPOSE);
	tls_server_request_certificates(p->w->server, false);
}

/* ---- versions ---- */

static void try_version(struct place *p, enum tls_protocols protocols,
	const char *priority, enum protocol expected)
{
	const struct tls_target target = { .protocols = protocols };
	struct facts facts;
	struct odd o;

	odd_serve(&o, p->w, p->client, &target, p->shown, priority);
	enum tls_status status = odd_shake(&o);
	if (!expected) {
		gnutls_alert_send_appropriate(o.session, o.code);
		status = tls_handshake(o.tls);
		assert_memory_equal(tls_reason(o.tls), "handshake: ", 11);
	}
	assert_int_equal(status, expected ? TLS_OK : TLS_FAILED);
	tls_facts(o.tls, &facts);
	assert_int_equal(facts.protocol, expected);
	odd_close(&o);
}

static void test_versions(void **state)
{
	static const char tls_1_0[] = "NORMAL:-VERS-ALL:+VERS-TLS1.0:%PROFILE_VERY_WEAK";
	struct place *p = *state;

	try_version(p, TLS_PROTOCOLS_1_2, "NORMAL", PROTOCOL_TLS_1_3);
	try_version(p, TLS_PROTOCOLS_1_2, TLS_1_2, PROTOCOL_TLS_1_2);
	try_version(p, TLS_PROTOCOLS_1_2, tls_1_0, PROTOCOL_CLEAR);
	try_version(p, TLS_PROTOCOLS_1_3, "NORMAL", PROTOCOL_TLS_1_3);
	try_version(p, TLS_PROTOCOLS_1_3, TLS_1_2, PROTOCOL_CLEAR);
	try_version(p, TLS_PROTOCOLS_LEGACY, tls_1_0, PROTOCOL_TLS_1_0);
}

/* ---- servers that misbehave ---- */

static void test_renegotiation(void **state)
{
	struct place *p = *state;
	char octets[16];
	struct odd o;
	size_t n;

	for (unsigned legacy = 0; legacy < 2; legacy++) {
		const struct tls_target target = {
			.protocols = legacy ? TLS_PROTOCOLS_LEGACY : TLS_PROTOCOLS_1_2
		};
		odd_serve(&o, p->w, p->client, &target, p->shown, TLS_1_2);
		assert_int_equal(odd_shake(&o), TLS_OK);
		assert_int_equal(gnutls_rehandshake(o.session), 0);
		assert_int_equal(
			read_some(o.tls, octets, sizeof(octets), &n), TLS_FAILED);
		assert_string_equal(
			tls_reason(o.tls), "read: the server asked for renegotiation");
		odd_close(&o);
	}
}

static void test_key_updates(void **state)
{
	struct place *p = *state;
	unsigned updates = 0;
	char octets[16];
	struct odd o;
	size_t n;

	serve(p, &o, TLS_1_3, 0);
	while (updates < 64 &&
		read_some(o.tls, octets, sizeof(octets), &n) == TLS_WANT_READ) {
		gnutls_session_key_update(o.session, 0);
		updates++;
	}
	assert_in_range(updates, 1, 9);
	assert_string_equal(
		tls_reason(o.tls), "read: the server changes its keys too often");
	odd_close(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tickets_1_3),
		cmocka_unit_test(test_tickets_1_2),
		cmocka_unit_test(test_too_many_tickets),
		cmocka_unit_test(test_ticket_of_a_broken_server),
		cmocka_unit_test(test_resumed_chain),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_unknown_identity),
		cmocka_unit_test(test_bad_identity),
		cmocka_unit_test(test_certificate_required),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_dear_keys),
		cmocka_unit_test(test_purposes_of_clients),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_key_updates),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
