/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DEMO_H
#define SEALPOST_DEMO_H

/*
 * `sealpost demo`: the daemon between servers of its own, in four processes and those
 * that the daemon starts. The first one (demo.c) makes what is needed (demo_world.c),
 * starts the others, is the client both ways (demo_client.c), shows what passed, and ends
 * the others. The second is the daemon as ever, from supervise(). The last two are
 * servers (demo_server.c): an old one, for mail that comes in, and one that stands for
 * the Internet, for mail that goes out.
 */

#include "address.h"
#include "config.h"
#include "status.h"
#include "tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	DEMO_REASON = 600, /* octets of a reason, its NUL included */
	DEMO_FOLDER = 96,  /* of a folder's name: the path of a socket holds it */
	DEMO_CONFIG = 2048,
};

/*
 * Takes mail that comes in at `listen`, "ADDRESS[:PORT]", and mail that goes out at the
 * next port (port 0: the kernel chooses both). FINE: ended when told; USAGE: no such
 * address; CANNOT run, and has said why.
 */
enum status demo_run(const char *listen);

/* ---- what crossed a wire, for people to read ---- */

struct demo_view {
	FILE *to;	  /* NULL: shows nothing */
	const char *wire; /* "clear" or the version of TLS */
	char towards;	  /* private: of the line begun, '>' or '<'; '\0' between lines */
};

/*
 * Shows octets that went '>' to the server or '<' to the client, each line with the wire
 * before it; '-' is a word of our own. Nothing of it can do harm to a terminal.
 */
void demo_show(struct demo_view *view, char towards, const char *octets, size_t n);

/* ---- the servers ---- */

struct demo_server {
	const char *name;	/* "backend": for what it tells */
	struct tls_server *tls; /* offers STARTTLS; NULL: the old server */
	int listener;		/* listens already */
	int folder;		/* where each message becomes a new file, NUMBER.eml */
	int transcript;		/* shows the first session; closed at its end */
};

/* Serves until killed; the sessions are processes of their own, and end with this one. */
void demo_server_serve(const struct demo_server *server);

/* TLS under stdio. */
struct demo_stream {
	int fd;
	struct tls *tls;
	struct buf_pool pool;
};

/*
 * Waits for a handshake and puts streams through TLS in place of these: what came in
 * clear behind STARTTLS goes with the old ones. False where there was none.
 */
bool demo_stream_secure(
	struct demo_stream *stream, struct tls_server *server, FILE **in, FILE **out);

/* ---- the client ---- */

struct demo_errand {
	struct address to;
	bool starttls; /* as today's servers do; the old one does not */
	const char *helo, *from, *recipient;
	const char *text; /* of the message, a line without its line end */
};

/* Sends a message and shows it on stdout. False with a reason. */
bool demo_client_send(const struct demo_errand *errand, char reason[DEMO_REASON]);

/* ---- what they all need ---- */

struct demo_world {
	struct address inbound, outbound; /* where the daemon will listen */
	struct demo_server backend, internet;
	struct address backend_address, internet_address;
	char folder_name[DEMO_FOLDER]; /* "": there is none */
	int folder;
	char config_text[DEMO_CONFIG];
	struct config *config;
	struct bundle *bundle; /* the configuration; the daemon reads the keys into it */
};

/* `inbound` is set. False with a reason; demo_world_end() in either case. */
bool demo_world_make(struct demo_world *world, char reason[DEMO_REASON]);

/* Reads what the daemon presents: in its own process, for no other needs the key. */
bool demo_world_read_keys(struct demo_world *world, char reason[DEMO_REASON]);

/* Keys need not lie about once they have been read. */
void demo_world_remove_keys(const struct demo_world *world);

/* Nothing stays but messages. */
void demo_world_end(struct demo_world *world);

#endif
