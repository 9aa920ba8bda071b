/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SANDBOX_H
#define SEALPOST_SANDBOX_H

/*
 * What a process may ask of the kernel, once it has what it needs: a seccomp filter each,
 * and Landlock for the one that reads files by names. The only place that knows
 * libseccomp. All need no_new_privs (privileges.h), and nothing can be undone; what is
 * refused fails with EPERM. A build with a sanitizer, whose runtime asks for more, has no
 * filters.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * The supervisor: starts ourselves, and reads the configuration's files. No tracing, no
 * mounting, no modules, no other process's memory. Its children inherit this.
 */
bool sandbox_supervisor(char *reason, size_t size);

/*
 * A worker: talks over sockets of IPv4 and IPv6, and opens no path, starts nothing. Call
 * when everything is loaded, before the first untrusted octet. `syslog`: it may also make
 * UNIX sockets, because syslog(3) does when syslogd was started again.
 */
bool sandbox_worker(bool syslog, char *reason, size_t size);

/* What the policy process may see of the file system: lists that end in NULL. Paths that
 * are not there are skipped. */
struct sandbox_paths {
	const char *const *read;  /* files and directories */
	const char *const *write; /* directories whose files come and go */
};

/*
 * The policy process: asks DNS and policy hosts, starts nothing, and sees these paths
 * alone. Where the kernel has no Landlock it sees what its user does: true, and *confined
 * is false.
 */
bool sandbox_policy(
	const struct sandbox_paths *paths, bool *confined, char *reason, size_t size);

#endif
