/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "service_world.h"

#include "parcel.h"
#include "service.h"

#include <arpa/inet.h>
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
#include <unistd.h>

#include <cmocka.h>

/* ---- policy files ---- */

static void path_of(const struct world *world, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", world->folder, name);
}

void write_file(const struct world *world, const char *name, const char *text)
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

void remove_file(const struct world *world, const char *name)
{
	char path[128];
	path_of(world, name, path);
	unlink(path);
}

/* ---- the process ---- */

void send_packet(int to, const void *octets, size_t length)
{
	assert_true(length > 0);
	assert_int_equal(send(to, octets, length, MSG_NOSIGNAL), (ssize_t)length);
}

void order(const struct world *world, enum message_type type, int fd)
{
	uint8_t packet[MESSAGE_QUESTION_MAX];
	size_t length = message_write_plain(packet, sizeof(packet), type);
	assert_true(parcel_send(world->fd, packet, length, fd));
}

int introduce(const struct world *world, uint32_t worker)
{
	uint8_t packet[MESSAGE_QUESTION_MAX];
	size_t length = message_write_reader(packet, sizeof(packet), worker);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_true(parcel_send(world->fd, packet, length, pair[1]));
	close(pair[1]);
	return pair[0];
}

static unsigned resolver_port(const struct world *world)
{
	struct sockaddr_in at;
	socklen_t length = sizeof(at);
	if (world->silence < 0)
		return 1;
	assert_int_equal(getsockname(world->silence, (struct sockaddr *)&at, &length), 0);
	return ntohs(at.sin_port);
}

void settle(struct world *world, const char *anchor, int files)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	assert_non_null(settings);
	snprintf(settings->directory, sizeof(settings->directory), "%s", world->folder);
	snprintf(settings->resolver, sizeof(settings->resolver), "127.0.0.1@%u",
		resolver_port(world));
	snprintf(settings->trust_anchor, sizeof(settings->trust_anchor), "%s", anchor);
	settings->owner = getuid();
	settings->timeout = 1;
	settings->dane = true;
	size_t length =
		message_write_settings(world->packet, sizeof(world->packet), settings);
	assert_true(parcel_send(world->fd, world->packet, length, files));
	free(settings);
	world->worker = introduce(world, 0);
}

void send_settings(struct world *world, const char *anchor)
{
	settle(world, anchor, -1);
}

void start_process(struct world *world)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0) {
		close(pair[0]);
		_exit(policy_service_run(pair[1], world->confine));
	}
	close(pair[1]);
	world->fd = pair[0];
	world->worker = -1;
}

int end_process(struct world *world)
{
	int status;
	close(world->fd);
	close(world->worker);
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	strcpy(world->folder, "/tmp/test-service.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	assert_int_equal(chmod(world->folder, 0755), 0);
	write_file(world, "default.policy", "[outbound]\ntls = encrypt\n");
	world->silence = -1;
	start_process(world);
	return world;
}

void world_silence(struct world *world)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	world->silence = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(
		bind(world->silence, (const struct sockaddr *)&at, sizeof(at)), 0);
}

void world_free(struct world *world)
{
	static const char *const names[] = { "default.policy", "a.lab.policy", "ca.pem" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove_file(world, names[i]);
	rmdir(world->folder);
	close(world->silence);
	free(world);
}

int receive(struct world *world, int from, enum message_type type)
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

struct policy_state state_from(struct world *world, int from)
{
	struct policy_state state;
	receive(world, from, MESSAGE_STATE);
	assert_true(message_read_state(world->packet, world->length, &state));
	return state;
}

struct policy_state receive_state(struct world *world)
{
	return state_from(world, world->worker);
}

void assert_log(struct world *world, const char *text)
{
	struct message_log log;
	do {
		receive(world, world->fd, MESSAGE_LOG);
		assert_true(message_read_log(world->packet, world->length, &log));
	} while (!strstr(log.text, text));
}

uint32_t ask_as(
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

uint32_t ask(struct world *world, enum direction direction, const char *domain)
{
	return ask_as(world, world->worker, direction, domain);
}

struct peer *answer_to(struct world *world, int worker, uint32_t *id)
{
	receive(world, worker, MESSAGE_ANSWER);
	struct peer *peer = message_read_answer(world->packet, world->length, id);
	assert_non_null(peer);
	return peer;
}

struct peer *receive_answer(struct world *world, uint32_t *id)
{
	return answer_to(world, world->worker, id);
}

void assert_answer(struct world *world, enum direction direction, const char *domain,
	enum peer_status status, enum level level)
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
