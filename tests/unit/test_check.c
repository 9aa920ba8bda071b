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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* The user is one that every machine has, should the tests run as root. */
#define SERVER	"[server]\nhostname = mail.example.com\nuser = root\n"
#define SERVICE "[inbound]\nclient-address = xclient\ntls = off\n"
#define NOT_TLS "[inbound]\nclient-address = xclient\n"

/* An outbound service is lines 4 to 6, and the CAs are not those of this machine. */
#define OUTBOUND                                                                         \
	"[outbound]\nlisten = 127.0.0.1:2526\nbackends = 192.0.2.1\n"                    \
	"[policy]\nca = a.pem\n[outbound two]\nlisten = [::1]:2527\nbackends = ::1\n"

#define EXCHANGE_WAITS                                                                   \
	"route = smarthost: an Exchange server waits for its retry interval, often 15 "  \
	"minutes, for each further domain that a message goes to; with route = "         \
	"intercept nothing waits\n"

static const char *const files[] = { "a.pem", "a.key", "b.pem", "b.key", "ticket", "good",
	"bad", "open" };

static bool file_write(const char *name, const char *text)
{
	FILE *out = fopen(name, "w");

	return out != NULL && fputs(text, out) >= 0 && fclose(out) == 0 &&
	       chmod(name, 0600) == 0;
}

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
	return file_write("ticket", "too short") &&
			       file_write("good", "user = u\npassword = p\n") &&
			       file_write("bad", "user = u\npasword = p\n") &&
			       file_write("open", "user = u\npassword = p\n") &&
			       chmod("open", 0644) == 0
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
	struct bundle *bundle = bundle_new();

	assert_non_null(bundle);
	*fine = config_verify(config, bundle, out);
	bundle_free(bundle);
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
		{ SERVER "[limits]\nrcpt-budget = 5m\npolicy-timeout = 5m\n" SERVICE
			 "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n",
			true,
			"f: warning: rcpt-budget = 300s: a client waits 300s for the "
			"reply to a recipient, and goes away then\n"
			"f: warning: policy-timeout = 300s leaves nothing of rcpt-budget "
			"= 300s\n" },
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

static void test_outbound(void **state)
{
	static const struct verify_case cases[] = {
		{ SERVER OUTBOUND, true, "" },
		{ SERVER OUTBOUND "backends = 10.0.0.0/8 ::/0 0.0.0.0/0\n", false,
			"f:9: backends = ::/0: whoever reaches this service could send "
			"through it: an open relay; name the mail servers alone\n"
			"f:9: backends = 0.0.0.0/0: whoever reaches this service could "
			"send through it: an open relay; name the mail servers alone\n" },
		{ SERVER OUTBOUND "source = 2001:db8::1\n", true,
			"f:9: warning: source = 2001:db8::1: this machine has no such "
			"address now, and no connection will come about\n" },
		{ SERVER OUTBOUND "source = ::1\n", true, "" },
		{ SERVER OUTBOUND "route = relay 127.0.0.1:2526\n", false,
			"f:9: route = relay 127.0.0.1:2526: that is our own service "
			"outbound (line 4): mail would go round in circles\n" },
		{ SERVER OUTBOUND "[inbound]\ntls = off\nlisten = 127.0.0.1:2525\n"
				  "client-address = xclient\nbackend = [::1]:2527\n",
			false,
			"f:12: backend = [::1]:2527: that is our own service two (line "
			"9): mail would go round in circles\n" },
		{ SERVER OUTBOUND "route = relay a.example\ncredentials = good\n", true,
			"" },
		{ SERVER OUTBOUND "route = relay a.example\ncredentials = bad\n", false,
			"f:9: credentials: bad:2: unknown key: there are user and "
			"password\n" },
		{ SERVER OUTBOUND "route = relay a.example\ncredentials = open\n", false,
			"f:9: credentials: open: others can read or change it: chmod "
			"640\n" },
	};

	(void)state;
	assert_cases(cases, LENGTH(cases));
}

static void test_policy(void **state)
{
	static const struct verify_case cases[] = {
		{ SERVER SERVICE "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n"
				 "[policy]\ndirectory = .\n",
			true, "" },
		{ SERVER SERVICE "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n"
				 "[policy]\ndirectory = nothing\n",
			false,
			"f:10: directory = nothing: cannot be read: No such file or "
			"directory\n" },
		{ SERVER SERVICE "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n"
				 "[policy]\nca = c.pem\n",
			false,
			"f:10: ca = c.pem: c.pem: cannot be read: No such file or "
			"directory\n" },
		{ SERVER SERVICE "listen = 127.0.0.1:2525\nbackend = 192.0.2.1\n"
				 "[policy]\nca = ticket\n",
			false,
			"f:10: ca = ticket: ticket: no CA certificates in PEM "
			"format\n" },
		{ SERVER OUTBOUND "[identity a]\ncertificate = a.pem\nkey = a.key\n"
				  "[identity b]\ncertificate = b.pem\nkey = a.key\n",
			false, "f:15: a.key: the key does not belong to b.pem\n" },
	};

	(void)state;
	assert_cases(cases, LENGTH(cases));
}

#define ALONE(kept, lost)                                                                \
	"note: route = intercept by " kept " alone: the guard of `sealpost firewall` "   \
	"refuses everybody's mail that would pass by " lost "; name the backends' "      \
	"addresses of it, too, or guard = their interface\n"

static void test_notes(void **state)
{
	static const char text[] =
		SERVER OUTBOUND "backends = 10.0.0.0/24 10.0.0.0/23 fd00::/63\n"
				"[outbound three]\nroute = intercept\n"
				"listen = 127.0.0.1:1 [::1]:1\nbackends = 192.0.2.1\n"
				"[outbound four]\nroute = intercept\n"
				"listen = [::1]:2\nbackends = ::1\n"
				"[outbound five]\nroute = intercept\n"
				"listen = [::1]:3\nbackends = ::1\nguard = lo none1\n"
				"[outbound six]\nroute = intercept\n"
				"backends = ::1 192.0.2.1\n"
				"[inbound]\ntls = off\nbackend = 192.0.2.1\n"
				"[inbound lost]\ntls = off\nbackend = 192.0.2.1\n"
				"listen = 127.0.0.1:4 192.0.2.1:4\n";
	FILE *in = fmemopen((void *)text, strlen(text), "r");
	char *printed;
	size_t length;
	FILE *out = open_memstream(&printed, &length);

	(void)state;
	assert_non_null(in);
	assert_non_null(out);
	struct config *config = config_parse(in, "f", stderr);

	assert_non_null(config);
	config_notes(config, out);
	fclose(out);
	assert_string_equal(printed,
		"f:29: note: no listen: it is served where systemd passes a socket for "
		"it, FileDescriptorName=inbound, and nowhere else\n"
		"f:32: warning: listen = 192.0.2.1:4: this machine has no such address: "
		"serve refuses to start, unless systemd passes a socket for it\n"
		"f:4: note: " EXCHANGE_WAITS
		"f:9: note: backends = 10.0.0.0/23: every machine there can send in your "
		"name; better name the mail servers alone\n"
		"f:9: note: backends = fd00::/63: every machine there can send in your "
		"name; better name the mail servers alone\n"
		"f:9: note: " EXCHANGE_WAITS
		"f:13: " ALONE("IPv4", "IPv6") "f:17: " ALONE(
			"IPv6", "IPv4") "f:21: warning: guard = none1: this machine has "
					"no such interface, and "
					"nothing is guarded there\n"
					"f:26: note: no listen: it is served where "
					"systemd passes a socket for "
					"it, FileDescriptorName=six, and nowhere else\n");
	config_free(config);
	fclose(in);
	free(printed);
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
	struct bundle *bundle = bundle_new();
	struct bundle_octets octets;

	assert_non_null(bundle);
	assert_true(config_verify(config, bundle, stderr));
	assert_int_not_equal(backend->address.family, AF_UNSPEC);
	assert_int_equal(backend->address.port, 26);
	assert_string_equal(backend->host, "localhost");
	assert_true(bundle_find(bundle, "host localhost", &octets));
	bundle_free(bundle);
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
		cmocka_unit_test(test_outbound),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("check", tests, world_make, world_remove);
}
