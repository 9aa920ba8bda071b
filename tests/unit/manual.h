/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_MANUAL_H
#define SEALPOST_TESTS_MANUAL_H

/* The man pages, whose examples and keys are held against what the program takes. */

/* "sealpost.conf.5", from docs/ below $srcdir; to be freed. */
char *manual_read(const char *page);

/* The next literal display at or behind *at, cut out of the text; NULL: none is left. */
char *manual_example(char **at);

#endif
