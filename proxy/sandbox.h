/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_SANDBOX_H
#define SEALPOST_SANDBOX_H

/*
 * What a process may ask of the kernel, once it has what it needs: a seccomp filter each,
 * and Landlock for the one that reads files. The only place that knows libseccomp.
 * All need no_new_privs (privileges.h), and none can be undone.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * The supervisor: starts ourselves, reads the configuration's files. No tracing, no
 * mounting, no modules, no other programs' business.
 */
bool sandbox_supervisor(char *reason, size_t size);

/*
 * A worker: talks over sockets of IPv4 and IPv6, and opens no path, starts nothing. Call
 * when everything is loaded, before the first untrusted octet.
 */
bool sandbox_worker(char *reason, size_t size);

/* What the policy process may still see of the file system; "" and NULL for none. */
struct sandbox_paths {
	const char *const *read;  /* files and directories, to be read; the last is NULL */
	const char *const *write; /* directories whose files come and go; likewise */
};

/*
 * The policy process: files below these paths alone (where the kernel has Landlock; else
 * `reason` says that it has not, and true is returned), and no program.
 */
bool sandbox_policy(const struct sandbox_paths *paths, char *reason, size_t size);

#endif
