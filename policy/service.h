/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICY_SERVICE_H
#define SEALPOST_POLICY_SERVICE_H

/*
 * The policy process: policy files and DNS, asked over a socket pair. It never sees an
 * octet of mail. Killed, it is started again by whoever started it, and nothing is lost.
 */

#include "message.h"
#include "status.h"

#include <stdbool.h>
#include <stdio.h>

/* Gives up what the settings do not need; false with a reason. */
typedef bool policy_confine(const struct settings *settings, char *reason, size_t size);

/*
 * Serves the supervisor on `fd` (SOCK_SEQPACKET; settings come first) and the workers
 * that it introduces, until all of them have hung up: exit status. `confine` (NULL: none)
 * is called when the settings are known, before anybody is asked anything.
 */
int policy_service_run(int fd, policy_confine *confine);

/*
 * `sealpost policy`: the same answer without a process, in plain words: which file and
 * line decided what, which hosts, with their addresses, what the result is. Domains are
 * written as sessions ask about them (in proxy/domain.h). An exit status of the program:
 * 0, 1 (not to be reached or not to be satisfied), 3 (could not ask).
 */
enum status policy_explain(const struct settings *settings, const char *const *domains,
	unsigned count, FILE *out);

/*
 * For `sealpost probe`: the answer itself, about a domain as a session asks for it
 * (domain_normalise()) or, under DIRECTION_HOST, a host. Faults of policy files go to
 * standard error. To be freed by peer_free(); NULL with a reason: could not ask.
 */
struct peer *policy_answer(const struct settings *settings, enum direction direction,
	const char *domain, char *reason, size_t size);

/*
 * For `sealpost check`: every fault of the policy files, which may name the `identities`
 * alone (the last is NULL), and whether the resolver validates (RFC 7672 needs it);
 * warnings likewise. `config` is the file that the settings stand in. Returns the number
 * of faults.
 */
unsigned policy_check(const struct settings *settings, const char *config,
	const char *const *identities, FILE *out);

#endif
