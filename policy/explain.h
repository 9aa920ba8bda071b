/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_EXPLAIN_H
#define SEALPOST_EXPLAIN_H

/* The answers of the policy process without the process, for commands. */

#include "message.h"
#include "status.h"

#include <stdio.h>

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
 * of faults; *files is that of the policy files that count.
 */
unsigned policy_check(const struct settings *settings, const char *config,
	const char *const *identities, FILE *out, unsigned *files);

#endif
