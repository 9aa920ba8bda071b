/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "labels.h"

#include <string.h>

enum { LABEL_MAX = 63 }; /* octets, RFC 1035 §2.3.4 */

static bool label_valid(const char *label, size_t length, const char *allowed)
{
	return length > 0 && length <= LABEL_MAX && strspn(label, allowed) >= length &&
	       label[0] != '-' && label[length - 1] != '-';
}

bool labels_valid(const char *name, const char *allowed)
{
	if (strlen(name) > LABELS_MAX)
		return false;
	for (;;) {
		size_t length = strcspn(name, ".");
		if (!label_valid(name, length, allowed))
			return false;
		if (name[length] == '\0')
			break;
		name += length + 1;
	}
	return name[strspn(name, "0123456789")] != '\0';
}
