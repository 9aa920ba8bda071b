/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Sessions that may be resumed, kept by the caller's key. Some are kept under each, as
 * many as connections to one host may run at a time: under TLS 1.3 a ticket is used once
 * (RFC 8446 C.4). All that comes of one proof of the peer's key ends two hours after it:
 * then it has to prove anew. The chain that was shown is part of GnuTLS's session data.
 */

#include "tls_cache.h"
#include "tls_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	TICKETS = 1024,		/* kept by a worker */
	ALIKE = 32,		/* ... under one key: sessions at a time to a busy host */
	LIFETIME = 2 * 60 * 60, /* seconds, from the proof of the key */
	TICKET_OCTETS = 16 * 1024, /* what is longer is not worth its memory */
};

struct ticket {
	int64_t born;
	bool once; /* used once only */
	size_t size;
	unsigned char session[];
};

static int64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* What it holds decrypts sessions. */
static void forget(void *ticket)
{
	struct ticket *k = ticket;

	gnutls_memset(k->session, 0, k->size);
	free(k);
}

struct tls_cache *tls_tickets_new(void)
{
	return tls_cache_new(TICKETS, ALIKE, forget);
}

/* ---- earlier sessions ---- */

static void make_key(uint64_t ticket, uint8_t key[TLS_CACHE_KEY])
{
	memset(key, 0, TLS_CACHE_KEY);
	memcpy(key, &ticket, sizeof(ticket));
}

static void find_one(struct tls *t)
{
	int64_t now = clock_now();
	uint8_t key[TLS_CACHE_KEY];

	make_key(t->ticket, key);
	struct ticket *k = tls_cache_find(t->client->tickets, key, now);

	if (!k)
		return;
	bool fits = gnutls_session_set_data(t->session, k->session, k->size) >= 0;
	if (fits)
		t->born = k->born;
	if (k->once || !fits)
		forget(tls_cache_take(t->client->tickets, key, now));
}

void tls_tickets_forget(const struct tls *t)
{
	int64_t now = clock_now();
	uint8_t key[TLS_CACHE_KEY];
	struct ticket *k;

	make_key(t->ticket, key);
	while ((k = tls_cache_take(t->client->tickets, key, now)))
		forget(k);
}

/* ---- and new ones ---- */

static void keep(struct tls *t, const gnutls_datum_t *session)
{
	struct ticket *k = malloc(sizeof(*k) + session->size);
	uint8_t key[TLS_CACHE_KEY];
	int64_t now = clock_now();

	if (!k)
		return;
	k->born = t->born;
	k->once = gnutls_protocol_get_version(t->session) == GNUTLS_TLS1_3;
	k->size = session->size;
	memcpy(k->session, session->data, session->size);
	make_key(t->ticket, key);
	tls_cache_put(t->client->tickets, key, now, t->born + LIFETIME, k);
}

static void keep_session(struct tls *t)
{
	gnutls_datum_t session;

	if (gnutls_session_get_data2(t->session, &session) < 0)
		return;
	if (session.size <= TICKET_OCTETS)
		keep(t, &session);
	gnutls_memset(session.data, 0, session.size);
	gnutls_free(session.data);
}

/* Under TLS 1.2 the handshake is still on: see below. */
void tls_tickets_came(struct tls *t)
{
	if (t->shaken && t->tickets < TLS_TICKETS_MAX) {
		t->tickets++;
		keep_session(t);
	}
}

void tls_tickets_begin(struct tls *t)
{
	find_one(t);
}

void tls_tickets_shaken(struct tls *t)
{
	bool resumed = gnutls_session_is_resumed(t->session);

	if (!resumed)
		t->born = clock_now();
	if (gnutls_protocol_get_version(t->session) == GNUTLS_TLS1_3)
		return; /* they come later */
	if (!resumed)
		keep_session(t);
}
