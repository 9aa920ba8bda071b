/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "overview_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>

enum {
	MINUTE = 60,
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR,
	SOON = 14 * DAY, /* that a certificate expires; `check` warns as early */
	SILENCE = 3,	 /* domains; one or two may be at fault themselves */
};

const char *overview_role_name(enum overview_role role)
{
	static const char *const names[] = {
		[ROLE_SUPERVISOR] = "supervisor",
		[ROLE_WORKER] = "worker",
		[ROLE_POLICY] = "policy",
	};
	static_assert(sizeof(names) / sizeof(*names) == ROLE_POLICY + 1, "one each");
	return names[role];
}

const char *overview_span(time_t seconds, char text[OVERVIEW_SPAN])
{
	static const struct {
		long long seconds;
		const char *name;
	} units[] = { { DAY, "d" }, { HOUR, "h" }, { MINUTE, "min" }, { 1, "s" } };
	long long left = seconds < 0 ? 0 : seconds;
	unsigned i = 0;
	while (i < 3 && left < units[i].seconds)
		i++;
	int n = snprintf(
		text, OVERVIEW_SPAN, "%lld %s", left / units[i].seconds, units[i].name);
	left %= units[i].seconds;
	/* Of a week and more nobody wants the hours, of minutes nobody the seconds. */
	if (i < 2 && seconds < 7 * DAY && left >= units[i + 1].seconds)
		snprintf(text + n, OVERVIEW_SPAN - (size_t)n, " %lld %s",
			left / units[i + 1].seconds, units[i + 1].name);
	return text;
}

/* ---- what needs attention ---- */

struct notes {
	void (*tell)(void *context, const char *note);
	void *context;
	unsigned count;
};

__attribute__((format(printf, 2, 3))) static void note(
	struct notes *notes, const char *format, ...)
{
	char text[OVERVIEW_NOTE];
	va_list arguments;
	notes->count++;
	if (!notes->tell)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	notes->tell(notes->context, text);
}

static void note_certificates(struct notes *notes, const struct overview *o)
{
	for (unsigned i = 0; i < o->certificate_count; i++) {
		const struct overview_certificate *c = &o->certificates[i];
		char span[OVERVIEW_SPAN];
		if (c->expires <= o->now)
			note(notes, "%s has expired %s ago", c->file,
				overview_span(o->now - c->expires, span));
		else if (c->expires - o->now <= SOON)
			note(notes, "%s expires in %s", c->file,
				overview_span(c->expires - o->now, span));
	}
}

/* Who stops has no processes to miss. */
static void note_processes(struct notes *notes, const struct overview *o)
{
	for (unsigned i = 0; i < o->process_count && !o->stopping; i++)
		if (o->processes[i].pid == 0)
			note(notes, "a process is down and will be started again: %s",
				overview_role_name(o->processes[i].role));
}

unsigned overview_notes(const struct overview *o,
	void (*tell)(void *context, const char *note), void *context)
{
	struct notes notes = { tell, context, 0 };
	if (o->fault[0] != '\0')
		note(&notes, "the configuration was not taken up: %s", o->fault);
	if (o->policy && o->policy_broken > 0)
		note(&notes, "broken policy files: %u (sealpost check names them)",
			o->policy_broken);
	if (o->policy && o->unanswered >= SILENCE)
		note(&notes,
			"the DNS had no answer about the last %u domains (the log names "
			"them)",
			o->unanswered);
	note_certificates(&notes, o);
	note_processes(&notes, o);
	return notes.count;
}

bool overview_fine(const struct overview *overview)
{
	return overview_notes(overview, NULL, NULL) == 0;
}

/* ---- one line ---- */

struct line {
	char *to;
	size_t size, length;
};

__attribute__((format(printf, 2, 3))) static void add(
	struct line *line, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(
		line->to + line->length, line->size - line->length, format, arguments);
	va_end(arguments);
	line->length += n > 0 ? (size_t)n : 0;
	if (line->length >= line->size)
		line->length = line->size - 1;
}

static void add_note(void *context, const char *note)
{
	add(context, "; %s", note);
}

void overview_line(const struct overview *o, char *to, size_t size)
{
	struct line line = { to, size, 0 };
	uint64_t messages = 0, tls = 0;
	for (unsigned i = 0; i < o->service_count; i++) {
		messages += o->services[i].counts[COUNTER_MESSAGES];
		tls += o->services[i].counts[COUNTER_MESSAGES_TLS];
	}
	add(&line, "%s; sessions:", o->stopping ? "stopping" : "serving");
	for (unsigned i = 0; i < o->service_count; i++)
		add(&line, "%s %s %" PRIu64, i > 0 ? "," : "", o->services[i].name,
			o->services[i].counts[COUNTER_OPEN]);
	add(&line, "; messages: %" PRIu64 ", %" PRIu64 " of them on by TLS", messages,
		tls);
	overview_notes(o, add_note, &line);
	/* It is one line whatever the faults quote. */
	for (char *c = to; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}
