/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "config_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parses `size` octets as the file "f"; *faults is the caller's to free. */
static struct config *parse(const char *octets, size_t size, char **faults)
{
	size_t length;
	FILE *in = fmemopen((void *)octets, size, "r");
	FILE *out = open_memstream(faults, &length);

	assert_non_null(in);
	assert_non_null(out);
	struct config *config = config_parse(in, "f", out);

	fclose(in);
	fclose(out);
	return config;
}

struct config *parse_fine(const char *text)
{
	char *faults;
	struct config *config = parse(text, strlen(text), &faults);

	assert_string_equal(faults, "");
	assert_non_null(config);
	free(faults);
	return config;
}

void assert_faults(const char *octets, size_t size, const char *expected)
{
	char *faults;
	struct config *config = parse(octets, size, &faults);

	assert_string_equal(faults, expected);
	assert_null(config);
	assert_int_equal(errno, 0);
	free(faults);
}

void assert_fault_cases(const struct fault_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_faults(cases[i].text, strlen(cases[i].text), cases[i].faults);
}
