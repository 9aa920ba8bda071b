/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_POLICYFILE_CASES_H
#define SEALPOST_POLICYFILE_CASES_H

/* Policy files as texts, for the tests of their reading. */

#include "policyfile.h"

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* Parses `size` octets as the file "f"; *faults is the caller's to free. */
struct policyfile *parse(const char *domain, const char *octets, size_t size,
	char **faults, bool *subdomains);

/* Fails where there is a fault. */
struct policyfile *parse_fine(const char *domain, const char *text);

/* Fails where the faults are others. */
void assert_faults(
	const char *domain, const char *octets, size_t size, const char *expected);

struct fault_case {
	const char *text, *faults;
};

void assert_fault_cases(const char *domain, const struct fault_case *cases, size_t count);

#endif
