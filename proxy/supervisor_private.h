/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SUPERVISOR_PRIVATE_H
#define SEALPOST_SUPERVISOR_PRIVATE_H

/*
 * Shared by supervisor.c (life, signals), supervisor_workers.c and supervisor_policy.c
 * (the processes), supervisor_reload.c (what is in force) and supervisor_overview.c (how
 * things stand).
 */

#include "board.h"
#include "child.h"
#include "control.h"
#include "message.h"
#include "orders.h"
#include "sockets.h"
#include "supervisor.h"
#include "worker.h"

struct supervisor {
	struct ev_loop *loop;
	time_t since;
	void (*ready)(void *context); /* NULL: has been called */
	void *context;
	char *reason; /* why it cannot serve; not NULL until all workers do */
	bool stopping, failed;

	/* What is in force. */
	struct bundle *bundle;
	struct config *config;
	uint32_t generation;
	uint32_t announced; /* the last one that all workers served by */
	time_t taken_up;
	int packed; /* the bundle, as workers get it */
	/* Why the file was not taken up when that was last wanted, and why files that it
	 * names were not when they last changed; "": they were. */
	char fault[OVERVIEW_TEXT], fault_of_files[OVERVIEW_TEXT];
	char *told; /* faults and warnings of the last reading, a line each; or NULL */
	uint64_t stamp_seen,
		stamp_refused; /* of its files, at the last look; of bad ones */

	double hosts_asked; /* when the resolver was asked for backends, clock_steady() */

	struct sockets sockets;
	ev_io mute[CONFIG_SOCKETS_MAX]; /* tells of one that listens no more */
	struct board board;
	struct child workers[CONFIG_WORKERS_MAX];
	uint32_t sent[CONFIG_WORKERS_MAX];  /* the last generation that a worker was told
					       of */
	uint32_t taken[CONFIG_WORKERS_MAX]; /* the one that it serves by; 0: none */
	/* When it could not take up the one in force, clock_steady(), and why the last
	 * one could not; 0: it could. */
	double refused[CONFIG_WORKERS_MAX];
	char fault_of_worker[OVERVIEW_TEXT];
	unsigned
		lost[CONFIG_WORKERS_MAX]; /* policy processes, since it was last pinged */
	unsigned worker_count;

	struct child policies[2]; /* the one there is, and the one before it */
	struct child *policy;	  /* of these; kind NULL: there is none */
	struct settings settings;
	struct policy_state state;
	uint64_t beginning, beginning_seen; /* stamps: as it began, at the last look */
	int held;			    /* its last good files, unread; -1: none */

	struct control *control;
	ev_signal terminate, interrupt, reload;
	ev_timer look, beat;
};

/* ---- supervisor.c ---- */

/* Not all workers serve yet, and one never will: that is the end. Later it is not. */
void supervisor_fail(struct supervisor *s, const char *reason);

/* A worker has taken up what is in force, or is no more. */
void supervisor_progress(struct supervisor *s);

/* ---- supervisor_workers.c ---- */

bool workers_start(struct supervisor *s, char *reason, size_t size);
void workers_tell(struct supervisor *s, enum order_type order);

/* The setup in force, to all. */
void workers_renew(struct supervisor *s);

/* Whether all that run serve by a setup of that generation or later, or have said that
 * they cannot; one that has, or NULL; whether none runs. */
bool workers_serve(const struct supervisor *s, uint32_t since);
const struct child *workers_refusing(const struct supervisor *s);
bool workers_ended(const struct supervisor *s);

/* ---- supervisor_policy.c ---- */

/*
 * The policy process as the configuration in force wants it: none yet, the one there is
 * (with its files to be read again), or another one.
 */
bool policy_renew(struct supervisor *s, char *reason, size_t size);

/* Has it read the policy files again, whatever became of the configuration. */
void policy_reload(struct supervisor *s);

/* Now and then: where what it has read as it began is another now, and at rest, another
 * one takes its place, who sees that; and where that could not be started, one more. */
void policy_look(struct supervisor *s);

/* Nobody asks any more. Whether it has ended; supervisor_progress() is told. */
bool policy_ended(struct supervisor *s);

/* A worker gets a socket of its own to it, if it is there. */
void policy_introduce(struct supervisor *s, struct child *worker);

/* ---- supervisor_reload.c ---- */

/* Reads sealpost.conf and all its files again (SIGHUP). */
void reload_configuration(struct supervisor *s);

/* Now and then: certificates that have changed are taken up once they are at rest, and so
 * are other addresses of backends that are configured by name. */
void reload_look(struct supervisor *s);

/* ---- supervisor_overview.c ---- */

void supervisor_overview(struct overview *overview, void *supervisor);

#endif
