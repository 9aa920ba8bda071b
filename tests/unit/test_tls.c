/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Both roles against each other over socket pairs, and against odd GnuTLS clients. */

#include "tls.h"
#include "tls_world.h"

#include <gnutls/gnutls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- both roles ---- */

static void test_both_roles(void **state)
{
	struct world *w = *state;
	struct ends e;
	struct facts near, far;

	ends_open(&e, w, w->server, w->client, "mail.example.com");
	assert_int_equal(ends_shake(&e), TLS_OK);
	tls_facts(e.server, &near);
	tls_facts(e.client, &far);
	assert_string_equal(near.version, "TLS1.3");
	assert_string_equal(near.cipher, "TLS_AES_128_GCM_SHA256");
	assert_string_equal(near.name, "mail.example.com");
	assert_string_equal(far.version, near.version);
	assert_string_equal(far.cipher, near.cipher);
	assert_string_equal(far.name, "");
	assert_false(near.resumed);
	assert_string_equal(tls_reason(e.server), "");
	exchange(e.client, e.server, "EHLO client.example\r\n");
	exchange(e.server, e.client, "250 mail.example.com\r\n");
	assert_int_equal(w->pool.borrowed, 0);
	ends_close(&e);
}

static void test_goodbye(void **state)
{
	struct world *w = *state;
	struct ends e;
	char octets[16];
	size_t n;

	ends_open(&e, w, w->server, w->client, NULL);
	assert_int_equal(ends_shake(&e), TLS_OK);
	assert_int_equal(tls_bye(e.client), TLS_OK);
	assert_int_equal(tls_bye(e.client), TLS_OK);
	assert_int_equal(read_some(e.server, octets, sizeof(octets), &n), TLS_CLOSED);
	assert_string_equal(tls_reason(e.server), "closed by the peer");
	exchange(e.server, e.client, "still to be heard");
	assert_int_equal(tls_bye(e.server), TLS_OK);
	assert_int_equal(read_some(e.client, octets, sizeof(octets), &n), TLS_CLOSED);
	assert_int_equal(tls_read(e.client, octets, sizeof(octets), &n), TLS_CLOSED);
	assert_string_equal(tls_reason(e.client), "closed by the peer");
	ends_close(&e);
}

/* Last words wait for close_notify, and both come in one piece. */
static void test_held_words(void **state)
{
	struct world *w = *state;
	struct ends e;
	char octets[16], peeked[256];
	size_t n;

	ends_open(&e, w, w->server, w->client, NULL);
	assert_int_equal(ends_shake(&e), TLS_OK);
	exchange(e.server, e.client, "220 ready\r\n");
	tls_hold(e.server);
	assert_int_equal(tls_write(e.server, "221 bye\r\n", 9, &n), TLS_OK);
	assert_int_equal(n, 9);
	assert_int_equal(recv(e.fds[1], peeked, sizeof(peeked), MSG_PEEK), -1);
	assert_int_equal(tls_bye(e.server), TLS_OK);
	assert_int_equal(w->pool.borrowed, 0);
	assert_int_equal(read_some(e.client, octets, sizeof(octets), &n), TLS_OK);
	assert_int_equal(n, 9);
	assert_int_equal(tls_read(e.client, octets, sizeof(octets), &n), TLS_CLOSED);
	assert_string_equal(tls_reason(e.client), "closed by the peer");
	ends_close(&e);
}

static void test_end_without_goodbye(void **state)
{
	struct world *w = *state;
	struct ends e;
	char octets[16];
	size_t n;

	ends_open(&e, w, w->server, w->client, NULL);
	assert_int_equal(ends_shake(&e), TLS_OK);
	assert_int_equal(tls_write(e.client, "last", 4, &n), TLS_OK);
	shutdown(e.fds[1], SHUT_WR);
	assert_int_equal(read_some(e.server, octets, sizeof(octets), &n), TLS_OK);
	assert_int_equal(n, 4);
	assert_int_equal(read_some(e.server, octets, sizeof(octets), &n), TLS_CLOSED);
	assert_string_not_equal(tls_reason(e.server), "closed by the peer");
	assert_string_equal(tls_reason(e.server),
		"read: the client closed the connection without close_notify");
	exchange(e.server, e.client, "still to be heard");
	ends_close(&e);
}

/* ---- attacks and accidents ---- */

static void try_garbage(
	struct world *w, const char *octets, size_t size, const char *reason)
{
	struct ends e;

	ends_open(&e, w, w->server, NULL, NULL);
	assert_int_equal(write(e.fds[1], octets, size), size);
	assert_int_equal(tls_handshake(e.server), TLS_FAILED);
	assert_int_equal(tls_handshake(e.server), TLS_FAILED);
	assert_string_equal(tls_reason(e.server), reason);
	assert_int_equal(w->pool.borrowed, 0);
	ends_close(&e);
}

static void test_garbage(void **state)
{
	static const char alien[] = "handshake: the client sent something that is no TLS";

	try_garbage(*state, "EHLO client.example\r\n", 21, alien);
	try_garbage(*state, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, alien);
	try_garbage(*state, "\0\0\0\0\0\0\0\0", 8, alien);
	try_garbage(*state, "\x16\x03\x01\xff\xff\x01", 6,
		"handshake: a record of the client is too long");
}

static void test_garbage_from_server(void **state)
{
	struct world *w = *state;
	struct ends e;

	ends_open(&e, w, NULL, w->client, NULL);
	assert_int_equal(tls_handshake(e.client), TLS_WANT_READ);
	assert_int_equal(write(e.fds[0], "454 4.7.0 TLS not available\r\n", 29), 29);
	assert_int_equal(tls_handshake(e.client), TLS_FAILED);
	assert_string_equal(tls_reason(e.client),
		"handshake: the server sent something that is no TLS");
	ends_close(&e);
}

static void test_end_in_handshake(void **state)
{
	struct world *w = *state;
	struct ends e;

	ends_open(&e, w, w->server, NULL, NULL);
	assert_int_equal(tls_handshake(e.server), TLS_WANT_READ);
	assert_int_equal(tls_handshake(e.server), TLS_WANT_READ);
	shutdown(e.fds[1], SHUT_WR);
	assert_int_equal(tls_handshake(e.server), TLS_CLOSED);
	assert_int_equal(tls_handshake(e.server), TLS_CLOSED);
	assert_string_not_equal(tls_reason(e.server), "closed by the peer");
	assert_string_equal(tls_reason(e.server),
		"handshake: the client closed the connection without a word");
	ends_close(&e);
}

/* A record whose end never comes. */
static void test_end_in_record(void **state)
{
	struct world *w = *state;
	struct ends e;
	char octets[64];
	size_t n;

	ends_open(&e, w, w->server, w->client, NULL);
	assert_int_equal(ends_shake(&e), TLS_OK);
	assert_int_equal(tls_write(e.client, "MAIL FROM:<>\r\n", 14, &n), TLS_OK);
	ssize_t size = recv(e.fds[0], octets, sizeof(octets), 0);
	assert_true(size > 14);
	tls_free(e.client);
	e.client = NULL;
	int cut[2];
	world_socketpair(cut);
	assert_int_equal(write(cut[1], octets, (size_t)size - 1), size - 1);
	close(cut[1]);
	assert_int_equal(dup2(cut[0], e.fds[0]), e.fds[0]);
	close(cut[0]);
	enum tls_status status;
	do
		status = tls_read(e.server, octets, sizeof(octets), &n);
	while (status == TLS_WANT_READ);
	assert_int_equal(status, TLS_CLOSED);
	assert_string_not_equal(tls_reason(e.server), "closed by the peer");
	ends_close(&e);
}

/* The flight of the handshake finds no room at first. */
static void test_blocked_flight(void **state)
{
	static char octets[64 * 1024];
	struct world *w = *state;
	struct ends e;

	ends_open(&e, w, w->server, w->client, NULL);
	assert_int_equal(tls_handshake(e.client), TLS_WANT_READ);
	while (write(e.fds[0], octets, sizeof(octets)) > 0)
		continue;
	while (write(e.fds[0], octets, 1) > 0)
		continue;
	assert_int_equal(tls_handshake(e.server), TLS_WANT_WRITE);
	assert_int_equal(tls_handshake(e.server), TLS_WANT_WRITE);
	ssize_t n;
	do
		n = read(e.fds[1], octets, sizeof(octets));
	while (n > 0 && octets[0] == 0 && octets[n - 1] == 0);
	assert_int_equal(tls_handshake(e.server), TLS_WANT_READ);
	assert_int_equal(w->pool.borrowed, 0);
	assert_int_equal(ends_shake(&e), TLS_OK);
	ends_close(&e);
}

/* A ClientHello that comes octet by octet, and stalls after each of them. */
static void test_slow_hello(void **state)
{
	struct world *w = *state;
	struct ends e;
	unsigned char hello[2048];

	ends_open(&e, w, NULL, w->client, "mail.example.com");
	assert_int_equal(tls_handshake(e.client), TLS_WANT_READ);
	ssize_t size = read(e.fds[0], hello, sizeof(hello));
	assert_true(size > 100);
	int slow[2];
	world_socketpair(slow);
	struct tls *t = tls_accept(w->server, slow[0], &w->pool);
	for (ssize_t i = 0; i < size; i++) {
		assert_int_equal(tls_handshake(t), TLS_WANT_READ);
		assert_int_equal(w->pool.borrowed, 0);
		assert_int_equal(write(slow[1], hello + i, 1), 1);
	}
	while (tls_handshake(t) == TLS_WANT_READ && recv(slow[1], hello, 1, MSG_PEEK) < 1)
		continue;
	assert_int_equal(read(slow[1], hello, 1), 1);
	assert_int_equal(hello[0], 0x16);
	tls_free(t);
	close(slow[0]);
	close(slow[1]);
	ends_close(&e);
}

static void test_rejected_certificate(void **state)
{
	struct world *w = *state;
	struct odd o;
	char octets[16];
	size_t n;

	odd_open(&o, w, w->server, "NORMAL");
	assert_int_equal(odd_shake(&o), TLS_OK);
	gnutls_alert_send(o.session, GNUTLS_AL_FATAL, GNUTLS_A_UNKNOWN_CA);
	assert_int_equal(read_some(o.tls, octets, sizeof(octets), &n), TLS_FAILED);
	assert_string_equal(tls_reason(o.tls),
		"read: the client rejected our certificate (alert: CA is unknown)");
	assert_int_equal(tls_write(o.tls, "x", 1, &n), TLS_FAILED);
	odd_close(&o);
}

/* OpenSSL's way before it has keys: RFC 8446 knows only encrypted alerts here. */
static void test_rejected_in_clear(void **state)
{
	static const char unknown_ca[] = { 0x15, 3, 3, 0, 2, 2, 48 };
	struct world *w = *state;
	struct ends e;

	ends_open(&e, w, w->server, w->client, NULL);
	assert_int_equal(tls_handshake(e.client), TLS_WANT_READ);
	assert_int_equal(tls_handshake(e.server), TLS_WANT_READ);
	assert_int_equal(
		write(e.fds[1], unknown_ca, sizeof(unknown_ca)), sizeof(unknown_ca));
	assert_int_equal(tls_handshake(e.server), TLS_FAILED);
	assert_string_equal(tls_reason(e.server),
		"handshake: the client rejected our certificate (alert: CA is unknown)");
	ends_close(&e);
}

static void test_renegotiation(void **state)
{
	struct world *w = *state;
	struct odd o;
	char octets[16];
	size_t n;

	odd_open(&o, w, w->server, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
	assert_int_equal(odd_shake(&o), TLS_OK);
	assert_int_equal(gnutls_handshake(o.session), GNUTLS_E_AGAIN);
	assert_int_equal(read_some(o.tls, octets, sizeof(octets), &n), TLS_FAILED);
	assert_string_equal(
		tls_reason(o.tls), "read: the client asked for renegotiation");
	assert_int_equal(gnutls_handshake(o.session), GNUTLS_E_WARNING_ALERT_RECEIVED);
	assert_int_equal(gnutls_alert_get(o.session), GNUTLS_A_NO_RENEGOTIATION);
	odd_close(&o);
}

static void test_key_updates(void **state)
{
	struct world *w = *state;
	struct odd o;
	char octets[16];
	size_t n;
	unsigned updates = 0;

	odd_open(&o, w, w->server, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
	assert_int_equal(odd_shake(&o), TLS_OK);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(gnutls_session_key_update(o.session, GNUTLS_KU_PEER), 0);
		assert_int_equal(gnutls_record_send(o.session, "NOOP\r\n", 6), 6);
		assert_int_equal(read_some(o.tls, octets, sizeof(octets), &n), TLS_OK);
		assert_int_equal(n, 6);
		odd_hears(&o, "250 ok\r\n");
	}
	while (updates < 64 &&
		read_some(o.tls, octets, sizeof(octets), &n) == TLS_WANT_READ) {
		gnutls_session_key_update(o.session, 0);
		updates++;
	}
	assert_true(updates <= 8);
	assert_string_equal(
		tls_reason(o.tls), "read: the client changes its keys too often");
	odd_close(&o);
}

/* ---- volume ---- */

enum {
	VOLUME = 3 * 1000 * 1000,
	WINDOW = 40000,
};

struct flow {
	struct tls *from, *to;
	size_t sent, received;
};

static unsigned char octet_at(size_t at)
{
	return (unsigned char)(at * 7 + at / 253);
}

static void flow_send(struct flow *f)
{
	static unsigned char window[WINDOW];
	size_t size = VOLUME - f->sent < WINDOW ? VOLUME - f->sent : WINDOW;
	size_t put;

	for (size_t i = 0; i < size; i++)
		window[i] = octet_at(f->sent + i);
	enum tls_status status = tls_write(f->from, window, size, &put);
	assert_true(status == TLS_OK || status == TLS_WANT_WRITE);
	assert_true(status == TLS_WANT_WRITE || put == size);
	f->sent += put;
}

static void flow_receive(struct flow *f)
{
	static unsigned char window[WINDOW];
	size_t got;

	while (tls_read(f->to, window, 1 + (size_t)rand() % WINDOW, &got) == TLS_OK) {
		for (size_t i = 0; i < got; i++)
			assert_int_equal(window[i], octet_at(f->received + i));
		f->received += got;
		if (rand() % 4 == 0)
			break;
	}
}

static void test_volume(void **state)
{
	struct world *w = *state;
	struct ends e;

	srand(1);
	ends_open(&e, w, w->server, w->client, NULL);
	ends_narrow(&e);
	assert_int_equal(ends_shake(&e), TLS_OK);
	struct flow up = { e.client, e.server, 0, 0 },
		    down = { e.server, e.client, 0, 0 };
	while (up.received < VOLUME || down.received < VOLUME) {
		if (up.sent < VOLUME)
			flow_send(&up);
		if (down.sent < VOLUME)
			flow_send(&down);
		flow_receive(&up);
		flow_receive(&down);
	}
	assert_false(tls_pending(e.server));
	assert_false(tls_pending(e.client));
	assert_int_equal(w->pool.borrowed, 0);
	ends_close(&e);
}

/* Several records that arrive in one segment are all to be had without another event. */
static void test_pending(void **state)
{
	struct world *w = *state;
	struct ends e;
	char octets[64];
	size_t n, total = 0;

	ends_open(&e, w, w->server, w->client, NULL);
	assert_int_equal(ends_shake(&e), TLS_OK);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(tls_write(e.client, "NOOP\r\n", 6, &n), TLS_OK);
	assert_int_equal(read_some(e.server, octets, 3, &n), TLS_OK);
	total += n;
	while (tls_pending(e.server)) {
		assert_int_equal(tls_read(e.server, octets, sizeof(octets), &n), TLS_OK);
		total += n;
	}
	assert_int_equal(total, 120);
	assert_int_equal(w->pool.borrowed, 0);
	ends_close(&e);
}

/* ---- old servers ---- */

static void try_legacy(struct world *w, const char *priority, enum tls_status expected,
	const char *version)
{
	struct odd o;
	struct facts facts;

	odd_open_server(&o, w, TLS_PROTOCOLS_LEGACY, priority);
	assert_int_equal(odd_shake(&o), expected);
	if (expected == TLS_OK) {
		tls_facts(o.tls, &facts);
		assert_string_equal(facts.version, version);
		odd_hears(&o, "MAIL FROM:<>\r\n");
	}
	odd_close(&o);
}

static void test_legacy(void **state)
{
	struct world *w = *state;

	try_legacy(w, "NORMAL:-VERS-ALL:+VERS-TLS1.0:-KX-ALL:+RSA:-CIPHER-ALL:+3DES-CBC",
		TLS_OK, "TLS1.0");
	try_legacy(w,
		"NORMAL:-VERS-ALL:+VERS-TLS1.0:-KX-ALL:+RSA:-CIPHER-ALL:+ARCFOUR-128:+"
		"MD5",
		TLS_OK, "TLS1.0");
	try_legacy(w,
		"NORMAL:-VERS-ALL:+VERS-TLS1.1:-KX-ALL:+RSA:-CIPHER-ALL:+AES-128-CBC",
		TLS_OK, "TLS1.1");
	try_legacy(w, "NORMAL", TLS_OK, "TLS1.3");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_roles),
		cmocka_unit_test(test_goodbye),
		cmocka_unit_test(test_held_words),
		cmocka_unit_test(test_end_without_goodbye),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_garbage_from_server),
		cmocka_unit_test(test_end_in_handshake),
		cmocka_unit_test(test_end_in_record),
		cmocka_unit_test(test_blocked_flight),
		cmocka_unit_test(test_slow_hello),
		cmocka_unit_test(test_rejected_certificate),
		cmocka_unit_test(test_rejected_in_clear),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_volume),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_legacy),
	};

	return cmocka_run_group_tests_name("tls", tests, world_setup, world_teardown);
}
