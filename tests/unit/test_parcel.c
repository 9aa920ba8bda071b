/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "parcel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	int ours, theirs;
	unsigned open; /* descriptors, the world's own counted */
	char octets[16];
	size_t length;
	int fd;
};

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int setup(void **state)
{
	static struct world world;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	world = (struct world){ .ours = pair[0], .theirs = pair[1] };
	world.open = open_descriptors();
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	assert_int_equal(open_descriptors(), world->open);
	close(world->ours);
	if (world->theirs >= 0)
		close(world->theirs);
	return 0;
}

static enum parcel_status receive(struct world *world)
{
	world->fd = -2;
	world->length = 99;
	return parcel_receive(world->ours, world->octets, sizeof(world->octets),
		&world->length, &world->fd);
}

static void assert_nothing(struct world *world, enum parcel_status status)
{
	assert_int_equal(receive(world), status);
	assert_int_equal(world->fd, -1);
	assert_int_equal(world->length, 0);
	assert_int_equal(open_descriptors(), world->open);
}

/* What parcel_send() would not send: `count` descriptors in each of two headers. */
static void send_descriptors(const struct world *world, unsigned count, size_t length)
{
	union {
		struct cmsghdr aligned;
		char octets[CMSG_SPACE(8 * sizeof(int))];
	} control;
	int fds[8];
	struct iovec vector = { .iov_base = "0123456789abcdefg", .iov_len = length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	for (unsigned i = 0; i < count; i++)
		fds[i] = STDERR_FILENO;
	memset(&control, 0, sizeof(control));
	message.msg_control = control.octets;
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	assert_int_equal(sendmsg(world->theirs, &message, 0), (ssize_t)length);
}

static void test_without_descriptor(void **state)
{
	struct world *world = *state;
	assert_nothing(world, PARCEL_NONE);
	assert_true(parcel_send(world->theirs, "abc", 3, -1));
	assert_true(parcel_send(world->theirs, "0123456789abcdef", 16, -1));
	assert_int_equal(receive(world), PARCEL_TAKEN);
	assert_int_equal(world->length, 3);
	assert_memory_equal(world->octets, "abc", 3);
	assert_int_equal(world->fd, -1);
	assert_int_equal(receive(world), PARCEL_TAKEN);
	assert_int_equal(world->length, 16);
	assert_nothing(world, PARCEL_NONE);
}

static void test_with_descriptor(void **state)
{
	struct world *world = *state;
	int ends[2];
	char octet;
	assert_int_equal(pipe(ends), 0);
	assert_true(parcel_send(world->theirs, "a", 1, ends[0]));
	close(ends[0]);
	assert_int_equal(receive(world), PARCEL_TAKEN);
	assert_int_equal(world->length, 1);
	assert_true(world->fd > STDERR_FILENO);
	assert_int_equal(fcntl(world->fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(read(world->fd, &octet, 1), 1);
	assert_int_equal(octet, 'x');
	close(world->fd);
	close(ends[1]);
}

/* By its alignment the room for one is that for two on most machines. */
static void test_several_descriptors(void **state)
{
	struct world *world = *state;
	for (unsigned count = 2; count <= 8; count++) {
		send_descriptors(world, count, 1);
		assert_nothing(world, PARCEL_NONSENSE);
	}
	assert_true(parcel_send(world->theirs, "a", 1, -1));
	assert_int_equal(receive(world), PARCEL_TAKEN);
}

static void test_too_long(void **state)
{
	struct world *world = *state;
	send_descriptors(world, 1, 17);
	assert_nothing(world, PARCEL_NONSENSE);
	send_descriptors(world, 1, 16);
	assert_int_equal(receive(world), PARCEL_TAKEN);
	close(world->fd);
}

static void test_empty(void **state)
{
	struct world *world = *state;
	send_descriptors(world, 1, 0);
	assert_nothing(world, PARCEL_HUNG_UP);
}

static void test_hung_up(void **state)
{
	struct world *world = *state;
	assert_true(parcel_send(world->theirs, "a", 1, -1));
	assert_true(parcel_send(world->ours, "never read", 10, -1));
	close(world->theirs);
	world->theirs = -1;
	world->open--;
	assert_false(parcel_send(world->ours, "a", 1, -1));
	while (receive(world) == PARCEL_TAKEN)
		;
	assert_nothing(world, PARCEL_HUNG_UP);
}

static void test_no_room(void **state)
{
	struct world *world = *state;
	unsigned sent = 0, came = 0;
	while (parcel_send(world->theirs, "0123456789abcdef", 16, STDERR_FILENO))
		sent++;
	assert_true(errno == EAGAIN || errno == ETOOMANYREFS);
	for (; receive(world) == PARCEL_TAKEN; came++)
		close(world->fd);
	assert_int_equal(came, sent);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_without_descriptor),
		IN_WORLD(test_with_descriptor),
		IN_WORLD(test_several_descriptors),
		IN_WORLD(test_too_long),
		IN_WORLD(test_empty),
		IN_WORLD(test_hung_up),
		IN_WORLD(test_no_room),
	};
	return cmocka_run_group_tests_name("parcel", tests, NULL, NULL);
}
