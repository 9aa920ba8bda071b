/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DEMO_H
#define SEALPOST_DEMO_H

/*
 * `sealpost demo`: the daemon between a backend and a client of its own, in three
 * processes. The first one (demo.c) makes what is needed, starts the other two, is the
 * client (demo_client.c), shows what passed, and ends the others. The second is the
 * daemon as ever, from serve_config(). The third is the backend (demo_backend.c).
 */

#include "address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	DEMO_REASON = 512, /* octets of a reason, its NUL included */
};

/*
 * Listens on `listen`, "ADDRESS[:PORT]" (port 0: the kernel chooses). Returns an enum
 * status: FINE ended when told, USAGE no such address, CANNOT run, and has said why.
 */
int demo_run(const char *listen);

/* ---- what crossed a wire, for people to read ---- */

struct demo_view {
	FILE *to;	  /* NULL: shows nothing */
	const char *wire; /* "clear" or the version of TLS */
	char towards;	  /* private: of the line begun, '>' or '<'; '\0' between lines */
};

/*
 * Shows octets that went '>' to the server or '<' to the client, each line with the wire
 * before it. Nothing of it can do harm to a terminal.
 */
void demo_show(struct demo_view *view, char towards, const char *octets, size_t n);

/* ---- the client ---- */

/* Sends a message by STARTTLS and shows it on stdout. False with a reason. */
bool demo_client_send(const struct address *to, char reason[DEMO_REASON]);

/* ---- the backend: an old SMTP server without TLS ---- */

struct demo_backend {
	int listener;	/* listens already */
	int folder;	/* where each message becomes a new file, NUMBER.eml */
	int transcript; /* shows the first session; closed at its end */
};

/* Serves until killed; the sessions are processes of their own, and end with this one. */
void demo_backend_serve(const struct demo_backend *backend);

#endif
