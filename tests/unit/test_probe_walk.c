/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* How long a probe goes on: hosts that never speak, and what is said when time is up. */

#include "probe_private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { HOSTS = 4, SILENT = 2 /* the first that takes connections */ };

static const struct config patient = {
	.limits = { .connect_timeout = 300, .greeting_timeout = 300 },
};

struct world {
	struct probe probe;
	struct peer peer;
	struct probe_host hosts[PROBE_HOSTS];
	int listeners[HOSTS];
};

/* At 127.0.0.`last`, and a port that the kernel chooses where it is 0. -1: it is taken.
 */
static int listen_at(uint8_t last, in_port_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(*port) };
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + last - 1);
	assert_true(fd >= 0);
	if (bind(fd, (struct sockaddr *)&at, length) != 0 || listen(fd, 1) != 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static void close_all(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++)
		if (w->listeners[i] >= 0)
			close(w->listeners[i]);
}

/* All of them at one port. */
static in_port_t open_all(struct world *w)
{
	in_port_t port = 0;
	for (unsigned i = 0; i < HOSTS; i++)
		w->listeners[i] = -1;
	for (unsigned i = SILENT; i < HOSTS; i++) {
		w->listeners[i] = listen_at((uint8_t)(i + 1), &port);
		if (w->listeners[i] < 0) {
			close_all(w);
			return open_all(w);
		}
	}
	return port;
}

/* The first two of the hosts refuse connections, the others take them and say nothing. */
static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->probe = (struct probe){ .config = &patient, .chosen = -1 };
	w->probe.peer = &w->peer;
	w->probe.hosts = w->hosts;
	strcpy(w->peer.domain, "bank.example");
	w->peer.demand.level = LEVEL_MAY;
	w->peer.candidate_count = HOSTS;
	for (unsigned i = 0; i < HOSTS; i++) {
		struct candidate *c = &w->peer.candidates[i];
		snprintf(c->name, sizeof(c->name), "mx%u.bank.example", i);
		c->preference = (uint16_t)(10 * i);
		c->dane = DANE_ABSENT;
		c->address_count = 1;
		c->addresses[0] = (struct peer_address){ FAMILY_IPV4,
			{ 127, 0, 0, (uint8_t)(i + 1) } };
	}
	route_init(&w->probe.route, ROUTE_KIND_SMARTHOST, open_all(w));
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	close_all(w);
	free(w);
	return 0;
}

static void test_as_long_as_the_manual_says(void **state)
{
	(void)state;
	assert_int_equal(PROBE_SECONDS, 2 * 60);
	assert_int_equal(PROBE_STEP, 30);
}

/* What is left of the time is all that a step may take, and the last host gets none. */
static void test_the_time_is_over(void **state)
{
	struct world *w = *state;
	double began = clock_steady();
	w->probe.deadline = began + 0.3;
	probe_walk(&w->probe);
	double took = clock_steady() - began;
	assert_true(took >= 0.3 && took < 10);
	assert_int_equal(w->probe.host_count, SILENT + 1);
	for (unsigned i = 0; i < SILENT; i++) {
		assert_int_equal(w->hosts[i].stage, PROBE_CONNECT);
		assert_string_equal(w->hosts[i].reason, "connection refused");
	}
	assert_int_equal(w->hosts[SILENT].stage, PROBE_GREETING);
	assert_string_equal(w->hosts[SILENT].reason, "no answer in time");
	assert_true(w->probe.late);
	assert_int_equal(w->probe.chosen, -1);
	assert_string_equal(
		w->probe.refusal, "451 4.4.1 No host took it before the time was over");
}

static void test_all_were_tried_in_time(void **state)
{
	struct world *w = *state;
	w->peer.candidate_count = SILENT;
	w->probe.deadline = clock_steady() + 60;
	probe_walk(&w->probe);
	assert_int_equal(w->probe.host_count, SILENT);
	assert_false(w->probe.late);
	assert_string_equal(w->probe.refusal,
		"451 4.4.1 bank.example via mx1.bank.example[127.0.0.2]: "
		"connection refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_long_as_the_manual_says),
		cmocka_unit_test_setup_teardown(test_the_time_is_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_all_were_tried_in_time, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
