/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CONTROL_H
#define SEALPOST_CONTROL_H

/*
 * The control socket: a UNIX socket on which the supervisor tells whoever may connect
 * (user and group of the service, and root) how things stand. One caller's silence never
 * holds anything up: callers are few, bounded in time, and served without blocking.
 *
 * A caller says one line, "status" or "status json", and is answered by a line with an
 * enum status and the octets that follow, and hung up on.
 */

#include "overview.h"
#include "status.h"

#include <ev.h>
#include <stdbool.h>

struct control;

/*
 * For whoever starts as root: makes the directory of `path` for `user`, if only that is
 * missing. What cannot be done is told by control_open().
 */
void control_make_directory(const char *path, const char *user);

/*
 * Listens on `path` (mode 0660; a socket that nobody serves any more is replaced, any
 * other file is not). `fill` gives the overview when somebody asks. NULL with a reason.
 */
struct control *control_open(struct ev_loop *loop, const char *path,
	void (*fill)(struct overview *overview, void *context), void *context,
	char *reason, size_t size);
void control_close(struct control *control); /* removes the socket; NULL is allowed */

/*
 * `sealpost status`: NO where something needs attention. Of the
 * configuration only `control` is read, for the rest may have faults just now.
 */
enum status control_run(const char *config_path, bool json);

#endif
