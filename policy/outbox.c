/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "outbox.h"

#include "parcel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct outbox_packet {
	struct outbox_packet *next;
	size_t length;
	int fd; /* ours, or -1 */
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
	if (packet->fd >= 0)
		close(packet->fd);
	free(packet);
}

void outbox_free(struct outbox *outbox)
{
	while (outbox->first)
		drop_first(outbox);
}

static bool append(struct outbox *outbox, const uint8_t *octets, size_t length, int fd)
{
	struct outbox_packet *packet = length <= OUTBOX_OCTETS - outbox->octets
					       ? malloc(sizeof(*packet) + length)
					       : NULL;
	if (!packet)
		return false;
	packet->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (packet->fd < 0 && fd >= 0) {
		free(packet);
		return false;
	}
	packet->next = NULL;
	packet->length = length;
	memcpy(packet->octets, octets, length);
	*outbox->end = packet;
	outbox->end = &packet->next;
	outbox->octets += length;
	return true;
}

enum sent { SENT, LATER, NEVER };

static enum sent put(int to, const uint8_t *octets, size_t length, int fd)
{
	if (parcel_send(to, octets, length, fd))
		return SENT;
	return errno == EAGAIN || errno == ENOBUFS ? LATER : NEVER;
}

bool outbox_send(
	struct outbox *outbox, int to, const uint8_t *octets, size_t length, int fd)
{
	enum sent sent = outbox->first ? LATER : put(to, octets, length, fd);
	return sent == SENT || (sent == LATER && append(outbox, octets, length, fd));
}

bool outbox_flush(struct outbox *outbox, int to)
{
	for (struct outbox_packet *packet; (packet = outbox->first);) {
		enum sent sent = put(to, packet->octets, packet->length, packet->fd);
		if (sent != SENT)
			return sent == LATER;
		drop_first(outbox);
	}
	return true;
}

bool outbox_waits(const struct outbox *outbox)
{
	return outbox->first;
}
