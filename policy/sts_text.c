/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sts_text.h"

#include "dns_data.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RECORD = 1024 }; /* octets of a TXT record that is looked at */

/* Octets of a text; not terminated. */
struct span {
	const char *at;
	size_t length;
};

static bool span_is(struct span span, const char *word)
{
	return span.length == strlen(word) && memcmp(span.at, word, span.length) == 0;
}

static struct span trim(struct span span)
{
	while (span.length > 0 && (span.at[0] == ' ' || span.at[0] == '\t'))
		span.at++, span.length--;
	while (span.length > 0 &&
		(span.at[span.length - 1] == ' ' || span.at[span.length - 1] == '\t'))
		span.length--;
	return span;
}

/* What stands before the next `end`, which *rest is moved behind. */
static struct span cut(struct span *rest, char end)
{
	struct span first = *rest;
	const char *at = rest->length > 0 ? memchr(rest->at, end, rest->length) : NULL;
	if (at)
		first.length = (size_t)(at - rest->at);
	size_t gone = at ? first.length + 1 : first.length;
	rest->at += gone;
	rest->length -= gone;
	return first;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Of a field, known or not (sts-ext-name, sts-policy-ext-name). */
static bool is_field_name(struct span name)
{
	if (name.length == 0 || name.length > 32 || !is_alphanumeric(name.at[0]))
		return false;
	for (size_t i = 0; i < name.length; i++)
		if (!is_alphanumeric(name.at[i]) && name.at[i] != '_' &&
			name.at[i] != '-' && name.at[i] != '.')
			return false;
	return true;
}

/* ---- the TXT record ---- */

/* Its strings, joined. False: it is malformed, or too long to be looked at. */
static bool join(const uint8_t *data, size_t length, char text[RECORD], size_t *out)
{
	*out = 0;
	for (size_t at = 0; at < length; at += 1u + data[at]) {
		size_t count = data[at];
		if (count >= length - at || count > RECORD - *out)
			return false;
		memcpy(text + *out, data + at + 1, count);
		*out += count;
	}
	return true;
}

static bool take_id(struct span value, char id[STS_ID])
{
	if (value.length == 0 || value.length >= STS_ID)
		return false;
	for (size_t i = 0; i < value.length; i++)
		if (!is_alphanumeric(value.at[i]))
			return false;
	memcpy(id, value.at, value.length);
	id[value.length] = '\0';
	return true;
}

static bool is_field_value(struct span value)
{
	for (size_t i = 0; i < value.length; i++)
		if (value.at[i] <= ' ' || value.at[i] > '~' || value.at[i] == '=')
			return false;
	return value.length > 0;
}

/* What stands behind "v=STSv1;". The first of several ids counts. */
static bool read_fields(struct span rest, char id[STS_ID])
{
	while (rest.length > 0) {
		struct span field = trim(cut(&rest, ';'));
		if (field.length == 0 && trim(rest).length == 0)
			break;
		struct span name = cut(&field, '=');
		if (!is_field_name(name) || !is_field_value(field))
			return false;
		if (span_is(name, "id") && id[0] == '\0' && !take_id(field, id))
			return false;
	}
	return id[0] != '\0';
}

enum sts_record sts_text_record(const uint8_t *data, size_t length, char id[STS_ID])
{
	char text[RECORD];
	struct span rest = { .at = text };
	bool whole = join(data, length, text, &rest.length);
	id[0] = '\0';
	if (rest.length == 0 || !memchr(text, ';', rest.length))
		return STS_RECORD_NONE;
	/* A blank in front makes it another record; behind it may stand. */
	struct span version = cut(&rest, ';');
	if (version.at[0] != 'v' || !span_is(trim(version), "v=STSv1"))
		return STS_RECORD_NONE;
	if (whole && read_fields(rest, id))
		return STS_RECORD_FINE;
	id[0] = '\0';
	return STS_RECORD_BROKEN;
}

/* ---- the policy ---- */

struct policy {
	struct sts *sts;
	uint32_t max_age;
	bool has_version, has_mode, has_age;
	const char *fault;
};

static void read_mode(struct policy *policy, struct span value)
{
	for (enum sts_mode mode = 0; mode < STS_MODES; mode++)
		if (span_is(value, sts_mode_name(mode))) {
			policy->sts->mode = (uint8_t)mode;
			return;
		}
	policy->fault = "its mode is none of enforce, testing and none";
}

static void read_age(struct policy *policy, struct span value)
{
	uint64_t age = 0;
	bool fine = value.length > 0 && value.length <= 10;
	for (size_t i = 0; fine && i < value.length; i++) {
		fine = is_digit(value.at[i]);
		age = age * 10 + (uint64_t)(value.at[i] - '0');
	}
	if (!fine || age > STS_AGE_MOST)
		policy->fault = "its max_age is no number from 0 to 31557600";
	else
		policy->max_age = (uint32_t)age;
}

/* "mx.example.com" or "*.example.com", in lower case. */
static void read_mx(struct policy *policy, struct span value)
{
	struct sts *sts = policy->sts;
	char name[REQUIREMENT_NAME];
	if (sts->mx_count == REQUIREMENT_STS_MX) {
		policy->fault = "it has more mx lines than anybody needs (32)";
		return;
	}
	bool fine = value.length > 0 && value.length < sizeof(name);
	for (size_t i = 0; fine && i < value.length; i++) {
		char c = value.at[i];
		name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		fine = c != '\0';
	}
	if (fine)
		name[value.length] = '\0';
	if (!fine || !dns_is_host(strncmp(name, "*.", 2) == 0 ? name + 2 : name))
		policy->fault = "one of its mx lines names no host";
	else
		memcpy(sts->mx[sts->mx_count++], name, value.length + 1);
}

/* Of a field other than mx the first counts (RFC 8461 §3.2). */
static bool is_first(bool *seen)
{
	bool first = !*seen;
	*seen = true;
	return first;
}

static void read_field(struct policy *policy, struct span name, struct span value)
{
	if (!is_field_name(name)) {
		policy->fault = "it has a line that is no \"key: value\"";
	} else if (span_is(name, "version")) {
		if (is_first(&policy->has_version) && !span_is(value, "STSv1"))
			policy->fault = "its version is not STSv1";
	} else if (span_is(name, "mode")) {
		if (is_first(&policy->has_mode))
			read_mode(policy, value);
	} else if (span_is(name, "max_age")) {
		if (is_first(&policy->has_age))
			read_age(policy, value);
	} else if (span_is(name, "mx")) {
		read_mx(policy, value);
	}
}

static void read_line(struct policy *policy, struct span line)
{
	for (size_t i = 0; i < line.length; i++) {
		unsigned char c = (unsigned char)line.at[i];
		if ((c < ' ' && c != '\t') || c == 0x7f) {
			policy->fault = "it has control characters";
			return;
		}
	}
	if (trim(line).length == 0)
		return;
	struct span value = line, name = cut(&value, ':');
	if (name.length == line.length)
		name.length = 0; /* there is no colon */
	read_field(policy, name, trim(value));
}

static const char *missing(const struct policy *policy)
{
	if (!policy->has_version)
		return "it has no version";
	if (!policy->has_mode)
		return "it has no mode";
	if (!policy->has_age)
		return "it has no max_age";
	if (policy->sts->mode != STS_NONE && policy->sts->mx_count == 0)
		return "it names no mx";
	return NULL;
}

const char *sts_text_policy(
	const char *text, size_t length, struct sts *sts, uint32_t *max_age)
{
	struct policy policy = { .sts = sts };
	struct span rest = { text, length };
	sts->mode = STS_NONE;
	sts->mx_count = 0;
	*max_age = 0;
	if (length > STS_BODY)
		return "it is longer than 64 KiB";
	while (rest.length > 0 && !policy.fault) {
		struct span line = cut(&rest, '\n');
		if (line.length > 0 && line.at[line.length - 1] == '\r')
			line.length--;
		read_line(&policy, line);
	}
	*max_age = policy.max_age;
	return policy.fault ? policy.fault : missing(&policy);
}

/* ---- the file ---- */

static const char head[] = "sealpost: 1\ndomain: %s\nid: %s\nfetched: %" PRId64
			   "\nversion: STSv1\nmode: %s\n";

static void add(char *to, size_t size, size_t *at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* *at stays at `size` once something did not fit. */
static void add(char *to, size_t size, size_t *at, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(to + *at, size - *at, format, arguments);
	va_end(arguments);
	*at = n >= 0 && (size_t)n < size - *at ? *at + (size_t)n : size;
}

size_t sts_text_write(char *to, size_t size, const char *domain, const struct sts *sts)
{
	size_t at = 0;
	add(to, size, &at, head, domain, sts->id, sts->fetched,
		sts_mode_name((enum sts_mode)sts->mode));
	for (unsigned i = 0; i < sts->mx_count; i++)
		add(to, size, &at, "mx: %s\n", sts->mx[i]);
	add(to, size, &at, "max_age: %" PRId64 "\n", sts->expires - sts->fetched);
	return at < size ? at : 0;
}

/* The value of the first line of that name. */
static struct span find_field(struct span text, const char *name)
{
	while (text.length > 0) {
		struct span value = cut(&text, '\n'), key = cut(&value, ':');
		if (span_is(key, name))
			return trim(value);
	}
	return text;
}

static int64_t read_time(struct span value)
{
	int64_t time = 0;
	for (size_t i = 0; i < value.length && i < 12 && is_digit(value.at[i]); i++)
		time = time * 10 + (value.at[i] - '0');
	return time;
}

/* What was not read to the letter is seen when it is written again. */
bool sts_text_read(const char *text, size_t length, const char *domain, struct sts *sts)
{
	struct span whole = { text, length };
	char again[STS_FILE];
	uint32_t age;
	memset(sts, 0, sizeof(*sts));
	if (sts_text_policy(text, length, sts, &age) ||
		!take_id(find_field(whole, "id"), sts->id))
		return false;
	sts->fetched = read_time(find_field(whole, "fetched"));
	sts->expires = sts->fetched + age;
	return sts_text_write(again, sizeof(again), domain, sts) == length &&
	       memcmp(again, text, length) == 0;
}
