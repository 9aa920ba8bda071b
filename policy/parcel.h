/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_PARCEL_H
#define SEALPOST_PARCEL_H

/*
 * One packet of a SOCK_SEQPACKET pair, with one descriptor or none. Never waits, whatever
 * the socket is set to. What comes is taken as hostile.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * Whole or not at all. `fd`: passed along, -1 for none; stays the caller's. `length` is
 * not 0. False with errno; EAGAIN: later, there is no room.
 */
bool parcel_send(int to, const void *octets, size_t length, int fd);

enum parcel_status {
	PARCEL_TAKEN,
	PARCEL_NONE,	 /* nothing is there yet */
	PARCEL_HUNG_UP,	 /* or cannot be read any more */
	PARCEL_NONSENSE, /* longer than `size`, or with more than one descriptor: dropped
			  */
};

/*
 * The next one: `length` octets, and in `fd` the descriptor, the caller's from now on and
 * close-on-exec. Where none came, or none was taken, *fd is -1 and nothing is left open.
 */
enum parcel_status parcel_receive(
	int from, void *octets, size_t size, size_t *length, int *fd);

#endif
