/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_LISTENER_H
#define SEALPOST_LISTENER_H

/* A listening socket of a service: accepts, counts, and hands clients to sessions. */

#include "services.h"
#include "worker.h"

struct listener;

/*
 * Takes `fd` over, which all workers share. Accepts nothing until listener_serve(). NULL
 * without memory. `lasting`: somebody else listens there after us.
 */
struct listener *listener_new(struct worker *worker, int fd, bool lasting);

/* From now on who connects is served so. */
void listener_serve(struct listener *listener, const struct service *service);

/* The service ends: who waits to be accepted, and by nobody else, is told to come again.
 */
void listener_dismiss(struct listener *listener);

/* Stops accepting, closes and frees. NULL is allowed. */
void listener_close(struct listener *listener);

#endif
