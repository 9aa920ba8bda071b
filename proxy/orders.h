/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_ORDERS_H
#define SEALPOST_ORDERS_H

/*
 * What passes between the supervisor and a worker: one order or one piece of news a
 * packet of a SOCK_SEQPACKET pair, some with a descriptor. A worker is told everything
 * so, its listening sockets too: it inherits nothing but its end of the pair. What a
 * worker says is taken as hostile: it talks to the Internet.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum order_type {
	/* to a worker */
	ORDER_BOARD = 1, /* fd: the shared memory; number: the worker's slot; text: how
			    many slots there are, and connections at most */
	ORDER_LISTEN,	 /* fd: a listening socket; text: its service's name; number: 1
			    where somebody else listens there after us */
	ORDER_SETUP,	 /* fd: a packed bundle; number: its generation; text: not empty
			    where there is a policy process */
	ORDER_POLICY,	 /* fd: to the policy process, in the place of the one before */
	ORDER_STOP,	 /* sessions end with their transactions */
	ORDER_ABORT,	 /* ... and now at once */
	ORDER_PING,
	/* to the supervisor */
	NEWS_TAKEN,   /* number: the generation of the setup now in force */
	NEWS_REFUSED, /* number: of one that could not be taken up; text: why */
	NEWS_PONG,
	NEWS_NO_POLICY, /* the policy process has hung up on it */
	ORDER_TYPES
};

enum { ORDER_TEXT = 600 };

struct order {
	uint32_t type; /* enum order_type */
	uint32_t number;
	char text[ORDER_TEXT];
};

/* `text` may be NULL. `fd`: passed along, -1 for none; stays the caller's. False with
 * errno: it did not go. */
bool order_send(int to, enum order_type type, uint32_t number, const char *text, int fd);

enum order_status { ORDER_TAKEN, ORDER_NONE, ORDER_HUNG_UP, ORDER_NONSENSE };

/* The next one. `fd`: what was passed, the caller's from now on, close-on-exec, or -1. */
enum order_status order_receive(int from, struct order *order, int *fd);

#endif
