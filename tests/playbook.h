/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_PLAYBOOK_H
#define SEALPOST_PLAYBOOK_H

/* Reads conversations as tests/playbooks/README defines them. */

#include "dialogue.h"

#include <stdbool.h>
#include <stddef.h>

enum step_kind {
	STEP_SEND,
	STEP_TLS,
	STEP_TLS_FAILS,
	STEP_ENDS,
	STEP_STALLS,
	STEP_READS,
	STEP_TIMEOUT,
	STEP_POLICY,
	STEP_EVICT,
	STEP_BUSY,
	STEP_SHUTDOWN,
	STEP_EXPECT,
	STEP_CLOSED,
	STEP_ASKED,
	STEP_NEXT,
	STEP_END, /* behind the last one */
};

enum policy_word { POLICY_WORD_OPEN, POLICY_WORD_SERVED, POLICY_WORD_REFUSED };

struct step {
	unsigned line;
	enum step_kind kind;
	enum policy_word word;
	bool near;
	unsigned times; /* SEND, EXPECT */
	char *text; /* ends with a NUL that is not counted; a pattern keeps its escapes */
	size_t length;
};

struct playbook {
	const char *path;
	struct dialogue_service service;
	bool only_daemon, only_whole;
	bool far_refused, far_silent, ask_sender;
	struct step *steps;
	size_t count;
	const char *fault; /* why it could not be read */
	unsigned fault_line;
};

/* `path` must stay; free the playbook whatever comes back. False: see book->fault. */
bool playbook_read(struct playbook *book, const char *path);
void playbook_free(struct playbook *book);

/* Whether a line without its end is what an EXPECT step wants. */
bool pattern_matches(const struct step *step, const char *line, size_t length);

#endif
