/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_OVERVIEW_H
#define SEALPOST_OVERVIEW_H

/*
 * The whole service at one moment, as `sealpost status` shows it: plain data, in words
 * and in JSON. The supervisor fills it in; the control socket (control.h) hands it out.
 */

#include "counters.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

enum {
	OVERVIEW_PROCESSES = 66, /* the supervisor, the policy process, workers */
	OVERVIEW_CERTIFICATES = 32,
	OVERVIEW_TEXT = 600,
	OVERVIEW_FAULT = 3 * (OVERVIEW_TEXT + 8), /* of the file, others, a worker */
	OVERVIEW_NAMES = 512,
};

enum overview_role { ROLE_SUPERVISOR, ROLE_WORKER, ROLE_POLICY };

struct overview_process {
	enum overview_role role;
	pid_t pid; /* 0: it is down, and will be started again */
	time_t since;
	unsigned restarts;
	uint64_t sessions; /* a worker's */
};

struct overview_service {
	const char *name, *kind; /* "inbound"; "inbound", "smarthost", … */
	uint64_t counts[COUNTERS];
};

struct overview_certificate {
	const char *file;
	char names[OVERVIEW_NAMES]; /* a blank between */
	time_t expires;
};

struct overview {
	const char *version, *config;
	time_t now, since;
	bool stopping;
	/* The configuration in force: its number, when it was taken up, and why the last
	 * one offered was not ("": it was). */
	uint32_t generation;
	time_t taken;
	char fault[OVERVIEW_FAULT];
	unsigned connections, connections_most;
	struct overview_service services[COUNTERS_SERVICES];
	unsigned service_count;
	/* Policy files in force, and those that cannot be read or parsed. */
	bool policy; /* there is a policy process at all */
	uint64_t policy_generation;
	unsigned policy_files, policy_broken;
	unsigned unanswered; /* domains in a row about which the DNS said nothing */
	struct overview_certificate certificates[OVERVIEW_CERTIFICATES];
	unsigned certificate_count;
	struct overview_process processes[OVERVIEW_PROCESSES];
	unsigned process_count;
};

/*
 * Whether nothing needs anybody's attention: no configuration was refused, no policy file
 * is broken, no certificate is about to expire, all processes are there.
 */
bool overview_fine(const struct overview *overview);

void overview_print(const struct overview *overview, FILE *to);
void overview_json(const struct overview *overview, FILE *to);

/* One line with the live counts, for the unit's status; cut where there is no room. */
void overview_line(const struct overview *overview, char *to, size_t size);

#endif
