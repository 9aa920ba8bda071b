/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SERVICES_H
#define SEALPOST_SERVICES_H

/* From a section of the configuration to what a session is told to do: data alone. */

#include "worker.h"

#include <stdbool.h>

enum {
	SERVICE_REASON = 512, /* octets of a reason, its NUL included */
};

/* `server`: what is presented to clients where the section wants TLS; not owned. */
void service_inbound(struct service *service, const struct config *config,
	const struct config_inbound *inbound, struct tls_server *server);

/* Reads the credentials file, too. False with a reason. */
bool service_outbound(struct service *service, const struct config *config,
	const struct config_outbound *outbound, struct tls_server *server,
	char reason[SERVICE_REASON]);

void service_release(struct service *service);

#endif
