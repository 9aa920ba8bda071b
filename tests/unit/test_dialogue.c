/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What no playbook can say: what the shell sees of a conversation, and races. */

#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct dialogue_service service = {
	.hostname = "proxy.example",
	.near_tls = DIALOGUE_NEAR_OFFER,
	.mechanisms = 1u << SMTP_AUTH_PLAIN,
	.command_length = 2048,
	.auth_length = 12288,
	.recipients = 1000,
	.disorder = 20,
	.reply = { .length = 65536, .lines = 200 },
};

static int begin(void **state)
{
	static struct stage stage;

	stage = (struct stage){ 0 };
	stage_begin(&stage, &service);
	*state = &stage;
	return 0;
}

static int end(void **state)
{
	struct stage *stage = *state;

	stage_end(stage);
	return stage->pool.borrowed == 0 ? 0 : -1;
}

static void near_says(struct stage *stage, const char *text)
{
	octets_append(&stage->near.sent, text, strlen(text));
	stage_run(stage);
}

static void far_says(struct stage *stage, const char *text)
{
	octets_append(&stage->far.sent, text, strlen(text));
	stage_run(stage);
}

/* The last line that near has received. */
static void assert_told(struct stage *stage, const char *beginning)
{
	const char *line = "";
	size_t length;

	while (octets_line(&stage->near.got, &length)) {
		line = octets_head(&stage->near.got);
		octets_drop(&stage->near.got, length + 2);
	}
	assert_memory_equal(line, beginning, strlen(beginning));
}

static void assert_waits(const struct stage *stage, enum dialogue_wait wait)
{
	enum dialogue_wait waiting = dialogue_waiting(&stage->stream.dialogue);

	assert_string_equal(dialogue_wait_name(waiting), dialogue_wait_name(wait));
}

static void greet(struct stage *stage)
{
	far_says(stage, "220 far\r\n");
	near_says(stage, "EHLO near\r\n");
	far_says(stage, "250-far\r\n250-CHUNKING\r\n250 AUTH PLAIN\r\n");
}

static void go_to_data(struct stage *stage)
{
	greet(stage);
	near_says(stage, "MAIL FROM:<a@near>\r\n");
	far_says(stage, "250 ok\r\n");
	near_says(stage, "RCPT TO:<b@far>\r\n");
	far_says(stage, "250 ok\r\n");
	near_says(stage, "DATA\r\n");
	far_says(stage, "354 go\r\n");
}

static void test_waits(void **state)
{
	struct stage *stage = *state;
	struct dialogue *d = &stage->stream.dialogue;

	assert_waits(stage, DIALOGUE_WAIT_GREETING);
	far_says(stage, "220 far\r\n");
	assert_waits(stage, DIALOGUE_WAIT_COMMAND);
	near_says(stage, "EHLO near\r\n");
	assert_waits(stage, DIALOGUE_WAIT_REPLY);
	far_says(stage, "250 far\r\n");
	near_says(stage, "MAIL FROM:<a@near>\r\n");
	far_says(stage, "250 ok\r\n");
	near_says(stage, "RCPT TO:<b@far>\r\n");
	far_says(stage, "250 ok\r\n");
	near_says(stage, "DATA\r\n");
	assert_waits(stage, DIALOGUE_WAIT_DATA);
	far_says(stage, "354 go\r\n");
	assert_waits(stage, DIALOGUE_WAIT_BODY);
	assert_false(dialogue_awaits_verdict(d));
	near_says(stage, ".\r\n");
	assert_waits(stage, DIALOGUE_WAIT_EOD);
	assert_true(dialogue_awaits_verdict(d));
	far_says(stage, "250 ok\r\n");
	assert_waits(stage, DIALOGUE_WAIT_COMMAND);
	assert_false(dialogue_awaits_verdict(d));
	assert_int_equal(d->transactions, 1);
}

/* The shell logs a fault when it sees one: once a message, however many chunks follow. */
static void test_fault_of_chunks(void **state)
{
	struct stage *stage = *state;
	struct dialogue_service limited = service;

	limited.message_size = 10;
	stage->stream.dialogue.service = &limited;
	greet(stage);
	near_says(stage, "MAIL FROM:<a@near>\r\n");
	far_says(stage, "250 ok\r\n");
	near_says(stage, "RCPT TO:<b@far>\r\n");
	far_says(stage, "250 ok\r\n");
	near_says(stage, "BDAT 11\r\nhello worldBDAT 4\r\nQUIT");
	assert_told(stage, "552 5.3.4 ");
	assert_int_equal(stage->stream.fault, BODY_TOO_LONG);
	stage->stream.fault = BODY_FINE;
	near_says(stage, "BDAT 4 LAST\r\nQUIT");
	assert_told(stage, "552 5.3.4 ");
	assert_int_equal(stage->stream.fault, BODY_FINE);
}

/* A message that far refused before its end was not passed on whole: no verdict is due.
 */
static void test_no_verdict_on_half_a_message(void **state)
{
	struct stage *stage = *state;

	go_to_data(stage);
	far_says(stage, "552 too big\r\n");
	assert_false(dialogue_awaits_verdict(&stage->stream.dialogue));
	near_says(stage, ".\r\n");
	assert_told(stage, "552 too big");
	assert_false(dialogue_needs_far(&stage->stream.dialogue));
	assert_int_equal(stage->stream.dialogue.transactions, 0);
}

/* Far's 250 came before the end of the message did: it cannot be about the whole. */
static void test_acceptance_that_crosses_the_end(void **state)
{
	struct stage *stage = *state;

	go_to_data(stage);
	octets_append(&stage->far.sent, "250 ok\r\n", 8);
	near_says(stage, "text\r\n.\r\n");
	assert_told(stage, "451 4.3.0");
	assert_int_equal(stage->stream.dialogue.transactions, 0);
}

/* RFC 3207 §4.2: nothing of it is in the log line of what comes in TLS either. */
static void test_nothing_survives_starttls(void **state)
{
	struct stage *stage = *state;
	struct dialogue *d = &stage->stream.dialogue;

	greet(stage);
	near_says(stage, "MAIL FROM:<a@near>\r\n");
	far_says(stage, "250 ok\r\n");
	near_says(stage, "RCPT TO:<b@far>\r\n");
	far_says(stage, "250 ok\r\n");
	assert_string_equal(d->helo, "near");
	assert_string_equal(d->from, "a@near");
	assert_string_equal(d->to, "b@far");
	near_says(stage, "STARTTLS\r\n");
	assert_false(dialogue_takes_lines(d));
	stage_tls(stage, true);
	assert_string_equal(d->helo, "");
	assert_string_equal(d->from, "");
	assert_string_equal(d->to, "");
	assert_int_equal(d->near_keywords, 0);
	assert_int_equal(d->recipients, 0);
	assert_false(d->mail || d->esmtp || d->authenticated);
}

/* Long lines are for AUTH, and AUTH is for TLS. */
static void test_line_limit(void **state)
{
	struct stage *stage = *state;

	greet(stage);
	assert_int_equal(dialogue_line_limit(&stage->stream.dialogue), 2048);
	near_says(stage, "STARTTLS\r\n");
	stage_tls(stage, true);
	assert_int_equal(dialogue_line_limit(&stage->stream.dialogue), 12288);
}

static void test_long_notes(void **state)
{
	struct stage *stage = *state;
	struct dialogue *d = &stage->stream.dialogue;
	char line[512];

	snprintf(line, sizeof line, "MAIL FROM:<%0200d@near>\r\n", 0);
	greet(stage);
	near_says(stage, line);
	assert_int_equal(strlen(d->from), DIALOGUE_PATH - 1);
	assert_string_equal(d->from + DIALOGUE_PATH - 4, "...");
}

static void assert_ended(const struct stage *stage, enum dialogue_end how)
{
	const struct dialogue *d = &stage->stream.dialogue;

	assert_true(stage->over && dialogue_closed(d));
	assert_string_equal(dialogue_end_name(d->end), dialogue_end_name(how));
	assert_non_null(d->reason);
}

static void test_end_by_quit(void **state)
{
	struct stage *stage = *state;

	greet(stage);
	near_says(stage, "QUIT\r\n");
	far_says(stage, "221 bye\r\n");
	assert_ended(stage, DIALOGUE_END_QUIT);
}

static void test_end_by_client(void **state)
{
	struct stage *stage = *state;

	greet(stage);
	stage->near.ended = true;
	stage_run(stage);
	assert_ended(stage, DIALOGUE_END_CLIENT);
}

static void test_end_by_server(void **state)
{
	struct stage *stage = *state;

	greet(stage);
	stage->far.ended = true;
	stage_run(stage);
	assert_ended(stage, DIALOGUE_END_SERVER);
	assert_string_equal(stage->stream.dialogue.reason,
		"the connection to the mail server was lost");
}

static void test_end_by_timeout(void **state)
{
	struct stage *stage = *state;

	greet(stage);
	struct dialogue_io io = stage_io(stage);
	stage_obey(stage, dialogue_timeout(&stage->stream.dialogue, &io));
	assert_ended(stage, DIALOGUE_END_TIMEOUT);
}

static void test_end_by_abuse(void **state)
{
	struct stage *stage = *state;

	greet(stage);
	near_says(stage, "GET / HTTP/1.1\r\n");
	assert_ended(stage, DIALOGUE_END_ABUSE);
}

/* Back-pressure: whoever is not read is not asked for more. */
static void test_room(void **state)
{
	struct stage *stage = *state;
	char block[BUF_BLOCK];

	memset(block, 'x', sizeof block);
	block[sizeof block - 2] = '\r';
	block[sizeof block - 1] = '\n';
	go_to_data(stage);
	assert_int_equal(stream_near_room(&stage->stream), BUF_BLOCK);
	stage->far.stalled = true;
	for (unsigned i = 0; i < 8; i++)
		octets_append(&stage->near.sent, block, sizeof block);
	stage_run(stage);
	assert_int_equal(stream_near_room(&stage->stream), 0);
	assert_true(stage->near.sent.length > 0);
	assert_true(buf_length(&stage->stream.far_out) < 3 * BUF_BLOCK);
	stage->far.stalled = false;
	stage_run(stage);
	assert_int_equal(stage->near.sent.length, 0);
	assert_int_equal(stream_near_room(&stage->stream), BUF_BLOCK);
}

/* A buffer that failed ends the session: nothing of it is sent as if it were whole. */
static void test_failure(void **state)
{
	struct stage *stage = *state;

	greet(stage);
	stage->stream.far_out.failed = true;
	near_says(stage, "NOOP\r\n");
	assert_true(stream_failed(&stage->stream));
	assert_true(stage->over);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DIALOGUE_WANTS; i++)
		assert_non_null(dialogue_want_name(i));
	for (unsigned i = 0; i < DIALOGUE_WAITS; i++)
		assert_non_null(dialogue_wait_name(i));
	for (unsigned i = 0; i < DIALOGUE_ENDS; i++)
		assert_non_null(dialogue_end_name(i));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_waits),
		TEST(test_fault_of_chunks),
		TEST(test_no_verdict_on_half_a_message),
		TEST(test_acceptance_that_crosses_the_end),
		TEST(test_nothing_survives_starttls),
		TEST(test_line_limit),
		TEST(test_long_notes),
		TEST(test_end_by_quit),
		TEST(test_end_by_client),
		TEST(test_end_by_server),
		TEST(test_end_by_timeout),
		TEST(test_end_by_abuse),
		TEST(test_room),
		TEST(test_failure),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
