/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICY_SERVICE_H
#define SEALPOST_POLICY_SERVICE_H

/*
 * The policy process: policy files and DNS, asked over a socket pair. It never sees an
 * octet of mail. Killed, it is started again by whoever started it, and nothing is lost.
 */

#include "message.h"

#include <stdbool.h>

/* Gives up what the settings do not need; false with a reason. True with a reason, which
 * is "" until then: it could give up less than it should. */
typedef bool policy_confine(const struct settings *settings, char *reason, size_t size);

/*
 * Serves the supervisor on `fd` (SOCK_SEQPACKET; settings come first) and the workers
 * that it introduces, until all of them have hung up: exit status. `confine` (NULL: none)
 * is called when the settings are known, before anybody is asked anything.
 */
int policy_service_run(int fd, policy_confine *confine);

#endif
