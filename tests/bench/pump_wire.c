/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "pump_wire.h"
#include "bench.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

enum {
	AHEAD_SIZE = 64 * 1024,
	FLIGHT_SIZE = 32 * 1024,
	PIECES = 32, /* of one push: GnuTLS has no more */
	FETCHES = 4, /* of AHEAD_SIZE, before others have their turn */
};

/* What was fetched for the wire at work and GnuTLS has not taken yet. */
static struct {
	char octets[AHEAD_SIZE];
	size_t start, end;
	unsigned fetches; /* still to be had in this turn; epoll tells of what is left */
} ahead;

/* What GnuTLS sends in pieces and one write carries: a handshake's flight, a ticket. */
static struct {
	char octets[FLIGHT_SIZE];
	size_t length;
	bool collecting;
} flight;

void rest_set(struct rest *rest, const char *octets, size_t length)
{
	char *copy = NULL;

	if (length > 0) {
		copy = malloc(length);
		die_unless(copy != NULL, "malloc");
		memcpy(copy, octets, length);
	}
	free(rest->octets);
	rest->octets = copy;
	rest->length = length;
}

static ssize_t pull(gnutls_transport_ptr_t tag, void *to, size_t size)
{
	struct pump_wire *wire = tag;

	if (ahead.start == ahead.end) {
		if (ahead.fetches == 0) {
			gnutls_transport_set_errno(wire->session, EAGAIN);
			return -1;
		}
		ssize_t got = recv(wire->fd, ahead.octets, AHEAD_SIZE, 0);
		if (got <= 0)
			return got;
		ahead.start = 0;
		ahead.end = (size_t)got;
		ahead.fetches = got < AHEAD_SIZE ? 0 : ahead.fetches - 1;
	}
	if (size > ahead.end - ahead.start)
		size = ahead.end - ahead.start;
	memcpy(to, ahead.octets + ahead.start, size);
	ahead.start += size;
	return (ssize_t)size;
}

static ssize_t collect(const giovec_t *pieces, int count)
{
	size_t total = 0;

	for (int i = 0; i < count; i++) {
		if (pieces[i].iov_len > sizeof(flight.octets) - flight.length)
			return -1;
		memcpy(flight.octets + flight.length, pieces[i].iov_base,
			pieces[i].iov_len);
		flight.length += pieces[i].iov_len;
		total += pieces[i].iov_len;
	}
	return (ssize_t)total;
}

/* A flight is far smaller than a fresh socket's buffer: it goes whole or not at all. */
static ssize_t push(gnutls_transport_ptr_t tag, const giovec_t *given, int count)
{
	struct pump_wire *wire = tag;
	struct iovec pieces[PIECES + 1] = { { flight.octets, flight.length } };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)count + 1 };
	size_t first = flight.length;

	if (flight.collecting)
		return collect(given, count);
	memcpy(pieces + 1, given, (size_t)count * sizeof(*given));
	if (first == 0) {
		message.msg_iov++;
		message.msg_iovlen--;
	}
	flight.length = 0;
	ssize_t put = sendmsg(wire->fd, &message, MSG_NOSIGNAL);
	return put >= 0 ? put - (ssize_t)first : put;
}

void pump_wire_open(struct pump_wire *wire)
{
	ahead.start = 0;
	ahead.end = wire->unread.length;
	ahead.fetches = FETCHES;
	if (wire->unread.length == 0)
		return;
	memcpy(ahead.octets, wire->unread.octets, wire->unread.length);
	rest_set(&wire->unread, NULL, 0);
}

void pump_wire_close(struct pump_wire *wire)
{
	if (ahead.start < ahead.end)
		rest_set(&wire->unread, ahead.octets + ahead.start,
			ahead.end - ahead.start);
}

bool pump_wire_more(void)
{
	return ahead.start < ahead.end;
}

void pump_wire_collect(bool collect)
{
	flight.collecting = collect;
}

bool pump_wire_flush(struct pump_wire *wire)
{
	ssize_t length = (ssize_t)flight.length;

	flight.length = 0;
	return length == 0 ||
	       send(wire->fd, flight.octets, (size_t)length, MSG_NOSIGNAL) == length;
}

void pump_wire_transport(struct pump_wire *wire, int fd)
{
	wire->fd = fd;
	gnutls_transport_set_ptr(wire->session, wire);
	gnutls_transport_set_pull_function(wire->session, pull);
	gnutls_transport_set_vec_push_function(wire->session, push);
}

void pump_wire_free(struct pump_wire *wire)
{
	if (wire->session != NULL)
		gnutls_deinit(wire->session);
	rest_set(&wire->unread, NULL, 0);
}
