/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Whom the policy process serves, and whom no more. */

#include "service_world.h"
#include "status.h"

#include "parcel.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* All but those who ask twice about the same at once, which no client does. */
static void test_many_wait_for_one_answer(void **state)
{
	enum { WORKERS = 20 };
	struct world *world = world_new();
	int workers[WORKERS];
	uint32_t id;
	(void)state;
	send_settings(world, "");
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = introduce(world, 1 + i);
		ask_as(world, workers[i], DIRECTION_OUTBOUND, "a.lab");
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		struct peer *peer = answer_to(world, workers[i], &id);
		assert_int_equal(peer->status, PEER_DNS_FAILED);
		peer_free(peer);
		close(workers[i]);
	}
	uint32_t first = ask(world, DIRECTION_OUTBOUND, "b.lab");
	uint32_t second = ask(world, DIRECTION_OUTBOUND, "b.lab");
	for (unsigned i = 0; i < 2; i++) {
		struct peer *peer = receive_answer(world, &id);
		assert_int_equal(id, i == 0 ? second : first);
		assert_int_equal(
			peer->status, i == 0 ? PEER_UNAVAILABLE : PEER_DNS_FAILED);
		peer_free(peer);
	}
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* It is told so by the end of its socket; packets that were on their way come first. */
static void assert_dropped(int worker)
{
	struct pollfd in = { .fd = worker, .events = POLLIN };
	char octet;
	ssize_t n;
	do {
		assert_int_equal(poll(&in, 1, PATIENCE), 1);
		n = recv(worker, &octet, sizeof(octet), 0);
	} while (n > 0);
	close(worker);
}

static void assert_no_question(struct world *world, const void *octets, size_t length)
{
	int worker = introduce(world, 1);
	send_packet(worker, octets, length);
	assert_dropped(worker);
	assert_log(world, "no question");
}

static void test_what_is_no_question(void **state)
{
	struct world *world = world_new();
	uint8_t packet[MESSAGE_QUESTION_MAX];
	(void)state;
	send_settings(world, "");
	memset(packet, 0xa5, sizeof(packet));
	for (size_t length = 1; length < sizeof(packet); length += 37)
		assert_no_question(world, packet, length);
	struct question question = { .id = 1, .domain = "a.lab" };
	size_t length = message_write_question(packet, sizeof(packet), &question);
	for (size_t cut = 1; cut < length; cut++)
		assert_no_question(world, packet, cut);
	int worker = introduce(world, 1); /* nobody gives us descriptors but one */
	assert_true(parcel_send(worker, packet, length, world->fd));
	assert_dropped(worker);
	assert_log(world, "no question");
	for (enum message_type type = MESSAGE_RELOAD; type < MESSAGE_TYPES; type++) {
		length = message_write_plain(packet, sizeof(packet), type);
		assert_no_question(world, packet, length);
	}
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

static void test_what_is_no_order(void **state)
{
	struct world *world = world_new();
	uint8_t packet[MESSAGE_QUESTION_MAX];
	(void)state;
	send_settings(world, "");
	send_packet(world->fd, "\xa5\xa5", 2);
	assert_log(world, "no order");
	order(world, MESSAGE_SETTINGS, world->fd); /* once is enough */
	assert_log(world, "no order");
	ask_as(world, world->fd, DIRECTION_INBOUND, "a.lab");
	assert_log(world, "no order");
	order(world, MESSAGE_READER, world->fd);
	assert_log(world, "no order");
	send_packet(world->fd, packet, message_write_reader(packet, sizeof(packet), 1));
	assert_log(world, "without its socket");
	order(world, MESSAGE_PING, -1);
	receive(world, world->fd, MESSAGE_PONG);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

static void test_too_many_workers(void **state)
{
	enum { MOST = 64 };
	struct world *world = world_new();
	int workers[MOST + 1];
	(void)state;
	send_settings(world, "");
	for (unsigned i = 1; i < MOST; i++)
		workers[i] = introduce(world, i);
	int another = introduce(world, MOST);
	assert_log(world, "too many workers");
	assert_dropped(another);
	for (unsigned i = 1; i < MOST; i++) {
		ask_as(world, workers[i], DIRECTION_INBOUND, "a.lab");
		receive(world, workers[i], MESSAGE_ANSWER);
		close(workers[i]);
	}
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* However often it says that it has lost us, whatever it does with the sockets. */
static void test_one_place_a_worker(void **state)
{
	enum { MANY = 100 };
	struct world *world = world_new();
	int sockets[MANY];
	(void)state;
	send_settings(world, "");
	for (unsigned i = 0; i < MANY; i++)
		sockets[i] = introduce(world, 1);
	ask_as(world, sockets[MANY - 1], DIRECTION_INBOUND, "a.lab");
	receive(world, sockets[MANY - 1], MESSAGE_ANSWER);
	close(sockets[MANY - 1]);
	for (unsigned i = 0; i < MANY - 1; i++)
		assert_dropped(sockets[i]);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

static bool confine_in_part(const struct settings *settings, char *reason, size_t size)
{
	(void)settings;
	snprintf(reason, size, "the kernel has no Landlock");
	return true;
}

static bool confine_in_vain(const struct settings *settings, char *reason, size_t size)
{
	confine_in_part(settings, reason, size);
	return false;
}

static void test_confinement(void **state)
{
	struct world *world = world_new();
	(void)state;
	assert_int_equal(end_process(world), 0);
	world->confine = confine_in_part;
	start_process(world);
	send_settings(world, "");
	assert_log(world, "the kernel has no Landlock");
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	world->confine = confine_in_vain;
	start_process(world);
	send_settings(world, "");
	assert_int_equal(end_process(world), STATUS_CANNOT);
	world_free(world);
}

/* In the middle of things; nobody else waits longer or in vain for it. */
static void test_workers_go(void **state)
{
	enum { MANY = 200 };
	struct world *world = world_new();
	(void)state;
	world_silence(world);
	send_settings(world, "");
	receive_state(world);
	for (unsigned i = 0; i < MANY; i++) {
		int worker = introduce(world, 1);
		ask_as(world, worker, DIRECTION_OUTBOUND, "a.lab");
		ask_as(world, worker, DIRECTION_INBOUND, "b.lab");
		receive(world, worker, MESSAGE_ANSWER); /* both were heard */
		close(worker);
	}
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_DNS_FAILED, LEVEL_ENCRYPT);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* He whom the answer cannot reach takes nobody's place. */
static void test_lost_by_the_answer(void **state)
{
	enum { WORKERS = 3 };
	struct world *world = world_new();
	int workers[WORKERS];
	(void)state;
	world_silence(world);
	send_settings(world, "");
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = introduce(world, 1 + i);
		state_from(world, workers[i]);
		ask_as(world, workers[i], DIRECTION_OUTBOUND, "a.lab");
	}
	assert_int_equal(shutdown(workers[0], SHUT_RD), 0);
	for (unsigned i = 1; i < WORKERS; i++)
		receive(world, workers[i], MESSAGE_ANSWER);
	for (unsigned i = 0; i < WORKERS; i++)
		close(workers[i]);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* What waits for him is in order, and with it what goes along. */
static void test_slow_supervisor(void **state)
{
	enum { MANY = 2000 };
	struct world *world = world_new();
	uint8_t packet[MESSAGE_QUESTION_MAX];
	size_t length = message_write_plain(packet, sizeof(packet), MESSAGE_PING);
	(void)state;
	send_settings(world, "");
	receive_state(world);
	int first = receive(world, world->fd, MESSAGE_FILES);
	for (unsigned i = 0; i < MANY; i++)
		send_packet(world->fd, packet, length);
	write_file(world, "a.lab.policy", "[inbound]\ntls = encrypt\n");
	packet[0] = MESSAGE_RELOAD;
	send_packet(world->fd, packet, length);
	receive_state(world);
	for (unsigned i = 0; i < MANY; i++)
		receive(world, world->fd, MESSAGE_PONG);
	int second = receive(world, world->fd, MESSAGE_FILES);
	assert_int_equal(state_from(world, world->fd).generation, 2);
	assert_true(first >= 0 && second >= 0);
	assert_true(lseek(first, 0, SEEK_END) < lseek(second, 0, SEEK_END));
	close(first), close(second);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* Its workers have sessions to end, and files may still be mended. */
static void test_supervisor_goes(void **state)
{
	struct world *world = world_new();
	int status;
	(void)state;
	send_settings(world, "");
	receive_state(world);
	close(world->fd);
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_DNS_FAILED, LEVEL_ENCRYPT);
	write_file(world, "a.lab.policy", "[inbound]\ntls = encrypt\n");
	assert_true(receive_state(world).inbound_demands);
	assert_int_equal(waitpid(world->pid, &status, WNOHANG), 0);
	close(world->worker);
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	world_free(world);
}

/* What finds no room must not be missed: whoever reads nothing begins anew. He alone. */
static void test_nobody_reads(void **state)
{
	enum { MOST = 1000 * 1000 };
	struct world *world = world_new();
	uint8_t packet[MESSAGE_QUESTION_MAX];
	struct question question = { .direction = DIRECTION_INBOUND };
	unsigned sent = 0;
	(void)state;
	send_settings(world, "");
	receive_state(world);
	int slow = introduce(world, 1);
	snprintf(question.domain, sizeof(question.domain), "%0200d.lab", 1);
	size_t length = message_write_question(packet, sizeof(packet), &question);
	while (sent < MOST && send(slow, packet, length, MSG_NOSIGNAL) > 0)
		sent++;
	assert_in_range(sent, 1000, MOST - 1);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	close(slow);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_wait_for_one_answer),
		cmocka_unit_test(test_what_is_no_question),
		cmocka_unit_test(test_what_is_no_order),
		cmocka_unit_test(test_too_many_workers),
		cmocka_unit_test(test_one_place_a_worker),
		cmocka_unit_test(test_confinement),
		cmocka_unit_test(test_workers_go),
		cmocka_unit_test(test_lost_by_the_answer),
		cmocka_unit_test(test_slow_supervisor),
		cmocka_unit_test(test_supervisor_goes),
		cmocka_unit_test(test_nobody_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
