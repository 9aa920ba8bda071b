/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_PRIVILEGES_H
#define SEALPOST_PRIVILEGES_H

/* What the process may do beyond any other: as little as its configuration needs. */

#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Call once sockets are bound and keys are read, before the first untrusted octet.
 * Started as root the process becomes `user`; either way it keeps no capability but those
 * that the configuration needs, can gain none back, and cannot be traced or dumped. False
 * with a reason, one line: then the process must end.
 */
bool privileges_drop(const struct config *config, char *reason, size_t size);

/*
 * The same for the supervisor, whose children get what they need by being executed: what
 * the configuration needs is theirs from then on (ambient), and they drop the rest.
 */
bool privileges_drop_to_hand_on(const struct config *config, char *reason, size_t size);

/*
 * For a command that asks the network and has read what `user` may not read: started as
 * root the process becomes `user`; either way it is left with nothing, as by
 * privileges_none(). False with a reason.
 */
bool privileges_drop_all(const struct config *config, char *reason, size_t size);

/*
 * For a process that needs nothing: no capability, now or later, neither traced nor
 * dumped. False with a reason.
 */
bool privileges_none(char *reason, size_t size);

/* Whether we may change the firewall; true as well where nobody can tell. */
bool privileges_net_admin(void);

/*
 * From here on this process is killed when its parent, the process `parent`, ends; at
 * once where that has ended already. privileges_drop() makes the kernel forget it: call
 * after.
 */
void privileges_end_with(pid_t parent);

#endif
