/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The policy process as one that answers, without a DNS. */

#include "service_world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the clock ---- */

enum { DAY = 24 * 60 * 60 };

static time_t ahead;	  /* seconds */
static char tomorrow[64]; /* a file: from when it is there, it is another day */

time_t __real_time(time_t *to);
time_t __wrap_time(time_t *to);

/* The linker leads whoever asks for the time here. */
time_t __wrap_time(time_t *to)
{
	time_t t = __real_time(NULL) + ahead;
	if (tomorrow[0] != '\0' && access(tomorrow, F_OK) == 0)
		t += DAY;
	if (to)
		*to = t;
	return t;
}

/* ---- answers ---- */

static void test_answers(void **state)
{
	struct world *world = world_new();
	(void)state;
	send_settings(world, "");
	struct policy_state said = receive_state(world);
	assert_int_equal(said.generation, 1);
	assert_false(said.inbound_demands);
	assert_answer(world, DIRECTION_OUTBOUND, "[192.0.2.1]", PEER_FINE, LEVEL_ENCRYPT);
	assert_answer(world, DIRECTION_OUTBOUND, "[192.0.2.1]", PEER_FINE, LEVEL_ENCRYPT);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_answer(world, DIRECTION_INBOUND, "", PEER_FINE, LEVEL_MAY);
	assert_answer(world, DIRECTION_HOST, "[192.0.2.1]", PEER_FINE, LEVEL_ENCRYPT);
	assert_answer(world, DIRECTION_OUTBOUND, "a..lab", PEER_INVALID, LEVEL_ENCRYPT);
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_DNS_FAILED, LEVEL_ENCRYPT);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* a.lab's file, whose last day is today. */
static void write_last_day(const struct world *world, const char *section)
{
	time_t now = time(NULL);
	char day[32], text[128];
	strftime(day, sizeof(day), "%Y-%m-%d", gmtime(&now));
	snprintf(text, sizeof(text), "expires = %s\n%s", day, section);
	write_file(world, "a.lab.policy", text);
}

static void test_no_answer_outlives_its_file(void **state)
{
	enum { LEFT = 40 };
	uint32_t id;
	(void)state;
	ahead = DAY - __real_time(NULL) % DAY - LEFT;
	struct world *world = world_new();
	write_last_day(world, "[inbound]\ntls = encrypt\n");
	send_settings(world, "");
	ask(world, DIRECTION_INBOUND, "a.lab");
	struct peer *peer = receive_answer(world, &id);
	assert_int_equal(peer->demand.level, LEVEL_ENCRYPT);
	assert_in_range(peer->lifetime, 1, LEFT);
	peer_free(peer);
	assert_int_equal(end_process(world), 0);
	world_free(world);
	ahead = 0;
}

static void test_a_file_expires_while_the_dns_is_asked(void **state)
{
	uint8_t packet[512];
	uint32_t id;
	(void)state;
	ahead = DAY / 2 - __real_time(NULL) % DAY; /* noon */
	strcpy(tomorrow, "/tmp/test-service.tomorrow.XXXXXX");
	close(mkstemp(tomorrow));
	assert_int_equal(unlink(tomorrow), 0);
	struct world *world = world_new();
	world_silence(world);
	write_last_day(world, "[outbound]\ntls = none\n");
	send_settings(world, "");
	receive_state(world);
	ask(world, DIRECTION_OUTBOUND, "a.lab");
	assert_true(recv(world->silence, packet, sizeof(packet), 0) > 0);
	close(creat(tomorrow, 0600));
	struct peer *peer = receive_answer(world, &id);
	assert_int_equal(peer->status, PEER_DNS_FAILED);
	assert_int_equal(peer->demand.level, LEVEL_ENCRYPT);
	peer_free(peer);
	assert_int_equal(end_process(world), 0);
	world_free(world);
	unlink(tomorrow);
	tomorrow[0] = '\0';
	ahead = 0;
}

static void test_touched_files_are_read_again(void **state)
{
	struct world *world = world_new();
	(void)state;
	send_settings(world, "");
	receive_state(world);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	write_file(world, "a.lab.policy", "[inbound]\ntls = encrypt\n");
	struct policy_state said = receive_state(world);
	assert_int_equal(said.generation, 2);
	assert_true(said.inbound_demands);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_ENCRYPT);
	remove_file(world, "a.lab.policy");
	assert_false(receive_state(world).inbound_demands);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

static void test_reload(void **state)
{
	struct world *world = world_new();
	(void)state;
	write_file(world, "a.lab.policy", "[outbound]\ntls = wrong\n");
	send_settings(world, "");
	struct policy_state said = state_from(world, world->fd);
	assert_int_equal(said.files, 1);
	assert_int_equal(said.broken, 1);
	receive_state(world);
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_BROKEN, LEVEL_MAY);
	write_file(world, "a.lab.policy", "[outbound]\ntls = none\n");
	order(world, MESSAGE_RELOAD, -1);
	said = state_from(world, world->fd);
	assert_int_equal(said.generation, 2);
	assert_int_equal(said.files, 2);
	assert_int_equal(said.broken, 0);
	assert_int_equal(receive_state(world).generation, 2);
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_DNS_FAILED, LEVEL_NONE);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* ---- what outlives it ---- */

/* Another process, in the place of one that was killed. */
static void restart(struct world *world, int files)
{
	kill(world->pid, SIGKILL);
	end_process(world);
	start_process(world);
	settle(world, "", files);
	receive_state(world);
}

static void test_files_outlive_it(void **state)
{
	static const char broken[] = "[outbound]\ntls = wrong\n";
	struct world *world = world_new();
	(void)state;
	write_file(world, "a.lab.policy", "[inbound]\ntls = encrypt\n");
	send_settings(world, "");
	int first = receive(world, world->fd, MESSAGE_FILES);
	receive_state(world);
	write_file(world, "default.policy", broken); /* keeps it, and is no news */
	write_file(world, "a.lab.policy", "[inbound]\ntls = verify\n");
	order(world, MESSAGE_RELOAD, -1);
	int second = receive(world, world->fd, MESSAGE_FILES);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_VERIFY);
	write_file(world, "a.lab.policy", broken);

	restart(world, second);
	assert_log(world, "a.lab.policy: warning: the version before it stays in force");
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_VERIFY);
	assert_answer(world, DIRECTION_OUTBOUND, "[192.0.2.1]", PEER_FINE, LEVEL_ENCRYPT);
	int third = receive(world, world->fd, MESSAGE_FILES);

	restart(world, third);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_VERIFY);
	restart(world, first);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_ENCRYPT);
	remove_file(world, "a.lab.policy");
	restart(world, third);
	assert_log(world, "[inbound] is weaker than before, as no file decides now");
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	restart(world, STDERR_FILENO); /* that is no memory */
	assert_log(world, "cannot be taken up");
	assert_answer(world, DIRECTION_OUTBOUND, "[192.0.2.1]", PEER_BROKEN, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	close(first), close(second), close(third);
	world_free(world);
}

static void test_weaker_is_logged(void **state)
{
	struct world *world = world_new();
	(void)state;
	send_settings(world, "");
	receive_state(world);
	write_file(world, "default.policy", "[outbound]\ntls = may\n");
	order(world, MESSAGE_RELOAD, -1);
	assert_log(world, "default.policy: warning: [outbound] is weaker than before: "
			  "tls = encrypt is now may");
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* ---- its life ---- */

static void test_no_dns_at_all(void **state)
{
	struct world *world = world_new();
	(void)state;
	send_settings(world, "/nowhere/root.key");
	receive_state(world);
	assert_log(world, "/nowhere/root.key");
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_DNS_FAILED, LEVEL_ENCRYPT);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

static void test_no_anchor(void **state)
{
	struct world *world = world_new();
	(void)state;
	send_settings(world, "");
	assert_log(world, "no trust anchor for the root");
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

static void test_ends(void **state)
{
	(void)state;
	struct world *world = world_new();
	assert_int_equal(end_process(world), 0); /* before its settings came */
	world_free(world);

	world = world_new();
	ask_as(world, world->fd, DIRECTION_INBOUND, "a.lab"); /* before settings */
	assert_int_equal(end_process(world), 3);
	world_free(world);

	world = world_new();
	send_settings(world, "");
	for (unsigned i = 0; i < 50; i++) /* in the middle of things */
		ask(world, DIRECTION_OUTBOUND, "a.lab");
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_answer_outlives_its_file),
		cmocka_unit_test(test_a_file_expires_while_the_dns_is_asked),
		cmocka_unit_test(test_touched_files_are_read_again),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_files_outlive_it),
		cmocka_unit_test(test_weaker_is_logged),
		cmocka_unit_test(test_no_dns_at_all),
		cmocka_unit_test(test_no_anchor),
		cmocka_unit_test(test_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
