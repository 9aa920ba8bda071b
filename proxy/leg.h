/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_LEG_H
#define SEALPOST_LEG_H

/*
 * One side of a session as transport: a descriptor and perhaps TLS. Fills and flushes
 * byte queues, shakes hands, says goodbye. Knows nothing of the other leg, of SMTP, of
 * policy or of libev.
 */

#include "address.h"
#include "buf.h"
#include "tls.h"

#include <stdbool.h>
#include <stdint.h>

struct leg {
	int fd;	     /* -1: none */
	bool eof;    /* nothing more will be read */
	bool broken; /* nothing more can be read or written; see leg_reason() */
	bool want_write_to_read; /* TLS wants the other direction first; else false */
	bool ending;		 /* private: what is pending is the end */
	uint8_t step;		 /* private: what failed */
	int error; /* errno of the failure, 0 where TLS failed or all is well */
	struct tls *tls;
};

enum leg_status {
	LEG_OK,	    /* did something */
	LEG_AGAIN,  /* nothing to do until the descriptor is ready */
	LEG_EOF,    /* the peer has ended */
	LEG_FAILED, /* see leg_reason() */
};

void leg_init(struct leg *leg);

/*
 * Takes over a descriptor that is non-blocking, close-on-exec and TCP_NODELAY already, as
 * accept4() makes it where the listening socket has that option: three system calls a
 * client are saved.
 */
void leg_adopt(struct leg *leg, int fd);

/*
 * Starts a TCP connection to `to`, from `from` where it is not NULL (with `transparent`
 * an address that is not ours: IP_TRANSPARENT, needs CAP_NET_RAW); its port is ignored.
 * LEG_AGAIN: in progress, call leg_connected() when writable. LEG_OK: connected at once.
 */
enum leg_status leg_connect(struct leg *leg, const struct address *to,
	const struct address *from, bool transparent);
enum leg_status leg_connected(struct leg *leg);

/* Whether there is a connection by now: leg_connected() only tells of failures. */
bool leg_established(const struct leg *leg);

/*
 * Reads what is there, up to `want` octets beyond what `in` holds already (more may come
 * where TLS hands out a record at a time). LEG_OK: something came.
 */
enum leg_status leg_fill(struct leg *leg, struct buf *in, size_t want);

/*
 * Appends up to `want` octets to `in` and leaves them in the socket: leg_skip() takes
 * them out. For what must be read to the octet before TLS begins. In clear only.
 */
enum leg_status leg_peek(struct leg *leg, struct buf *in, size_t want);
void leg_skip(struct leg *leg, size_t octets);

/* Octets wait inside TLS: fill again without waiting for the descriptor. */
bool leg_pending(const struct leg *leg);

/* Writes as much of `out` as goes. LEG_OK: all of it went. */
enum leg_status leg_flush(struct leg *leg, struct buf *out);

/* Begins TLS: nothing of the clear conversation may be unread. False without memory. */
bool leg_accept_tls(struct leg *leg, struct tls_server *server, struct buf_pool *pool);
bool leg_connect_tls(struct leg *leg, struct tls_client *client,
	const struct tls_target *target, struct buf_pool *pool);

/* LEG_OK when done, LEG_AGAIN, LEG_EOF (the peer closed), LEG_FAILED. */
enum leg_status leg_handshake(struct leg *leg);

/* What is flushed from now on, one reply at most, may wait and go with leg_bye(). */
void leg_hold(struct leg *leg);

/* Under TLS sends close_notify and what was held. LEG_AGAIN: again when writable. */
enum leg_status leg_bye(struct leg *leg);

/* Shuts the sending side. What comes can still be read. */
void leg_shutdown(struct leg *leg);

/* Closes and frees. Safe to repeat. */
void leg_close(struct leg *leg);

/* Why it ended: "connection refused", "handshake: …". Never NULL. */
const char *leg_reason(const struct leg *leg);

#endif
