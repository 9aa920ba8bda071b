/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_SPANS_H
#define SEALPOST_TESTS_SPANS_H

/* Spans in tests. Include it behind cmocka.h. */

#include "smtp.h"

#include <stdio.h>
#include <string.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

static inline struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

/* Names the case at hand, so that a failure shows which it was. */
static inline void say(struct span s)
{
	char text[256];
	size_t n = 0;

	for (size_t i = 0; i < s.length && n + 5 < sizeof(text); i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c >= ' ' && c < 127)
			text[n++] = (char)c;
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n, "\\x%02X", c);
	}
	print_message("# %.*s\n", (int)n, text);
}

static inline void assert_span(struct span s, const char *text)
{
	assert_int_equal(s.length, strlen(text));
	if (s.length > 0)
		assert_memory_equal(s.at, text, s.length);
}

#endif
