/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CHILD_H
#define SEALPOST_CHILD_H

/*
 * One process of ours, started by executing ourselves anew: it inherits one descriptor,
 * its end of a SOCK_SEQPACKET pair, and no memory. It is started again when it ends, at a
 * bounded rate, and ended when it does not answer.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

enum { CHILD_DESCRIPTOR = 3 }; /* its end of the pair, as it finds it */

struct child;

/* What its owner does for each kind; none of them frees the child. */
struct child_kind {
	const char *argument;  /* "worker-process": what main() is told */
	const char *name;      /* "worker", for the log */
	const char *meanwhile; /* what its absence means, for the log */
	/* It runs: send it what it needs. False with a reason: it is ended. */
	bool (*begin)(struct child *child, char *reason, size_t size);
	/* Something of it can be read. False: it hung up, or talks nonsense. */
	bool (*read)(struct child *child);
	/* Ask whether it lives: child_answered() is due. False: it takes no questions. */
	bool (*ping)(struct child *child);
	/* Our end of the pair is closed: it is of no use any more. */
	void (*gone)(struct child *child);
	/* ... and it has ended. Another one follows if it is wanted. */
	void (*ended)(struct child *child);
};

struct child {
	const struct child_kind *kind;
	struct ev_loop *loop;
	void *owner;
	unsigned slot;	   /* which of several */
	unsigned patience; /* pings, one a second, that may go unanswered */
	int fd;		   /* our end of the pair; -1: nobody is there */
	pid_t pid;	   /* 0: there is none */
	time_t since;
	unsigned restarts;
	unsigned unanswered;
	double delay, began;
	bool wanted; /* to be started again when it ends */
	ev_io io;
	ev_child ended;
	ev_timer restart, question, late;
};

/*
 * Starts the first process, with kind, owner, slot and patience set, in a default loop
 * (which alone hears of ends). False with a reason: there is none then, nor will be.
 */
bool child_start(struct child *child, struct ev_loop *loop, char *reason, size_t size);

/* It has answered a ping. */
void child_answered(struct child *child);

/* It is of no use any more: it is killed, and another one follows. */
void child_kill(struct child *child, const char *why);

/* No other one is to follow when it ends. */
void child_dismiss(struct child *child);

/* It is hung up on, and is to end by itself within `seconds`, or is killed. */
void child_leave(struct child *child, double seconds);

/* Nobody looks after it any more; what still runs is hung up on. */
void child_forget(struct child *child);

#endif
