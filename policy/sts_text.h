/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STS_TEXT_H
#define SEALPOST_STS_TEXT_H

/* The texts of MTA-STS (RFC 8461 §3): all of them are a stranger's. Pure. */

#include "requirement.h"

#include <stddef.h>
#include <stdint.h>

enum {
	STS_ID = 33,		 /* octets of an id, its NUL included */
	STS_BODY = 64 * 1024,	 /* octets of a policy at most */
	STS_AGE_MOST = 31557600, /* seconds: a year */
	STS_FILE = 12 * 1024,	 /* octets of what sts_text_write() writes */
};

enum sts_record {
	STS_RECORD_NONE,   /* it speaks of something else */
	STS_RECORD_BROKEN, /* of MTA-STS, and is malformed */
	STS_RECORD_FINE,
};

/* The data of a TXT record at _mta-sts.DOMAIN; `id` is "" but for STS_RECORD_FINE. */
enum sts_record sts_text_record(const uint8_t *data, size_t length, char id[STS_ID]);

/*
 * A policy as it is published. Sets mode, mx and mx_count of `sts` and how many seconds
 * it holds. Returns NULL, or what is wrong with it: a constant, in plain words.
 */
const char *sts_text_policy(
	const char *text, size_t length, struct sts *sts, uint32_t *max_age);

/*
 * A policy as it is kept in a file: readable as a published one, with a head that says
 * whose it is, its id and when it was fetched. Octets written, at most STS_FILE; 0 where
 * they do not fit.
 */
size_t sts_text_write(char *to, size_t size, const char *domain, const struct sts *sts);

/* Only what sts_text_write() would write for this domain, octet for octet. */
bool sts_text_read(const char *text, size_t length, const char *domain, struct sts *sts);

#endif
