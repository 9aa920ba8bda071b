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

/* ---- lines ---- */

/* inih's handler. An empty name comes from section_line(), once for each section. */
static int line_heard(
	void *user, const char *section, const char *name, const char *value)
{
	struct config_reader *reader = user;

	if (*name == '\0' && *section != '\0')
		config_section_begin(reader, section);
	else if (*name == '\0')
		config_fault(
			reader, reader->line, "a value without a key: write key = value");
	else if (reader->section == SECTION_NONE)
		config_fault(reader, reader->line,
			"%s stands before any section: write [server] or another one "
			"above it",
			name);
	else if (reader->section != SECTION_UNKNOWN)
		config_key_set(reader, name, value);
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
			"a section's name is at most %d octets", CONFIG_NAME_MAX);
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

	/* a faulty one has been told of */
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
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		if (config_sections[s].what == NULL)
			config_defaults_set(&reader, s, 0);
	}
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

static void outbound_free(struct config_outbound *outbound)
{
	free(outbound->name);
	free(outbound->relay.host);
	free(outbound->credentials);
}

static void pair_free(struct tls_pair *pair)
{
	free((char *)pair->certificate);
	free((char *)pair->key);
}

static void policy_free(struct config_policy *policy)
{
	free(policy->directory);
	free(policy->resolver);
	free(policy->trust_anchor);
	free(policy->ca);
	free(policy->cache);
	for (unsigned i = 0; i < policy->stub_count; i++) {
		free(policy->stubs[i].zone);
		free(policy->stubs[i].server);
	}
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (unsigned i = 0; i < config->inbound_count; i++)
		inbound_free(&config->inbound[i]);
	for (unsigned i = 0; i < config->outbound_count; i++)
		outbound_free(&config->outbound[i]);
	for (unsigned i = 0; i < config->identity_count; i++) {
		free(config->identities[i].name);
		pair_free(&config->identities[i].pair);
	}
	for (unsigned i = 0; i < config->pair_count; i++)
		pair_free(&config->pairs[i]);
	policy_free(&config->policy);
	free(config->path);
	free(config->hostname);
	free(config->user);
	free(config->min_version);
	free(config->ticket_key);
	free(config->priority);
	free(config);
}
