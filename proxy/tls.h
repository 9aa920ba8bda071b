/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TLS_H
#define SEALPOST_TLS_H

/*
 * TLS, and the only place that knows GnuTLS. What crosses this boundary is a status of
 * five values and struct facts. Non-blocking throughout; a handle belongs to one worker.
 */

#include "buf.h"
#include "bundle.h"
#include "facts.h"

#include <stdbool.h>
#include <stddef.h>

enum tls_status {
	TLS_OK,
	TLS_WANT_READ,	/* call again when the descriptor is readable */
	TLS_WANT_WRITE, /* call again when it is writable */
	TLS_CLOSED,	/* the peer ended: tls_reason() tells how */
	TLS_FAILED,	/* see tls_reason(); the connection is of no further use */
};

enum {
	TLS_REASON = 512, /* octets of a reason, names of files and its NUL included */
	TLS_NAMES = 512,  /* octets of the names of a certificate, likewise */
};

/* ---- what a service presents: loaded once, shared by all its sessions ---- */

struct tls_pair {
	const char *certificate; /* PEM files: certificate with its chain, and key */
	const char *key;
};

struct tls_server_options {
	struct bundle *bundle; /* where the files are from */
	const struct tls_pair *pairs;
	size_t pair_count; /* at least 1; in any order, ECDSA is tried first anyhow */
	const char *min_version; /* "1.2" or "1.3" */
	const char *priority;	 /* a GnuTLS priority string instead of ours, or NULL */
	/* A file of 64 octets, shared by several machines. NULL: that of the bundle, or a
	   random one where it has none. */
	const char *ticket_key;
};

struct tls_server;

/*
 * Loads certificates and keys; several are chosen by SNI and by key type. Returns NULL
 * and a reason that names the file.
 */
struct tls_server *tls_server_new(
	const struct tls_server_options *options, char reason[TLS_REASON]);
void tls_server_free(struct tls_server *server);

/*
 * Puts in the ticket key for whoever names no file: that of `before`, or, where it is
 * NULL or has none, a random one. So all workers resume what any of them began, and go on
 * with that under the next configuration. False without memory or randomness.
 */
bool tls_ticket_key_put(struct bundle *bundle, const struct bundle *before);

/*
 * Asks clients for a certificate from now on, or no more; never requires one. Sessions
 * that began while nobody asked are not resumed while somebody does.
 */
void tls_server_request_certificates(struct tls_server *server, bool request);

/*
 * One pair on its own, for `sealpost check`: readable, key fits certificate, dates.
 * Returns true when usable; `reason` is then empty or a warning (expired, not yet valid,
 * expires within 14 days).
 */
bool tls_pair_check(
	struct bundle *bundle, const struct tls_pair *pair, char reason[TLS_REASON]);

/* What an administrator knows a certificate by. */
struct tls_about {
	char names[TLS_NAMES]; /* its DNS names, a blank between; its subject without */
	int64_t from, until;   /* seconds since 1970 */
};

/* Of the first certificate of a pair. False with a reason. */
bool tls_pair_about(struct bundle *bundle, const struct tls_pair *pair,
	struct tls_about *about, char reason[TLS_REASON]);

/* A self-signed ECDSA P-256 certificate for `name`, its key (0600): two new PEM files. */
bool tls_selfsign(const char *name, const char *certificate, const char *key,
	char reason[TLS_REASON]);

/* ---- towards servers ---- */

enum tls_protocols {
	TLS_PROTOCOLS_1_2,
	TLS_PROTOCOLS_1_3,
	TLS_PROTOCOLS_LEGACY,
	TLS_PROTOCOLS_COUNT
};

/* A client certificate of ours, named by policy files. */
struct tls_identity {
	const char *name;
	struct tls_pair pair;
};

struct tls_client;

struct tls_client_options {
	struct bundle *bundle; /* where the files are from */
	const char *ca; /* the public CAs: "system", a PEM file, or NULL for none */
	const struct tls_client *before; /* whose public CAs may be shared, or NULL */
	const struct tls_identity *identities;
	size_t identity_count;
};

/*
 * What all legs of a worker towards servers share: credentials, public CAs, verdicts on
 * chains (kept by chain, anchors and name, an hour at most and never past an expiry) and
 * session tickets.
 */
struct tls_client *tls_client_new(
	const struct tls_client_options *options, char reason[TLS_REASON]);
void tls_client_free(struct tls_client *client);

/* One leg. Strings are copied. */
struct tls_target {
	const char *name; /* the SNI; NULL or an address: none is sent */
	enum tls_protocols protocols;
	const char *identity; /* NULL or "": none. An unknown one fails the handshake */
	/*
	 * Sessions are resumed only with the same key: host, SNI, and all that was
	 * demanded. 0: neither resumed nor kept. A resumed session is judged like a new
	 * one, by the chain that was shown when it began.
	 */
	uint64_t ticket;
};

struct tlsa; /* requirement.h */

/* What tls_chain() is to find out: judge_asks()'s bits. */
struct tls_chain_question {
	unsigned asks;
	const uint8_t *ca; /* PEM: the peer's own anchors, for ASK_OWN_CHAIN */
	size_t ca_length;
	const struct tlsa *tlsa; /* the records of whom we connected to, for ASK_DANE */
	unsigned tlsa_count;
	bool client; /* the peer is a client: clientAuth or serverAuth will do */
};

/* ---- one connection ---- */

struct tls;

/*
 * Starts the server's or client's side on a connected, non-blocking descriptor, which
 * stays the caller's. `pool` lends the memory for records under way; none is held while
 * idle. NULL without memory.
 */
struct tls *tls_accept(struct tls_server *server, int fd, struct buf_pool *pool);
struct tls *tls_connect(struct tls_client *client, int fd,
	const struct tls_target *target, struct buf_pool *pool);

/* On the server's side: whether the client was asked for its certificate. */
bool tls_asked(const struct tls *t);

/* Frees the state; sends nothing. NULL is allowed. */
void tls_free(struct tls *t);

/* Call until neither WANT_READ nor WANT_WRITE. ALPN without "smtp" fails (ALPACA). */
enum tls_status tls_handshake(struct tls *t);

/*
 * Decrypts into `to` up to `size` octets; *got counts them. OK means *got > 0. Read until
 * it no longer says OK or the caller is full: octets may wait inside (tls_pending) of
 * which the descriptor tells nothing. WANT_READ may be said without asking the
 * descriptor, after a short read: poll it level-triggered.
 */
enum tls_status tls_read(struct tls *t, void *to, size_t size, size_t *got);
bool tls_pending(const struct tls *t);

/* Whether one more tls_read() may give something at once: false spares a call that would
 * not. */
bool tls_more(const struct tls *t);

/*
 * Encrypts and sends; *put counts the octets taken, whatever the status. After WANT_WRITE
 * call again with the same octets or more of them at the same place in the stream.
 */
enum tls_status tls_write(struct tls *t, const void *from, size_t size, size_t *put);

/*
 * What is written from now on, one reply at most, is kept back until tls_bye(): last
 * words and close_notify go out in one packet.
 */
void tls_hold(struct tls *t);

/*
 * Sends close_notify; OK when it is handed over. It leaves with the FIN: shut the sending
 * side of the descriptor, or close it, thereafter. Does not wait for the peer's.
 */
enum tls_status tls_bye(struct tls *t);

/* Why it failed: "handshake: no common cipher", a line without line end. Never NULL. Of
 * TLS_CLOSED: "closed by the peer" where close_notify came, not a bare end. */
const char *tls_reason(const struct tls *t);

/* "TLS1.3", and IANA's name of the cipher suite: constants, once the handshake is done.
 */
const char *tls_version(const struct tls *t);
const char *tls_cipher(const struct tls *t);

/* All but the chain, which is NULL. */
void tls_facts(const struct tls *t, struct facts *facts);

/* Of the certificates that the peer has shown, `count` at most; returns how many. */
unsigned tls_certificate_names(
	const struct tls *t, struct certificate_names *names, unsigned count);

/*
 * The peer's chain, looked at as the question asks. Valid until the next call with the
 * same `client`; NULL without memory. Server side legs pass the worker's client as well:
 * its CAs and its kept verdicts serve both. `now`: seconds since 1970.
 */
const struct chain_facts *tls_chain(struct tls *t, struct tls_client *client,
	const struct tls_chain_question *question, int64_t now);

#endif
