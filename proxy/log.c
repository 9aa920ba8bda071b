/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
/* where a line is written in log.c tells nobody anything */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#endif

enum {
	LINE_MAX_OCTETS = 2048,
	VALUE_MAX_OCTETS = 512, /* so that one value cannot push all the others out */
	JOURNAL_FIELDS = 32,	/* pairs that become fields; the line has them all */
	JOURNAL_NAME_MAX = 64,
	PATIENCE = 1000, /* milliseconds, with a reader of stderr that has stopped */
};

const char *const log_target_names[LOG_TARGETS + 1] = { "stderr", "syslog", "journal",
	NULL };
const char *const log_level_names[LOG_LEVELS + 1] = { "error", "warning", "info", "debug",
	NULL };

static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

static_assert(
	sizeof(priorities) / sizeof(priorities[0]) == LOG_LEVELS, "a priority a level");

/* The process has one log, and modules far apart write to it. */
static struct {
	enum log_target target;
	enum log_level level;
	bool stamped; /* stderr: nobody else notes the time */
	bool stalled; /* stderr: its reader has stopped */
} state = { LOG_TO_STDERR, LOG_LEVEL_INFO, true, false };

/* ---- composing a line ---- */

struct line {
	size_t length;
	char text[LINE_MAX_OCTETS + 1];
};

/* Appends as many of the octets as fit below `limit`. */
static bool line_add(struct line *line, const char *octets, size_t n, size_t limit)
{
	if (line->length > limit || n > limit - line->length)
		return false;
	memcpy(line->text + line->length, octets, n);
	line->length += n;
	return true;
}

static bool printable(unsigned char c)
{
	return c >= ' ' && c < 127;
}

static bool line_add_text(struct line *line, const char *text, size_t limit)
{
	return line_add(line, text, strlen(text), limit);
}

/*
 * Appends text, what could break or forge a line as \xHH (in quotes: these and the
 * backslash too). What would go beyond `limit` is cut, and ends in "...".
 */
static void line_escape(struct line *line, const char *text, bool quotes, size_t limit)
{
	static const char cut[] = "...", hex[] = "0123456789ABCDEF";
	size_t room = limit - (sizeof(cut) - 1), safe = line->length;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = printable(c) && !(quotes && (c == '"' || c == '\\'));
		const char escaped[] = { '\\', 'x', hex[c >> 4], hex[c & 15] };

		if (!line_add(line, plain ? text : escaped, plain ? 1 : sizeof(escaped),
			    limit)) {
			line->length = safe;
			line_add(line, cut, sizeof(cut) - 1, limit);
			break;
		}
		if (line->length <= room)
			safe = line->length;
	}
	line->text[line->length] = '\0';
}

static size_t value_limit(const struct line *line, size_t reserved)
{
	size_t limit = line->length + VALUE_MAX_OCTETS;
	size_t end = LINE_MAX_OCTETS - reserved;

	return limit < end ? limit : end;
}

static void line_add_pair(struct line *line, const struct log_field *field)
{
	size_t before = line->length;
	bool quoted = strchr(field->value, ' ');
	const char *blank = line->length > 0 ? " " : "", *quote = quoted ? "\"" : "";

	/* Room for the end of a value that is cut is kept back. */
	size_t most = LINE_MAX_OCTETS - sizeof("...\"");
	if (!line_add_text(line, blank, most) || !line_add_text(line, field->key, most) ||
		!line_add_text(line, "=", most) || !line_add_text(line, quote, most)) {
		line->length = before;
		line->text[before] = '\0';
		return;
	}
	line_escape(line, field->value, true, value_limit(line, strlen(quote)));
	line_add_text(line, quote, LINE_MAX_OCTETS);
	line->text[line->length] = '\0';
}

static void line_compose(struct line *line, const char *message,
	const struct log_field *fields, unsigned count)
{
	line->length = 0;
	line->text[0] = '\0';
	if (message)
		line_escape(line, message, false, LINE_MAX_OCTETS);
	for (unsigned i = 0; i < count; i++) {
		if (fields[i].value)
			line_add_pair(line, &fields[i]);
	}
}

/* ---- where it goes ---- */

/*
 * Whoever waits for a log is no proxy: a reader that has stopped is given its time once,
 * and then lines are lost until it reads on. Where poll() sees room a line fits in.
 */
static bool stderr_takes(void)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	int n;

	do
		n = poll(&out, 1, state.stalled ? 0 : PATIENCE);
	while (n < 0 && errno == EINTR);
	state.stalled = n == 0;
	return !state.stalled;
}

static void write_all(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDERR_FILENO, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		length -= (size_t)n;
	}
}

static void to_stderr(enum log_level level, const struct line *line)
{
	char out[LINE_MAX_OCTETS + 64], stamp[32];
	time_t now = time(NULL);
	struct tm utc;
	int n;

	if (!state.stamped)
		n = snprintf(out, sizeof(out), "<%d>%s\n", priorities[level], line->text);
	else if (gmtime_r(&now, &utc) &&
		 strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &utc) > 0)
		n = snprintf(out, sizeof(out), "%s %s %s\n", stamp,
			log_level_names[level], line->text);
	else
		n = snprintf(
			out, sizeof(out), "%s %s\n", log_level_names[level], line->text);
	if (n > 0 && stderr_takes())
		write_all(out, (size_t)n);
}

#ifdef HAVE_SYSTEMD

struct journal {
	struct line texts; /* where the fields' text is */
	struct iovec fields[JOURNAL_FIELDS];
	int count;
};

/* "client-address" as "SEALPOST_CLIENT_ADDRESS=" */
static void journal_name(const char *key, char name[JOURNAL_NAME_MAX])
{
	int n = snprintf(name, JOURNAL_NAME_MAX, "SEALPOST_%s=", key);

	for (char *c = name; n > 0 && *c != '\0'; c++) {
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
		else if (*c == '-')
			*c = '_';
	}
}

/* What finds no room is left out: the message has it. */
static void journal_add(struct journal *journal, const char *name, const char *value)
{
	struct line *texts = &journal->texts;
	size_t start = texts->length;

	if (journal->count == JOURNAL_FIELDS)
		return;
	if (start + strlen(name) + sizeof("...") > LINE_MAX_OCTETS ||
		!line_add(texts, name, strlen(name), LINE_MAX_OCTETS))
		return;
	line_escape(texts, value, true, value_limit(texts, 0));
	journal->fields[journal->count++] =
		(struct iovec){ texts->text + start, texts->length - start };
}

static void to_journal(enum log_level level, const struct line *line,
	const struct log_field *fields, unsigned count)
{
	char message[LINE_MAX_OCTETS + 16], name[JOURNAL_NAME_MAX], priority[2];
	struct journal journal = { .count = 0 };
	int n = snprintf(message, sizeof(message), "MESSAGE=%s", line->text);

	journal.fields[journal.count++] = (struct iovec){ message, (size_t)n };
	snprintf(priority, sizeof(priority), "%d", priorities[level]);
	journal_add(&journal, "PRIORITY=", priority);
	journal_add(&journal, "SYSLOG_FACILITY=", "2");
	journal_add(&journal, "SYSLOG_IDENTIFIER=", "sealpost");
	for (unsigned i = 0; i < count; i++) {
		if (!fields[i].value)
			continue;
		journal_name(fields[i].key, name);
		journal_add(&journal, name, fields[i].value);
	}
	if (sd_journal_sendv(journal.fields, journal.count) < 0)
		to_stderr(level, line);
}

#else

static void to_journal(enum log_level level, const struct line *line,
	const struct log_field *fields, unsigned count)
{
	(void)fields;
	(void)count;
	to_stderr(level, line);
}

#endif

bool log_can(enum log_target target)
{
#ifdef HAVE_SYSTEMD
	(void)target;
	return true;
#else
	return target != LOG_TO_JOURNAL;
#endif
}

/* systemd names the stream that it connected to the journal: "DEVICE:INODE". */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat status;

	if (!stream || fstat(STDERR_FILENO, &status) != 0)
		return false;
	snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)status.st_dev,
		(uintmax_t)status.st_ino);
	return strcmp(stream, ours) == 0;
}

void log_open(enum log_target target, enum log_level level)
{
	static const struct line opened = { .text = "log opened", .length = 10 };
	if (state.target == LOG_TO_SYSLOG && target != LOG_TO_SYSLOG)
		closelog();
	state.target = target;
	state.level = level;
	state.stamped = !stderr_is_journal();
	/* At once: a process that has given up system calls could neither connect any
	 * more nor read what the time is here. */
	tzset();
	if (target == LOG_TO_SYSLOG)
		openlog("sealpost", LOG_PID | LOG_NDELAY, LOG_MAIL);
	if (target == LOG_TO_JOURNAL)
		to_journal(LOG_LEVEL_DEBUG, &opened, NULL, 0);
}

bool log_wants(enum log_level level)
{
	return level <= state.level;
}

void log_fields(enum log_level level, const char *message, const struct log_field *fields,
	unsigned count)
{
	struct line line;

	if (!log_wants(level))
		return;
	line_compose(&line, message, fields, count);
	switch (state.target) {
	case LOG_TO_SYSLOG: syslog(priorities[level], "%s", line.text); break;
	case LOG_TO_JOURNAL: to_journal(level, &line, fields, count); break;
	case LOG_TO_STDERR:
	case LOG_TARGETS: to_stderr(level, &line); break;
	}
}

void log_message(enum log_level level, const char *format, ...)
{
	char message[LINE_MAX_OCTETS + 1];
	va_list arguments;

	if (!log_wants(level))
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	log_fields(level, message, NULL, 0);
}
