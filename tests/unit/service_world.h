/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef TESTS_SERVICE_WORLD_H
#define TESTS_SERVICE_WORLD_H

/* The policy process in a process of its own, without a DNS; a test is its supervisor and
 * its workers. */

#include "message.h"
#include "service.h"

#include <sys/types.h>

enum { PATIENCE = 30 * 1000 /* milliseconds */ };

struct world {
	char folder[64];
	int fd;			 /* as its supervisor */
	int worker;		 /* as one worker, or -1 */
	policy_confine *confine; /* of the next process */
	pid_t pid;
	int silence; /* a resolver that does not answer, or -1: one that is not there */
	uint32_t last_id;
	uint8_t packet[MESSAGE_MAX];
	size_t length;
};

/* With a default.policy that demands `encrypt` outbound; it awaits its settings. */
struct world *world_new(void);
/* Then the DNS fails only after the timeout, of a second. Before settings are sent. */
void world_silence(struct world *world);

/* The process has ended. */
void world_free(struct world *world);

/* Whole at once, as the man page advises. */
void write_file(const struct world *world, const char *name, const char *text);
void remove_file(const struct world *world, const char *name);

/* ---- the process ---- */

void start_process(struct world *world);
/* Hangs up; the exit status. */
int end_process(struct world *world);

/* Gives it its settings, with the files of a process before it or -1, and world->worker.
 */
void settle(struct world *world, const char *anchor, int files);
void send_settings(struct world *world, const char *anchor);

void send_packet(int to, const void *octets, size_t length);
/* As the supervisor. */
void order(const struct world *world, enum message_type type, int fd);
/* A worker's end of its socket; world->worker is that of worker 0. */
int introduce(const struct world *world, uint32_t worker);

/* ---- what it says ---- */

/* The next packet of that kind; others are passed over. What came with it, or -1. */
int receive(struct world *world, int from, enum message_type type);
struct policy_state state_from(struct world *world, int from);
struct policy_state receive_state(struct world *world);
/* The next line of the log that holds this. */
void assert_log(struct world *world, const char *text);

uint32_t ask_as(
	struct world *world, int worker, enum direction direction, const char *domain);
uint32_t ask(struct world *world, enum direction direction, const char *domain);
struct peer *answer_to(struct world *world, int worker, uint32_t *id);
struct peer *receive_answer(struct world *world, uint32_t *id);
void assert_answer(struct world *world, enum direction direction, const char *domain,
	enum peer_status status, enum level level);

#endif
