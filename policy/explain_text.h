/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_EXPLAIN_TEXT_H
#define SEALPOST_EXPLAIN_TEXT_H

/* An answer about a domain as lines for people. Pure, but for the stream. */

#include "policyfile.h"

#include <stdbool.h>
#include <stdio.h>

/* What is demanded, in the peer's direction; `file` decided, NULL: none did. */
void explain_demand(FILE *out, const struct peer *peer, const struct policyfile *file);

/* Its MX hosts, their addresses, and which of them are not used. */
void explain_hosts(FILE *out, const struct peer *peer);

/* Their TLSA records, and how far these may be believed. */
void explain_dane(FILE *out, const struct peer *peer);

/* Its MTA-STS policy: what it demands, where it comes from, and how old it is; times are
 * seconds since 1970. */
void explain_sts(FILE *out, const struct peer *peer, int64_t asked, int64_t now);

/* What becomes of mail to it. False: it does not get there. */
bool explain_result(FILE *out, const struct peer *peer);

#endif
