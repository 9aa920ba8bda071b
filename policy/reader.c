/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A reader may be lost at any time that something is sent to him, also while we read what
 * he has said. So each has a place that is never freed, and the number tells whether it
 * is still his.
 */

#include "reader.h"

#include "outbox.h"
#include "parcel.h"

#include <ev.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUND = 64 /* packets that are read in a row */ };

struct reader {
	struct readers *all;
	uint32_t number; /* 0: nobody is here */
	int fd;
	ev_io in, out;
	struct outbox outbox;
};

struct readers {
	struct ev_loop *loop;
	struct readers_owner owner;
	uint32_t last_number;
	unsigned count;
	struct reader places[READERS];
	uint8_t packet[MESSAGE_MAX];
};

static struct reader *find(const struct readers *readers, uint32_t number)
{
	for (unsigned i = 0; i < READERS; i++)
		if (readers->places[i].number == number)
			return (struct reader *)&readers->places[i];
	return NULL;
}

static void clear(struct reader *reader)
{
	ev_io_stop(reader->all->loop, &reader->in);
	ev_io_stop(reader->all->loop, &reader->out);
	outbox_free(&reader->outbox);
	close(reader->fd);
	reader->number = 0;
	reader->all->count--;
}

static void lose(struct reader *reader)
{
	struct readers *readers = reader->all;
	uint32_t number = reader->number;
	clear(reader);
	readers->owner.lost(number, readers->owner.context);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct reader *reader = io->data;
	struct readers *readers = reader->all;
	uint32_t number = reader->number;
	(void)loop, (void)events;
	for (unsigned i = 0; i < ROUND && reader->number == number; i++) {
		size_t length;
		int fd;
		switch (parcel_receive(reader->fd, readers->packet,
			sizeof(readers->packet), &length, &fd)) {
		case PARCEL_NONE: return;
		case PARCEL_HUNG_UP: lose(reader); return;
		case PARCEL_TAKEN:
		case PARCEL_NONSENSE:
			readers->owner.take(number, readers->packet, length, fd,
				readers->owner.context);
		}
	}
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	struct reader *reader = io->data;
	(void)events;
	if (!outbox_flush(&reader->outbox, reader->fd))
		lose(reader);
	else if (!outbox_waits(&reader->outbox))
		ev_io_stop(loop, io);
}

uint32_t readers_add(struct readers *readers, unsigned place, int fd)
{
	if (place >= READERS)
		return 0;
	struct reader *reader = &readers->places[place];
	if (reader->number != 0)
		lose(reader);
	reader->all = readers;
	reader->number = ++readers->last_number;
	reader->fd = fd;
	outbox_init(&reader->outbox);
	ev_io_init(&reader->in, on_readable, fd, EV_READ);
	ev_io_init(&reader->out, on_writable, fd, EV_WRITE);
	reader->in.data = reader->out.data = reader;
	ev_io_start(readers->loop, &reader->in);
	readers->count++;
	return reader->number;
}

static void send_to(struct reader *reader, const uint8_t *octets, size_t length, int fd)
{
	if (length == 0 || !outbox_send(&reader->outbox, reader->fd, octets, length, fd))
		lose(reader);
	else if (outbox_waits(&reader->outbox))
		ev_io_start(reader->all->loop, &reader->out);
}

void readers_send(struct readers *readers, uint32_t number, const uint8_t *octets,
	size_t length, int fd)
{
	struct reader *reader = number != 0 ? find(readers, number) : NULL;
	if (reader)
		send_to(reader, octets, length, fd);
}

void readers_send_all(struct readers *readers, const uint8_t *octets, size_t length)
{
	for (unsigned i = 0; i < READERS; i++)
		if (readers->places[i].number != 0)
			send_to(&readers->places[i], octets, length, -1);
}

void readers_drop(struct readers *readers, uint32_t number)
{
	struct reader *reader = number != 0 ? find(readers, number) : NULL;
	if (reader)
		lose(reader);
}

unsigned readers_count(const struct readers *readers)
{
	return readers->count;
}

struct readers *readers_new(struct ev_loop *loop, const struct readers_owner *owner)
{
	struct readers *readers = calloc(1, sizeof(*readers));
	if (!readers)
		return NULL;
	readers->loop = loop;
	readers->owner = *owner;
	return readers;
}

void readers_free(struct readers *readers)
{
	if (!readers)
		return;
	for (unsigned i = 0; i < READERS; i++)
		if (readers->places[i].number != 0)
			clear(&readers->places[i]);
	free(readers);
}
