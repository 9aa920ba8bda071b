/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_LISTENER_H
#define SEALPOST_LISTENER_H

/* A listening socket of a service: accepts, counts, and hands clients to sessions. */

#include "worker.h"

struct listener;

/*
 * Binds and listens on `address` (IPv6 sockets take IPv6 only: each family is listed by
 * itself). NULL with a reason of at most `size` octets. The service must outlive it.
 * Accepts nothing until listener_start().
 */
struct listener *listener_open(const struct service *service,
	const struct address *address, char *reason, size_t size);

void listener_start(struct listener *listener, struct worker *worker);

/* Stops accepting, closes and frees. NULL is allowed. */
void listener_close(struct listener *listener);

#endif
