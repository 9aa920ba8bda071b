/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DNS_LOOP_H
#define SEALPOST_DNS_LOOP_H

/*
 * Our loop as libunbound's. Left to itself it would run a thread with a loop of
 * libevent's; but libev brings functions of the same names as libevent, and in a program
 * that has both libunbound would call the wrong ones.
 */

#include <ev.h>
#include <unbound-event.h>

/* To be freed by free(), after what was created with it. NULL without memory. */
struct ub_event_base *dns_loop_new(struct ev_loop *loop);

#endif
