/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What a header and a key = value do to the configuration that is being read. */

#include "config_schema.h"

#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static void value_fault(struct config_reader *reader, const struct config_key *key,
	const char *value, enum config_value_status status)
{
	char text[CONFIG_TEXT];

	inifile_fault(&reader->ini, reader->ini.line, "%s = %s: %s", key->name, value,
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
	char copy[CONFIG_TEXT], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", values);
	for (char *value; (value = strtok_r(rest, " \t", &rest));)
		value_set(reader, key, base, value);
}

/* A value as it stands in a line: perhaps several. */
static void values_take(struct config_reader *reader, const struct config_key *key,
	void *base, const char *values)
{
	if (key->type >= TYPE_LISTEN)
		values_set(reader, key, base, values);
	else
		value_set(reader, key, base, values);
}

void config_defaults_set(
	struct config_reader *reader, enum config_section section, unsigned i)
{
	void *base = config_section_at(reader->config, section, i);

	for (size_t k = 0; k < CONFIG_KEYS; k++) {
		const struct config_key *key = &config_keys[k];

		if (key->section == section && key->fallback)
			values_take(reader, key, base, key->fallback);
	}
}

/* ---- sections ---- */

/* `rest` is what stands behind the header's first word. */
static void section_unknown(
	struct config_reader *reader, const char *header, const char *rest)
{
	char word[CONFIG_TEXT];
	size_t length = strcspn(header, " \t");

	snprintf(word, sizeof(word), "%.*s", (int)length, header);
	const struct config_section_kind *nearest = config_section_nearest(word);

	if (!nearest) {
		inifile_fault(&reader->ini, reader->ini.line,
			"unknown section [%s]: there are [server], [tls], [limits], "
			"[policy], [inbound], [outbound] and [identity NAME]",
			header);
		return;
	}
	if (!nearest->what)
		rest = "";
	inifile_fault(&reader->ini, reader->ini.line,
		"unknown section [%s]: is [%s%s%s] meant?", header, nearest->name,
		*rest != '\0' ? " " : "", rest);
}

static bool name_valid(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return length > 0 && length <= CONFIG_NAME_MAX && name[length] == '\0';
}

/* The line of the service or identity of that name, 0: there is none. */
static unsigned name_line(
	const struct config_reader *reader, const char *what, const char *name)
{
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		const struct config_section_kind *kind = &config_sections[s];

		if (!kind->what || strcmp(kind->what, what) != 0)
			continue;
		for (unsigned i = 0; i < config_section_count(reader->config, s); i++) {
			const char *at = config_section_at(reader->config, s, i);
			char *const *own = (char *const *)(at + kind->own_name);

			if (strcmp(*own, name) == 0)
				return *(const unsigned *)(at + kind->own_line);
		}
	}
	return 0;
}

static void section_new(
	struct config_reader *reader, enum config_section section, const char *name)
{
	const struct config_section_kind *kind = &config_sections[section];
	unsigned nth = config_section_count(reader->config, section);
	char *at = config_section_at(reader->config, section, nth);
	char *copy = strdup(name);

	if (!copy) {
		inifile_fault(&reader->ini, reader->ini.line, "out of memory");
		return;
	}
	*(char **)(at + kind->own_name) = copy;
	*(unsigned *)(at + kind->own_line) = reader->ini.line;
	++*(unsigned *)((char *)reader->config + kind->count);
	reader->section = section;
	reader->nth = nth;
	config_defaults_set(reader, section, nth);
}

/* Begins one of several, [kind NAME]; without a NAME it bears the kind's. */
static void section_add(
	struct config_reader *reader, enum config_section section, const char *name)
{
	const struct config_section_kind *kind = &config_sections[section];
	unsigned nth = config_section_count(reader->config, section);

	if (*name == '\0' && kind->named) {
		inifile_fault(&reader->ini, reader->ini.line,
			"[%s]: it needs a name: [%s NAME]", kind->name, kind->name);
		return;
	}
	if (*name == '\0')
		name = kind->name;
	if (!name_valid(name)) {
		inifile_fault(&reader->ini, reader->ini.line,
			"[%s %s]: a name is 1 to %d letters, digits, '-', '_' or '.'",
			kind->name, name, CONFIG_NAME_MAX);
		return;
	}
	unsigned same = name_line(reader, kind->what, name);

	if (same > 0) {
		inifile_fault(&reader->ini, reader->ini.line,
			"a second %s named %s: the first is on line %u; give each its "
			"own [%s NAME]",
			kind->what, name, same, kind->name);
		return;
	}
	if (nth == CONFIG_SECTION_ROOM) {
		inifile_fault(&reader->ini, reader->ini.line,
			"[%s %s]: one too many: there is room for %d", kind->name, name,
			CONFIG_SECTION_ROOM);
		return;
	}
	section_new(reader, section, name);
}

static void section_single(struct config_reader *reader, enum config_section section)
{
	unsigned *line = &reader->config->lines->sections[section];

	reader->section = section;
	reader->nth = 0;
	if (*line > 0)
		inifile_fault(&reader->ini, reader->ini.line,
			"[%s] again: it began on line %u; write its keys there",
			config_sections[section].name, *line);
	else
		*line = reader->ini.line;
}

void config_section_begin(struct config_reader *reader, const char *header)
{
	size_t length = strcspn(header, " \t");
	const char *rest = header + length + strspn(header + length, " \t");

	/* whatever is wrong with it, the keys below do not belong to the section above */
	reader->section = SECTION_UNKNOWN;
	if (*header == '\0')
		return;
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		const struct config_section_kind *kind = &config_sections[s];

		if (strlen(kind->name) != length ||
			strncmp(kind->name, header, length) != 0)
			continue;
		if (kind->what)
			section_add(reader, s, rest);
		else if (*rest == '\0')
			section_single(reader, s);
		else
			break;
		return;
	}
	section_unknown(reader, header, rest);
}

/* ---- keys ---- */

/* "[inbound] or [outbound]", those that have such a key; empty where none has. */
static void sections_with(const char *name, char text[CONFIG_TEXT])
{
	size_t used = 0;

	*text = '\0';
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		if (config_key_find(s, name))
			used += (size_t)snprintf(text + used, CONFIG_TEXT - used,
				"%s[%s]", used > 0 ? " or " : "",
				config_sections[s].name);
	}
}

static void key_unknown(struct config_reader *reader, const char *name)
{
	const char *section = config_sections[reader->section].name;
	const char *nearest = config_key_nearest(reader->section, name);
	char others[CONFIG_TEXT];

	sections_with(name, others);
	if (nearest)
		inifile_fault(&reader->ini, reader->ini.line,
			"unknown key %s in [%s]: is %s meant?", name, section, nearest);
	else if (*others != '\0')
		inifile_fault(&reader->ini, reader->ini.line,
			"unknown key %s in [%s]: it belongs in %s", name, section,
			others);
	else
		inifile_fault(&reader->ini, reader->ini.line,
			"unknown key %s in [%s]: see sealpost.conf(5) for those there "
			"are",
			name, section);
}

/* Where the key stands first in this section, 0: not yet. */
static unsigned *key_seen(struct config_reader *reader, const struct config_key *key)
{
	return &reader->config->lines->keys[reader->nth][key - config_keys];
}

static void key_take(
	struct config_reader *reader, const struct config_key *key, const char *value)
{
	struct config *config = reader->config;
	bool needed =
		key->mandatory || key->type == TYPE_CERTIFICATE || key->type == TYPE_KEY;

	/* as though it were not there: the default stands */
	if (*value == '\0' && !needed)
		return;
	void *base = config_section_at(config, reader->section, reader->nth);
	unsigned *seen = key_seen(reader, key);

	if (*seen > 0 && key->type < TYPE_CERTIFICATE) {
		inifile_fault(&reader->ini, reader->ini.line,
			"%s again: it stands on line %u already", key->name, *seen);
		return;
	}
	if (*seen == 0) {
		*seen = reader->ini.line;
		/* what is written takes the place of a list's default */
		if (key->type >= TYPE_LISTEN && key->fallback)
			memset((char *)base + key->offset, 0, key->width);
	}
	if (*value == '\0') {
		inifile_fault(&reader->ini, reader->ini.line, "%s is empty", key->name);
		return;
	}
	if (key->type == TYPE_CERTIFICATE && config->pair_count < CONFIG_PAIR_MAX)
		config->pair_lines[config->pair_count] = reader->ini.line;
	values_take(reader, key, base, value);
}

void config_key_set(struct config_reader *reader, const char *name, const char *value)
{
	const struct config_key *key = config_key_find(reader->section, name);

	if (key)
		key_take(reader, key, value);
	else if (reader->section == SECTION_NONE)
		inifile_fault(&reader->ini, reader->ini.line,
			"%s stands before any section: write [server] or another one "
			"above it",
			name);
	else if (reader->section != SECTION_UNKNOWN)
		key_unknown(reader, name);
}
