/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_OVERVIEW_PRIVATE_H
#define SEALPOST_OVERVIEW_PRIVATE_H

/* Shared by overview.c (judgement), overview_text.c (words) and overview_json.c. */

#include "overview.h"

const char *overview_role_name(enum overview_role role);

enum { OVERVIEW_NOTE = OVERVIEW_FAULT + 100, OVERVIEW_SPAN = 32 };

/*
 * Calls `tell` with each thing that needs somebody's attention, as a sentence without its
 * end; without `tell` it counts alone. Returns how many there are.
 */
unsigned overview_notes(const struct overview *overview,
	void (*tell)(void *context, const char *note), void *context);

/* "81 d", "3 d 4 h", "2 h 5 min", "42 s"; returns text. */
const char *overview_span(time_t seconds, char text[OVERVIEW_SPAN]);

#endif
