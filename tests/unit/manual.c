/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "manual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char *manual_read(const char *page)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], *text = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/docs/%s", srcdir != NULL ? srcdir : ".", page);
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	assert_true(getdelim(&text, &size, '\0', in) > 0);
	fclose(in);
	return text;
}

char *manual_example(char **at)
{
	static const char begin[] = ".Bd -literal -offset indent\n", end[] = ".Ed\n";
	char *example = strstr(*at, begin);

	if (example == NULL)
		return NULL;
	example += strlen(begin);
	char *stop = strstr(example, end);

	assert_non_null(stop);
	*stop = '\0';
	*at = stop + 1;
	return example;
}
