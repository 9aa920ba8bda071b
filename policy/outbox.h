/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_OUTBOX_H
#define SEALPOST_OUTBOX_H

/*
 * Packets on their way to somebody who may be slow to take them: in order, and bounded:
 * what there is no room for is dropped.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTBOX_OCTETS = 4 * 1024 * 1024 };

struct outbox_packet;

struct outbox {
	struct outbox_packet *first, **end;
	size_t octets;
};

void outbox_init(struct outbox *outbox);
void outbox_free(struct outbox *outbox);

/* Sends it to `to` or keeps it for later. `fd` goes with it, stays the caller's, and is
 * -1 for none. False: dropped. */
bool outbox_send(
	struct outbox *outbox, int to, const uint8_t *octets, size_t length, int fd);

/* Sends what can be sent. False: whoever was to have it is gone. */
bool outbox_flush(struct outbox *outbox, int to);

/* Whether anything waits until `to` can be written to. */
bool outbox_waits(const struct outbox *outbox);

#endif
