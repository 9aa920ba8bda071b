/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "limits_world.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_connections(void **state)
{
	struct limits limits = make((struct limits_most){ .connections = 2 });

	(void)state;
	assert_int_equal(limits_connect(&limits), LIMITS_FINE);
	assert_int_equal(limits_connect(&limits), LIMITS_FINE);
	assert_int_equal(limits_connect(&limits), LIMITS_TOO_MANY);
	assert_int_equal(limits_connections(&limits.board), 2);
	limits_disconnect(&limits);
	assert_int_equal(limits_connect(&limits), LIMITS_FINE);
	assert_int_equal(limits_connections(&limits.board), 2);
	unmake(&limits);
}

static void test_no_limit(void **state)
{
	struct limits limits = make((struct limits_most){ 0 });

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(limits_connect(&limits), LIMITS_FINE);
		assert_enters(&limits, ipv4(1));
		struct address one = ipv4(1);
		assert_false(limits_handshakes_full(&limits, &one, 1));
		limits_handshake_begin(&limits, &one, 1);
	}
	unmake(&limits);
}

static void test_per_address(void **state)
{
	struct limits limits = make((struct limits_most){ .connections_per_address = 2 });
	struct address one = ipv4(1);

	(void)state;
	assert_enters(&limits, one);
	assert_enters(&limits, one);
	assert_too_many(&limits, one);
	assert_enters(&limits, ipv4(2));
	limits_leave(&limits, &one);
	assert_enters(&limits, one);
	assert_too_many(&limits, one);
	unmake(&limits);
}

/* Another port is the same client. */
static void test_ports(void **state)
{
	struct limits limits = make((struct limits_most){ .connections_per_address = 1 });
	struct address one = ipv4(1);

	(void)state;
	one.port = 1;
	assert_enters(&limits, one);
	one.port = 2;
	assert_too_many(&limits, one);
	limits_leave(&limits, &one);
	assert_enters(&limits, one);
	unmake(&limits);
}

/* One customer has a /64: its hosts count as one, and its neighbour for itself. */
static void test_ipv6(void **state)
{
	struct limits limits = make((struct limits_most){ .connections_per_address = 1 });
	struct address second = ipv6(1, 2);

	(void)state;
	assert_enters(&limits, ipv6(1, 1));
	assert_too_many(&limits, ipv6(1, 2));
	assert_enters(&limits, ipv6(2, 1));
	limits_leave(&limits, &second);
	assert_enters(&limits, ipv6(1, 3));
	unmake(&limits);
}

/* An IPv4 client whose octets are those of an IPv6 prefix is somebody else. */
static void test_families(void **state)
{
	struct limits limits = make((struct limits_most){ .connections_per_address = 1 });
	struct address four = { .family = AF_INET, .octets = { 0x20, 0x01, 0x0d, 0xb8 } };
	struct address six = { .family = AF_INET6 };

	(void)state;
	assert_enters(&limits, four);
	assert_enters(&limits, ipv6(0, 1));
	memcpy(six.octets + 4, four.octets, 4);
	assert_enters(&limits, six);
	assert_too_many(&limits, four);
	assert_too_many(&limits, six);
	unmake(&limits);
}

/* ::1 is a client, too, though its /64 has no bit set; and so is nobody. */
static void test_no_bits(void **state)
{
	struct limits limits = make((struct limits_most){ .connections_per_address = 1 });
	struct address loopback = { .family = AF_INET6, .octets = { [15] = 1 } };
	struct address nobody = { .family = AF_UNSPEC };

	(void)state;
	assert_enters(&limits, loopback);
	assert_too_many(&limits, loopback);
	assert_enters(&limits, nobody);
	assert_too_many(&limits, nobody);
	limits_leave(&limits, &loopback);
	assert_enters(&limits, loopback);
	/* Whoever meets it in the table finds a place behind it. */
	for (unsigned i = 0; i < 1000; i++)
		assert_enters(&limits, ipv4(i));
	unmake(&limits);
}

/* As many clients as it was made for: each is found again, and gone when it has left. */
static void test_many(void **state)
{
	enum { CLIENTS = 20000 };
	struct limits limits = make_for(
		1, CLIENTS, (struct limits_most){ .connections_per_address = 1 });

	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_enters(&limits, ipv4(i));
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_too_many(&limits, ipv4(i));
	for (unsigned i = 0; i < CLIENTS; i += 2) {
		struct address client = ipv4(i);

		limits_leave(&limits, &client);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		if (i % 2 == 0)
			assert_enters(&limits, ipv4(i));
		else
			assert_too_many(&limits, ipv4(i));
	unmake(&limits);
}

static void test_leave_without_enter(void **state)
{
	struct limits limits = make((struct limits_most){ .connections_per_address = 1 });
	struct address one = ipv4(1);

	(void)state;
	limits_leave(&limits, &one);
	assert_enters(&limits, one);
	unmake(&limits);
}

/* More than it was made for: those who stay out are told so, nobody else is lost. */
static void test_no_room(void **state)
{
	enum { CLIENTS = 1000 };
	struct limits limits =
		make_for(1, 1, (struct limits_most){ .connections_per_address = 1 });
	bool inside[CLIENTS];
	unsigned refused = 0;

	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct address client = ipv4(i);
		enum limits_verdict verdict = limits_enter(&limits, &client);

		inside[i] = verdict == LIMITS_FINE;
		if (!inside[i])
			assert_int_equal(verdict, LIMITS_TOO_MANY);
		refused += !inside[i];
	}
	assert_in_range(refused, 1, CLIENTS - 100);
	for (unsigned i = 0; i < CLIENTS; i++)
		if (inside[i])
			assert_too_many(&limits, ipv4(i));
	unmake(&limits);
}

/* ---- several workers ---- */

static void test_together(void **state)
{
	struct limits_most most = {
		.connections = 2, .connections_per_address = 2, .handshakes = 2
	};
	struct limits one = make(most), two = beside(&one, 1), three = beside(&one, 2);
	struct address client = ipv4(1);

	(void)state;
	assert_int_equal(limits_connect(&one), LIMITS_FINE);
	assert_int_equal(limits_connect(&two), LIMITS_FINE);
	assert_int_equal(limits_connect(&three), LIMITS_TOO_MANY);
	assert_int_equal(limits_connections(&three.board), 2);

	assert_enters(&two, client);
	assert_enters(&three, client);
	assert_too_many(&one, client);
	limits_leave(&two, &client);
	assert_enters(&one, client);

	limits_handshake_begin(&one, NULL, 1);
	limits_handshake_begin(&three, NULL, 1);
	assert_true(limits_handshakes_full(&two, NULL, 1));
	limits_handshake_end(&three, NULL);
	assert_false(limits_handshakes_full(&two, NULL, 1));
	unmake(&one);
}

/* What a dead worker had counted is over, and nobody else's count. */
static void test_forget(void **state)
{
	struct limits_most most = {
		.connections = 3, .connections_per_address = 2, .handshakes = 2
	};
	struct limits one = make(most), two = beside(&one, 1);

	(void)state;
	assert_int_equal(limits_connect(&one), LIMITS_FINE);
	assert_int_equal(limits_connect(&two), LIMITS_FINE);
	assert_int_equal(limits_connect(&two), LIMITS_FINE);
	assert_enters(&one, ipv4(1));
	assert_enters(&two, ipv4(1));
	for (unsigned i = 2; i < 100; i++)
		assert_enters(&two, ipv4(i));
	limits_handshake_begin(&two, NULL, 1);
	limits_handshake_begin(&two, NULL, 1);

	limits_forget(&one.board, 1);
	assert_int_equal(limits_connections(&one.board), 1);
	assert_false(limits_handshakes_full(&one, NULL, 1));
	assert_enters(&one, ipv4(1));
	assert_too_many(&two, ipv4(1));
	for (unsigned i = 2; i < 100; i++) {
		assert_enters(&one, ipv4(i));
		assert_enters(&two, ipv4(i));
		assert_too_many(&one, ipv4(i));
	}
	unmake(&one);
}

/* ---- all at once ---- */

enum { WORKERS = 4, ROUNDS = 200000, HOSTS = 200 };

/* What the workers have really let in. */
struct crowd {
	_Atomic unsigned inside, of_host[HOSTS];
	_Atomic unsigned exceeded, taken, ready;
};

static void connections(struct limits *limits, struct crowd *crowd)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (limits_connect(limits) != LIMITS_FINE)
			continue;
		crowd->taken++;
		if (atomic_fetch_add(&crowd->inside, 1) >= limits->most.connections)
			crowd->exceeded++;
		if (i % 16 == 0)
			sched_yield();
		crowd->inside--;
		limits_disconnect(limits);
	}
}

/* Half of them from one host, the others from all. */
static void clients(struct limits *limits, struct crowd *crowd)
{
	unsigned random = limits->slot + 1;

	for (unsigned i = 0; i < ROUNDS; i++) {
		random = random * 1103515245 + 12345;
		unsigned host = random & 0x10000 ? (random >> 17) % HOSTS : 0;
		struct address client = ipv4(host);

		if (limits_enter(limits, &client) != LIMITS_FINE)
			continue;
		crowd->taken++;
		if (atomic_fetch_add(&crowd->of_host[host], 1) >=
			limits->most.connections_per_address)
			crowd->exceeded++;
		if (i % 16 == 0)
			sched_yield();
		crowd->of_host[host]--;
		limits_leave(limits, &client);
	}
}

static void handshakes(struct limits *limits, struct crowd *crowd)
{
	(void)crowd;
	for (unsigned i = 0; i < ROUNDS; i++) {
		limits_handshake_begin(limits, NULL, 1);
		limits_handshake_end(limits, NULL);
	}
}

/* In a process a worker. */
static void at_once(const struct limits *limits, struct crowd *crowd,
	void (*act)(struct limits *limits, struct crowd *crowd))
{
	pid_t workers[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		assert_true(workers[i] >= 0);
		if (workers[i] == 0) {
			struct limits own = beside(limits, i);

			crowd->ready++;
			while (crowd->ready < WORKERS)
				sched_yield();
			act(&own, crowd);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		int status;

		assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
		assert_int_equal(status, 0);
	}
}

/* No limit is ever passed, and in the end there is nothing left. */
static void hammer(
	struct limits_most most, void (*act)(struct limits *limits, struct crowd *crowd))
{
	struct limits limits = make_for(WORKERS, 100, most);
	struct crowd *crowd = share(sizeof(*crowd));

	at_once(&limits, crowd, act);
	assert_int_equal(crowd->exceeded, 0);
	assert_true(crowd->taken > ROUNDS / 100);
	assert_int_equal(limits_connections(&limits.board), 0);
	limits.most.connections_per_address = 1;
	for (unsigned i = 0; i < HOSTS; i++)
		assert_enters(&limits, ipv4(i));
	munmap(crowd, sizeof(*crowd));
	unmake(&limits);
}

static void test_hammered(void **state)
{
	(void)state;
	hammer((struct limits_most){ .connections = 3 }, connections);
	hammer((struct limits_most){ .connections_per_address = 1 }, clients);
	hammer((struct limits_most){ .connections_per_address = 3 }, clients);
}

/* No handshake is lost from the count. */
static void test_paced_together(void **state)
{
	enum { RATE = 1000000 };
	struct limits limits = make_for(WORKERS, 100,
		(struct limits_most){ .handshakes = 1, .handshakes_per_second = RATE });
	struct crowd *crowd = share(sizeof(*crowd));
	unsigned left = 0;

	(void)state;
	at_once(&limits, crowd, handshakes);
	while (!limits_handshakes_full(&limits, NULL, 1)) {
		limits_handshake_begin(&limits, NULL, 1);
		limits_handshake_end(&limits, NULL);
		left++;
	}
	assert_int_equal(left, RATE - WORKERS * ROUNDS);
	munmap(crowd, sizeof(*crowd));
	unmake(&limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_per_address),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_no_bits),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_leave_without_enter),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_hammered),
		cmocka_unit_test(test_paced_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
