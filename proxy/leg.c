/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "leg.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a system call that failed was for; reasons are worded by it. */
enum step {
	STEP_TALK,
	STEP_CONNECT,
	STEP_BORROW, /* an address that is not ours */
	STEP_BIND,
};

void leg_init(struct leg *leg)
{
	*leg = (struct leg){ .fd = -1 };
}

static void set_option(int fd, int level, int option)
{
	int on = 1;
	setsockopt(fd, level, option, &on, sizeof(on));
}

void leg_adopt(struct leg *leg, int fd)
{
	leg_init(leg);
	leg->fd = fd;
}

static enum leg_status fail(struct leg *leg, enum step step, int error)
{
	leg->broken = true;
	leg->step = (uint8_t)step;
	leg->error = error;
	return LEG_FAILED;
}

/* ---- connecting ---- */

static enum leg_status bind_to(
	struct leg *leg, const struct address *from, bool transparent)
{
	struct address source = *from;
	struct sockaddr_storage ss;
	bool ipv6 = source.family == AF_INET6;
	int on = 1;

	if (transparent &&
		setsockopt(leg->fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
			ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)) < 0)
		return fail(leg, STEP_BORROW, errno);
	/* The port is chosen at connect(), when the whole tuple is known to be free. */
	set_option(leg->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	source.port = 0;
	socklen_t size = address_to_sockaddr(&source, &ss);
	if (bind(leg->fd, (struct sockaddr *)&ss, size) < 0)
		return fail(leg, transparent ? STEP_BORROW : STEP_BIND, errno);
	return LEG_OK;
}

enum leg_status leg_connect(struct leg *leg, const struct address *to,
	const struct address *from, bool transparent)
{
	struct sockaddr_storage ss;
	socklen_t size = address_to_sockaddr(to, &ss);

	leg_init(leg);
	leg->fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (leg->fd < 0)
		return fail(leg, STEP_CONNECT, errno);
	set_option(leg->fd, IPPROTO_TCP, TCP_NODELAY);
	if (from && bind_to(leg, from, transparent) != LEG_OK)
		return LEG_FAILED;
	if (connect(leg->fd, (struct sockaddr *)&ss, size) == 0)
		return LEG_OK;
	if (errno == EINPROGRESS || errno == EINTR)
		return LEG_AGAIN;
	return fail(leg, STEP_CONNECT, errno);
}

enum leg_status leg_connected(struct leg *leg)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(leg->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	return error ? fail(leg, STEP_CONNECT, error) : LEG_OK;
}

bool leg_established(const struct leg *leg)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	return getpeername(leg->fd, (struct sockaddr *)&ss, &size) == 0;
}

/* ---- octets ---- */

static bool try_later(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static enum leg_status receive(struct leg *leg, struct buf *in, size_t want, int flags)
{
	void *room = buf_reserve(in, want);
	if (!room)
		return fail(leg, STEP_TALK, ENOMEM);
	ssize_t n = recv(leg->fd, room, want, flags);
	int error = errno;
	buf_commit(in, n > 0 ? (size_t)n : 0);
	if (n > 0)
		return LEG_OK;
	if (n < 0)
		return try_later(error) ? LEG_AGAIN : fail(leg, STEP_TALK, error);
	leg->eof = true;
	return LEG_EOF;
}

static enum leg_status from_tls(struct leg *leg, enum tls_status status)
{
	leg->want_write_to_read = status == TLS_WANT_WRITE;
	switch (status) {
	case TLS_OK: return LEG_OK;
	case TLS_WANT_READ:
	case TLS_WANT_WRITE: return LEG_AGAIN;
	case TLS_CLOSED: leg->eof = true; return LEG_EOF;
	case TLS_FAILED: break;
	}
	return fail(leg, STEP_TALK, 0);
}

/* Whole records are taken, whatever is wanted, so that none has to wait inside. */
static enum leg_status fill_tls(struct leg *leg, struct buf *in, size_t want)
{
	enum tls_status status = TLS_OK;
	size_t total = 0;

	do {
		void *room = buf_reserve(in, want - total);
		if (!room)
			return fail(leg, STEP_TALK, ENOMEM);
		size_t got;
		status = tls_read(leg->tls, room, buf_room(in), &got);
		buf_commit(in, got);
		total += got;
	} while (total < want && status == TLS_OK && tls_more(leg->tls));
	if (total == 0)
		return from_tls(leg, status);
	/* The end came together with the last octets: the next call will tell. */
	leg->ending = status == TLS_CLOSED || status == TLS_FAILED;
	return LEG_OK;
}

enum leg_status leg_fill(struct leg *leg, struct buf *in, size_t want)
{
	leg->ending = false;
	if (leg->broken)
		return LEG_FAILED;
	if (leg->eof)
		return LEG_EOF;
	if (want == 0)
		return LEG_AGAIN;
	if (want > BUF_BLOCK)
		want = BUF_BLOCK; /* other sessions are waiting */
	return leg->tls ? fill_tls(leg, in, want) : receive(leg, in, want, 0);
}

enum leg_status leg_peek(struct leg *leg, struct buf *in, size_t want)
{
	return receive(leg, in, want, MSG_PEEK);
}

void leg_skip(struct leg *leg, size_t octets)
{
	/* With MSG_TRUNC TCP drops the octets without copying them. */
	ssize_t n = recv(leg->fd, NULL, octets, MSG_TRUNC);
	(void)n; /* they were seen to be there */
}

bool leg_pending(const struct leg *leg)
{
	return leg->tls && !leg->broken && (leg->ending || tls_pending(leg->tls));
}

static enum leg_status flush_clear(struct leg *leg, struct buf *out)
{
	ssize_t n = send(leg->fd, buf_head(out), buf_length(out), MSG_NOSIGNAL);

	if (n < 0)
		return try_later(errno) ? LEG_AGAIN : fail(leg, STEP_TALK, errno);
	buf_consume(out, (size_t)n);
	return buf_length(out) == 0 ? LEG_OK : LEG_AGAIN;
}

static enum leg_status flush_tls(struct leg *leg, struct buf *out)
{
	size_t size = buf_length(out) < BUF_BLOCK ? buf_length(out) : BUF_BLOCK;
	size_t put;
	enum tls_status status = tls_write(leg->tls, buf_head(out), size, &put);

	buf_consume(out, put);
	if (status != TLS_OK && status != TLS_WANT_WRITE)
		return fail(leg, STEP_TALK, 0);
	return buf_length(out) == 0 ? LEG_OK : LEG_AGAIN;
}

enum leg_status leg_flush(struct leg *leg, struct buf *out)
{
	if (leg->broken)
		return LEG_FAILED;
	if (buf_length(out) == 0)
		return LEG_OK;
	return leg->tls ? flush_tls(leg, out) : flush_clear(leg, out);
}

/* ---- TLS ---- */

bool leg_accept_tls(struct leg *leg, struct tls_server *server, struct buf_pool *pool)
{
	leg->tls = tls_accept(server, leg->fd, pool);
	return leg->tls;
}

bool leg_connect_tls(struct leg *leg, struct tls_client *client,
	const struct tls_target *target, struct buf_pool *pool)
{
	leg->tls = tls_connect(client, leg->fd, target, pool);
	return leg->tls;
}

enum leg_status leg_handshake(struct leg *leg)
{
	if (leg->broken)
		return LEG_FAILED;
	return from_tls(leg, tls_handshake(leg->tls));
}

/* ---- the end ---- */

void leg_hold(struct leg *leg)
{
	if (leg->tls)
		tls_hold(leg->tls);
}

enum leg_status leg_bye(struct leg *leg)
{
	if (leg->broken || !leg->tls)
		return LEG_OK;
	return from_tls(leg, tls_bye(leg->tls));
}

void leg_shutdown(struct leg *leg)
{
	if (leg->fd >= 0 && !leg->broken)
		shutdown(leg->fd, SHUT_WR);
}

void leg_close(struct leg *leg)
{
	tls_free(leg->tls);
	if (leg->fd >= 0)
		close(leg->fd);
	leg_init(leg);
}

/* ---- why ---- */

static const char *say(int error)
{
	switch (error) {
	case ECONNREFUSED: return "connection refused";
	case ECONNRESET: return "connection reset by peer";
	case ETIMEDOUT: return "connection timed out";
	case EHOSTUNREACH: return "no route to host";
	case ENETUNREACH: return "network is unreachable";
	case EHOSTDOWN: return "host is down";
	case EPIPE: return "connection closed by peer";
	case ECONNABORTED: return "connection aborted";
	case EACCES:
	case EPERM: return "not permitted (a firewall of this machine?)";
	case EADDRNOTAVAIL: return "no free port or address left to connect from";
	case EMFILE: return "too many open files in this process";
	case ENFILE: return "too many open files in this machine";
	case ENOBUFS:
	case ENOMEM: return "out of memory";
	default: return strerror(error);
	}
}

static const char *say_borrow(int error)
{
	switch (error) {
	case EPERM:
	case EACCES:
		return "cannot bind to the client's address: operation not permitted "
		       "(needs CAP_NET_RAW)";
	case EADDRNOTAVAIL:
		return "cannot bind to the client's address: address not available";
	case EAFNOSUPPORT:
	case EINVAL:
		return "cannot bind to the client's address: the backend's is of "
		       "another family";
	default: return "cannot bind to the client's address";
	}
}

const char *leg_reason(const struct leg *leg)
{
	if (leg->error && leg->step == STEP_BORROW)
		return say_borrow(leg->error);
	if (leg->error && leg->step == STEP_BIND)
		return "cannot bind to the source address: is it one of this machine's?";
	if (leg->error)
		return say(leg->error);
	if (leg->tls && *tls_reason(leg->tls))
		return tls_reason(leg->tls);
	return leg->eof ? "connection closed by peer" : "";
}
