/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Reads the file line by line. inih splits each line, and is given one at a time: so we
 * know the number of the line that it speaks of, hear of every broken one, and a line
 * that it would cut or continue never reaches it.
 */

#include "config.h"
#include "config_schema.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LINE_MAX_TEXT = INI_MAX_LINE - 3, /* inih cuts a longer line in two */
	HEADER_MAX = 49,		  /* inih cuts a longer name of a section */
	SECTION_MAX = 32,		  /* octets of the NAME of [inbound NAME] */
	HOST_MAX = 256,
};

void config_fault(struct config_reader *reader, unsigned line, const char *format, ...)
{
	va_list arguments;

	reader->fault_count++;
	if (line > 0)
		fprintf(reader->to, "%s:%u: ", reader->path, line);
	else
		fprintf(reader->to, "%s: ", reader->path);
	va_start(arguments, format);
	vfprintf(reader->to, format, arguments);
	va_end(arguments);
	fputc('\n', reader->to);
}

/* ---- values ---- */

static void value_fault(struct config_reader *reader, const struct config_key *key,
	const char *value, enum config_value_status status)
{
	char text[CONFIG_TEXT];

	config_fault(reader, reader->line, "%s = %s: %s", key->name, value,
		config_value_wanted(key, status, text));
}

static void value_set(struct config_reader *reader, const struct config_key *key,
	void *base, const char *value)
{
	enum config_value_status status = config_value_set(key, base, value);

	if (status != VALUE_OK)
		value_fault(reader, key, value, status);
}

/* Each of the values of a line. */
static void values_set(struct config_reader *reader, const struct config_key *key,
	void *base, const char *values)
{
	char copy[INI_MAX_LINE], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", values);
	for (char *value; (value = strtok_r(rest, " \t", &rest)) != NULL;)
		value_set(reader, key, base, value);
}

/* Sets the defaults: of [inbound] where `inbound` is given, else of all other ones. */
static void defaults_set(struct config_reader *reader, struct config_inbound *inbound)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->fallback == NULL ||
			(key->section == SECTION_INBOUND) != (inbound != NULL))
			continue;
		value_set(reader, key, inbound != NULL ? (void *)inbound : reader->config,
			key->fallback);
	}
}

/* ---- sections ---- */

/* Sections of later releases: their keys are no slips of the pen. */
static bool section_planned(const char *name)
{
	static const char *const planned[] = { "outbound", "policy", "identity" };
	size_t length = strcspn(name, " \t");

	for (size_t i = 0; i < sizeof(planned) / sizeof(planned[0]); i++) {
		if (strlen(planned[i]) == length &&
			strncmp(planned[i], name, length) == 0)
			return true;
	}
	return false;
}

static void section_unknown(struct config_reader *reader, const char *name)
{
	const char *nearest = config_section_nearest(name);

	reader->section = SECTION_UNKNOWN;
	if (section_planned(name))
		config_fault(reader, reader->line,
			"[%s]: this release has no such section yet", name);
	else if (nearest != NULL)
		config_fault(reader, reader->line, "unknown section [%s]: is [%s] meant?",
			name, nearest);
	else
		config_fault(reader, reader->line,
			"unknown section [%s]: there are [server], [tls], [limits], "
			"[inbound] and [inbound NAME]",
			name);
}

static bool service_name_valid(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return length > 0 && length <= SECTION_MAX && name[length] == '\0';
}

static const struct config_inbound *inbound_find(
	const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->inbound_count; i++) {
		if (strcmp(config->inbound[i].name, name) == 0)
			return &config->inbound[i];
	}
	return NULL;
}

static void inbound_begin(struct config_reader *reader, const char *name)
{
	struct config *config = reader->config;
	const struct config_inbound *same = inbound_find(config, name);

	reader->section = SECTION_UNKNOWN;
	if (!service_name_valid(name)) {
		config_fault(reader, reader->line,
			"[inbound %s]: a name is 1 to %d letters, digits, '-', '_' or "
			"'.'",
			name, SECTION_MAX);
		return;
	}
	if (same != NULL) {
		config_fault(reader, reader->line,
			"a second service named %s: the first is on line %u; give each "
			"its own [inbound NAME]",
			name, same->line);
		return;
	}
	if (config->inbound_count == CONFIG_INBOUND_MAX) {
		config_fault(reader, reader->line,
			"[inbound %s]: there is room for %d services", name,
			CONFIG_INBOUND_MAX);
		return;
	}
	struct config_inbound *inbound = &config->inbound[config->inbound_count];

	inbound->name = strdup(name);
	if (inbound->name == NULL) {
		config_fault(reader, reader->line, "out of memory");
		return;
	}
	inbound->line = reader->line;
	config->inbound_count++;
	reader->section = SECTION_INBOUND;
	defaults_set(reader, inbound);
}

static void section_begin(struct config_reader *reader, const char *name)
{
	static const char inbound[] = "inbound";
	size_t prefix = sizeof(inbound) - 1;

	if (strncmp(name, inbound, prefix) == 0 && strchr(" \t", name[prefix]) != NULL) {
		name += prefix;
		name += strspn(name, " \t");
		inbound_begin(reader, *name != '\0' ? name : inbound);
		return;
	}
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		if (strcmp(config_section_names[s], name) != 0)
			continue;
		reader->section = s;
		if (reader->section_lines[s] > 0)
			config_fault(reader, reader->line,
				"[%s] again: it began on line %u; write its keys there",
				name, reader->section_lines[s]);
		else
			reader->section_lines[s] = reader->line;
		return;
	}
	section_unknown(reader, name);
}

/* ---- keys ---- */

static void key_unknown(struct config_reader *reader, const char *name)
{
	const char *section = config_section_names[reader->section];
	const char *nearest = config_key_nearest(reader->section, name);

	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		if (config_key_find(s, name) != NULL) {
			config_fault(reader, reader->line,
				"unknown key %s in [%s]: it belongs in [%s]", name,
				section, config_section_names[s]);
			return;
		}
	}
	if (nearest != NULL)
		config_fault(reader, reader->line, "unknown key %s in [%s]: is %s meant?",
			name, section, nearest);
	else
		config_fault(reader, reader->line,
			"unknown key %s in [%s]: see sealpost.conf(5) for those there "
			"are",
			name, section);
}

/* Notes that the key stands here; false, with a fault, where it may not stand again. */
static bool key_note(struct config_reader *reader, const struct config_key *key)
{
	unsigned row =
		key->section == SECTION_INBOUND ? reader->config->inbound_count : 0;
	unsigned *seen = &reader->seen[row][key - config_keys];

	if (*seen > 0 && key->type < TYPE_CERTIFICATE) {
		config_fault(reader, reader->line,
			"%s again: it stands on line %u already", key->name, *seen);
		return false;
	}
	if (*seen == 0)
		*seen = reader->line;
	return true;
}

static void key_set(struct config_reader *reader, const char *name, const char *value)
{
	struct config *config = reader->config;
	const struct config_key *key = config_key_find(reader->section, name);

	if (key == NULL) {
		key_unknown(reader, name);
		return;
	}
	if (!key_note(reader, key))
		return;
	if (*value == '\0') {
		/* as though it were not there: the default stands */
		if (key->mandatory || key->type == TYPE_CERTIFICATE ||
			key->type == TYPE_KEY)
			config_fault(reader, reader->line, "%s is empty", name);
		return;
	}
	void *base = config;

	if (key->section == SECTION_INBOUND)
		base = &config->inbound[config->inbound_count - 1];
	if (key->type == TYPE_CERTIFICATE && config->pair_count < CONFIG_PAIR_MAX)
		config->pair_lines[config->pair_count] = reader->line;
	if (key->type >= TYPE_LISTEN)
		values_set(reader, key, base, value);
	else
		value_set(reader, key, base, value);
}

/* ---- lines ---- */

/* inih's handler. An empty name comes from section_line(), once for each section. */
static int line_heard(
	void *user, const char *section, const char *name, const char *value)
{
	struct config_reader *reader = user;

	if (*name == '\0' && *section != '\0')
		section_begin(reader, section);
	else if (*name == '\0')
		config_fault(
			reader, reader->line, "a value without a key: write key = value");
	else if (reader->section == SECTION_NONE)
		config_fault(reader, reader->line,
			"%s stands before any section: write [server] or another one "
			"above it",
			name);
	else if (reader->section != SECTION_UNKNOWN)
		key_set(reader, name, value);
	return 1;
}

static bool line_is_comment(const char *text)
{
	return *text == '\0' || *text == ';' || *text == '#';
}

static void section_line(struct config_reader *reader, const char *line)
{
	char alone[INI_MAX_LINE];
	const char *name = line + 1, *end = name + strcspn(name, "];");

	/* whatever is wrong with it, the keys below do not belong to the section above */
	reader->section = SECTION_UNKNOWN;
	if (*end != ']' || end == name) {
		config_fault(reader, reader->line, "a section is begun by [NAME]");
		return;
	}
	const char *rest = end + 1 + strspn(end + 1, " \t");

	if (!line_is_comment(rest)) {
		config_fault(reader, reader->line,
			"something stands behind the section's ]: write it on the next "
			"line");
		return;
	}
	if (end - name > HEADER_MAX) {
		config_fault(reader, reader->line,
			"a section's name is at most %d octets", SECTION_MAX);
		return;
	}
	snprintf(alone, sizeof(alone), "[%.*s]\n=\n", (int)(end - name), name);
	ini_parse_string(alone, line_heard, reader);
}

static void line_take(struct config_reader *reader, const char *text, bool whole)
{
	static const char byte_order_mark[] = "\xEF\xBB\xBF";
	size_t mark = sizeof(byte_order_mark) - 1;

	if (reader->line == 1 && strncmp(text, byte_order_mark, mark) == 0)
		text += mark;
	/* to inih an indented line continues the one above, to most people not */
	text += strspn(text, " \t");
	if (line_is_comment(text))
		return;
	if (!whole)
		config_fault(reader, reader->line, "a line longer than %d octets",
			LINE_MAX_TEXT);
	else if (*text == '[')
		section_line(reader, text);
	else if (ini_parse_string(text, line_heard, reader) != 0)
		config_fault(reader, reader->line,
			"neither [SECTION] nor key = value nor a comment");
}

enum line_status { LINE_WHOLE, LINE_LONG, LINE_BINARY, LINE_NONE };

/* Reads up to and with the next line end; what does not fit in `text` is dropped. */
static enum line_status line_read(FILE *in, char text[LINE_MAX_TEXT + 1])
{
	enum line_status status = LINE_WHOLE;
	size_t length = 0;
	int c;

	while ((c = getc(in)) != EOF && c != '\n') {
		if (c != '\t' && c != '\r' && iscntrl(c))
			return LINE_BINARY;
		if (length < LINE_MAX_TEXT)
			text[length++] = (char)c;
		else if (c != '\r')
			status = LINE_LONG;
	}
	if (length > 0 && text[length - 1] == '\r')
		length--;
	text[length] = '\0';
	return c == EOF && length == 0 ? LINE_NONE : status;
}

/* False where the file is none of ours: then nothing more is worth saying of it. */
static bool lines_read(struct config_reader *reader, FILE *in)
{
	char text[LINE_MAX_TEXT + 1];

	for (;;) {
		enum line_status status = line_read(in, text);

		if (status == LINE_NONE)
			return true;
		reader->line++;
		if (status == LINE_BINARY) {
			config_fault(reader, reader->line,
				"a control character: this is no text file");
			return false;
		}
		line_take(reader, text, status == LINE_WHOLE);
	}
}

/* ---- the whole ---- */

static struct config *config_new(const char *path)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	config->path = strdup(path);
	if (config->path == NULL) {
		free(config);
		return NULL;
	}
	return config;
}

/* A machine's name is its administrator's to choose: it is held to the same rule. */
static void hostname_default(struct config_reader *reader)
{
	struct config *config = reader->config;
	const struct config_key *key = config_key_find(SECTION_SERVER, "hostname");
	char name[HOST_MAX] = "";

	if (config->hostname != NULL || reader->seen[0][key - config_keys] > 0)
		return;
	if (gethostname(name, sizeof(name) - 1) != 0 ||
		config_value_set(key, config, name) != VALUE_OK)
		config_fault(reader, 0,
			"no hostname, and this machine's own, \"%s\", is no domain "
			"name: write hostname = in [server]",
			name);
}

struct config *config_parse(FILE *in, const char *name, FILE *faults)
{
	struct config_reader reader = {
		.config = config_new(name),
		.path = name,
		.to = faults,
		.section = SECTION_NONE,
	};
	int error = 0;

	if (reader.config == NULL) {
		errno = ENOMEM;
		config_fault(&reader, 0, "cannot be read: %s", strerror(errno));
		return NULL;
	}
	defaults_set(&reader, NULL);
	bool text = lines_read(&reader, in);

	if (ferror(in)) {
		error = errno;
		config_fault(&reader, 0, "cannot be read: %s", strerror(error));
	} else if (text) {
		hostname_default(&reader);
		config_cross_check(&reader);
	}
	if (reader.fault_count > 0) {
		config_free(reader.config);
		errno = error;
		return NULL;
	}
	return reader.config;
}

struct config *config_read(const char *path, FILE *faults)
{
	FILE *in = fopen(path, "re");

	if (in == NULL) {
		int error = errno;

		fprintf(faults, "%s: cannot be read: %s\n", path, strerror(error));
		errno = error;
		return NULL;
	}
	struct config *config = config_parse(in, path, faults);
	int error = errno;

	fclose(in);
	errno = error;
	return config;
}

static void inbound_free(struct config_inbound *inbound)
{
	free(inbound->name);
	for (unsigned i = 0; i < inbound->backend_count; i++)
		free(inbound->backend[i].host);
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (unsigned i = 0; i < config->inbound_count; i++)
		inbound_free(&config->inbound[i]);
	for (unsigned i = 0; i < config->pair_count; i++) {
		free((char *)config->pairs[i].certificate);
		free((char *)config->pairs[i].key);
	}
	free(config->path);
	free(config->hostname);
	free(config->user);
	free(config->min_version);
	free(config->ticket_key);
	free(config->priority);
	free(config);
}
