/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "check.h"

#include "tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* The user is one that every machine has, should the tests run as root. */
#define SERVER	"[server]\nhostname = mail.example.com\nuser = root\n"
#define SERVICE "[inbound]\nclient-address = xclient\ntls = off\n"
#define NOT_TLS "[inbound]\nclient-address = xclient\n"

static const char *const files[] = { "a.pem", "a.key", "b.pem", "b.key", "ticket" };

/* The tests run in a directory of their own with two pairs, a and b. */
static int world_make(void **state)
{
	static char name[] = "/tmp/sealpost-check-XXXXXX";
	char reason[TLS_REASON];

	*state = name;
	if (mkdtemp(name) == NULL || chdir(name) != 0)
		return -1;
	if (!tls_selfsign("a.example", "a.pem", "a.key", reason) ||
		!tls_selfsign("b.example", "b.pem", "b.key", reason))
		return -1;
	FILE *ticket = fopen("ticket", "w");

	return ticket != NULL && fputs("too short", ticket) >= 0 && fclose(ticket) == 0
		       ? 0
		       : -1;
}

static int world_remove(void **state)
{
	for (size_t i = 0; i < LENGTH(files); i++)
		unlink(files[i]);
	return rmdir(*state);
}

/* Verifies the text as the file "f"; what was printed is the caller's to free. */
static char *verify(const char *text, bool *fine)
{
	char *printed;
	size_t length;
	FILE *in = fmemopen((void *)text, strlen(text), "r");
	FILE *out = open_memstream(&printed, &length);

	assert_non_null(in);
	assert_non_null(out);
	struct config *config = config_parse(in, "f", out);

	fflush(out);
	assert_string_equal(printed, "");
	assert_non_null(config);
	*fine = config_verify(config, out);
	config_free(config);
	fclose(in);
	fclose(out);
	return printed;
}

struct verify_case {
	const char *text;
	bool fine;
	const char *printed;
};

static void assert_cases(const struct verify_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool fine;
		char *printed = verify(cases[i].text, &fine);

		assert_string_equal(printed, cases[i].printed);
		assert_int_equal(fine, cases[i].fine);
		free(printed);
	}
}

static void test_pairs(void **state)
{
	static const struct verify_case cases[] = {
		{ SERVER "[tls]\ncertificate = a.pem\nkey = a.key\ncertificate = "
			 "b.pem\nkey = b.key\n" NOT_TLS
			 "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n",
			true, "" },
		{ SERVER "[tls]\ncertificate = a.pem\nkey = b.key\ncertificate = "
			 "c.pem\nkey = b.key\n" NOT_TLS
			 "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n",
			false,
			"f:5: b.key: the key does not belong to a.pem\n"
			"f:7: c.pem: cannot be read: No such file or directory\n" },
		{ SERVER "[tls]\ncertificate = a.pem\nkey = a.key\npriority = "
			 "NONSENSE\n" NOT_TLS
			 "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n",
			false,
			"f: [tls]: priority string, not understood at: NONSENSE\n" },
	};

	(void)state;
	assert_cases(cases, LENGTH(cases));
}

static void test_ticket_key(void **state)
{
	bool fine;
	char *printed = verify(SERVER
		"[tls]\ncertificate = a.pem\nkey = a.key\nticket-key = ticket\n" NOT_TLS
		"listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n",
		&fine);

	(void)state;
	assert_false(fine);
	assert_memory_equal(printed, "f: [tls]: ticket: ", strlen("f: [tls]: ticket: "));
	free(printed);
}

static void test_loops(void **state)
{
	static const struct verify_case cases[] = {
		{ SERVER SERVICE "listen = 127.0.0.1:2525\nbackend = 127.0.0.1:2525\n",
			false,
			"f:4: backend = 127.0.0.1:2525: that is our own service inbound "
			"(line 4): mail would go round in circles\n" },
		{ SERVER SERVICE "listen = 0.0.0.0:2525\nbackend = 127.0.0.2:2525\n",
			false,
			"f:4: backend = 127.0.0.2:2525: that is our own service inbound "
			"(line 4): mail would go round in circles\n" },
		{ SERVER SERVICE
			"listen = 0.0.0.0:2525\nbackend = 192.0.2.1:2525 127.0.0.1:25\n",
			true, "" },
		{ SERVER SERVICE "listen = 127.0.0.1:0\nbackend = 127.0.0.1:25\n"
				 "[inbound two]\ntls = off\nclient-address = proxy-v1\n"
				 "listen = 127.0.0.1:25\nbackend = 192.0.2.1\n",
			false,
			"f:4: backend = 127.0.0.1:25: that is our own service two (line "
			"9): mail would go round in circles\n" },
	};

	(void)state;
	assert_cases(cases, LENGTH(cases));
}

static void test_warnings(void **state)
{
	static const struct verify_case cases[] = {
		{ "[server]\nhostname = mail\nuser = root\n" SERVICE
		  "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n",
			true,
			"f: warning: hostname mail has no dot: the Internet wants a full "
			"name such as mail.example.com\n" },
		{ SERVER "[limits]\neod-timeout = 599\ncommand-timeout = 1m\n" SERVICE
			 "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n",
			true,
			"f: warning: command-timeout = 60s: RFC 5321 wants 300s at "
			"least\n"
			"f: warning: eod-timeout = 599s: RFC 5321 wants 600s at "
			"least\n" },
		{ SERVER "[inbound]\ntls = off\nlisten = 127.0.0.1:2525\nbackend = "
			 "192.0.2.1\n",
			true,
			"f:4: warning: client-address = none: to the backend all mail "
			"comes from this machine; if it relays for this machine's "
			"address, it is an open relay now\n" },
		{ SERVER SERVICE "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n"
				 "accept-proxy-from = ::/0\n",
			true,
			"f:4: warning: accept-proxy-from: everybody may say which "
			"address he comes from\n" },
		{ SERVER "[tls]\ncertificate = a.pem\nkey = a.key\n" NOT_TLS
			 "listen = 127.0.0.1\nbackend = 192.0.2.1\ntls = require\n",
			true,
			"f:7: warning: tls = require on port 25: senders that cannot do "
			"TLS will not reach you (RFC 3207 wants a public server to serve "
			"them)\n" },
		{ SERVER "[tls]\ncertificate = a.pem\nkey = a.key\n" NOT_TLS
			 "listen = 127.0.0.1\nbackend = 192.0.2.1\ntls = implicit\n",
			true,
			"f:7: warning: tls = implicit on port 25: no mail server on the "
			"Internet expects TLS there from the first octet\n" },
	};

	(void)state;
	assert_cases(cases, LENGTH(cases));
}

/* A name becomes its first address, and keeps its port. */
static void test_names(void **state)
{
	static const char text[] =
		SERVER SERVICE "listen = 127.0.0.1:2525\nbackend = localhost:26\n";
	FILE *in = fmemopen((void *)text, strlen(text), "r");

	(void)state;
	assert_non_null(in);
	struct config *config = config_parse(in, "f", stderr);

	assert_non_null(config);
	const struct config_endpoint *backend = &config->inbound[0].backend[0];

	assert_int_equal(backend->address.family, AF_UNSPEC);
	assert_true(config_verify(config, stderr));
	assert_int_not_equal(backend->address.family, AF_UNSPEC);
	assert_int_equal(backend->address.port, 26);
	assert_string_equal(backend->host, "localhost");
	config_free(config);
	fclose(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_ticket_key),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("check", tests, world_make, world_remove);
}
