/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Names, literals, and the values of keys. */

#include "labels.h"
#include "policyfile_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char no_memory[] = "out of memory";

/* ---- names ---- */

/* Underscores are in no host name by the book, and in some domains that get mail. */
static bool name_valid(const char *name)
{
	return labels_valid(name, LABELS_LOWER "_");
}

bool policyfile_literal(const char *text, char literal[REQUIREMENT_NAME])
{
	static const char tag[] = "[IPv6:";
	char address[INET6_ADDRSTRLEN];
	struct in6_addr ipv6;
	struct in_addr ipv4;
	size_t length = strlen(text);
	size_t start = strncasecmp(text, tag, sizeof(tag) - 1) == 0 ? sizeof(tag) - 1 : 1;

	if (text[0] != '[' || text[length - 1] != ']' || length - start > sizeof(address))
		return false;
	memcpy(address, text + start, length - start - 1);
	address[length - start - 1] = '\0';
	if (start > 1 && inet_pton(AF_INET6, address, &ipv6) == 1)
		inet_ntop(AF_INET6, &ipv6, address, sizeof(address));
	else if (start > 1 || inet_pton(AF_INET, address, &ipv4) != 1)
		return false;
	snprintf(literal, REQUIREMENT_NAME, "%s%s]", start > 1 ? tag : "[", address);
	return true;
}

bool policyfile_domain(const char *file_name, char domain[REQUIREMENT_NAME])
{
	static const char suffix[] = ".policy";
	char name[REQUIREMENT_NAME];
	size_t length = strlen(file_name), end = sizeof(suffix) - 1;

	if (length <= end || length - end >= sizeof(name) ||
		strcmp(file_name + length - end, suffix) != 0)
		return false;
	memcpy(name, file_name, length - end);
	name[length - end] = '\0';
	if (name_valid(name))
		memcpy(domain, name, sizeof(name));
	else if (!policyfile_literal(name, domain) || strcmp(domain, name) != 0)
		return false;
	return true;
}

/* ---- words, texts, days ---- */

static void wanted_add(struct reader *reader, const char *before, const char *word)
{
	size_t used = strlen(reader->wanted);

	snprintf(reader->wanted + used, sizeof(reader->wanted) - used, "%s%s", before,
		word);
}

const char *policyfile_set_word(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	char *base = reader->section == SECTION_FILE ? (char *)reader->file
						     : (char *)policyfile_demand(reader);
	const char *before = "not one of ";

	reader->wanted[0] = '\0';
	for (uint8_t i = 0; key->words[i]; i++) {
		if (strcmp(key->words[i], value) == 0) {
			memcpy(base + key->offset, &i, sizeof(i));
			return NULL;
		}
		wanted_add(reader, before, key->words[i]);
		before = ", ";
	}
	return reader->wanted;
}

static const char *set_text(char **text, const char *value)
{
	*text = strdup(value);
	return *text ? NULL : no_memory;
}

const char *policyfile_set_note(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	(void)key;
	return set_text(&reader->file->note, value);
}

const char *policyfile_set_ca(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	struct policyfile *file = reader->file;
	bool inbound = reader->section == SECTION_INBOUND;

	(void)key;
	*(inbound ? &file->inbound_ca_line : &file->outbound_ca_line) = reader->ini.line;
	return set_text(inbound ? &file->inbound_ca : &file->outbound_ca, value);
}

const char *policyfile_set_identity(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	char *identity = policyfile_demand(reader)->identity;
	size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	(void)key;
	if (value[length] != '\0' || length >= REQUIREMENT_IDENTITY)
		return "not the NAME of an [identity NAME] in sealpost.conf";
	memcpy(identity, value, length + 1);
	return NULL;
}

/* Two digits, or four. */
static bool digits_read(const char **at, unsigned count, int *number)
{
	*number = 0;
	for (; count > 0; count--, (*at)++) {
		if (!isdigit((unsigned char)**at))
			return false;
		*number = *number * 10 + (**at - '0');
	}
	return true;
}

const char *policyfile_set_day(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	const char *at = value;
	int year, month, day;

	(void)key;
	if (!digits_read(&at, 4, &year) || *at++ != '-' || !digits_read(&at, 2, &month) ||
		*at++ != '-' || !digits_read(&at, 2, &day) || *at != '\0')
		return "not a day such as 2027-01-31";
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };
	struct tm after = tm;

	after.tm_mday++;
	/* timegm() makes another day of one that is not in the calendar */
	if (year < 2000 || timegm(&tm) == -1 || tm.tm_mon != month - 1 ||
		tm.tm_mday != day)
		return "there is no such day";
	reader->file->expires = timegm(&after);
	return NULL;
}

/* ---- levels ---- */

static bool level_allowed(enum section section, enum level level)
{
	return section == SECTION_OUTBOUND || level == LEVEL_MAY ||
	       level == LEVEL_ENCRYPT || level == LEVEL_VERIFY ||
	       level == LEVEL_FINGERPRINT;
}

const char *policyfile_set_level(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	enum section section = reader->section;
	enum level level;

	(void)key;
	if (level_find(value, &level) && level_allowed(section, level)) {
		policyfile_demand(reader)->level = level;
		reader->level_known[section] = true;
		return NULL;
	}
	const char *before = "not one of ";

	reader->wanted[0] = '\0';
	for (enum level l = LEVEL_NONE; l < LEVELS; l++) {
		if (!level_allowed(section, l))
			continue;
		wanted_add(reader, before, level_name(l));
		before = ", ";
	}
	return reader->wanted;
}

/* ---- patterns ---- */

struct patterns {
	char (*at)[REQUIREMENT_NAME];
	uint8_t *count;
	const char *const *words; /* that stand for names; the last is NULL */
	bool wildcards;		  /* "*.example.net" may stand there */
	const char *wanted;
};

static bool pattern_is_word(const struct patterns *patterns, const char *value)
{
	for (const char *const *word = patterns->words; *word; word++) {
		if (strcmp(*word, value) == 0)
			return true;
	}
	return false;
}

static bool pattern_valid(const struct patterns *patterns, const char *value)
{
	if (pattern_is_word(patterns, value))
		return true;
	if (value[0] == '.')
		return name_valid(value + 1);
	if (value[0] == '*')
		return patterns->wildcards && value[1] == '.' && name_valid(value + 2);
	/* without a dot it is another program's word, or a slip of the pen */
	return name_valid(value) && strchr(value, '.');
}

static const char *pattern_add(const struct patterns *patterns, const char *value)
{
	char lower[REQUIREMENT_NAME];
	size_t length = strlen(value);

	if (length >= sizeof(lower))
		return patterns->wanted;
	for (size_t i = 0; i <= length; i++) {
		if ((unsigned char)value[i] > 127)
			return "an international name is written as A-labels: xn--...";
		lower[i] = (char)tolower((unsigned char)value[i]);
	}
	if (!pattern_valid(patterns, lower))
		return patterns->wanted;
	if (*patterns->count == REQUIREMENT_PATTERNS)
		return "one too many: there is room for 16";
	memcpy(patterns->at[(*patterns->count)++], lower, length + 1);
	return NULL;
}

static_assert(REQUIREMENT_PATTERNS == 16, "a message says so");

const char *policyfile_set_match(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	static const char *const outbound[] = { "mx", "domain", NULL };
	struct demand *demand = policyfile_demand(reader);
	bool inbound = reader->section == SECTION_INBOUND;
	const struct patterns patterns = {
		.at = demand->match,
		.count = &demand->match_count,
		.words = inbound ? outbound + 1 : outbound, /* clients have no MX */
		.wanted = inbound ? "not domain, mail.example.net or .example.net"
				  : "not mx, domain, mail.example.net or .example.net",
	};

	(void)key;
	return pattern_add(&patterns, value);
}

const char *policyfile_set_mx(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	static const char *const words[] = { "domain", NULL };
	struct demand *demand = policyfile_demand(reader);
	const struct patterns patterns = {
		.at = demand->mx,
		.count = &demand->mx_count,
		.words = words,
		.wildcards = true,
		.wanted = "not domain, mx.example.net, *.example.net or .example.net",
	};

	(void)key;
	return pattern_add(&patterns, value);
}

/* ---- fingerprints ---- */

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Two digits an octet; a colon may stand between octets. */
static bool hex_read(const char *text, struct fingerprint *print)
{
	for (unsigned i = 0; i < print->length; i++) {
		if (i > 0 && *text == ':')
			text++;
		int high = hex_value(text[0]);
		int low = high >= 0 ? hex_value(text[1]) : -1;

		if (low < 0)
			return false;
		print->octets[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return *text == '\0';
}

static int base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* With its padding, and no bits to spare that are not 0 (RFC 4648 §3.5). */
static bool base64_read(const char *text, struct fingerprint *print)
{
	size_t length = strlen(text), digits = strcspn(text, "=");
	unsigned bits = 0, held = 0, count = 0;

	if (length != (print->length + 2u) / 3 * 4 ||
		digits != (print->length * 8u + 5) / 6 ||
		strspn(text + digits, "=") != length - digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		int value = base64_value(text[i]);

		if (value < 0)
			return false;
		bits = (bits << 6 | (unsigned)value) & 0xffff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			print->octets[count++] = (uint8_t)(bits >> held);
		}
	}
	return (bits & ((1u << held) - 1)) == 0;
}

const char *policyfile_set_fingerprint(
	struct reader *reader, const struct policyfile_key *key, const char *value)
{
	static const struct {
		const char *prefix;
		uint8_t of, length;
	} kinds[] = {
		{ "sha256/spki:", FINGERPRINT_SPKI, 32 },
		{ "sha256/cert:", FINGERPRINT_CERTIFICATE, 32 },
		{ "sha512/spki:", FINGERPRINT_SPKI, 64 },
		{ "sha512/cert:", FINGERPRINT_CERTIFICATE, 64 },
	};
	struct demand *demand = policyfile_demand(reader);

	(void)key;
	if (demand->fingerprint_count == REQUIREMENT_FINGERPRINTS)
		return "one too many: there is room for 8";
	struct fingerprint *print = &demand->fingerprints[demand->fingerprint_count];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t length = strlen(kinds[i].prefix);

		if (strncmp(value, kinds[i].prefix, length) != 0)
			continue;
		print->of = kinds[i].of;
		print->length = kinds[i].length;
		if (hex_read(value + length, print) ||
			base64_read(value + length, print)) {
			demand->fingerprint_count++;
			return NULL;
		}
		snprintf(reader->wanted, sizeof(reader->wanted),
			"neither %u hexadecimal digits nor %u of base64",
			print->length * 2, (print->length + 2) / 3 * 4);
		return reader->wanted;
	}
	return "not sha256/spki:, sha256/cert:, sha512/spki: or sha512/cert: and the "
	       "digits";
}

static_assert(REQUIREMENT_FINGERPRINTS == 8, "a message says so");
