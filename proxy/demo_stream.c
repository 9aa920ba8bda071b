/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* TLS under stdio, so that the demo's server goes on as it began. */

#include "demo.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum {
	PATIENCE = 300000, /* milliseconds without an octet */
};

/* After a status: whether the same call may be made again. */
static bool again(struct demo_stream *stream, enum tls_status status)
{
	struct pollfd poll_for = { .fd = stream->fd, .events = POLLIN };

	if (status == TLS_WANT_WRITE)
		poll_for.events = POLLOUT;
	else if (status != TLS_WANT_READ)
		return false;
	return poll(&poll_for, 1, PATIENCE) > 0;
}

static ssize_t read_from(void *cookie, char *to, size_t size)
{
	struct demo_stream *stream = cookie;
	enum tls_status status;
	size_t got = 0;

	do
		status = tls_read(stream->tls, to, size, &got);
	while (got == 0 && again(stream, status));
	return (ssize_t)got; /* none: the end */
}

static ssize_t write_to(void *cookie, const char *from, size_t size)
{
	struct demo_stream *stream = cookie;
	enum tls_status status;
	size_t done = 0;

	do {
		size_t put = 0;

		status = tls_write(stream->tls, from + done, size - done, &put);
		done += put;
	} while (done < size && (status == TLS_OK || again(stream, status)));
	return (ssize_t)done;
}

/* Of the stream that is written to: it is closed first. */
static int say_bye(void *cookie)
{
	struct demo_stream *stream = cookie;

	tls_bye(stream->tls);
	return 0;
}

static int release(void *cookie)
{
	struct demo_stream *stream = cookie;

	tls_free(stream->tls);
	buf_pool_free(&stream->pool);
	return close(stream->fd);
}

static bool shake_hands(struct demo_stream *stream)
{
	enum tls_status status;

	do
		status = tls_handshake(stream->tls);
	while (again(stream, status));
	return status == TLS_OK;
}

bool demo_stream_secure(
	struct demo_stream *stream, struct tls_server *server, FILE **in, FILE **out)
{
	const cookie_io_functions_t reading = { .read = read_from, .close = release };
	const cookie_io_functions_t writing = { .write = write_to, .close = say_bye };

	stream->fd = fcntl(fileno(*in), F_DUPFD_CLOEXEC, 0);
	if (stream->fd < 0 || fcntl(stream->fd, F_SETFL, O_NONBLOCK) != 0)
		return false;
	buf_pool_init(&stream->pool, 0);
	stream->tls = tls_accept(server, stream->fd, &stream->pool);
	if (!stream->tls || !shake_hands(stream))
		return false;
	FILE *from = fopencookie(stream, "r", reading);
	FILE *to = fopencookie(stream, "w", writing);

	if (!from || !to)
		return false;
	fclose(*in);
	fclose(*out);
	*in = from;
	*out = to;
	return true;
}
