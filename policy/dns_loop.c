/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "dns_loop.h"

#include <stdlib.h>
#include <sys/time.h>

struct base {
	struct ub_event_base is; /* first: libunbound sees this alone */
	struct ev_loop *loop;
};

struct event {
	struct ub_event is; /* first, likewise */
	struct ev_loop *loop;
	ev_io io;
	ev_timer timer;
	int fd; /* -1: a timer alone */
	short bits;
	void (*callback)(int fd, short bits, void *argument);
	void *argument;
};

static void stop(struct event *event)
{
	ev_io_stop(event->loop, &event->io);
	ev_timer_stop(event->loop, &event->timer);
}

static int io_events(short bits)
{
	return (bits & UB_EV_READ ? EV_READ : 0) | (bits & UB_EV_WRITE ? EV_WRITE : 0);
}

/* The callback may free the event: it comes last. */
static void happened(struct event *event, short what)
{
	if (!(event->bits & UB_EV_PERSIST))
		stop(event);
	else if (ev_is_active(&event->timer))
		ev_timer_again(event->loop, &event->timer);
	event->callback(event->fd, what, event->argument);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	happened(io->data, (short)((events & EV_READ ? UB_EV_READ : 0) |
				   (events & EV_WRITE ? UB_EV_WRITE : 0)));
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	happened(timer->data, UB_EV_TIMEOUT);
}

/* ---- what libunbound does with an event; while it is not watched, but for add, del ----
 */

static void add_bits(struct ub_event *is, short bits)
{
	((struct event *)is)->bits |= bits;
}

static void del_bits(struct ub_event *is, short bits)
{
	((struct event *)is)->bits &= (short)~bits;
}

static void set_fd(struct ub_event *is, int fd)
{
	((struct event *)is)->fd = fd;
}

static void free_event(struct ub_event *is)
{
	stop((struct event *)is);
	free(is);
}

static int add(struct ub_event *is, struct timeval *timeout)
{
	struct event *event = (struct event *)is;
	int events = io_events(event->bits);
	stop(event);
	if (event->fd >= 0 && events != 0) {
		ev_io_set(&event->io, event->fd, events);
		ev_io_start(event->loop, &event->io);
	}
	if (timeout && event->bits & UB_EV_TIMEOUT) {
		event->timer.repeat =
			(double)timeout->tv_sec + 1e-6 * (double)timeout->tv_usec;
		if (event->timer.repeat <= 0)
			event->timer.repeat = 1e-6; /* for 0 means never */
		ev_timer_again(event->loop, &event->timer);
	}
	return 0;
}

static int del(struct ub_event *is)
{
	stop((struct event *)is);
	return 0;
}

static int add_timer(struct ub_event *is, struct ub_event_base *base,
	void (*callback)(int, short, void *), void *argument, struct timeval *timeout)
{
	struct event *event = (struct event *)is;
	(void)base;
	event->callback = callback;
	event->argument = argument;
	event->bits |= UB_EV_TIMEOUT;
	return add(is, timeout);
}

static void would_block(struct ub_event *is, int bit)
{
	(void)is, (void)bit; /* another system's trouble */
}

static const struct ub_event_vmt event_functions = {
	.add_bits = add_bits,
	.del_bits = del_bits,
	.set_fd = set_fd,
	.free = free_event,
	.add = add,
	.del = del,
	.add_timer = add_timer,
	.del_timer = del,
	.winsock_tcp_wouldblock = would_block,
};

static struct ub_event *new_event(struct ub_event_base *is, int fd, short bits,
	void (*callback)(int, short, void *), void *argument)
{
	struct event *event = calloc(1, sizeof(*event));
	if (!event)
		return NULL;
	event->is.magic = UB_EVENT_MAGIC;
	event->is.vmt = (struct ub_event_vmt *)&event_functions;
	event->loop = ((struct base *)is)->loop;
	event->fd = fd;
	event->bits = bits;
	event->callback = callback;
	event->argument = argument;
	ev_init(&event->io, on_io);
	ev_init(&event->timer, on_timer);
	event->io.data = event->timer.data = event;
	return &event->is;
}

static int loop_exit(struct ub_event_base *is, struct timeval *when)
{
	(void)is, (void)when; /* the loop is ours */
	return 0;
}

static const struct ub_event_base_vmt base_functions = {
	.loopexit = loop_exit,
	.new_event = new_event,
};

struct ub_event_base *dns_loop_new(struct ev_loop *loop)
{
	struct base *base = calloc(1, sizeof(*base));
	if (!base)
		return NULL;
	base->is.magic = UB_EVENT_MAGIC;
	base->is.vmt = (struct ub_event_base_vmt *)&base_functions;
	base->loop = loop;
	return &base->is;
}
