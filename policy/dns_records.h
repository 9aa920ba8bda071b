/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DNS_RECORDS_H
#define SEALPOST_DNS_RECORDS_H

/* The records of a name, of one type, asked of libunbound. */

#include "dns.h"
#include "dns_packet.h"

struct dns_records;

/*
 * Calls `done` once, perhaps from within this function: with why nothing can be known
 * (a server error, bogus, no answer within `seconds`), or with the packet, whose records
 * are still to be read; DNS_NXDOMAIN is an answer too. Returns what can be cancelled, or
 * NULL where `done` has been called already.
 */
struct dns_records *dns_records_find(struct dns *dns, const char *name,
	enum dns_type type, double seconds,
	void (*done)(const char *why, struct dns_packet *packet, void *context),
	void *context);

/* `done` will not be called. NULL is allowed. */
void dns_records_cancel(struct dns_records *records);

/* Those that libunbound has still to answer, once it can answer none any more. */
void dns_records_forget(struct dns *dns);

#endif
