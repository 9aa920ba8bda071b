/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_INIFILE_H
#define SEALPOST_INIFILE_H

/*
 * The lines of an INI file, one item after the other. inih splits each line, and is given
 * one at a time: so we know the number of the line that it speaks of, hear of every
 * broken one, and a line that it would cut or continue never reaches it.
 */

#include <ini.h>
#include <stdbool.h>
#include <stdio.h>

enum {
	INIFILE_LINE = INI_MAX_LINE - 3, /* octets; inih cuts a longer line in two */
};

enum inifile_item {
	INIFILE_END,
	INIFILE_SECTION, /* [name]; "" for one that was a fault: its keys are nobody's */
	INIFILE_KEY,	 /* name = value, which may be "" */
};

/* To begin with, all is 0 but the first three. */
struct inifile {
	FILE *in;
	const char *path;
	FILE *faults;
	unsigned fault_count;
	unsigned line; /* of the item, from 1 */
	bool broken;   /* no text, or it cannot be read: nothing more is worth saying */
	int error;     /* errno where it could not be read, else 0 */
	char name[INI_MAX_LINE], value[INI_MAX_LINE];
};

/* The next item. A line that is none is a fault, and so is a stream that fails. */
enum inifile_item inifile_next(struct inifile *file);

/* Prints "path:line: message", without the line where it is 0, and counts. */
void inifile_fault(struct inifile *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether `name` may be a slip of the finger for `known`, by fewer letters than *best,
 * which is set then. Begin with ~0u. */
bool inifile_nearer(const char *name, const char *known, unsigned *best);

#endif
