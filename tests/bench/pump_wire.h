/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef PUMP_WIRE_H
#define PUMP_WIRE_H

/*
 * What GnuTLS reads and writes by in the pump: a burst of records by one recv(), a flight
 * by one send(), and no memory held while idle. One wire is at work at a time.
 */

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>

/* Octets that did not go; memory is held only while there are some. */
struct rest {
	char *octets;
	size_t length;
};

void rest_set(struct rest *rest, const char *octets, size_t length);

struct pump_wire {
	int fd;
	gnutls_session_t session; /* NULL: none yet */
	struct rest unread;	  /* fetched, not yet given to GnuTLS */
};

/* Has the session read from and write to this descriptor. */
void pump_wire_transport(struct pump_wire *wire, int fd);
void pump_wire_free(struct pump_wire *wire);

/* Around all that reads: a turn fetches so much and no more; epoll tells of the rest. */
void pump_wire_open(struct pump_wire *wire);
void pump_wire_close(struct pump_wire *wire);

/* Whether something fetched waits to be read. */
bool pump_wire_more(void);

/* What is pushed from now on waits for the next push, or to be flushed. */
void pump_wire_collect(bool collect);
bool pump_wire_flush(struct pump_wire *wire);

#endif
