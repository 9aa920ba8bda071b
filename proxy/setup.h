/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SETUP_H
#define SEALPOST_SETUP_H

/*
 * One configuration as sessions use it: keys loaded, services ready. A worker has the one
 * in force, and those under which sessions still run: each session goes on under what it
 * began with. Counted; the last who lets go frees it.
 */

#include "bundle.h"
#include "config.h"
#include "services.h"
#include "tls.h"

struct setup {
	unsigned holders;
	uint32_t generation;
	struct config *config;
	struct tls_server *server; /* NULL: no service uses TLS towards clients */
	struct tls_client *client; /* towards servers; also knows the public CAs ... */
	bool cas;		   /* ... where they were loaded */
	struct service services[CONFIG_SERVICES_MAX];
	unsigned service_count;
};

enum { SETUP_REASON = 512 };

/*
 * Of a bundle whose configuration stands in it as BUNDLE_CONFIG. Held once. NULL with a
 * reason. `cas`: load the public CAs (somebody may be asked about chains). `before`: the
 * one in force, with which they are shared where they are the same; or NULL.
 */
struct setup *setup_new(struct bundle *bundle, uint32_t generation, bool cas,
	const struct setup *before, char reason[SETUP_REASON]);

struct setup *setup_hold(struct setup *setup);
void setup_release(struct setup *setup); /* NULL is allowed */

/* What is presented to clients: of a configuration that names certificates. */
struct tls_server *setup_server(
	const struct config *config, struct bundle *bundle, char reason[SETUP_REASON]);

/* By its name; NULL where there is none. */
const struct service *setup_service(const struct setup *setup, const char *name);

#endif
