/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "message.h"
#include "message_again.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t packet[MESSAGE_MAX], again[MESSAGE_MAX];

static void set(char *field, const char *text)
{
	memcpy(field, text, strlen(text) + 1);
}

/* ---- samples: something everywhere ---- */

static struct settings *sample_settings(void)
{
	static struct settings settings;

	memset(&settings, 0, sizeof(settings));
	set(settings.directory, "/etc/sealpost/policy.d with a blank");
	settings.owner = 1000;
	set(settings.resolver, "192.0.2.1@5353");
	set(settings.trust_anchor, "/etc/sealpost/r\xc3\xb6\xc3\xb6t.key");
	settings.stub_count = 2;
	set(settings.stubs[0].zone, "lab");
	set(settings.stubs[0].server, "127.0.0.1@53");
	set(settings.stubs[1].zone, ".");
	set(settings.stubs[1].server, "::1");
	settings.timeout = 20;
	settings.dane = true;
	settings.mta_sts = true;
	set(settings.cache, "/var/lib/sealpost");
	set(settings.ca, "system");
	return &settings;
}

static void sample_demand(struct demand *demand, uint8_t *ca, size_t ca_length)
{
	demand->level = LEVEL_FINGERPRINT;
	demand->protocols = PROTOCOLS_LEGACY;
	demand->bounce = true;
	demand->mta_sts = true;
	demand->match_count = 2;
	set(demand->match[0], "mx");
	set(demand->match[1], ".bank.example");
	demand->mx_count = 1;
	set(demand->mx[0], "*.mail.example");
	demand->fingerprint_count = 2;
	demand->fingerprints[0].length = 32;
	memset(demand->fingerprints[0].octets, 0xab, 32);
	demand->fingerprints[1].of = FINGERPRINT_SPKI;
	demand->fingerprints[1].length = 64;
	memset(demand->fingerprints[1].octets, 0xcd, 64);
	set(demand->identity, "our bank");
	demand->ca = ca;
	demand->ca_length = ca_length;
}

/* A record of it, and one more of all octets that there are. */
static void sample_tlsa(struct candidate *c, uint8_t octets[32 + 64 + 3])
{
	set(c->tlsa_base, "mx1.provider.example");
	c->tlsa_count = 3;
	c->tlsa[0] = (struct tlsa){ TLSA_EE, TLSA_SPKI, TLSA_SHA256, 32, octets };
	c->tlsa[1] =
		(struct tlsa){ TLSA_TA, TLSA_CERTIFICATE, TLSA_SHA512, 64, octets + 32 };
	c->tlsa[2] = (struct tlsa){ TLSA_TA, TLSA_SPKI, TLSA_FULL, 3, octets + 96 };
	for (unsigned i = 0; i < 32 + 64 + 3; i++)
		octets[i] = (uint8_t)i;
}

static void sample_sts(struct sts *sts)
{
	sts->mode = STS_ENFORCE;
	sts->mx_count = 2;
	set(sts->mx[0], "mx1.mail.example");
	set(sts->mx[1], "*.provider.example");
	set(sts->id, "20261122");
	sts->fetched = INT64_C(1795000000);
	sts->expires = INT64_C(1795600000);
	set(sts->text, "the policy host is away");
}

static struct peer *sample_peer(void)
{
	static struct peer peer;
	static uint8_t ca[] = "-----BEGIN CERTIFICATE-----\n", tlsa[32 + 64 + 3];

	memset(&peer, 0, sizeof(peer));
	peer.status = PEER_NULL_MX;
	set(peer.domain, "bank.example");
	set(peer.where, "/etc/sealpost/policy.d/bank.example.policy:4");
	set(peer.text, "bank.example takes no mail");
	peer.generation = 0x0102030405060708;
	peer.lifetime = 3600;
	sample_demand(&peer.demand, ca, sizeof(ca));
	peer.candidate_count = 2;
	struct candidate *c = peer.candidates;
	set(c[0].name, "mx1.mail.example");
	c[0].preference = 10;
	c[0].dane = DANE_USABLE;
	c[0].address_count = 2;
	c[0].addresses[0] =
		(struct peer_address){ FAMILY_IPV4, .octets = { 192, 0, 2, 1 } };
	c[0].addresses[1] =
		(struct peer_address){ FAMILY_IPV6, .octets = { 0x20, 1, [15] = 7 } };
	c[1].preference = 65535;
	peer.secure_mx = true;
	peer.tlsa_octets = tlsa;
	peer.tlsa_length = sizeof(tlsa);
	sample_tlsa(&c[0], tlsa);
	sample_sts(&peer.sts);
	return &peer;
}

/* The largest peer there can be. */
static struct peer *huge_peer(void)
{
	static struct peer peer;
	static uint8_t ca[REQUIREMENT_CA], tlsa[REQUIREMENT_TLSA_OCTETS];
	enum { TLSA_LENGTH = sizeof(tlsa) / REQUIREMENT_CANDIDATES / REQUIREMENT_TLSA };

	memset(&peer, 0, sizeof(peer));
	memset(peer.domain, 'd', sizeof(peer.domain) - 1);
	memset(peer.where, 'w', sizeof(peer.where) - 1);
	memset(peer.text, 't', sizeof(peer.text) - 1);
	peer.demand.match_count = peer.demand.mx_count = REQUIREMENT_PATTERNS;
	for (unsigned i = 0; i < REQUIREMENT_PATTERNS; i++) {
		memset(peer.demand.match[i], 'm', REQUIREMENT_NAME - 1);
		memset(peer.demand.mx[i], 'x', REQUIREMENT_NAME - 1);
	}
	peer.demand.fingerprint_count = REQUIREMENT_FINGERPRINTS;
	for (unsigned i = 0; i < REQUIREMENT_FINGERPRINTS; i++)
		peer.demand.fingerprints[i].length = 64;
	peer.demand.ca = ca;
	peer.demand.ca_length = sizeof(ca);
	peer.sts.mx_count = REQUIREMENT_STS_MX;
	for (unsigned i = 0; i < REQUIREMENT_STS_MX; i++)
		memset(peer.sts.mx[i], 's', REQUIREMENT_NAME - 1);
	memset(peer.sts.id, 'i', sizeof(peer.sts.id) - 1);
	memset(peer.sts.text, 't', sizeof(peer.sts.text) - 1);
	peer.tlsa_octets = tlsa;
	peer.tlsa_length = sizeof(tlsa);
	peer.candidate_count = REQUIREMENT_CANDIDATES;
	for (unsigned i = 0; i < REQUIREMENT_CANDIDATES; i++) {
		struct candidate *c = &peer.candidates[i];

		memset(c->name, 'c', sizeof(c->name) - 1);
		c->address_count = REQUIREMENT_ADDRESSES;
		for (unsigned j = 0; j < REQUIREMENT_ADDRESSES; j++)
			c->addresses[j].family = FAMILY_IPV6;
		memset(c->tlsa_base, 'b', sizeof(c->tlsa_base) - 1);
		c->tlsa_count = REQUIREMENT_TLSA;
		for (unsigned j = 0; j < REQUIREMENT_TLSA; j++)
			c->tlsa[j] =
				(struct tlsa){ TLSA_EE, TLSA_SPKI, TLSA_FULL, TLSA_LENGTH,
					tlsa + (i * REQUIREMENT_TLSA + j) * TLSA_LENGTH };
	}
	return &peer;
}

static const struct question sample_question = {
	.id = 0xdeadbeef, .direction = DIRECTION_INBOUND, .domain = "[IPv6:2001:db8::1]"
};
static const struct policy_state sample_state = { .generation = 77,
	.inbound_demands = true,
	.files = 3000,
	.broken = 70000,
	.unanswered = 5 };
static const struct message_log sample_log = { .level = 2, .text = "so it is" };

/* Message `i` of all samples, in `packet`; 0 behind the last. */
static size_t sample(unsigned i)
{
	switch (i) {
	case 0: return message_write_settings(packet, MESSAGE_MAX, sample_settings());
	case 1: return message_write_question(packet, MESSAGE_MAX, &sample_question);
	case 2: return message_write_plain(packet, MESSAGE_MAX, MESSAGE_RELOAD);
	case 3: return message_write_answer(packet, MESSAGE_MAX, 5, sample_peer());
	case 4: return message_write_state(packet, MESSAGE_MAX, &sample_state);
	case 5: return message_write_log(packet, MESSAGE_MAX, &sample_log);
	default: return 0;
	}
}

/* ---- there and back ---- */

static void test_settings(void **state)
{
	struct settings *was = sample_settings(), is;
	size_t length = message_write_settings(packet, sizeof(packet), was);

	(void)state;
	assert_true(length > 0);
	assert_int_equal(message_type(packet, length), MESSAGE_SETTINGS);
	memset(&is, 0x7f, sizeof(is));
	assert_true(message_read_settings(packet, length, &is));
	assert_memory_equal(was, &is, sizeof(is));
}

static void test_question(void **state)
{
	struct question is;
	size_t length =
		message_write_question(packet, MESSAGE_QUESTION_MAX, &sample_question);

	(void)state;
	assert_true(length > 0);
	assert_true(message_read_question(packet, length, &is));
	assert_int_equal(is.id, 0xdeadbeef);
	assert_int_equal(is.direction, DIRECTION_INBOUND);
	assert_string_equal(is.domain, "[IPv6:2001:db8::1]");
}

static void test_longest_question(void **state)
{
	struct question was = { .direction = DIRECTION_HOST }, is;

	(void)state;
	memset(was.domain, 'a', sizeof(was.domain) - 1);
	size_t length = message_write_question(packet, MESSAGE_QUESTION_MAX, &was);
	assert_true(length > 0);
	assert_true(message_read_question(packet, length, &is));
	assert_string_equal(is.domain, was.domain);
}

/* Each record lies in the peer's own octets, where it lay before. `copy` is made equal
 * thereafter, padding included. */
static void assert_same_records(
	const struct peer *was, unsigned i, const struct peer *is, struct tlsa *copy)
{
	for (unsigned j = 0; j < was->candidates[i].tlsa_count; j++) {
		const struct tlsa *a = &was->candidates[i].tlsa[j], *b = &copy[j];

		assert_int_equal(a->usage, b->usage);
		assert_int_equal(a->selector, b->selector);
		assert_int_equal(a->matching, b->matching);
		assert_int_equal(a->length, b->length);
		assert_int_equal(
			a->octets - was->tlsa_octets, b->octets - is->tlsa_octets);
	}
	memcpy(copy, was->candidates[i].tlsa, sizeof(was->candidates[i].tlsa));
}

static void assert_same_peer(const struct peer *was, struct peer *is)
{
	struct peer copy = *is;

	assert_int_equal(was->demand.ca_length, is->demand.ca_length);
	assert_memory_equal(was->demand.ca, is->demand.ca, was->demand.ca_length);
	copy.demand.ca = was->demand.ca;
	assert_int_equal(was->tlsa_length, is->tlsa_length);
	if (was->tlsa_length > 0)
		assert_memory_equal(was->tlsa_octets, is->tlsa_octets, was->tlsa_length);
	copy.tlsa_octets = was->tlsa_octets;
	for (unsigned i = 0; i < is->candidate_count; i++)
		assert_same_records(was, i, is, copy.candidates[i].tlsa);
	assert_memory_equal(was, &copy, sizeof(copy));
}

static void test_answer(void **state)
{
	struct peer *was = sample_peer();
	uint32_t id;

	(void)state;
	size_t length = message_write_answer(packet, sizeof(packet), 0x01020304, was);
	assert_true(length > 0);
	struct peer *is = message_read_answer(packet, length, &id);
	assert_non_null(is);
	assert_int_equal(id, 0x01020304);
	assert_same_peer(was, is);
	peer_free(is);
}

static void test_largest_answer(void **state)
{
	struct peer *was = huge_peer();
	uint32_t id;

	(void)state;
	size_t length = message_write_answer(packet, sizeof(packet), UINT32_MAX, was);
	assert_true(length > REQUIREMENT_CA);
	struct peer *is = message_read_answer(packet, length, &id);
	assert_non_null(is);
	assert_same_peer(was, is);
	peer_free(is);
}

/* What holds no demand and no host is an answer as well. */
static void test_smallest_answer(void **state)
{
	static const struct peer was = { .status = PEER_INVALID };
	uint32_t id;

	(void)state;
	size_t length = message_write_answer(packet, sizeof(packet), 1, &was);
	assert_true(length > 0);
	struct peer *is = message_read_answer(packet, length, &id);
	assert_non_null(is);
	assert_memory_equal(&was, is, sizeof(was));
	peer_free(is);
}

static void test_state(void **state)
{
	struct policy_state is;
	size_t length = message_write_state(packet, sizeof(packet), &sample_state);

	(void)state;
	assert_true(message_read_state(packet, length, &is));
	assert_int_equal(is.generation, 77);
	assert_true(is.inbound_demands);
	assert_false(is.client_certificates);
	assert_int_equal(is.files, 3000);
	assert_int_equal(is.broken, 70000);
	assert_int_equal(is.unanswered, 5);
}

static void test_log(void **state)
{
	struct message_log was = { .level = 3, .text = "two\r\nlines, and \x1b[1m" }, is;
	size_t length = message_write_log(packet, sizeof(packet), &was);

	(void)state;
	assert_true(message_read_log(packet, length, &is));
	assert_int_equal(is.level, 3);
	assert_string_equal(is.text, "two??lines, and ?[1m");
}

/* What the supervisor makes room for. */
static void test_largest_log(void **state)
{
	struct message_log was;

	(void)state;
	memset(&was, 'a', sizeof(was));
	was.level = 3;
	assert_int_equal(message_write_log(packet, MESSAGE_SUPERVISOR_MAX, &was), 0);
	was.text[sizeof(was.text) - 1] = '\0';
	assert_true(message_write_log(packet, MESSAGE_SUPERVISOR_MAX, &was) > 0);
}

static void test_plain(void **state)
{
	size_t length = message_write_plain(packet, MESSAGE_QUESTION_MAX, MESSAGE_PING);

	(void)state;
	assert_true(length > 0);
	assert_int_equal(message_type(packet, length), MESSAGE_PING);
	assert_int_equal(message_type(packet, length + 1), 0);
	assert_int_equal(message_type(packet, 0), 0);
}

static void test_reader(void **state)
{
	size_t length = message_write_reader(packet, MESSAGE_QUESTION_MAX, 63);
	uint32_t worker;

	(void)state;
	assert_true(length > 0);
	assert_true(message_read_reader(packet, length, &worker));
	assert_int_equal(worker, 63);
	assert_false(message_read_reader(packet, length - 1, &worker));
}

/* ---- what is refused ---- */

/* In memory of its very size, so that a sanitizer sees one octet too many. */
static size_t read_again(const uint8_t *at, size_t length)
{
	uint8_t *exactly = malloc(length > 0 ? length : 1);

	assert_non_null(exactly);
	memcpy(exactly, at, length);
	size_t written = message_again(exactly, length, again, sizeof(again));
	if (written > 0) {
		assert_int_equal(written, length);
		assert_memory_equal(again, exactly, length);
	}
	free(exactly);
	return written;
}

static void test_truncated(void **state)
{
	size_t length;

	(void)state;
	for (unsigned i = 0; (length = sample(i)) > 0; i++) {
		assert_int_equal(read_again(packet, length), length);
		for (size_t n = 0; n < length; n++)
			assert_int_equal(read_again(packet, n), 0);
	}
}

static void test_trailing(void **state)
{
	size_t length;

	(void)state;
	for (unsigned i = 0; (length = sample(i)) > 0; i++) {
		packet[length] = 0;
		assert_int_equal(read_again(packet, length + 1), 0);
	}
}

/* Each octet made any other: it is refused, or understood in full. */
static void test_altered(void **state)
{
	size_t length;

	(void)state;
	for (unsigned i = 0; (length = sample(i)) > 0; i++)
		for (size_t n = 0; n < length; n++) {
			uint8_t was = packet[n];

			for (unsigned x = 1; x < 256; x++) {
				packet[n] = (uint8_t)(was ^ x);
				read_again(packet, length);
			}
			packet[n] = was;
		}
}

static void test_no_room(void **state)
{
	size_t length;

	(void)state;
	for (unsigned i = 0; (length = sample(i)) > 0; i++) {
		uint8_t *message = malloc(length);

		assert_non_null(message);
		memcpy(message, packet, length);
		for (size_t room = 0; room < length; room++) {
			uint8_t *to = malloc(room > 0 ? room : 1);

			assert_non_null(to);
			assert_int_equal(message_again(message, length, to, room), 0);
			free(to);
		}
		free(message);
	}
}

static void test_types(void **state)
{
	uint8_t type = 0;

	(void)state;
	assert_int_equal(message_type(&type, 0), 0);
	assert_int_equal(message_type(&type, 1), 0);
	type = MESSAGE_LOG;
	assert_int_equal(message_type(&type, 1), MESSAGE_LOG);
	type = MESSAGE_TYPES;
	assert_int_equal(message_type(&type, 1), 0);
	type = 255;
	assert_int_equal(message_type(&type, 1), 0);
}

/* One message is not read as another. */
static void test_another_type(void **state)
{
	struct question question;
	struct policy_state policy;
	size_t length = message_write_question(packet, MESSAGE_MAX, &sample_question);

	(void)state;
	packet[0] = MESSAGE_STATE;
	assert_false(message_read_question(packet, length, &question));
	assert_false(message_read_state(packet, length, &policy));
}

/* ---- values that are out of range, on both sides ---- */

/* Neither written nor, where something else wrote it, read. */
#define assert_refused(member, bad)                                                      \
	do {                                                                             \
		struct peer *peer = sample_peer();                                       \
		peer->member = (bad);                                                    \
		assert_int_equal(                                                        \
			message_write_answer(packet, sizeof(packet), 1, peer), 0);       \
	} while (0)

static void test_out_of_range(void **state)
{
	(void)state;
	assert_refused(direction, DIRECTION_HOST + 1);
	assert_refused(status, PEER_STATUSES);
	assert_refused(demand.level, LEVELS);
	assert_refused(demand.protocols, PROTOCOLS_COUNT);
	assert_refused(demand.match_count, REQUIREMENT_PATTERNS + 1);
	assert_refused(demand.mx_count, REQUIREMENT_PATTERNS + 1);
	assert_refused(demand.fingerprint_count, REQUIREMENT_FINGERPRINTS + 1);
	assert_refused(demand.fingerprints[0].of, FINGERPRINT_SPKI + 1);
	assert_refused(demand.fingerprints[1].length, 63);
	assert_refused(demand.fingerprints[1].length, 0);
	assert_refused(demand.ca_length, REQUIREMENT_CA + 1);
	assert_refused(candidate_count, REQUIREMENT_CANDIDATES + 1);
	assert_refused(candidates[0].dane, DANE_USABLE + 1);
	assert_refused(candidates[0].tlsa_count, REQUIREMENT_TLSA + 1);
	assert_refused(candidates[0].tlsa[0].usage, TLSA_TA - 1);
	assert_refused(candidates[0].tlsa[0].usage, TLSA_EE + 1);
	assert_refused(candidates[0].tlsa[0].selector, TLSA_SPKI + 1);
	assert_refused(candidates[0].tlsa[0].matching, TLSA_SHA512 + 1);
	assert_refused(candidates[0].tlsa[0].matching, TLSA_SHA512);
	assert_refused(candidates[0].tlsa[0].length, 31);
	assert_refused(candidates[0].tlsa[1].length, 65);
	assert_refused(candidates[0].tlsa[2].length, 0);
	assert_refused(candidates[0].tlsa_base[0], ' ');
	assert_refused(sts.mode, STS_ENFORCE + 1);
	assert_refused(sts.mx_count, REQUIREMENT_STS_MX + 1);
	assert_refused(sts.mx[1][0], '\x7f');
	assert_refused(sts.id[0], ' ');
	assert_refused(candidates[0].address_count, REQUIREMENT_ADDRESSES + 1);
	assert_refused(candidates[0].addresses[0].family, FAMILY_NONE);
	assert_refused(candidates[0].addresses[0].family, 5);
	assert_refused(candidates[0].addresses[0].family, 7);
	assert_refused(domain[4], ' ');
	assert_refused(domain[4], '\n');
	assert_refused(domain[4], '\x80');
	assert_refused(demand.match[1][0], '\x7f');
	assert_refused(demand.identity[0], '\t');
}

/* A string that has no end within its field. */
static void test_unended(void **state)
{
	struct question question = { .id = 1 };

	(void)state;
	memset(question.domain, 'a', sizeof(question.domain));
	assert_int_equal(message_write_question(packet, sizeof(packet), &question), 0);
}

/* The same from the wire: a length that its field does not hold, a NUL inside. */
static void test_bad_strings(void **state)
{
	static const uint8_t head[] = { MESSAGE_QUESTION, 0, 0, 0, 1,
		DIRECTION_OUTBOUND };
	struct question question;

	(void)state;
	memcpy(packet, head, sizeof(head));
	memset(packet + sizeof(head) + 2, 'a', REQUIREMENT_NAME);
	packet[sizeof(head)] = 0;
	packet[sizeof(head) + 1] = 255;
	assert_true(message_read_question(packet, sizeof(head) + 2 + 255, &question));
	packet[sizeof(head) + 2 + 100] = '\0';
	assert_false(message_read_question(packet, sizeof(head) + 2 + 255, &question));
	packet[sizeof(head) + 2 + 100] = 'a';
	packet[sizeof(head)] = 1;
	packet[sizeof(head) + 1] = 0;
	assert_false(message_read_question(packet, sizeof(head) + 2 + 256, &question));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_longest_question),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_largest_answer),
		cmocka_unit_test(test_smallest_answer),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_largest_log),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_altered),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_another_type),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_unended),
		cmocka_unit_test(test_bad_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
