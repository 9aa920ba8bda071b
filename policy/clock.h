/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_CLOCK_H
#define SEALPOST_CLOCK_H

#include <time.h>

/*
 * Seconds of a clock that nobody sets, for all that has a deadline. ev_now() is the time
 * of day: where that is put forward it would end sessions, back it would keep them.
 */
static inline double clock_steady(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
