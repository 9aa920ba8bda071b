/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The policy process in a process of its own, without a DNS. */

#include "parcel.h"
#include "service.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE = 30 * 1000 /* milliseconds */ };

struct world {
	char folder[64];
	int fd;	    /* as its supervisor */
	int worker; /* as one worker, or -1 */
	pid_t pid;
	uint32_t last_id;
	uint8_t packet[MESSAGE_MAX];
	size_t length;
};

/* ---- the clock ---- */

static time_t ahead; /* seconds */

time_t __real_time(time_t *to);
time_t __wrap_time(time_t *to);

/* The linker leads whoever asks for the time here. */
time_t __wrap_time(time_t *to)
{
	time_t t = __real_time(NULL) + ahead;
	if (to)
		*to = t;
	return t;
}

/* ---- policy files ---- */

static void path_of(const struct world *world, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", world->folder, name);
}

/* Whole at once, as the man page advises. */
static void write_file(const struct world *world, const char *name, const char *text)
{
	char path[128], new[128];
	path_of(world, name, path);
	path_of(world, "new", new);
	FILE *out = fopen(new, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(new, 0644), 0);
	assert_int_equal(rename(new, path), 0);
}

static void remove_file(const struct world *world, const char *name)
{
	char path[128];
	path_of(world, name, path);
	unlink(path);
}

/* ---- the process ---- */

static void send_packet(int to, const void *octets, size_t length)
{
	assert_true(length > 0);
	assert_int_equal(send(to, octets, length, MSG_NOSIGNAL), (ssize_t)length);
}

/* As the supervisor. */
static void order(const struct world *world, enum message_type type, int fd)
{
	uint8_t packet[MESSAGE_QUESTION_MAX];
	size_t length = message_write_plain(packet, sizeof(packet), type);
	assert_true(parcel_send(world->fd, packet, length, fd));
}

/* One more worker's end of its socket. */
static int introduce(const struct world *world)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	order(world, MESSAGE_READER, pair[1]);
	close(pair[1]);
	return pair[0];
}

/* With the files of a process before this one, or -1. */
static void settle(struct world *world, const char *anchor, int files)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	assert_non_null(settings);
	snprintf(settings->directory, sizeof(settings->directory), "%s", world->folder);
	snprintf(settings->resolver, sizeof(settings->resolver), "127.0.0.1@1");
	snprintf(settings->trust_anchor, sizeof(settings->trust_anchor), "%s", anchor);
	settings->owner = getuid();
	settings->timeout = 1;
	settings->dane = true;
	size_t length =
		message_write_settings(world->packet, sizeof(world->packet), settings);
	assert_true(parcel_send(world->fd, world->packet, length, files));
	free(settings);
	world->worker = introduce(world);
}

static void send_settings(struct world *world, const char *anchor)
{
	settle(world, anchor, -1);
}

static void start_process(struct world *world)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0) {
		close(pair[0]);
		_exit(policy_service_run(pair[1], NULL));
	}
	close(pair[1]);
	world->fd = pair[0];
	world->worker = -1;
}

/* Hangs up; the exit status. */
static int end_process(struct world *world)
{
	int status;
	close(world->fd);
	close(world->worker);
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	strcpy(world->folder, "/tmp/test-service.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	assert_int_equal(chmod(world->folder, 0755), 0);
	write_file(world, "default.policy", "[outbound]\ntls = encrypt\n");
	start_process(world);
	return world;
}

static void world_free(struct world *world)
{
	static const char *const names[] = { "default.policy", "a.lab.policy", "ca.pem" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove_file(world, names[i]);
	rmdir(world->folder);
	free(world);
}

/* The next packet of that kind; others are passed over. What came with it, or -1. */
static int receive(struct world *world, int from, enum message_type type)
{
	int fd = -1;
	struct pollfd in = { .fd = from, .events = POLLIN };
	do {
		assert_int_equal(poll(&in, 1, PATIENCE), 1);
		if (fd >= 0)
			close(fd);
		assert_int_equal(parcel_receive(from, world->packet,
					 sizeof(world->packet), &world->length, &fd),
			PARCEL_TAKEN);
	} while (message_type(world->packet, world->length) != type);
	return fd;
}

static struct policy_state state_from(struct world *world, int from)
{
	struct policy_state state;
	receive(world, from, MESSAGE_STATE);
	assert_true(message_read_state(world->packet, world->length, &state));
	return state;
}

static struct policy_state receive_state(struct world *world)
{
	return state_from(world, world->worker);
}

/* The next line of the log that holds this. */
static void assert_log(struct world *world, const char *text)
{
	struct message_log log;
	do {
		receive(world, world->fd, MESSAGE_LOG);
		assert_true(message_read_log(world->packet, world->length, &log));
	} while (!strstr(log.text, text));
}

static uint32_t ask_as(
	struct world *world, int worker, enum direction direction, const char *domain)
{
	struct question question = { .id = ++world->last_id,
		.direction = (uint8_t)direction };
	uint8_t packet[MESSAGE_QUESTION_MAX];
	snprintf(question.domain, sizeof(question.domain), "%s", domain);
	send_packet(worker, packet,
		message_write_question(packet, sizeof(packet), &question));
	return question.id;
}

static uint32_t ask(struct world *world, enum direction direction, const char *domain)
{
	return ask_as(world, world->worker, direction, domain);
}

static struct peer *answer_to(struct world *world, int worker, uint32_t *id)
{
	receive(world, worker, MESSAGE_ANSWER);
	struct peer *peer = message_read_answer(world->packet, world->length, id);
	assert_non_null(peer);
	return peer;
}

static struct peer *receive_answer(struct world *world, uint32_t *id)
{
	return answer_to(world, world->worker, id);
}

static void assert_answer(struct world *world, enum direction direction,
	const char *domain, enum peer_status status, enum level level)
{
	uint32_t id, asked = ask(world, direction, domain);
	struct peer *peer = receive_answer(world, &id);
	assert_int_equal(id, asked);
	assert_int_equal(peer->direction, direction);
	assert_string_equal(peer->domain, domain);
	assert_int_equal(peer->status, status);
	assert_int_equal(peer->demand.level, level);
	peer_free(peer);
}

/* ---- tests ---- */

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

static void test_no_answer_outlives_its_file(void **state)
{
	enum { DAY = 24 * 60 * 60, LEFT = 40 };
	time_t now = __real_time(NULL);
	char text[64];
	uint32_t id;
	(void)state;
	ahead = DAY - now % DAY - LEFT;
	now += ahead;
	struct world *world = world_new();
	strftime(text, sizeof(text), "expires = %Y-%m-%d\n[inbound]\ntls = encrypt\n",
		gmtime(&now));
	write_file(world, "a.lab.policy", text);
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
		workers[i] = introduce(world);
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

/* ---- who is served ---- */

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
	int worker = introduce(world);
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
	int worker = introduce(world); /* nobody gives us descriptors but one */
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
	(void)state;
	send_settings(world, "");
	send_packet(world->fd, "\xa5\xa5", 2);
	assert_log(world, "no order");
	order(world, MESSAGE_SETTINGS, world->fd); /* once is enough */
	assert_log(world, "no order");
	ask_as(world, world->fd, DIRECTION_INBOUND, "a.lab");
	assert_log(world, "no order");
	order(world, MESSAGE_READER, -1);
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
	int workers[MOST];
	(void)state;
	send_settings(world, "");
	for (unsigned i = 0; i < MOST; i++)
		workers[i] = introduce(world);
	assert_log(world, "too many workers");
	assert_dropped(workers[MOST - 1]); /* world->worker was there first */
	close(workers[0]);
	do { /* until it is seen to be gone */
		workers[0] = introduce(world);
		order(world, MESSAGE_PING, -1);
		receive(world, world->fd, MESSAGE_PONG);
		struct pollfd in = { .fd = workers[0], .events = POLLIN };
		assert_int_equal(poll(&in, 1, PATIENCE), 1);
		if (recv(workers[0], world->packet, 1, MSG_PEEK) > 0)
			break;
		close(workers[0]);
	} while (true);
	ask_as(world, workers[0], DIRECTION_INBOUND, "a.lab");
	receive(world, workers[0], MESSAGE_ANSWER);
	for (unsigned i = 0; i < MOST - 1; i++)
		close(workers[i]);
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* In the middle of things; nobody else waits longer or in vain for it. */
static void test_workers_go(void **state)
{
	enum { MANY = 200 };
	struct world *world = world_new();
	(void)state;
	send_settings(world, "");
	receive_state(world);
	for (unsigned i = 0; i < MANY; i++) {
		int worker = introduce(world);
		ask_as(world, worker, DIRECTION_OUTBOUND, "a.lab");
		ask_as(world, worker, DIRECTION_INBOUND, "b.lab");
		close(worker);
		if (i % 8 == 0) { /* so that all of them find room */
			order(world, MESSAGE_PING, -1);
			receive(world, world->fd, MESSAGE_PONG);
		}
	}
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_DNS_FAILED, LEVEL_ENCRYPT);
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
	int slow = introduce(world);
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
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_answer_outlives_its_file),
		cmocka_unit_test(test_many_wait_for_one_answer),
		cmocka_unit_test(test_touched_files_are_read_again),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_files_outlive_it),
		cmocka_unit_test(test_weaker_is_logged),
		cmocka_unit_test(test_what_is_no_question),
		cmocka_unit_test(test_what_is_no_order),
		cmocka_unit_test(test_too_many_workers),
		cmocka_unit_test(test_workers_go),
		cmocka_unit_test(test_supervisor_goes),
		cmocka_unit_test(test_no_dns_at_all),
		cmocka_unit_test(test_no_anchor),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_nobody_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
