/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CHECK_PRIVATE_H
#define SEALPOST_CHECK_PRIVATE_H

/* What the files check*.c share. */

#include "check.h"

struct verifier {
	struct config *config;
	struct bundle *bundle; /* NULL for notes, which read nothing */
	FILE *to;
	unsigned faults;
};

/* Print "path:line: message", without the line where it is 0. */
void check_fault(struct verifier *v, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void check_warning(const struct verifier *v, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void check_note(const struct verifier *v, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether this machine has the address: whether a socket can be bound to it. */
bool check_is_local(struct address a);

/* A fault where mail for `to`, a value of `key` on `line`, would come back to us. */
void check_loop(
	struct verifier *v, unsigned line, const char *key, const struct address *to);

/* With this sysctl set, the kernel drops IPv4 replies to a borrowed address. */
bool check_valid_mark_needed(void);

/* [outbound], [policy] and [identity NAME]. */
void check_outbound(struct verifier *v);
void check_policy(struct verifier *v);
void check_identities(struct verifier *v);

/* Whether it is one that we may read; errno says why not. */
bool check_reads_directory(const char *path);

/* Prints what the configuration needs beside Sealpost: capabilities, routes, nft rules.
 */
void check_advise(const struct config *config);

#endif
