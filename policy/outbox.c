/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct outbox_packet {
	struct outbox_packet *next;
	size_t length;
	uint8_t octets[];
};

void outbox_init(struct outbox *outbox)
{
	*outbox = (struct outbox){ .first = NULL, .end = &outbox->first };
}

static void drop_first(struct outbox *outbox)
{
	struct outbox_packet *packet = outbox->first;
	outbox->octets -= packet->length;
	outbox->first = packet->next;
	if (!outbox->first)
		outbox->end = &outbox->first;
	free(packet);
}

void outbox_free(struct outbox *outbox)
{
	while (outbox->first)
		drop_first(outbox);
}

static bool append(struct outbox *outbox, const uint8_t *octets, size_t length)
{
	struct outbox_packet *packet = length <= OUTBOX_OCTETS - outbox->octets
					       ? malloc(sizeof(*packet) + length)
					       : NULL;
	if (!packet)
		return false;
	packet->next = NULL;
	packet->length = length;
	memcpy(packet->octets, octets, length);
	*outbox->end = packet;
	outbox->end = &packet->next;
	outbox->octets += length;
	return true;
}

enum sent { SENT, LATER, NEVER };

/* A packet goes whole or not at all. */
static enum sent put(int fd, const uint8_t *octets, size_t length)
{
	ssize_t n;
	do
		n = send(fd, octets, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return SENT;
	return errno == EAGAIN || errno == ENOBUFS ? LATER : NEVER;
}

bool outbox_send(struct outbox *outbox, int fd, const uint8_t *octets, size_t length)
{
	enum sent sent = outbox->first ? LATER : put(fd, octets, length);
	return sent == SENT || (sent == LATER && append(outbox, octets, length));
}

bool outbox_flush(struct outbox *outbox, int fd)
{
	while (outbox->first) {
		enum sent sent = put(fd, outbox->first->octets, outbox->first->length);
		if (sent != SENT)
			return sent == LATER;
		drop_first(outbox);
	}
	return true;
}

bool outbox_waits(const struct outbox *outbox)
{
	return outbox->first != NULL;
}
