/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_LABELS_H
#define SEALPOST_LABELS_H

/* What is a name of the DNS, wherever one is configured. */

#include <stdbool.h>

enum {
	LABELS_MAX = 253, /* octets of a name, RFC 1035 §2.3.4 less the root's */
};

#define LABELS_LOWER "abcdefghijklmnopqrstuvwxyz0123456789-"
#define LABELS_ANY   LABELS_LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/*
 * Labels between dots, of the octets in `allowed`, no hyphen at either end (RFC 1123
 * §2.1); the last is no number, for that would be (part of) an address.
 */
bool labels_valid(const char *name, const char *allowed);

#endif
