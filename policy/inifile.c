/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "inifile.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum {
	COMPARED_MAX = 40, /* longer names are no slip of the finger */
};

void inifile_fault(struct inifile *file, unsigned line, const char *format, ...)
{
	va_list arguments;

	file->fault_count++;
	if (line > 0)
		fprintf(file->faults, "%s:%u: ", file->path, line);
	else
		fprintf(file->faults, "%s: ", file->path);
	va_start(arguments, format);
	vfprintf(file->faults, format, arguments);
	va_end(arguments);
	fputc('\n', file->faults);
}

/* ---- lines ---- */

static bool is_comment(const char *text)
{
	return *text == '\0' || *text == ';' || *text == '#';
}

/* Leaves the name empty for what is no header. */
static void section_take(struct inifile *file, const char *line)
{
	const char *name = line + 1, *end = name + strcspn(name, "];");
	int length = (int)(end - name);

	file->name[0] = '\0';
	if (*end != ']' || length == 0)
		inifile_fault(file, file->line, "a section is begun by [NAME]");
	else if (!is_comment(end + 1 + strspn(end + 1, " \t")))
		inifile_fault(file, file->line,
			"something stands behind the section's ]: write it on the next "
			"line");
	else
		snprintf(file->name, sizeof(file->name), "%.*s", length, name);
}

/* inih's handler: it hears of keys alone, and of one at a time. */
static int key_heard(void *user, const char *section, const char *name, const char *value)
{
	struct inifile *file = user;

	(void)section;
	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(file->value, sizeof(file->value), "%s", value);
	return 1;
}

/* In a name or in front of a value it looks like a blank, and is none. */
static bool has_odd_blank(const char *text)
{
	const char *odd = strstr(text, "\xC2\xA0"), *equals = strchr(text, '=');

	return odd && (!equals || odd <= equals + 1 + strspn(equals + 1, " \t"));
}

/* INIFILE_END where there is no item on the line. */
static enum inifile_item line_take(struct inifile *file, const char *text, bool whole)
{
	static const char byte_order_mark[] = "\xEF\xBB\xBF";
	size_t mark = sizeof(byte_order_mark) - 1;

	if (file->line == 1 && strncmp(text, byte_order_mark, mark) == 0)
		text += mark;
	/* to inih an indented line continues the one above, to most people not */
	text += strspn(text, " \t");
	if (is_comment(text))
		return INIFILE_END;
	if (!whole) {
		inifile_fault(
			file, file->line, "a line longer than %d octets", INIFILE_LINE);
		return INIFILE_END;
	}
	if (has_odd_blank(text)) {
		inifile_fault(file, file->line,
			"a no-break space, as web pages have it: write a plain one");
		return INIFILE_END;
	}
	if (*text == '[') {
		section_take(file, text);
		return INIFILE_SECTION;
	}
	if (ini_parse_string(text, key_heard, file) != 0) {
		inifile_fault(file, file->line,
			"neither [SECTION] nor key = value nor a comment");
		return INIFILE_END;
	}
	if (file->name[0] == '\0') {
		inifile_fault(
			file, file->line, "a value without a key: write key = value");
		return INIFILE_END;
	}
	return INIFILE_KEY;
}

enum line_status { LINE_WHOLE, LINE_LONG, LINE_BINARY, LINE_NONE };

/* Reads up to and with the next line end; what does not fit in `text` is dropped. */
static enum line_status line_read(FILE *in, char text[INIFILE_LINE + 1])
{
	enum line_status status = LINE_WHOLE;
	size_t length = 0;
	int c;

	while ((c = getc(in)) != EOF && c != '\n') {
		if (c != '\t' && c != '\r' && iscntrl(c))
			return LINE_BINARY;
		if (length < INIFILE_LINE)
			text[length++] = (char)c;
		else if (c != '\r')
			status = LINE_LONG;
	}
	if (length > 0 && text[length - 1] == '\r')
		length--;
	text[length] = '\0';
	return c == EOF && length == 0 ? LINE_NONE : status;
}

enum inifile_item inifile_next(struct inifile *file)
{
	char text[INIFILE_LINE + 1];
	enum inifile_item item = INIFILE_END;

	while (item == INIFILE_END) {
		enum line_status status = line_read(file->in, text);

		if (status == LINE_NONE && ferror(file->in)) {
			file->broken = true;
			file->error = errno;
			inifile_fault(
				file, 0, "cannot be read: %s", strerror(file->error));
		}
		if (status == LINE_NONE)
			break;
		file->line++;
		if (status == LINE_BINARY) {
			file->broken = true;
			inifile_fault(file, file->line,
				"a control character: this is no text file");
			break;
		}
		item = line_take(file, text, status == LINE_WHOLE);
	}
	return item;
}

/* ---- names ---- */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to add, drop or change (Levenshtein); at most COMPARED_MAX in `b`. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[COMPARED_MAX + 1];
	size_t columns = strlen(b);

	for (size_t j = 0; j <= columns; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= columns; j++) {
			unsigned changed = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = least(changed, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[columns];
}

bool inifile_nearer(const char *name, const char *known, unsigned *best)
{
	size_t length = strlen(name);

	if (length > COMPARED_MAX || strlen(known) > COMPARED_MAX)
		return false;
	unsigned d = distance(name, known);

	if (d >= *best || d > 1 + length / 4)
		return false;
	*best = d;
	return true;
}
