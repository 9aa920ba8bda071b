/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Legs over loopback, at ports that the kernel chose. */

#include "leg.h"
#include "tls_world.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	PATIENCE = 10 * 1000, /* milliseconds until a test counts as stuck */
	NOBODY = 65534,
};

/* ---- a listener ---- */

static int listen_on(const char *host, struct address *at)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	assert_true(address_parse(at, host, 0));
	int fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	socklen_t length = address_to_sockaddr(at, &ss);
	if (bind(fd, (struct sockaddr *)&ss, length) < 0) {
		close(fd);
		return -1; /* no IPv6 here */
	}
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &size), 0);
	assert_true(address_from_sockaddr(at, (struct sockaddr *)&ss));
	return fd;
}

static void await(const struct leg *leg, short events)
{
	struct pollfd poller = { .fd = leg->fd, .events = events };

	assert_int_equal(poll(&poller, 1, PATIENCE), 1);
}

static enum leg_status connect_to(struct leg *leg, const struct address *to,
	const struct address *from, bool transparent)
{
	enum leg_status status = leg_connect(leg, to, from, transparent);

	if (status != LEG_AGAIN)
		return status;
	await(leg, POLLOUT);
	return leg_connected(leg);
}

/* Two legs that face each other. */
struct couple {
	struct buf_pool *pool;
	struct leg near, far;
	struct buf in, out;
};

static void couple_open(struct couple *c, struct world *w)
{
	struct address at;
	int listener = listen_on("127.0.0.1", &at);

	c->pool = &w->pool;
	buf_init(&c->in, c->pool);
	buf_init(&c->out, c->pool);
	assert_int_equal(connect_to(&c->far, &at, NULL, false), LEG_OK);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	leg_adopt(&c->near, fd);
	close(listener);
}

static void couple_close(struct couple *c)
{
	buf_release(&c->in);
	buf_release(&c->out);
	leg_close(&c->near);
	leg_close(&c->far);
	assert_int_equal(c->pool->borrowed, 0);
}

static void couple_shake(struct couple *c, struct world *w)
{
	const struct tls_target target = { .name = "mail.example.com" };
	enum leg_status near, far;

	assert_true(leg_accept_tls(&c->near, w->server, &w->pool));
	assert_true(leg_connect_tls(&c->far, w->client, &target, &w->pool));
	do {
		far = leg_handshake(&c->far);
		near = leg_handshake(&c->near);
	} while (near == LEG_AGAIN || far == LEG_AGAIN);
	assert_int_equal(near, LEG_OK);
	assert_int_equal(far, LEG_OK);
}

static enum leg_status fill(struct leg *leg, struct buf *in)
{
	enum leg_status status;

	while ((status = leg_fill(leg, in, BUF_BLOCK)) == LEG_AGAIN)
		await(leg, POLLIN);
	return status;
}

static void say(struct couple *c, struct leg *from, struct leg *to, const char *text)
{
	size_t had = buf_length(&c->in);

	buf_puts(&c->out, text);
	assert_int_equal(leg_flush(from, &c->out), LEG_OK);
	assert_int_equal(buf_length(&c->out), 0);
	assert_int_equal(fill(to, &c->in), LEG_OK);
	assert_int_equal(buf_length(&c->in), had + strlen(text));
	assert_memory_equal(buf_head(&c->in) + had, text, strlen(text));
}

static void take_leave(struct leg *leg)
{
	assert_int_equal(leg_bye(leg), LEG_OK);
	leg_shutdown(leg);
}

/* ---- descriptors ---- */

static void check_options(int fd)
{
	int on = 0;
	socklen_t size = sizeof(on);

	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
	assert_int_equal(on, 1);
}

static void test_options(void **state)
{
	struct couple c;

	couple_open(&c, *state);
	check_options(c.far.fd);
	assert_true(leg_established(&c.far));
	couple_close(&c);
	assert_int_equal(c.near.fd, -1);
	leg_close(&c.near);
}

static void test_clear(void **state)
{
	struct couple c;

	couple_open(&c, *state);
	assert_int_equal(leg_fill(&c.near, &c.in, 100), LEG_AGAIN);
	assert_int_equal(leg_flush(&c.near, &c.out), LEG_OK);
	say(&c, &c.far, &c.near, "EHLO client.example\r\n");
	say(&c, &c.near, &c.far, "250 mail.example.com\r\n");
	assert_string_equal(leg_reason(&c.near), "");
	assert_false(leg_pending(&c.near));
	leg_shutdown(&c.far);
	assert_int_equal(fill(&c.near, &c.in), LEG_EOF);
	assert_int_equal(fill(&c.near, &c.in), LEG_EOF);
	assert_true(c.near.eof);
	assert_string_equal(leg_reason(&c.near), "connection closed by peer");
	couple_close(&c);
}

static void test_peek(void **state)
{
	struct couple c;

	couple_open(&c, *state);
	buf_puts(&c.out, "PROXY UNKNOWN\r\nEHLO x\r\n");
	assert_int_equal(leg_flush(&c.far, &c.out), LEG_OK);
	await(&c.near, POLLIN);
	assert_int_equal(leg_peek(&c.near, &c.in, 100), LEG_OK);
	assert_int_equal(buf_length(&c.in), 23);
	buf_release(&c.in);
	leg_skip(&c.near, 15);
	assert_int_equal(fill(&c.near, &c.in), LEG_OK);
	assert_int_equal(buf_length(&c.in), 8);
	assert_memory_equal(buf_head(&c.in), "EHLO x\r\n", 8);
	couple_close(&c);
}

/* Closes as a peer does that crashes: by RST. */
static void leg_reset(struct leg *leg)
{
	static const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(
		setsockopt(leg->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	leg_close(leg);
}

static void test_reset(void **state)
{
	struct couple c;

	couple_open(&c, *state);
	leg_reset(&c.far);
	assert_int_equal(fill(&c.near, &c.in), LEG_FAILED);
	assert_string_equal(leg_reason(&c.near), "connection reset by peer");
	buf_puts(&c.out, "x");
	assert_int_equal(leg_flush(&c.near, &c.out), LEG_FAILED);
	couple_close(&c);
}

static void test_reset_under_tls(void **state)
{
	struct couple c;

	couple_open(&c, *state);
	couple_shake(&c, *state);
	leg_reset(&c.far);
	assert_int_equal(fill(&c.near, &c.in), LEG_FAILED);
	assert_string_equal(leg_reason(&c.near), "read: Connection reset by peer");
	couple_close(&c);
}

/* ---- connecting ---- */

static void test_refused(void **state)
{
	struct address at;
	struct leg leg;
	int listener = listen_on("127.0.0.1", &at);

	(void)state;
	close(listener);
	assert_int_equal(connect_to(&leg, &at, NULL, false), LEG_FAILED);
	assert_string_equal(leg_reason(&leg), "connection refused");
	assert_true(leg.broken);
	leg_close(&leg);
}

static void check_source(const char *here, const char *source, bool transparent)
{
	struct address at, from, seen;
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	struct leg leg;
	int listener = listen_on(here, &at);

	if (listener < 0)
		return;
	assert_true(address_parse(&from, source, at.port));
	assert_int_equal(connect_to(&leg, &at, &from, transparent), LEG_OK);
	int fd = accept(listener, (struct sockaddr *)&ss, &size);
	assert_true(fd >= 0);
	assert_true(address_from_sockaddr(&seen, (struct sockaddr *)&ss));
	assert_true(address_same_host(&seen, &from));
	assert_int_not_equal(seen.port, from.port);
	close(fd);
	leg_close(&leg);
	close(listener);
}

static void test_source(void **state)
{
	struct address at, from;
	struct leg leg;
	int listener = listen_on("127.0.0.1", &at);

	(void)state;
	check_source("127.0.0.1", "127.0.0.5", false);
	check_source("::1", "::1", false);
	assert_true(address_parse(&from, "192.0.2.1", 0));
	assert_int_equal(connect_to(&leg, &at, &from, false), LEG_FAILED);
	assert_string_equal(leg_reason(&leg),
		"cannot bind to the source address: is it one of this machine's?");
	leg_close(&leg);
	close(listener);
}

static void test_transparent(void **state)
{
	struct address at, from;
	struct leg leg;

	(void)state;
	if (geteuid() != 0)
		skip();
	check_source("127.0.0.1", "127.0.0.7", true);
	check_source("::1", "::1", true);
	int listener = listen_on("127.0.0.1", &at);
	assert_true(address_parse(&from, "192.0.2.1", 0));
	/* An address of nobody's can be taken; the way back is not our affair. */
	assert_int_equal(leg_connect(&leg, &at, &from, true), LEG_AGAIN);
	leg_close(&leg);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(leg_connect(&leg, &at, &from, true), LEG_FAILED);
	assert_int_equal(seteuid(0), 0);
	assert_string_equal(leg_reason(&leg),
		"cannot bind to the client's address: "
		"operation not permitted (needs CAP_NET_RAW)");
	leg_close(&leg);
	close(listener);
}

/* ---- TLS ---- */

static void test_tls(void **state)
{
	struct couple c;

	couple_open(&c, *state);
	couple_shake(&c, *state);
	say(&c, &c.near, &c.far, "220 ready\r\n");
	say(&c, &c.far, &c.near, "EHLO client.example\r\n");
	take_leave(&c.far);
	assert_int_equal(fill(&c.near, &c.in), LEG_EOF);
	assert_string_equal(tls_reason(c.near.tls), "closed by the peer");
	couple_close(&c);
}

/* What came with the end is heard before it, and the end without another event. */
static void test_last_words(void **state)
{
	struct couple c;

	couple_open(&c, *state);
	couple_shake(&c, *state);
	leg_hold(&c.far);
	buf_puts(&c.out, "QUIT\r\n");
	assert_int_equal(leg_flush(&c.far, &c.out), LEG_OK);
	take_leave(&c.far);
	assert_int_equal(fill(&c.near, &c.in), LEG_OK);
	assert_int_equal(buf_length(&c.in), 6);
	assert_true(leg_pending(&c.near));
	assert_int_equal(leg_fill(&c.near, &c.in, BUF_BLOCK), LEG_EOF);
	assert_false(leg_pending(&c.near));
	couple_close(&c);
}

/* A client that shuts its side without close_notify is answered all the same. */
static void test_half_closed(void **state)
{
	struct couple c;

	couple_open(&c, *state);
	couple_shake(&c, *state);
	leg_shutdown(&c.far);
	assert_int_equal(fill(&c.near, &c.in), LEG_EOF);
	assert_string_not_equal(tls_reason(c.near.tls), "closed by the peer");
	say(&c, &c.near, &c.far, "421 closed\r\n");
	couple_close(&c);
}

static void test_failed_handshake(void **state)
{
	struct world *w = *state;
	struct couple c;

	couple_open(&c, w);
	assert_true(leg_accept_tls(&c.near, w->server, &w->pool));
	buf_puts(&c.out, "QUIT\r\n");
	assert_int_equal(leg_flush(&c.far, &c.out), LEG_OK);
	await(&c.near, POLLIN);
	assert_int_equal(leg_handshake(&c.near), LEG_FAILED);
	assert_int_equal(leg_handshake(&c.near), LEG_FAILED);
	assert_string_equal(leg_reason(&c.near),
		"handshake: the client sent something that is no TLS");
	take_leave(&c.near);
	couple_close(&c);
}

/* ---- volume ---- */

enum {
	VOLUME = 5 * 1000 * 1000,
	PIECE = 50 * 1000,
};

static unsigned char octet_at(size_t at)
{
	return (unsigned char)(at * 7 + at / 253);
}

static void refill(struct buf *out, size_t at)
{
	unsigned char *room = buf_reserve(out, PIECE);

	assert_non_null(room);
	for (size_t i = 0; i < PIECE; i++)
		room[i] = octet_at(at + i);
	buf_commit(out, PIECE);
}

static size_t drain(struct buf *in, size_t at)
{
	size_t n = buf_length(in);

	for (size_t i = 0; i < n; i++) {
		if (buf_head(in)[i] != octet_at(at + i))
			fail_msg("octet %zu differs", at + i);
	}
	buf_consume(in, n);
	return n;
}

static void pour(struct couple *c)
{
	size_t sent = 0, received = 0;
	bool blocked = false;

	while (received < VOLUME) {
		if (buf_length(&c->out) == 0 && sent < VOLUME) {
			refill(&c->out, sent);
			sent += PIECE;
		}
		enum leg_status status = leg_flush(&c->far, &c->out);
		assert_int_not_equal(status, LEG_FAILED);
		assert_int_equal(status == LEG_OK, buf_length(&c->out) == 0);
		blocked = blocked || status == LEG_AGAIN;
		status = leg_fill(&c->near, &c->in, 1 + (size_t)rand() % BUF_BLOCK);
		assert_true(status == LEG_OK || status == LEG_AGAIN);
		assert_true(buf_length(&c->in) <= 2 * BUF_BLOCK);
		received += drain(&c->in, received);
	}
	assert_int_equal(received, VOLUME);
	assert_true(blocked);
	assert_false(leg_pending(&c->near));
}

static void test_volume(void **state)
{
	int size = 32768; /* in less, segments of loopback wait for timers */

	srand(1);
	for (unsigned tls = 0; tls < 2; tls++) {
		struct couple c;
		couple_open(&c, *state);
		setsockopt(c.far.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(c.near.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		if (tls)
			couple_shake(&c, *state);
		pour(&c);
		couple_close(&c);
	}
}

static void test_unknown_identity(void **state)
{
	const struct tls_target target = { .identity = "nobody" };
	struct world *w = *state;
	struct couple c;

	couple_open(&c, w);
	assert_true(leg_connect_tls(&c.far, w->client, &target, &w->pool));
	assert_int_equal(leg_handshake(&c.far), LEG_FAILED);
	assert_string_equal(
		leg_reason(&c.far), "handshake: there is no identity \"nobody\"");
	couple_close(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_peek),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_reset_under_tls),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_transparent),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_failed_handshake),
		cmocka_unit_test(test_unknown_identity),
		cmocka_unit_test(test_volume),
	};

	return cmocka_run_group_tests_name("leg", tests, world_setup, world_teardown);
}
