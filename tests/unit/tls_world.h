/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_TLS_WORLD_H
#define SEALPOST_TESTS_TLS_WORLD_H

/*
 * A world for the tests of TLS: certificates made on the spot, connections over socket
 * pairs, and peers that are plain GnuTLS with any settings ("odd").
 */

#include "buf.h"
#include "tls.h"

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
	WORLD_NAMES = 2,
	WORLD_PAIRS = 4, /* each name with RSA and with ECDSA, RSA first */
};

extern const char *const world_names[WORLD_NAMES];

struct world {
	char folder[64];
	struct tls_pair pairs[WORLD_PAIRS];
	struct bundle *bundle;
	struct buf_pool pool;
	struct tls_server *server;
	struct tls_client *client;
	gnutls_certificate_credentials_t nobody; /* for odd clients */
	gnutls_certificate_credentials_t rsa;	 /* for odd servers */
};

int world_setup(void **state);
int world_teardown(void **state);

/* An empty one, in the place of the one before, to read files anew. */
struct bundle *world_bundle(struct world *w);

struct tls_server_options world_options(struct world *w);
struct tls_server *world_server(
	struct world *w, const char *min_version, const char *ticket_key);

/* A new file of `size` octets; the caller frees the name. */
char *world_file(const struct world *w, const char *name, size_t size, mode_t mode);

/* A pair valid from and until so many days from now, and one of a name and a kind. */
void world_dated_pair(const struct world *w, int from, int until, struct tls_pair *pair);
void world_named_pair(
	const struct world *w, const char *name, bool rsa, struct tls_pair *pair);
void world_forget_pair(struct tls_pair *pair);

void world_socketpair(int fds[2]);

/* Our server on fds[0], our client on fds[1]; either may be NULL. */
struct ends {
	int fds[2];
	struct tls *server, *client;
};

void ends_open(struct ends *e, struct world *w, struct tls_server *server,
	struct tls_client *client, const char *name);
void ends_narrow(struct ends *e); /* the smallest socket buffers */
enum tls_status ends_shake(struct ends *e);
void ends_close(struct ends *e);

/* tls_read(), asked once more where the first answer is only "ask the descriptor". */
enum tls_status read_some(struct tls *t, void *to, size_t size, size_t *got);

/* Sends the text one way and sees it arrive. */
void exchange(struct tls *from, struct tls *to, const char *text);

/* One of ours on fds[0] and plain GnuTLS on fds[1]. */
struct odd {
	int fds[2];
	struct tls *tls;
	gnutls_session_t session;
	int code; /* of the last gnutls_handshake() */
};

void odd_open(
	struct odd *o, struct world *w, struct tls_server *server, const char *priority);
void odd_open_server(struct odd *o, struct world *w, enum tls_protocols protocols,
	const char *priority);
void odd_serve(struct odd *o, struct world *w, struct tls_client *client,
	const struct tls_target *target, gnutls_certificate_credentials_t credentials,
	const char *priority);
enum tls_status odd_shake(struct odd *o);
void odd_hears(struct odd *o, const char *text);	       /* from ours */
bool odd_sees(struct odd *o, const char *name, int algorithm); /* our certificate */
void odd_close(struct odd *o);

#endif
