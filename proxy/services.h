/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SERVICES_H
#define SEALPOST_SERVICES_H

/* From a section of the configuration to what a session is told to do: data alone. */

#include "config.h"
#include "dialogue.h"
#include "tls.h"

#include <stdbool.h>

/* One [inbound] or [outbound] section, ready to serve. */
struct service {
	struct setup *setup; /* that it is of; not held by it */
	const char *name;
	unsigned number;			/* of its counters: service_number() */
	const struct config_inbound *inbound;	/* one of the two; */
	const struct config_outbound *outbound; /* the other is NULL */
	const struct address *listen;
	unsigned listen_count;
	struct dialogue_service dialogue;
	struct tls_server *server; /* towards clients, or NULL; shared, not owned */
	char *credentials;	   /* what `dialogue.credentials` points into, or NULL */
	struct dialogue_credentials login;
};

enum {
	SERVICE_REASON = 512, /* octets of a reason, its NUL included */
};

/*
 * By the names, not by the order: a configuration that is read anew has the same services
 * perhaps in another order.
 */
unsigned service_number(const struct config *config, const char *name);

/* `server`: what is presented to clients where the section wants TLS; not owned. */
void service_inbound(struct service *service, const struct config *config,
	const struct config_inbound *inbound, struct tls_server *server);

/* Reads the credentials file, too. False with a reason. */
bool service_outbound(struct service *service, struct bundle *bundle,
	const struct config *config, const struct config_outbound *outbound,
	struct tls_server *server, char reason[SERVICE_REASON]);

void service_release(struct service *service);

#endif
