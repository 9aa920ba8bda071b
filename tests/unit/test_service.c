/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The policy process in a process of its own, without a DNS. */

#include "service.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
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

enum { PATIENCE = 30 * 1000 /* milliseconds */, DAY = 24 * 60 * 60 };

struct world {
	char folder[64], resolver[32];
	int fd;
	pid_t pid;
	uint32_t last_id;
	uint8_t packet[MESSAGE_MAX];
	size_t length;
};

/* ---- the clock ---- */

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

static void send_packet(const struct world *world, const void *octets, size_t length)
{
	assert_true(length > 0);
	assert_int_equal(send(world->fd, octets, length, MSG_NOSIGNAL), (ssize_t)length);
}

static void send_settings(struct world *world, const char *anchor)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	assert_non_null(settings);
	snprintf(settings->directory, sizeof(settings->directory), "%s", world->folder);
	snprintf(settings->resolver, sizeof(settings->resolver), "%s", world->resolver);
	snprintf(settings->trust_anchor, sizeof(settings->trust_anchor), "%s", anchor);
	settings->owner = getuid();
	settings->timeout = 1;
	settings->dane = true;
	send_packet(world, world->packet,
		message_write_settings(world->packet, sizeof(world->packet), settings));
	free(settings);
}

static void start_process(struct world *world)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0) {
		close(pair[0]);
		_exit(policy_service_run(pair[1]));
	}
	close(pair[1]);
	world->fd = pair[0];
}

/* Hangs up; the exit status. */
static int end_process(struct world *world)
{
	int status;
	close(world->fd);
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	strcpy(world->folder, "/tmp/test-service.XXXXXX");
	strcpy(world->resolver, "127.0.0.1@1");
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

/* The next packet of that kind; others are passed over. */
static void receive(struct world *world, enum message_type type)
{
	struct pollfd in = { .fd = world->fd, .events = POLLIN };
	do {
		assert_int_equal(poll(&in, 1, PATIENCE), 1);
		ssize_t n = recv(world->fd, world->packet, sizeof(world->packet), 0);
		assert_true(n > 0);
		world->length = (size_t)n;
	} while (message_type(world->packet, world->length) != type);
}

static struct policy_state receive_state(struct world *world)
{
	struct policy_state state;
	receive(world, MESSAGE_STATE);
	assert_true(message_read_state(world->packet, world->length, &state));
	return state;
}

/* The next line of the log that holds this. */
static void assert_log(struct world *world, const char *text)
{
	struct message_log log;
	do {
		receive(world, MESSAGE_LOG);
		assert_true(message_read_log(world->packet, world->length, &log));
	} while (!strstr(log.text, text));
}

static uint32_t ask(struct world *world, enum direction direction, const char *domain)
{
	struct question question = { .id = ++world->last_id,
		.direction = (uint8_t)direction };
	uint8_t packet[MESSAGE_QUESTION_MAX];
	snprintf(question.domain, sizeof(question.domain), "%s", domain);
	send_packet(
		world, packet, message_write_question(packet, sizeof(packet), &question));
	return question.id;
}

static struct peer *receive_answer(struct world *world, uint32_t *id)
{
	receive(world, MESSAGE_ANSWER);
	struct peer *peer = message_read_answer(world->packet, world->length, id);
	assert_non_null(peer);
	return peer;
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

/* A resolver that never answers: only its port is ours. */
static int make_resolver(struct world *world)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t length = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &length), 0);
	snprintf(world->resolver, sizeof(world->resolver), "127.0.0.1@%u",
		(unsigned)ntohs(a.sin_port));
	return fd;
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
	int resolver = make_resolver(world);
	write_last_day(world, "[outbound]\ntls = none\n");
	send_settings(world, "");
	receive_state(world);
	ask(world, DIRECTION_OUTBOUND, "a.lab");
	assert_true(recv(resolver, packet, sizeof(packet), 0) > 0);
	close(creat(tomorrow, 0600));
	struct peer *peer = receive_answer(world, &id);
	assert_int_equal(peer->status, PEER_DNS_FAILED);
	assert_int_equal(peer->demand.level, LEVEL_ENCRYPT);
	peer_free(peer);
	assert_int_equal(end_process(world), 0);
	close(resolver);
	world_free(world);
	unlink(tomorrow);
	tomorrow[0] = '\0';
	ahead = 0;
}

static void test_many_wait_for_one_answer(void **state)
{
	struct world *world = world_new();
	enum { MANY = 20, WAITERS = 16 };
	unsigned failed = 0, refused = 0;
	(void)state;
	send_settings(world, "");
	receive_state(world);
	for (unsigned i = 0; i < MANY; i++)
		ask(world, DIRECTION_OUTBOUND, "a.lab");
	for (unsigned i = 0; i < MANY; i++) {
		uint32_t id;
		struct peer *peer = receive_answer(world, &id);
		failed += peer->status == PEER_DNS_FAILED;
		refused += peer->status == PEER_UNAVAILABLE;
		peer_free(peer);
	}
	assert_int_equal(failed, WAITERS);
	assert_int_equal(refused, MANY - WAITERS);
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
	uint8_t packet[MESSAGE_QUESTION_MAX];
	(void)state;
	write_file(world, "a.lab.policy", "[outbound]\ntls = wrong\n");
	send_settings(world, "");
	receive_state(world);
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_BROKEN, LEVEL_MAY);
	write_file(world, "a.lab.policy", "[outbound]\ntls = none\n");
	send_packet(world, packet, message_write_reload(packet, sizeof(packet)));
	assert_int_equal(receive_state(world).generation, 2);
	assert_answer(world, DIRECTION_OUTBOUND, "a.lab", PEER_DNS_FAILED, LEVEL_NONE);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

static void test_what_is_no_question(void **state)
{
	struct world *world = world_new();
	uint8_t packet[MESSAGE_QUESTION_MAX];
	(void)state;
	send_settings(world, "");
	receive_state(world);
	memset(packet, 0xa5, sizeof(packet));
	for (size_t length = 1; length < sizeof(packet); length += 37) {
		send_packet(world, packet, length);
		assert_log(world, "no question");
	}
	struct question question = { .id = 1, .domain = "a.lab" };
	size_t length = message_write_question(packet, sizeof(packet), &question);
	for (size_t cut = 1; cut < length; cut++) {
		send_packet(world, packet, cut);
		assert_log(world, "no question");
	}
	send_settings(world, ""); /* once is enough */
	assert_log(world, "no question");
	assert_answer(world, DIRECTION_INBOUND, "a.lab", PEER_FINE, LEVEL_MAY);
	assert_int_equal(end_process(world), 0);
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
	ask(world, DIRECTION_INBOUND, "a.lab"); /* in place of settings */
	assert_int_equal(end_process(world), 3);
	world_free(world);

	world = world_new();
	send_settings(world, "");
	for (unsigned i = 0; i < 50; i++) /* in the middle of things */
		ask(world, DIRECTION_OUTBOUND, "a.lab");
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

/* What finds no room must not be missed: whoever reads nothing begins anew. */
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
	snprintf(question.domain, sizeof(question.domain), "%0200d.lab", 1);
	size_t length = message_write_question(packet, sizeof(packet), &question);
	while (sent < MOST && send(world->fd, packet, length, MSG_NOSIGNAL) > 0)
		sent++;
	assert_in_range(sent, 1000, MOST - 1);
	assert_int_equal(end_process(world), 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_answer_outlives_its_file),
		cmocka_unit_test(test_a_file_expires_while_the_dns_is_asked),
		cmocka_unit_test(test_many_wait_for_one_answer),
		cmocka_unit_test(test_touched_files_are_read_again),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_what_is_no_question),
		cmocka_unit_test(test_no_dns_at_all),
		cmocka_unit_test(test_no_anchor),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_nobody_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
