/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * For a person at a terminal: what needs attention comes first, then the tables. Nothing
 * of what files and certificates are called gets out but printable ASCII.
 */

#include "overview_private.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
	CELL = OVERVIEW_NAMES,
	TERMINAL = 80, /* columns: what needs more stands closer */
};

/* ---- tables ---- */

/* Columns as wide as what stands in them, numbers to the right, words to the left. */
struct table {
	const char *const *headings;
	unsigned columns, rows;
	unsigned words; /* so many columns at the left, ... */
	bool last_word; /* ... and the last one */
	void (*cell)(
		const struct overview *o, unsigned row, unsigned column, char text[CELL]);
};

static void make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static int width(const struct overview *o, const struct table *t, unsigned column)
{
	size_t widest = strlen(t->headings[column]);
	for (unsigned row = 0; row < t->rows; row++) {
		char text[CELL];
		t->cell(o, row, column, text);
		widest = strlen(text) > widest ? strlen(text) : widest;
	}
	return (int)widest;
}

static void print_row(const struct overview *o, const struct table *t, const int *widths,
	const char *gap, int row, FILE *to)
{
	for (unsigned i = 0; i < t->columns; i++) {
		bool last = i + 1 == t->columns;
		bool word = i < t->words || (last && t->last_word);
		char text[CELL];
		if (row < 0)
			snprintf(text, sizeof(text), "%s", t->headings[i]);
		else
			t->cell(o, (unsigned)row, i, text);
		make_printable(text);
		if (word && last)
			fputs(text, to);
		else
			fprintf(to, "%*s", word ? -widths[i] : widths[i], text);
		fputs(last ? "\n" : gap, to);
	}
}

static void print_table(const struct overview *o, const struct table *t, FILE *to)
{
	int widths[16], whole = 2 * ((int)t->columns - 1);
	assert(t->columns <= sizeof(widths) / sizeof(*widths));
	if (t->rows == 0)
		return;
	for (unsigned i = 0; i < t->columns; i++)
		whole += widths[i] = width(o, t, i);
	const char *gap = whole > TERMINAL && !t->last_word ? " " : "  ";
	fputc('\n', to);
	for (int row = -1; row < (int)t->rows; row++)
		print_row(o, t, widths, gap, row, to);
}

/* ---- services ---- */

enum { SERVICE_WORDS = 2 };

static const char *const service_headings[] = {
	"SERVICE",
	"KIND",
	[SERVICE_WORDS + COUNTER_OPEN] = "OPEN",
	[SERVICE_WORDS + COUNTER_SESSIONS] = "SESSIONS",
	[SERVICE_WORDS + COUNTER_TURNED_AWAY] = "AWAY",
	[SERVICE_WORDS + COUNTER_NEAR_TLS] = "IN-TLS",
	[SERVICE_WORDS + COUNTER_MESSAGES] = "MAIL",
	[SERVICE_WORDS + COUNTER_MESSAGES_TLS] = "ON-TLS",
	[SERVICE_WORDS + COUNTER_MESSAGES_VERIFIED] = "VERIFIED",
	[SERVICE_WORDS + COUNTER_OCTETS] = "SIZE",
	[SERVICE_WORDS + COUNTER_REFUSED] = "REFUSED",
};
static_assert(
	sizeof(service_headings) / sizeof(*service_headings) == SERVICE_WORDS + COUNTERS,
	"a heading each");

static void size_text(uint64_t octets, char text[CELL])
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB", "PB" };
	double size = (double)octets;
	unsigned i = 0;
	for (; size >= 999.95 && i + 1 < sizeof(units) / sizeof(*units); i++)
		size /= 1000;
	snprintf(text, CELL, i == 0 ? "%.0f %s" : "%.1f %s", size, units[i]);
}

static void service_cell(
	const struct overview *o, unsigned row, unsigned column, char text[CELL])
{
	const struct overview_service *s = &o->services[row];
	if (column == 0)
		snprintf(text, CELL, "%s", s->name);
	else if (column == 1)
		snprintf(text, CELL, "%s", s->kind);
	else if (column == SERVICE_WORDS + COUNTER_OCTETS)
		size_text(s->counts[COUNTER_OCTETS], text);
	else
		snprintf(text, CELL, "%" PRIu64, s->counts[column - SERVICE_WORDS]);
}

/* ---- certificates ---- */

static const char *const certificate_headings[] = { "CERTIFICATE", "EXPIRES", "NAMES" };

static void expiry_text(const struct overview *o, time_t expires, char text[CELL])
{
	char day[16] = "?", span[OVERVIEW_SPAN];
	struct tm utc;
	if (gmtime_r(&expires, &utc))
		strftime(day, sizeof(day), "%Y-%m-%d", &utc);
	if (expires <= o->now)
		snprintf(text, CELL, "%s ago (%s)", overview_span(o->now - expires, span),
			day);
	else
		snprintf(text, CELL, "in %s (%s)", overview_span(expires - o->now, span),
			day);
}

static void certificate_cell(
	const struct overview *o, unsigned row, unsigned column, char text[CELL])
{
	const struct overview_certificate *c = &o->certificates[row];
	if (column == 1)
		expiry_text(o, c->expires, text);
	else
		snprintf(text, CELL, "%s", column == 0 ? c->file : c->names);
}

/* ---- processes ---- */

static const char *const process_headings[] = { "PROCESS", "UP", "PID", "RESTARTS",
	"SESSIONS" };

static void process_cell(
	const struct overview *o, unsigned row, unsigned column, char text[CELL])
{
	const struct overview_process *p = &o->processes[row];
	char span[OVERVIEW_SPAN];
	snprintf(text, CELL, "-");
	if (column == 0)
		snprintf(text, CELL, "%s", overview_role_name(p->role));
	else if (column == 1)
		snprintf(text, CELL, "%s",
			p->pid != 0 ? overview_span(o->now - p->since, span) : "down");
	else if (column == 2 && p->pid != 0)
		snprintf(text, CELL, "%lld", (long long)p->pid);
	else if (column == 3 && p->role != ROLE_SUPERVISOR)
		snprintf(text, CELL, "%u", p->restarts);
	else if (column == 4 && p->role == ROLE_WORKER)
		snprintf(text, CELL, "%" PRIu64, p->sessions);
}

/* ---- the whole ---- */

static void print_note(void *to, const char *note)
{
	char text[OVERVIEW_NOTE];
	snprintf(text, sizeof(text), "%s", note);
	make_printable(text);
	fprintf(to, "! %s\n", text);
}

static void print_head(const struct overview *o, FILE *to)
{
	char span[OVERVIEW_SPAN], file[CELL];
	fprintf(to, "sealpost %s, %s for %s\n", o->version,
		o->stopping ? "stopping; has served" : "serving",
		overview_span(o->now - o->since, span));
	overview_notes(o, print_note, to);
	snprintf(file, sizeof(file), "%s", o->config);
	make_printable(file);
	fprintf(to, "\nconfiguration  %s, generation %" PRIu32 ", in force for %s\n",
		file, o->generation, overview_span(o->now - o->taken, span));
	fprintf(to, "connections    %u of %u\n", o->connections, o->connections_most);
	if (o->policy)
		fprintf(to, "policy files   %u, broken %u, generation %" PRIu64 "\n",
			o->policy_files, o->policy_broken, o->policy_generation);
}

void overview_print(const struct overview *o, FILE *to)
{
	const struct table services = { service_headings, SERVICE_WORDS + COUNTERS,
		o->service_count, SERVICE_WORDS, false, service_cell };
	const struct table certificates = { certificate_headings, 3, o->certificate_count,
		2, true, certificate_cell };
	const struct table processes = { process_headings, 5, o->process_count, 2, false,
		process_cell };
	print_head(o, to);
	print_table(o, &services, to);
	print_table(o, &certificates, to);
	print_table(o, &processes, to);
}
