/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_UNIT_H
#define SEALPOST_UNIT_H

/*
 * What systemd gives us, and what it hears of us. Without systemd, or built without its
 * library, there are no sockets and nobody listens: no call fails for that.
 */

#include "address.h"

#include <stdbool.h>
#include <stdint.h>

enum { UNIT_SOCKETS = 64, UNIT_NAME = 128 };

struct unit_socket {
	int fd;		      /* close-on-exec, non-blocking, listening */
	char name[UNIT_NAME]; /* FileDescriptorName= */
	struct address address;
	bool taken; /* by a service; the caller's to note */
};

/*
 * The sockets that came with us, the caller's from now on. Returns their number; the
 * environment's variables are gone then. What is no listening TCP socket is closed, and
 * `reason` (of `size` octets) says so; else it is "".
 */
unsigned unit_sockets(
	struct unit_socket sockets[UNIT_SOCKETS], char *reason, size_t size);

/* Seconds within which systemd wants to hear unit_alive(), 0: it does not ask. */
double unit_watchdog(void);

void unit_ready(void);
void unit_reloading(void); /* followed by unit_ready() */
void unit_stopping(void);
void unit_alive(void);
void unit_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
