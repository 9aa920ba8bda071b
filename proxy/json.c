/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "json.h"

#include <inttypes.h>
#include <time.h>

static void separate(struct json *j)
{
	if (j->comma)
		fputs(", ", j->out);
	j->comma = false;
}

void json_string(struct json *j, const char *text)
{
	separate(j);
	fputc('"', j->out);
	for (; *text != '\0'; text++)
		if (*text == '"' || *text == '\\')
			fprintf(j->out, "\\%c", *text);
		else if (*text < ' ' || *text > '~')
			fprintf(j->out, "\\u%04x", (unsigned char)*text);
		else
			fputc(*text, j->out);
	fputc('"', j->out);
	j->comma = true;
}

void json_begin(struct json *j, char bracket)
{
	separate(j);
	fputc(bracket, j->out);
}

void json_end(struct json *j, char bracket)
{
	fputc(bracket, j->out);
	j->comma = true;
}

void json_key(struct json *j, const char *name)
{
	json_string(j, name);
	fputs(": ", j->out);
	j->comma = false;
}

static void word(struct json *j, const char *name, const char *value)
{
	json_key(j, name);
	fputs(value, j->out);
	j->comma = true;
}

void json_pair(struct json *j, const char *name, const char *value)
{
	json_key(j, name);
	json_string(j, value);
}

void json_truth(struct json *j, const char *name, bool value)
{
	word(j, name, value ? "true" : "false");
}

void json_nothing(struct json *j, const char *name)
{
	word(j, name, "null");
}

void json_number(struct json *j, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	word(j, name, text);
}

void json_moment(struct json *j, const char *name, int64_t seconds)
{
	char text[32] = "";
	time_t t = (time_t)seconds;
	struct tm utc;
	if (seconds != 0 && gmtime_r(&t, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	json_pair(j, name, text);
}

void json_octets(struct json *j, const char *name, const uint8_t *at, size_t length)
{
	json_key(j, name);
	fputc('"', j->out);
	for (size_t i = 0; i < length; i++)
		fprintf(j->out, "%02x", at[i]);
	fputc('"', j->out);
	j->comma = true;
}
