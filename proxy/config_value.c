/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The parsers of values, one a type, and what to say of a value that is none. */

#include "config_schema.h"
#include "labels.h"
#include "smtp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void *config_place(const struct config_key *key, void *base)
{
	return (char *)base + key->offset;
}

unsigned *config_count(const struct config_key *key, void *base)
{
	return (unsigned *)((char *)base + key->count);
}

/* The first free element of a list, or NULL. */
void *config_element(const struct config_key *key, void *base, size_t size)
{
	unsigned count = *config_count(key, base);

	return count < key->width / size ? (char *)config_place(key, base) + count * size
					 : NULL;
}

enum config_value_status config_set_text(
	const struct config_key *key, void *base, const char *value)
{
	char *copy = strdup(value), *old;

	if (!copy)
		return VALUE_NO_MEMORY;
	/* the place may be one of a pointer to const */
	memcpy(&old, config_place(key, base), sizeof(old));
	free(old);
	memcpy(config_place(key, base), &copy, sizeof(copy));
	return VALUE_OK;
}

int config_word_find(const char *const *words, const char *value)
{
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], value) == 0)
			return i;
	}
	return -1;
}

static enum config_value_status set_word(
	const struct config_key *key, void *base, const char *value)
{
	int found = config_word_find(key->words, value);

	if (found < 0)
		return VALUE_BAD;
	if (key->width == sizeof(bool)) {
		*(bool *)config_place(key, base) = found != 0;
		return VALUE_OK;
	}
	unsigned word = (unsigned)found;

	memcpy(config_place(key, base), &word, sizeof(word));
	return VALUE_OK;
}

static enum config_value_status set_word_text(
	const struct config_key *key, void *base, const char *value)
{
	return config_word_find(key->words, value) < 0
		       ? VALUE_BAD
		       : config_set_text(key, base, value);
}

struct unit {
	char letter;
	uint64_t worth;
};

static const struct unit no_units[] = { { '\0', 1 } };
static const struct unit time_units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 },
	{ '\0', 1 } };
static const struct unit size_units[] = { { 'K', UINT64_C(1) << 10 },
	{ 'M', UINT64_C(1) << 20 }, { 'G', UINT64_C(1) << 30 }, { '\0', 1 } };

/* Digits and at most one letter of `units`, whose last is the end of the text. */
static bool number_read(const char *value, const struct unit *units, uint64_t *number)
{
	size_t digits = strspn(value, "0123456789");
	const struct unit *unit = units;

	while (unit->letter != '\0' && unit->letter != value[digits])
		unit++;
	if (unit->letter != '\0' ? value[digits + 1] != '\0' : value[digits] != '\0')
		return false;
	if (!span_number((struct span){ value, digits }, number))
		return false;
	if (*number > UINT64_MAX / unit->worth)
		return false;
	*number *= unit->worth;
	return true;
}

static enum config_value_status set_units(const struct config_key *key, void *base,
	const char *value, const struct unit *units)
{
	uint64_t number;

	if (!number_read(value, units, &number) || number < key->low ||
		number > key->high)
		return VALUE_BAD;
	if (key->width == sizeof(uint64_t))
		*(uint64_t *)config_place(key, base) = number;
	else
		*(unsigned *)config_place(key, base) = (unsigned)number;
	return VALUE_OK;
}

static enum config_value_status set_number(
	const struct config_key *key, void *base, const char *value)
{
	return set_units(key, base, value, no_units);
}

static enum config_value_status set_number_auto(
	const struct config_key *key, void *base, const char *value)
{
	if (strcmp(value, "auto") != 0)
		return set_number(key, base, value);
	*(unsigned *)config_place(key, base) = 0;
	return VALUE_OK;
}

static enum config_value_status set_time(
	const struct config_key *key, void *base, const char *value)
{
	return set_units(key, base, value, time_units);
}

static enum config_value_status set_size(
	const struct config_key *key, void *base, const char *value)
{
	return set_units(key, base, value, size_units);
}

static enum config_value_status set_domain(
	const struct config_key *key, void *base, const char *value)
{
	return labels_valid(value, LABELS_ANY) ? config_set_text(key, base, value)
					       : VALUE_BAD;
}

static enum config_value_status set_certificate(
	const struct config_key *key, void *base, const char *value)
{
	struct config *config = base;

	(void)key;
	if (config->pair_count > 0 && !config->pairs[config->pair_count - 1].key)
		return VALUE_NO_KEY;
	if (config->pair_count == CONFIG_PAIR_MAX)
		return VALUE_FULL;
	char *copy = strdup(value);

	if (!copy)
		return VALUE_NO_MEMORY;
	config->pairs[config->pair_count++].certificate = copy;
	return VALUE_OK;
}

static enum config_value_status set_key(
	const struct config_key *key, void *base, const char *value)
{
	struct config *config = base;

	(void)key;
	if (config->pair_count == 0 || config->pairs[config->pair_count - 1].key)
		return VALUE_NO_PAIR;
	char *copy = strdup(value);

	if (!copy)
		return VALUE_NO_MEMORY;
	config->pairs[config->pair_count - 1].key = copy;
	return VALUE_OK;
}

static enum config_value_status set_mechanism(
	const struct config_key *key, void *base, const char *value)
{
	int mechanism = smtp_mechanism_find((struct span){ value, strlen(value) });

	if (mechanism < 0)
		return VALUE_BAD;
	*(uint32_t *)config_place(key, base) |= UINT32_C(1) << mechanism;
	return VALUE_OK;
}

static enum config_value_status set_keyword(
	const struct config_key *key, void *base, const char *value)
{
	struct span name = { value, strlen(value) };

	for (size_t i = 0; key->words[i]; i++) {
		if (!span_is(name, key->words[i]))
			continue;
		*(uint32_t *)config_place(key, base) |= UINT32_C(1)
							<< smtp_keyword_find(name);
		return VALUE_OK;
	}
	return VALUE_BAD;
}

/* `size` is that of a list's element, for the fault of one value more. */
static const struct {
	config_setter *set;
	const char *wanted;
	size_t size;
} types[] = {
	[TYPE_WORD] = { set_word, NULL, 0 },
	[TYPE_WORD_TEXT] = { set_word_text, NULL, 0 },
	[TYPE_NUMBER] = { set_number, NULL, 0 },
	[TYPE_NUMBER_AUTO] = { set_number_auto, NULL, 0 },
	[TYPE_TIME] = { set_time, NULL, 0 },
	[TYPE_SIZE] = { set_size, NULL, 0 },
	[TYPE_DOMAIN] = { set_domain, "not a domain name such as mail.example.com", 0 },
	[TYPE_TEXT] = { config_set_text, "not a text", 0 },
	[TYPE_ROUTE] = { config_set_route,
		"not one of intercept, smarthost, relay HOST and relay HOST:PORT", 0 },
	[TYPE_SOURCE] = { config_set_source,
		"not one of auto, transparent and an address without a port", 0 },
	[TYPE_RESOLVER] = { config_set_resolver,
		"not one of system, recursive and an address such as 192.0.2.53 or "
		"192.0.2.53@5353",
		0 },
	[TYPE_CERTIFICATE] = { set_certificate, "not a file", sizeof(struct tls_pair) },
	[TYPE_KEY] = { set_key, "not a file", sizeof(struct tls_pair) },
	[TYPE_STUB] = { config_set_stub,
		"not a zone and an address such as corp.example.com 192.0.2.53 or "
		"corp.example.com 192.0.2.53@5353",
		sizeof(struct config_stub) },
	[TYPE_LISTEN] = { config_set_listen,
		"not an address such as 192.0.2.1:25 or [2001:db8::1]:25",
		sizeof(struct address) },
	[TYPE_BACKEND] = { config_set_backend,
		"not an address or host name such as 10.0.0.10:25 or mail.example.com",
		sizeof(struct config_endpoint) },
	[TYPE_NETWORK] = { config_set_network,
		"not a network such as 192.0.2.0/24 or 2001:db8::/32",
		sizeof(struct network) },
	[TYPE_INTERFACE] = { config_set_interface, "not an interface such as eth1",
		CONFIG_INTERFACE },
	[TYPE_MECHANISM] = { set_mechanism,
		"not a mechanism that Sealpost knows, such as PLAIN or LOGIN", 0 },
	[TYPE_KEYWORD] = { set_keyword, NULL, 0 },
};

static_assert(sizeof(types) / sizeof(types[0]) == CONFIG_TYPES, "a row a type");

enum config_value_status config_value_set(
	const struct config_key *key, void *base, const char *value)
{
	return types[key->type].set(key, base, value);
}

static void words_wanted(const char *const *words, char *text)
{
	size_t used = (size_t)snprintf(text, CONFIG_TEXT, "not one of");

	for (size_t i = 0; words[i] && used < CONFIG_TEXT; i++)
		used += (size_t)snprintf(text + used, CONFIG_TEXT - used, "%s %s",
			i > 0 ? "," : "", words[i]);
}

/* 90 as "90s", 7200 as "2h": how one would write it. */
static void unit_write(const struct unit *units, uint64_t number, char *text, size_t size)
{
	const struct unit *best = NULL;

	for (const struct unit *u = units; u->letter != '\0'; u++) {
		if (number > 0 && number % u->worth == 0)
			best = u;
	}
	if (best)
		snprintf(text, size, "%ju%c", (uintmax_t)(number / best->worth),
			best->letter);
	else
		snprintf(text, size, "%ju", (uintmax_t)number);
}

static void range_wanted(const struct config_key *key, const struct unit *units,
	const char *kind, const char *hint, char *text)
{
	char low[24], high[24];

	unit_write(units, key->low, low, sizeof(low));
	unit_write(units, key->high, high, sizeof(high));
	snprintf(text, CONFIG_TEXT, "not a %s from %s to %s%s", kind, low, high, hint);
}

static void bad_wanted(const struct config_key *key, char *text)
{
	switch (key->type) {
	case TYPE_WORD:
	case TYPE_WORD_TEXT:
	case TYPE_KEYWORD: words_wanted(key->words, text); break;
	case TYPE_NUMBER: range_wanted(key, no_units, "number", "", text); break;
	case TYPE_NUMBER_AUTO:
		snprintf(text, CONFIG_TEXT, "neither auto nor a number from %ju to %ju",
			(uintmax_t)key->low, (uintmax_t)key->high);
		break;
	case TYPE_TIME:
		range_wanted(key, time_units, "time",
			" (digits with s, m or h; seconds without)", text);
		break;
	case TYPE_SIZE:
		range_wanted(key, size_units, "size",
			" (digits with K, M or G; octets without)", text);
		break;
	default: snprintf(text, CONFIG_TEXT, "%s", types[key->type].wanted); break;
	}
}

const char *config_value_wanted(const struct config_key *key,
	enum config_value_status status, char text[CONFIG_TEXT])
{
	switch (status) {
	case VALUE_OK:
	case VALUE_BAD: bad_wanted(key, text); break;
	case VALUE_FULL:
		snprintf(text, CONFIG_TEXT, "one too many: there is room for %zu",
			key->width / types[key->type].size);
		break;
	case VALUE_NO_PAIR:
		snprintf(text, CONFIG_TEXT,
			"a key follows its certificate, and none is before it");
		break;
	case VALUE_NO_KEY:
		snprintf(text, CONFIG_TEXT,
			"the certificate before it still lacks its key");
		break;
	case VALUE_NO_MEMORY: snprintf(text, CONFIG_TEXT, "out of memory"); break;
	}
	return text;
}
