/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* How things stand, as words, as JSON, and in one line. */

#include "manual.h"
#include "overview.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HOUR = 3600, DAY = 24 * HOUR, NOW = 1800000000 }; /* 2027-01-15 08:00 UTC */

struct world {
	struct overview overview;
	char *text;
	size_t size;
};

static void add_service(struct overview *o, const char *name, const char *kind)
{
	o->services[o->service_count++] = (struct overview_service){ name, kind,
		{
			[COUNTER_OPEN] = 12,
			[COUNTER_SESSIONS] = 4711,
			[COUNTER_TURNED_AWAY] = 3,
			[COUNTER_NEAR_TLS] = 4500,
			[COUNTER_MESSAGES] = 9000,
			[COUNTER_MESSAGES_TLS] = 8999,
			[COUNTER_MESSAGES_VERIFIED] = 17,
			[COUNTER_OCTETS] = 1234567890,
			[COUNTER_REFUSED] = 5,
		} };
}

static void add_certificate(struct overview *o, const char *file, time_t left)
{
	struct overview_certificate *c = &o->certificates[o->certificate_count++];
	c->file = file;
	c->expires = NOW + left;
	strcpy(c->names, "mail.example.com smtp.example.com");
}

static void add_process(struct overview *o, enum overview_role role, pid_t pid)
{
	o->processes[o->process_count++] = (struct overview_process){ .role = role,
		.pid = pid,
		.since = NOW - 2 * HOUR,
		.restarts = role == ROLE_SUPERVISOR ? 0 : 1,
		.sessions = role == ROLE_WORKER ? 12 : 0 };
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	struct overview *o = &w->overview;
	*o = (struct overview){
		.version = "1.2.3",
		.config = "/etc/sealpost/sealpost.conf",
		.now = NOW,
		.since = NOW - 3 * DAY - 4 * HOUR,
		.generation = 3,
		.taken = NOW - 2 * HOUR - 5 * 60,
		.connections = 24,
		.connections_most = 10000,
		.policy = true,
		.policy_generation = 17,
		.policy_files = 42,
	};
	add_service(o, "inbound", "inbound");
	add_service(o, "office", "smarthost");
	add_certificate(o, "/etc/mail.pem", 81 * DAY);
	add_process(o, ROLE_SUPERVISOR, 100);
	add_process(o, ROLE_POLICY, 101);
	add_process(o, ROLE_WORKER, 102);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	free(w->text);
	free(w);
	return 0;
}

static const char *written(
	struct world *w, void (*write)(const struct overview *overview, FILE *to))
{
	free(w->text);
	FILE *to = open_memstream(&w->text, &w->size);
	assert_non_null(to);
	write(&w->overview, to);
	assert_int_equal(fclose(to), 0);
	return w->text;
}

static const char *line(struct world *w)
{
	static char text[2048];
	overview_line(&w->overview, text, sizeof(text));
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" is in \"%s\"", part, text);
}

/* ---- words ---- */

static void test_text(void **state)
{
	assert_true(overview_fine(&((struct world *)*state)->overview));
	assert_string_equal(written(*state, overview_print),
		"sealpost 1.2.3, serving for 3 d 4 h\n"
		"\n"
		"configuration  /etc/sealpost/sealpost.conf, generation 3, in force for "
		"2 h 5 min\n"
		"connections    24 of 10000\n"
		"policy files   42, broken 0, generation 17\n"
		"\n"
		"SERVICE KIND      OPEN SESSIONS AWAY IN-TLS MAIL ON-TLS VERIFIED   SIZE "
		"REFUSED\n"
		"inbound inbound     12     4711    3   4500 9000   8999       17 1.2 GB "
		"      5\n"
		"office  smarthost   12     4711    3   4500 9000   8999       17 1.2 GB "
		"      5\n"
		"\n"
		"CERTIFICATE    EXPIRES               NAMES\n"
		"/etc/mail.pem  in 81 d (2027-04-06)  mail.example.com smtp.example.com\n"
		"\n"
		"PROCESS     UP   PID  RESTARTS  SESSIONS\n"
		"supervisor  2 h  100         -         -\n"
		"policy      2 h  101         1         -\n"
		"worker      2 h  102         1        12\n");
}

/* What needs attention is said in all three, and is not fine. */
static void assert_noted(struct world *w, const char *note)
{
	char mark[1024];
	assert_false(overview_fine(&w->overview));
	snprintf(mark, sizeof(mark), "\n! %s\n", note);
	assert_has(written(w, overview_print), mark);
	snprintf(mark, sizeof(mark), "\"attention\": [\"%s\"], ", note);
	assert_has(written(w, overview_json), mark);
	snprintf(mark, sizeof(mark), "; %s", note);
	assert_has(line(w), mark);
}

static void test_fault(void **state)
{
	struct world *w = *state;
	strcpy(w->overview.fault, "sealpost.conf:3: unknown key");
	assert_noted(w, "the configuration was not taken up: "
			"sealpost.conf:3: unknown key");
}

static void test_broken(void **state)
{
	struct world *w = *state;
	w->overview.policy_broken = 2;
	assert_noted(w, "broken policy files: 2 (sealpost check names them)");
	assert_has(written(w, overview_print), "policy files   42, broken 2, ");
	w->overview.policy = false;
	assert_true(overview_fine(&w->overview));
	assert_has_not(written(w, overview_print), "policy files");
}

static void test_dns(void **state)
{
	struct world *w = *state;
	w->overview.unanswered = 2;
	assert_true(overview_fine(&w->overview));
	w->overview.unanswered = 3;
	assert_noted(w, "the DNS had no answer about the last 3 domains "
			"(the log names them)");
	w->overview.policy = false;
	assert_true(overview_fine(&w->overview));
}

static void test_certificates(void **state)
{
	struct world *w = *state;
	time_t *expires = &w->overview.certificates[0].expires;

	*expires = NOW + 14 * DAY + 1;
	assert_true(overview_fine(&w->overview));
	*expires = NOW + 14 * DAY;
	assert_noted(w, "/etc/mail.pem expires in 14 d");
	assert_has(written(w, overview_print),
		"/etc/mail.pem  in 14 d (2027-01-29)  mail.example.com");
	*expires = NOW + 5 * HOUR;
	assert_noted(w, "/etc/mail.pem expires in 5 h");
	*expires = NOW;
	assert_noted(w, "/etc/mail.pem has expired 0 s ago");
	*expires = NOW - DAY;
	assert_noted(w, "/etc/mail.pem has expired 1 d ago");
	assert_has(written(w, overview_print), "  1 d ago (2027-01-14)  ");
}

static void test_processes(void **state)
{
	struct world *w = *state;
	w->overview.processes[2].pid = 0;
	assert_noted(w, "a process is down and will be started again: worker");
	assert_has(written(w, overview_print),
		"\nworker      down    -         1        12\n");
	assert_has(written(w, overview_json), "{\"role\": \"worker\", \"pid\": null, ");
	w->overview.stopping = true;
	assert_true(overview_fine(&w->overview));
	assert_has(written(w, overview_print), "stopping; has served for 3 d 4 h\n");
	assert_has(line(w), "stopping; sessions: ");
}

/* With all that there may be, columns stand below each other. */
static void test_many(void **state)
{
	struct world *w = *state;
	struct overview *o = &w->overview;
	while (o->service_count < COUNTERS_SERVICES)
		add_service(o, "a-service-with-a-long-name", "intercept");
	while (o->certificate_count < OVERVIEW_CERTIFICATES)
		add_certificate(o, "/etc/x.pem", DAY);
	while (o->process_count < OVERVIEW_PROCESSES)
		add_process(o, ROLE_WORKER, 4000000);
	o->services[5].counts[COUNTER_MESSAGES] = UINT64_MAX;
	o->services[6].counts[COUNTER_OCTETS] = UINT64_MAX;
	const char *text = written(w, overview_print);
	assert_has(text, "\ninbound                    inbound   ");
	assert_has(text, " 18446744073709551615 ");
	assert_has(text, " 18446.7 PB ");
	assert_has(text, "\nworker      2 h  4000000         1        12\n");
	size_t length = 0;
	for (const char *row = strstr(text, "\nSERVICE") + 1; *row != '\n';) {
		size_t n = strcspn(row, "\n");
		if (length == 0)
			length = n;
		assert_int_equal(n, length);
		row += n + 1;
	}
}

static void test_nothing(void **state)
{
	struct world *w = *state;
	struct overview *o = &w->overview;
	o->service_count = o->certificate_count = o->process_count = 0;
	o->policy = false;
	assert_string_equal(written(w, overview_print),
		"sealpost 1.2.3, serving for 3 d 4 h\n"
		"\n"
		"configuration  /etc/sealpost/sealpost.conf, generation 3, in force for "
		"2 h 5 min\n"
		"connections    24 of 10000\n");
	const char *text = written(w, overview_json);
	assert_has(text, "\"attention\": [], ");
	assert_has(text, "\"policy\": null, \"services\": [], \"certificates\": [], "
			 "\"processes\": []}\n");
	assert_string_equal(
		line(w), "serving; sessions:; messages: 0, 0 of them on by TLS");
}

/* Files may be called anything: no line is forged, no terminal told to do things. */
static void test_printable(void **state)
{
	struct world *w = *state;
	struct overview *o = &w->overview;
	o->certificates[0].file = "/etc/\x1b[2J\n! forged \xc3\xa9";
	o->certificates[0].expires = 1;
	o->config = "/etc/\r\n\x07";
	strcpy(o->certificates[0].names, "CN=\x1b]0;x\x07");
	strcpy(o->fault, "line 1\nline 2");
	const char *text = written(w, overview_print);
	assert_has_not(text, "\n! forged");
	for (const char *c = text; *c != '\0'; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
	text = written(w, overview_json);
	for (const char *c = text; *c != '\0'; c++)
		assert_true((*c == '\n' && c[1] == '\0') || (*c >= ' ' && *c <= '~'));
	assert_has(text, "\"/etc/\\u001b[2J\\u000a! forged \\u00c3\\u00a9\"");
	for (const char *c = line(w); *c != '\0'; c++)
		assert_true(*c >= ' ' && *c <= '~');
}

/* ---- JSON ---- */

static void test_json(void **state)
{
	struct world *w = *state;
	w->overview.service_count = 1;
	assert_string_equal(written(w, overview_json),
		"{\"version\": \"1.2.3\", \"now\": \"2027-01-15T08:00:00Z\", "
		"\"since\": \"2027-01-12T04:00:00Z\", \"stopping\": false, "
		"\"attention\": [], \"configuration\": \"/etc/sealpost/sealpost.conf\", "
		"\"generation\": 3, \"taken_up\": \"2027-01-15T05:55:00Z\", "
		"\"fault\": \"\", \"connections\": 24, \"connections_most\": 10000, "
		"\"policy\": {\"generation\": 17, \"files\": 42, \"broken\": 0, "
		"\"unanswered\": 0}, "
		"\"services\": [{\"name\": \"inbound\", \"kind\": \"inbound\", "
		"\"open\": 12, \"sessions\": 4711, \"turned_away\": 3, "
		"\"near_tls\": 4500, \"messages\": 9000, \"messages_tls\": 8999, "
		"\"messages_verified\": 17, \"octets\": 1234567890, \"refused\": 5}], "
		"\"certificates\": [{\"file\": \"/etc/mail.pem\", "
		"\"names\": \"mail.example.com smtp.example.com\", "
		"\"expires\": \"2027-04-06T08:00:00Z\"}], "
		"\"processes\": [{\"role\": \"supervisor\", \"pid\": 100, "
		"\"since\": \"2027-01-15T06:00:00Z\", \"restarts\": 0, \"sessions\": 0}, "
		"{\"role\": \"policy\", \"pid\": 101, "
		"\"since\": \"2027-01-15T06:00:00Z\", \"restarts\": 1, \"sessions\": 0}, "
		"{\"role\": \"worker\", \"pid\": 102, "
		"\"since\": \"2027-01-15T06:00:00Z\", \"restarts\": 1, "
		"\"sessions\": 12}]}\n");
}

/* The words of the next item of the section behind *at, between blanks; NULL: no more. */
static const char *next_item(const char **at, char words[256])
{
	const char *item = strstr(*at, "\n.It Li ");
	if (!item)
		return NULL;
	*at = item += strlen("\n.It Li ");
	snprintf(words, 256, " %.*s ", (int)strcspn(item, "\n"), item);
	return words;
}

static bool is_documented(const char *section, const char *key, size_t length)
{
	char words[256], mark[64];
	snprintf(mark, sizeof(mark), " %.*s ", (int)length, key);
	for (const char *at = section; next_item(&at, words);)
		if (strstr(words, mark))
			return true;
	return false;
}

/* Every key is in the manual, and nothing that is none. */
static void test_manual_keys(void **state)
{
	char *manual = manual_read("sealpost.1"), words[256], mark[64];
	char *section = strstr(manual, ".Sh STATUS\n");
	assert_non_null(section);
	*strstr(section + 1, "\n.Sh ") = '\0';
	const char *json = written(*state, overview_json);
	unsigned keys = 0, documented = 0;

	for (const char *end = json; (end = strstr(end, "\": ")); end++, keys++) {
		const char *key = end;
		while (key[-1] != '"')
			key--;
		if (!is_documented(section, key, (size_t)(end - key)))
			fail_msg("sealpost(1) has no %.*s", (int)(end - key), key);
	}
	for (const char *at = section; next_item(&at, words);) {
		char *rest = words;
		for (char *word; (word = strtok_r(rest, " ,", &rest)); documented++) {
			snprintf(mark, sizeof(mark), "\"%s\": ", word);
			assert_has(json, mark);
		}
	}
	assert_true(keys >= documented && documented > 20);
	free(manual);
}

/* ---- one line ---- */

static void test_line(void **state)
{
	struct world *w = *state;
	char text[20];
	assert_string_equal(line(w), "serving; sessions: inbound 12, office 12; "
				     "messages: 18000, 17998 of them on by TLS");
	for (size_t size = 1; size <= sizeof(text); size++) {
		memset(text, 'x', sizeof(text));
		overview_line(&w->overview, text, size);
		assert_int_equal(strlen(text), size - 1);
		assert_memory_equal(text, line(w), size - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fault, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_certificates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_processes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_printable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_manual_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_line, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
