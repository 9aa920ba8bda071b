/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "policyfile_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct policyfile *parse(const char *domain, const char *octets, size_t size,
	char **faults, bool *subdomains)
{
	size_t length;
	FILE *in =
		size > 0 ? fmemopen((void *)octets, size, "r") : fopen("/dev/null", "r");
	FILE *out = open_memstream(faults, &length);

	assert_non_null(in);
	assert_non_null(out);
	struct policyfile *file = policyfile_read(in, "f", domain, out, subdomains);

	fclose(in);
	fclose(out);
	return file;
}

struct policyfile *parse_fine(const char *domain, const char *text)
{
	char *faults;
	bool subdomains;
	struct policyfile *file = parse(domain, text, strlen(text), &faults, &subdomains);

	assert_string_equal(faults, "");
	assert_non_null(file);
	assert_int_equal(subdomains, file->subdomains);
	free(faults);
	return file;
}

void assert_faults(
	const char *domain, const char *octets, size_t size, const char *expected)
{
	char *faults;
	bool subdomains;

	assert_null(parse(domain, octets, size, &faults, &subdomains));
	assert_string_equal(faults, expected);
	free(faults);
}

void assert_fault_cases(const char *domain, const struct fault_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_faults(
			domain, cases[i].text, strlen(cases[i].text), cases[i].faults);
}
