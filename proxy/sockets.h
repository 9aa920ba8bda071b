/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SOCKETS_H
#define SEALPOST_SOCKETS_H

/* The listening sockets: bound once, or taken from systemd, and shared by all workers. */

#include "config.h"

#include <stdbool.h>
#include <stddef.h>

struct listening {
	int fd;
	char *service; /* the section's name */
	bool lasting;  /* systemd's: who comes while we are gone waits for the next */
	struct address address;
};

enum { SOCKETS_REASON = 512 };

struct sockets {
	struct listening list[CONFIG_SOCKETS_MAX];
	unsigned count;
};

/*
 * What systemd has passed under a section's name is that section's; each address of its
 * `listen` that is not among these is bound. IPv6 sockets take IPv6 only: each family is
 * listed by itself. False with a reason; what was opened is in `sockets` all the same.
 */
bool sockets_open(struct sockets *sockets, const struct config *config,
	char reason[SOCKETS_REASON]);

/* A worker, whose it is as well, may have ended it for all: it listens again. Or not. */
bool sockets_look_after(const struct listening *listening);

void sockets_close(struct sockets *sockets);

#endif
