/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

enum { LINE_MAX_OCTETS = 2048, VALUE_MAX_OCTETS = 512 };

/* Standard error goes to a file while a test writes. */
struct capture {
	FILE *file;
	int saved;
	char text[2 * LINE_MAX_OCTETS];
};

static void capture_begin(struct capture *capture)
{
	capture->file = tmpfile();
	assert_non_null(capture->file);
	capture->saved = dup(STDERR_FILENO);
	assert_true(capture->saved >= 0);
	assert_true(dup2(fileno(capture->file), STDERR_FILENO) >= 0);
}

/* What was written since. */
static const char *capture_end(struct capture *capture)
{
	assert_true(dup2(capture->saved, STDERR_FILENO) >= 0);
	close(capture->saved);
	rewind(capture->file);
	size_t length = fread(capture->text, 1, sizeof(capture->text) - 1, capture->file);

	capture->text[length] = '\0';
	fclose(capture->file);
	return capture->text;
}

/* Makes standard error what systemd says it connected to the journal. */
static void journal_stream_set(void)
{
	struct stat status;
	char name[64];

	assert_int_equal(fstat(STDERR_FILENO, &status), 0);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)status.st_dev,
		(uintmax_t)status.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", name, 1), 0);
}

/* Logs one line as under systemd and returns it without its "<6>" and line end. */
static const char *logged(struct capture *capture, const char *message,
	const struct log_field *fields, unsigned count)
{
	capture_begin(capture);
	journal_stream_set();
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	log_fields(LOG_LEVEL_INFO, message, fields, count);
	capture_end(capture);
	assert_memory_equal(capture->text, "<6>", 3);
	size_t length = strlen(capture->text);

	assert_int_equal(capture->text[length - 1], '\n');
	capture->text[length - 1] = '\0';
	assert_null(strchr(capture->text, '\n'));
	return capture->text + 3;
}

static void test_pairs(void **state)
{
	static const struct log_field fields[] = {
		{ "session", "1a" },
		{ "reason", "" },
		{ "left-out", NULL },
		{ "near", "TLS1.3/TLS_AES_256_GCM_SHA384" },
		{ "why", "no common cipher" },
	};
	struct capture capture;

	(void)state;
	assert_string_equal(logged(&capture, NULL, fields, LENGTH(fields)),
		"session=1a reason= near=TLS1.3/TLS_AES_256_GCM_SHA384 "
		"why=\"no common cipher\"");
	assert_string_equal(logged(&capture, "begun", fields, 1), "begun session=1a");
	assert_string_equal(logged(&capture, "begun", NULL, 0), "begun");
}

static void test_escapes(void **state)
{
	static const struct {
		const char *value, *written;
	} cases[] = {
		{ "a\nb", "helo=a\\x0Ab" },
		{ "a\r\n<3>forged x=y", "helo=\"a\\x0D\\x0A<3>forged x=y\"" },
		{ "\033[2J\177", "helo=\\x1B[2J\\x7F" },
		{ "say \"x\" \\", "helo=\"say \\x22x\\x22 \\x5C\"" },
		{ "\xC3\xA4\xFF", "helo=\\xC3\\xA4\\xFF" },
		{ "\t", "helo=\\x09" },
	};
	struct capture capture;

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct log_field field = { "helo", cases[i].value };

		assert_string_equal(logged(&capture, NULL, &field, 1), cases[i].written);
	}
	assert_string_equal(logged(&capture, "a\nb \"c\"", NULL, 0), "a\\x0Ab \"c\"");
}

static void test_long_values(void **state)
{
	char value[8 * LINE_MAX_OCTETS];
	struct log_field fields[] = { { "a", value }, { "b", "2" } };
	struct capture capture;

	(void)state;
	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	const char *line = logged(&capture, NULL, fields, 2);

	assert_int_equal(strlen(line), 2 + VALUE_MAX_OCTETS + strlen(" b=2"));
	assert_string_equal(line + 2 + VALUE_MAX_OCTETS - 4, "v... b=2");

	/* an escape is not cut in two, and a closing quote is not lost */
	memset(value, '\n', sizeof(value) - 1);
	value[0] = ' ';
	line = logged(&capture, NULL, fields, 2);
	assert_memory_equal(line, "a=\" \\x0A\\x0A", 12);
	assert_string_equal(strstr(line, "..."), "...\" b=2");
	assert_memory_equal(strstr(line, "...") - 4, "\\x0A", 4);

	value[VALUE_MAX_OCTETS] = '\0';
	memset(value, 'v', VALUE_MAX_OCTETS);
	assert_null(strstr(logged(&capture, NULL, fields, 2), "..."));
}

static void test_long_lines(void **state)
{
	char value[VALUE_MAX_OCTETS + 1];
	struct log_field fields[64];
	struct capture capture;

	(void)state;
	for (size_t length = 0; length < sizeof(value); length++) {
		memset(value, length % 2 != 0 ? ' ' : '\n', length);
		value[length] = '\0';
		for (size_t i = 0; i < LENGTH(fields); i++)
			fields[i] = (struct log_field){ "key", value };
		assert_true(strlen(logged(&capture, "m", fields, LENGTH(fields))) <=
			    LINE_MAX_OCTETS);
	}
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	capture_begin(&capture);
	log_message(LOG_LEVEL_INFO, "%5000s", "x");
	assert_true(strlen(capture_end(&capture)) <= LINE_MAX_OCTETS + 64);
}

static void test_levels(void **state)
{
	static const char *const prefixes[] = { "<3>", "<4>", "<6>", "<7>" };
	struct capture capture;

	(void)state;
	for (enum log_level least = 0; least < LOG_LEVELS; least++) {
		for (enum log_level level = 0; level < LOG_LEVELS; level++) {
			capture_begin(&capture);
			journal_stream_set();
			log_open(LOG_TO_STDERR, least);
			log_message(level, "%s %d", "text", 7);
			const char *text = capture_end(&capture);

			assert_int_equal(log_wants(level), level <= least);
			if (level <= least) {
				assert_memory_equal(text, prefixes[level], 3);
				assert_string_equal(text + 3, "text 7\n");
			} else {
				assert_string_equal(text, "");
			}
		}
	}
}

/* Without the journal behind it, standard error gets time and level. */
static void test_stamp(void **state)
{
	static const char *const streams[] = { NULL, "1:1", "" };
	unsigned year, month, day, hour, minute, second;
	struct capture capture;
	int end = 0;

	(void)state;
	for (size_t i = 0; i < LENGTH(streams); i++) {
		if (streams[i] != NULL)
			setenv("JOURNAL_STREAM", streams[i], 1);
		else
			unsetenv("JOURNAL_STREAM");
		capture_begin(&capture);
		log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
		log_message(LOG_LEVEL_WARNING, "text");
		const char *text = capture_end(&capture);

		assert_int_equal(sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2uZ %n", &year,
					 &month, &day, &hour, &minute, &second, &end),
			6);
		assert_string_equal(text + end, "warning text\n");
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(log_target_names[LOG_TO_STDERR], "stderr");
	assert_string_equal(log_target_names[LOG_TO_SYSLOG], "syslog");
	assert_string_equal(log_target_names[LOG_TO_JOURNAL], "journal");
	assert_null(log_target_names[LOG_TARGETS]);
	assert_string_equal(log_level_names[LOG_LEVEL_ERROR], "error");
	assert_string_equal(log_level_names[LOG_LEVEL_DEBUG], "debug");
	assert_null(log_level_names[LOG_LEVELS]);
	assert_true(log_can(LOG_TO_STDERR) && log_can(LOG_TO_SYSLOG));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_stamp),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
