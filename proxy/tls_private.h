/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TLS_PRIVATE_H
#define SEALPOST_TLS_PRIVATE_H

/* What the files of tls*.c share among themselves, and nobody else sees. */

#include "buf.h"
#include "tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>

enum {
	TLS_TICKET_KEY = 64,	/* octets of a session ticket key, GnuTLS's own size */
	TLS_CHAIN_MAX = 16,	/* certificates in one file */
	TLS_NAME = 256,		/* octets of a DNS name and its NUL */
	TLS_RECORD = 16 * 1024, /* octets that a record carries at the most */
	TLS_WARNINGS_MAX = 8, /* warning alerts that a peer may send in one connection */
	TLS_TICKETS_MAX = 4,  /* tickets that are kept of those that a server sends */
};

struct tls {
	gnutls_session_t session;
	const struct tls_server *settings; /* NULL in the role of a client */
	struct tls_client *client;	   /* NULL in the role of a server */
	uint64_t ticket;		   /* the target's; 0: none are kept */
	int64_t born; /* when the peer proved its key, by the clock of tls_tickets.c */
	int fd;
	int error;		      /* errno of a failed system call, or 0 */
	const char *version, *cipher; /* once shaken; constants; "" before */
	struct buf ahead;	      /* ciphertext read beyond what GnuTLS asked for */
	struct buf out;		      /* ciphertext to go before whatever is sent next */
	char *reason;		      /* why it failed or ended; NULL while it has not */
	bool server : 1;
	bool collecting : 1; /* what GnuTLS sends goes to `out`, not to the descriptor */
	bool drained : 1;    /* the last read was short: the descriptor has no more */
	bool shaken : 1;     /* GnuTLS has done with the handshake */
	bool ticket_due : 1; /* a session ticket goes out with our first words */
	bool strange : 1;    /* the peer's first octet belongs to no TLS record */
	bool greeted : 1;    /* something has come from the peer */
	bool alert_next : 1; /* the next octets are an alert in clear */
	bool leaving : 1;    /* what is sent now is the last */
	bool eof : 1;	     /* the connection ended */
	bool closed : 1;     /* nothing more will be read */
	bool clean : 1;	     /* ... because of a close_notify */
	bool said_bye : 1;
	bool failed : 1;
	bool identified : 1; /* as a client we have a certificate to show */
	bool asked : 1;	     /* as a server we have asked for one */
	uint8_t tickets;     /* that came */
	uint8_t warnings;
	uint8_t alert; /* that came in clear, or 0 */
};

/* Starts a connection with settings that both roles share; NULL without memory. */
struct tls *tls_start(unsigned flags, gnutls_priority_t priority,
	gnutls_certificate_credentials_t credentials, int fd, struct buf_pool *pool);

/* tls_server.c: of a ClientHello, before GnuTLS has read it: 0, or why not. */
int tls_server_see_hello(const gnutls_datum_t *message);

/* tls_transport.c: GnuTLS's view of the descriptor. */
void tls_transport_set(struct tls *t);

/* Sends what was collected. */
enum tls_status tls_transport_flush(struct tls *t);

/*
 * tls_reason.c: why, in the words of a mail administrator; `doing` is "handshake", "read"
 * or "write". Returns a new string, NULL without memory.
 */
char *tls_explain(const struct tls *t, const char *doing, int code);

/* ---- tls_pem.c ---- */

struct tls_loaded {
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX];
	unsigned length;
	gnutls_x509_privkey_t key;
};

/* Loads a pair and sees that key and certificate belong together. */
bool tls_pem_load(struct bundle *bundle, const struct tls_pair *pair,
	struct tls_loaded *l, char reason[TLS_REASON]);
void tls_pem_unload(struct tls_loaded *l);

/* A file's octets, the bundle's; on failure the reason names it. */
bool tls_pem_read(struct bundle *bundle, const char *file, gnutls_datum_t *octets,
	char reason[TLS_REASON]);

/* The next DNS name of a certificate; false at the end. Start with *at = 0. */
bool tls_pem_name(gnutls_x509_crt_t crt, unsigned *at, char name[TLS_NAME]);

/* ---- tls_client.c ---- */

struct tls_client {
	gnutls_priority_t priorities[TLS_PROTOCOLS_COUNT];
	gnutls_certificate_credentials_t nobody; /* nothing to show */
	struct tls_known *identities;
	size_t identity_count;
	struct tls_anchors *anchors; /* the public CAs, or NULL */
	struct tls_cache *own;	     /* peers' own anchors */
	struct tls_cache *findings;  /* what was found of chains */
	struct tls_cache *tickets;
	struct chain_facts facts; /* the last answer of tls_chain() */
};

/* ---- tls_tickets.c ---- */

struct tls_cache *tls_tickets_new(void);

/* For connections of ours whose target has a ticket: before the handshake, when a ticket
 * came, after the handshake, and after one that failed. */
void tls_tickets_begin(struct tls *t);
void tls_tickets_came(struct tls *t);
void tls_tickets_shaken(struct tls *t);
void tls_tickets_forget(const struct tls *t);

/* ---- tls_verify.c ---- */

struct tls_anchors;

/*
 * CAs to trust; NULL where there are none, or no memory. `before` itself, held once more,
 * where it was made of the same octets: all public CAs are megabytes.
 */
struct tls_anchors *tls_anchors_of_pem(
	const gnutls_datum_t *pem, struct tls_anchors *before);
/* One; `dated`: what is verified must have its dates in order, too (RFC 5280 §6.1: not
 * where it is an anchor). */
struct tls_anchors *tls_anchors_of_der(const gnutls_datum_t *der, bool dated);
void tls_anchors_free(void *anchors); /* NULL is allowed */

struct tls_verdict {
	enum chain_verdict verdict;
	int64_t until; /* a date changes it then, or INT64_MAX */
	char reason[FACTS_REASON];
};

/*
 * Whether what a peer presented, its own certificate first, leads to an anchor; `count`
 * is at least 1 and at most FACTS_CHAIN. NULL stands for what cannot be understood. The
 * names that a certificate bears are held against the CAs' constraints, and nothing else.
 */
void tls_verify(const struct tls_anchors *anchors, const gnutls_x509_crt_t *presented,
	unsigned count, bool client, int64_t now, struct tls_verdict *verdict);

/* ---- tls_chain.c ---- */

struct tls_chain {
	unsigned count;
	gnutls_x509_crt_t certificates[FACTS_CHAIN]; /* NULL: cannot be understood */
	const gnutls_datum_t *ders;		     /* as they came; not owned */
};

/* Reads what a peer presented, as it came. The facts lack the verdicts then. */
void tls_chain_open(struct tls_chain *chain, const gnutls_datum_t *ders, unsigned count,
	struct chain_facts *facts);
void tls_chain_close(struct tls_chain *chain);

void tls_chain_names(const gnutls_datum_t *certificate, struct certificate_names *names);

/* ---- tls_der.c ---- */

/* Of a certificate's octets: its SubjectPublicKeyInfo, and what its issuer has signed. */
bool tls_der_key(const gnutls_datum_t *certificate, gnutls_datum_t *key);
bool tls_der_signed(const gnutls_datum_t *certificate, gnutls_datum_t *part);

/*
 * Whether a SubjectPublicKeyInfo is none to hold up everybody with: RSA up to 16384 bits
 * with an exponent of 32, no DSA, and whatever is too small or has a size of its own.
 */
bool tls_der_is_bearable(const gnutls_datum_t *key);

/* Whether the key of the first certificate in a Certificate message is such a one. */
bool tls_der_leaf_is_bearable(const gnutls_datum_t *message, bool tls13);

/* ---- tls_dane.c ---- */

/*
 * What TLSA records make of a chain (RFC 7671): fills what the facts have of DANE, and
 * returns until when that holds, or `now` where it should not be kept.
 */
int64_t tls_dane(const struct tls_chain *chain, const struct tlsa *records,
	unsigned count, int64_t now, struct chain_facts *facts);

#endif
