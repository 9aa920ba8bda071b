/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_LOG_H
#define SEALPOST_LOG_H

/*
 * Log lines of key=value pairs, to stderr, syslog or the journal (where each key is a
 * field as well). Values are escaped here: no caller can forge a line. No mail content,
 * no credentials.
 */

#include <stdbool.h>

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_JOURNAL, LOG_TARGETS };

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVELS
};

/* A pair of a line; value NULL leaves the pair out. */
struct log_field {
	const char *key; /* lower case, [a-z-]+; the journal's field is SEALPOST_KEY */
	const char *value;
};

/* As the configuration spells them; the last is NULL. */
extern const char *const log_target_names[LOG_TARGETS + 1];
extern const char *const log_level_names[LOG_LEVELS + 1];

/* False for a target that this build lacks: the journal, without libsystemd. */
bool log_can(enum log_target target);

/* Process-wide, called once at start and again at reload; connects at once. */
void log_open(enum log_target target, enum log_level level);

bool log_wants(enum log_level level);

/*
 * One line: the message (may be NULL), then the pairs: `message key=value key="value with
 * blanks"`. At most 2048 octets of text; longer values are cut and end in "...".
 */
void log_fields(enum log_level level, const char *message, const struct log_field *fields,
	unsigned count);

/* A line without pairs, as printf. */
void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
