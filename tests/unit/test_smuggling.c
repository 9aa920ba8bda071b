/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The property that the framer exists for: whatever a sender mixes of CR, LF, '.', NUL
 * and text, a receiver of any leniency sees one message, or the message was refused.
 *
 * SMUGGLING_ROUNDS in the environment says how many strings to try.
 */

#include "body_world.h"

enum {
	STRING_MAX = 24,
	PADDING = 128,
	MESSAGE_MAX = 512,
};

static const char head[] = "Subject: a\r\n\r\nb";
static const char tail[] = "\r\n.\r\nMAIL FROM:<x@y.example>\r\nDATA\r\n.\r\n";

static size_t put(unsigned char *octets, size_t at, const void *more, size_t n)
{
	memcpy(octets + at, more, n);
	return at + n;
}

static size_t make_message(unsigned char octets[MESSAGE_MAX], uint64_t *random)
{
	uint64_t dice = next_random(random);
	size_t n = dice % (STRING_MAX + 1);
	unsigned place = dice >> 16 & 3;
	/* a NUL refuses the message: only every fourth string may have some */
	unsigned kinds = dice >> 20 & 3 ? 4 : 5;
	unsigned char padding[PADDING];
	size_t at = 0;

	/* in the middle of a line, of a long text, or at the start of the body */
	memset(padding, 'b', sizeof(padding));
	if (place >= 2)
		at = put(octets, at, head, sizeof(head) - 1);
	if (place == 3)
		at = put(octets, at, padding, dice >> 24 & (PADDING - 1));
	for (dice = next_random(random); n > 0; n--, dice /= kinds)
		octets[at++] = (unsigned char)"\r\n.a\0"[dice % kinds];
	if (place == 3)
		at = put(octets, at, padding, sizeof(padding));
	return put(octets, at, tail, sizeof(tail) - 1);
}

static void print_octets(const unsigned char *octets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		print_error(octets[i] > ' ' ? "%c" : "\\x%02x", octets[i]);
	print_error("\n");
}

static const char *complaint(const unsigned char *octets, size_t n, bool reject,
	unsigned char cut, unsigned long *accepted)
{
	const unsigned char cuts[] = { cut, UINT8_MAX };
	struct framing whole, split;

	body_begin_data(&whole.body, reject, 0);
	oracle_feed(&whole, &pool, octets, n, NULL, 0);
	body_begin_data(&split.body, reject, 0);
	oracle_feed(&split, &pool, octets, n, cuts, 2);

	const char *text = oracle_complaint(&whole, octets, n);

	if (text == NULL)
		text = oracle_complaint(&split, octets, n);
	if (text == NULL)
		text = oracle_difference(&whole, &split);
	*accepted += whole.body.fault == BODY_FINE;
	buf_release(&whole.out);
	buf_release(&split.out);
	return text;
}

static void test_random(void **state)
{
	uint64_t random = 0x5ea1905700000001;
	unsigned long accepted = 0;
	unsigned long count = rounds("SMUGGLING_ROUNDS", 1000000, 50000);

	(void)state;
	for (unsigned long i = 0; i < count; i++) {
		unsigned char octets[MESSAGE_MAX];
		size_t n = make_message(octets, &random);
		uint64_t dice = next_random(&random);
		const char *text = complaint(octets, n, dice & 1,
			(unsigned char)((dice >> 8) % (n - 1)), &accepted);

		if (text != NULL) {
			print_octets(octets, n);
			fail_msg("%s", text);
		}
	}
	assert_true(accepted > count / 4); /* or the property says little */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("smuggling", tests, set_up, tear_down);
}
