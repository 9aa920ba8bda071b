/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "config.h"
#include "config_schema.h"
#include "config_text.h"
#include "manual.h"
#include "smtp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* ---- faults ---- */

static void test_lines(void **state)
{
	static const struct fault_case cases[] = {
		{ "hostname = a.example\n" SERVER SERVICE,
			"f:1: hostname stands before any section: write [server] or "
			"another one above it\n" },
		{ SERVER "nonsense\n" SERVICE,
			"f:4: neither [SECTION] nor key = value nor a comment\n" },
		{ SERVER "= 4\n" SERVICE,
			"f:4: a value without a key: write key = value\n" },
		{ SERVER "\xC2\xA0user = x\n" SERVICE,
			"f:4: a no-break space, as web pages have it: write a plain "
			"one\n" },
		{ SERVER "user = \xC2\xA0x\n" SERVICE,
			"f:4: a no-break space, as web pages have it: write a plain "
			"one\n" },
		{ SERVER "[tls\nkey = x\n" SERVICE,
			"f:4: a section is begun by [NAME]\n" },
		{ SERVER "[]\nkey = x\n" SERVICE, "f:4: a section is begun by [NAME]\n" },
		{ SERVER "[a ;b]\n" SERVICE, "f:4: a section is begun by [NAME]\n" },
		{ SERVER "[tls] key = x\n" SERVICE,
			"f:4: something stands behind the section's ]: write it on the "
			"next line\n" },
		{ SERVER, "f: no [inbound] and no [outbound]: there is nothing to serve; "
			  "give it a listen and a backend\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_long_lines(void **state)
{
	char text[1024], octets[400];

	(void)state;
	memset(octets, 'a', sizeof(octets));
	snprintf(text, sizeof(text), SERVER "user = %.190s\n" SERVICE, octets);
	config_free(parse_fine(text));
	snprintf(text, sizeof(text), SERVER "user = %.190s\r\n" SERVICE, octets);
	config_free(parse_fine(text));
	snprintf(text, sizeof(text), SERVER "user = %.191s\n" SERVICE, octets);
	assert_faults(text, strlen(text), "f:4: a line longer than 197 octets\n");
	snprintf(text, sizeof(text), SERVER "user = %.300s\n" SERVICE, octets);
	assert_faults(text, strlen(text), "f:4: a line longer than 197 octets\n");
	snprintf(text, sizeof(text), SERVER "  ; %.300s\n" SERVICE, octets);
	config_free(parse_fine(text));
}

static void test_binary(void **state)
{
	static const char nul[] = SERVER "user = a\0b\nzzz = 1\n",
			  escape[] = SERVER "\033[2J\n";

	(void)state;
	assert_faults(
		nul, sizeof(nul) - 1, "f:4: a control character: this is no text file\n");
	assert_faults(escape, sizeof(escape) - 1,
		"f:4: a control character: this is no text file\n");
}

static void test_sections(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER "[sever]\nx = y\n" SERVICE,
			"f:4: unknown section [sever]: is [server] meant?\n" },
		{ SERVER "[something]\nx = y\n" SERVICE,
			"f:4: unknown section [something]: there are [server], [tls], "
			"[limits], [policy], [inbound], [outbound] and [identity "
			"NAME]\n" },
		{ SERVER "[outbond main]\n[server x]\n" SERVICE,
			"f:4: unknown section [outbond main]: is [outbound main] meant?\n"
			"f:5: unknown section [server x]: is [server] meant?\n" },
		{ SERVER "[server]\nuser = a\n" SERVICE,
			"f:4: [server] again: it began on line 1; write its keys "
			"there\n" },
		{ SERVER SERVICE SERVICE,
			"f:8: a second service named inbound: the first is on line 4; "
			"give each its own [inbound NAME]\n" },
		{ SERVER SERVICE "[inbound a b]\n",
			"f:8: [inbound a b]: a name is 1 to 32 letters, digits, '-', '_' "
			"or '.'\n" },
		{ SERVER SERVICE "[inbound aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
			"f:8: [inbound aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]: a name is 1 "
			"to 32 letters, digits, '-', '_' or '.'\n" },
		{ SERVER SERVICE "[inbound aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
			"f:8: [inbound aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]: a "
			"name is 1 "
			"to 32 letters, digits, '-', '_' or '.'\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_too_many_services(void **state)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	assert_non_null(out);
	fputs(SERVER, out);
	for (int i = 0; i <= CONFIG_INBOUND_MAX; i++)
		fprintf(out,
			"[inbound n%d]\ntls = off\nlisten = 127.0.0.1:%d\nbackend = "
			"::1\n",
			i, 1000 + i);
	fclose(out);
	assert_faults(text, length,
		"f:68: [inbound n16]: one too many: there is room for 16\n");
	free(text);
}

static void test_keys(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER "usr = a\n" SERVICE,
			"f:4: unknown key usr in [server]: is user meant?\n" },
		{ SERVER "zzzzzzzz = a\n" SERVICE,
			"f:4: unknown key zzzzzzzz in [server]: see sealpost.conf(5) for "
			"those there are\n" },
		{ SERVER "backend = a\n" SERVICE, "f:4: unknown key backend in [server]: "
						  "it belongs in [inbound]\n" },
		{ SERVER "user = a\nuser = b\n" SERVICE,
			"f:5: user again: it stands on line 4 already\n" },
		{ SERVER SERVICE "backend =\n", "f:8: backend is empty\n" },
		{ SERVER "[tls]\ncertificate =\n" SERVICE,
			"f:5: certificate is empty\n" },
		{ SERVER "[inbound]\ntls = off\nlisten = 192.0.2.1\n",
			"f:4: this [inbound] lacks its backend\n" },
		{ SERVER "[inbound]\ntls = off\n",
			"f:4: this [inbound] lacks its backend\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_values(void **state)
{
	static const struct fault_case cases[] = {
		{ "[server]\nhostname = a..b\n" SERVICE,
			"f:2: hostname = a..b: not a domain name such as "
			"mail.example.com\n" },
		{ "[server]\nhostname = 192.0.2.1\n" SERVICE,
			"f:2: hostname = 192.0.2.1: not a domain name such as "
			"mail.example.com\n" },
		{ SERVER "workers = 65\n" SERVICE,
			"f:4: workers = 65: neither auto nor a number from 1 to 64\n" },
		{ SERVER "log = jurnal\n" SERVICE,
			"f:4: log = jurnal: not one of stderr, syslog, journal\n" },
		{ SERVER "[tls]\nmin-version = 1.1\n" SERVICE,
			"f:5: min-version = 1.1: not one of 1.2, 1.3\n" },
		{ SERVER "[limits]\nrecipients = 0\n" SERVICE,
			"f:5: recipients = 0: not a number from 1 to 100000\n" },
		{ SERVER "[limits]\nrecipients = 5K\n" SERVICE,
			"f:5: recipients = 5K: not a number from 1 to 100000\n" },
		{ SERVER "[limits]\ndata-timeout = 2d\n" SERVICE,
			"f:5: data-timeout = 2d: not a time from 1s to 1h (digits with "
			"s, m or h; seconds without)\n" },
		{ SERVER "[limits]\ndata-timeout = 61m\n" SERVICE,
			"f:5: data-timeout = 61m: not a time from 1s to 1h (digits with "
			"s, m or h; seconds without)\n" },
		{ SERVER "[limits]\nmessage-size = 18446744073709551615G\n" SERVICE,
			"f:5: message-size = 18446744073709551615G: not a size from 0 to "
			"1024G (digits with K, M or G; octets without)\n" },
		{ SERVER "[limits]\nmessage-size = 1 M\n" SERVICE,
			"f:5: message-size = 1 M: not a size from 0 to 1024G (digits "
			"with K, M or G; octets without)\n" },
		{ SERVER "[limits]\nmessage-size = -1\n" SERVICE,
			"f:5: message-size = -1: not a size from 0 to 1024G (digits with "
			"K, M or G; octets without)\n" },
		{ SERVER SERVICE "bare-newline = rejct\n",
			"f:8: bare-newline = rejct: not one of normalize, reject\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_list_values(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER SERVICE "listen = mail.example.com:25\n",
			"f:8: listen = mail.example.com:25: not an address such as "
			"192.0.2.1:25 or [2001:db8::1]:25\n" },
		{ SERVER SERVICE "backend = :25 a_b 10.0.0.300\n",
			"f:8: backend = :25: not an address or host name such as "
			"10.0.0.10:25 or mail.example.com\n"
			"f:8: backend = a_b: not an address or host name such as "
			"10.0.0.10:25 or mail.example.com\n"
			"f:8: backend = 10.0.0.300: not an address or host name such as "
			"10.0.0.10:25 or mail.example.com\n" },
		{ SERVER SERVICE "backend = a:65536 a: 10.0.0.1:0\n",
			"f:8: backend = a:65536: not an address or host name such as "
			"10.0.0.10:25 or mail.example.com\n"
			"f:8: backend = a:: not an address or host name such as "
			"10.0.0.10:25 or mail.example.com\n"
			"f:8: backend = 10.0.0.1:0: not an address or host name such as "
			"10.0.0.10:25 or mail.example.com\n" },
		{ SERVER SERVICE "backend = a b c d e f g h\n",
			"f:8: backend = h: one too many: there is room for 8\n" },
		{ SERVER SERVICE "accept-proxy-from = 192.0.2.0/33\n",
			"f:8: accept-proxy-from = 192.0.2.0/33: not a network such as "
			"192.0.2.0/24 or 2001:db8::/32\n" },
		{ SERVER PAIR
			"[inbound]\nlisten = ::1\nbackend = a\nauth = PLAIN GSSAPI\n",
			"f:10: auth = GSSAPI: not a mechanism that Sealpost knows, such "
			"as PLAIN or LOGIN\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_pairs(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER "[tls]\nkey = k\n" SERVICE,
			"f:5: key = k: a key follows its certificate, and none is before "
			"it\n" },
		{ SERVER PAIR "key = k\n" SERVICE,
			"f:7: key = k: a key follows its certificate, and none is before "
			"it\n" },
		{ SERVER "[tls]\ncertificate = a\ncertificate = b\nkey = k\n" SERVICE,
			"f:6: certificate = b: the certificate before it still lacks its "
			"key\n" },
		{ SERVER PAIR "certificate = a\n" SERVICE,
			"f:7: certificate = a: no key follows it\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_contradictions(void **state)
{
	static const struct fault_case cases[] = {
		{ SERVER "[inbound]\nlisten = ::1\nbackend = a\n",
			"f:4: tls = offer, and there is no certificate: write "
			"certificate = and key = in [tls], or tls = off\n" },
		{ SERVER "[inbound]\nlisten = ::1\nbackend = a\ntls = require\n",
			"f:7: tls = require, and there is no certificate: write "
			"certificate = and key = in [tls], or tls = off\n" },
		{ SERVER SERVICE "auth = PLAIN\n", "f:8: auth passes only inside TLS, "
						   "and this service has tls = off\n" },
		{ SERVER SERVICE "listen = [::]:25\nclient-address = transparent\n",
			"f:9: client-address = transparent: clients come by IPv6, and no "
			"backend has an IPv6 address; add one, or do not listen "
			"there\n" },
		{ SERVER SERVICE "listen = 192.0.2.2:26 192.0.2.2:26\n",
			"f:6: listen = 192.0.2.2:26: taken by listen = 192.0.2.2:26 on "
			"line 6\n" },
		{ SERVER SERVICE
			"[inbound two]\ntls = off\nbackend = a\nlisten = 0.0.0.0\n",
			"f:11: listen = 0.0.0.0:25: taken by listen = 192.0.2.1:25 on "
			"line 6\n" },
		{ SERVER "[inbound 1]\ntls = off\nbackend = a\nlisten = [::]\n"
			 "[inbound 2]\ntls = off\nbackend = a\nlisten = 0.0.0.0\n"
			 "[inbound 3]\ntls = off\nbackend = a\nlisten = ::1\n",
			"f:15: listen = [::1]:25: taken by listen = [::]:25 on line "
			"7\n" },
	};

	(void)state;
	assert_fault_cases(cases, LENGTH(cases));
}

static void test_journal(void **state)
{
	static const char text[] = SERVER "log = journal\n" SERVICE;

	(void)state;
	if (log_can(LOG_TO_JOURNAL))
		config_free(parse_fine(text));
	else
		assert_faults(text, strlen(text),
			"f:4: log = journal: this build of sealpost has no libsystemd; "
			"use stderr or syslog\n");
}

static void test_unreadable(void **state)
{
	static const struct {
		const char *path, *faults;
		int error;
	} cases[] = {
		{ "/nonexistent/sealpost.conf",
			"/nonexistent/sealpost.conf: cannot be read: No such file or "
			"directory\n",
			ENOENT },
		{ "/", "/: cannot be read: Is a directory\n", EISDIR },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		char *faults;
		size_t length;
		FILE *out = open_memstream(&faults, &length);

		assert_non_null(out);
		struct bundle *bundle = bundle_new();

		assert_null(config_read(bundle, cases[i].path, out));
		assert_int_equal(errno, cases[i].error);
		bundle_free(bundle);
		fclose(out);
		assert_string_equal(faults, cases[i].faults);
		free(faults);
	}
}

/* What is in a bundle is read there, as long or as short as it is. */
static void test_bundle(void **state)
{
	static const char text[] = SERVER SERVICE;
	struct bundle *bundle = bundle_new();
	char *faults;
	size_t length;
	FILE *out = open_memstream(&faults, &length);

	(void)state;
	assert_non_null(out);
	assert_null(config_of_bundle(bundle, out));
	assert_int_equal(errno, ENOENT);
	assert_true(bundle_put(bundle, BUNDLE_CONFIG_PATH, "a/b", 3));
	assert_true(bundle_put(bundle, BUNDLE_MACHINE, "mail.example", 12));
	assert_true(bundle_put(bundle, BUNDLE_CONFIG, "", 0));
	assert_null(config_of_bundle(bundle, out));
	assert_int_equal(errno, 0);
	assert_true(bundle_put(bundle, BUNDLE_CONFIG, text, strlen(text)));
	struct config *config = config_of_bundle(bundle, out);

	assert_non_null(config);
	assert_string_equal(config->path, "a/b");
	config_free(config);
	bundle_free(bundle);
	fclose(out);
	assert_string_equal(faults,
		"no configuration is in the bundle\n"
		"a/b: no [inbound] and no [outbound]: there is nothing to serve; give it "
		"a listen and a backend\n");
	free(faults);
}

/* A machine that is given another name goes by the one that it had when that was read. */
static void test_the_machines_name_is_read_once(void **state)
{
	struct bundle *bundle = bundle_new();
	struct bundle_octets found;
	FILE *out = fopen("of-a-machine", "w");

	(void)state;
	assert_non_null(out);
	fputs("[server]\n" SERVICE, out);
	fclose(out);
	config_free(config_read(bundle, "of-a-machine", stderr));
	remove("of-a-machine");
	assert_true(bundle_find(bundle, BUNDLE_MACHINE, &found));
	assert_true(bundle_put(bundle, BUNDLE_MACHINE, "was.example", 11));
	struct config *config = config_of_bundle(bundle, stderr);

	assert_non_null(config);
	assert_string_equal(config->hostname, "was.example");
	config_free(config);
	bundle_free(bundle);
}

/* ---- what is read ---- */

static void test_defaults(void **state)
{
	struct config *config = parse_fine(SERVER SERVICE);

	(void)state;
	assert_string_equal(config->path, "f");
	assert_string_equal(config->hostname, "mail.example.com");
	assert_string_equal(config->user, "sealpost");
	assert_int_equal(config->workers, 0);
	assert_string_equal(config->control, "/run/sealpost/control");
	assert_int_equal(config->log, LOG_TO_STDERR);
	assert_int_equal(config->log_level, LOG_LEVEL_INFO);
	assert_string_equal(config->min_version, "1.2");
	assert_null(config->ticket_key);
	assert_null(config->priority);
	assert_int_equal(config->pair_count, 0);
	assert_int_equal(config->limits.connections, 10000);
	assert_int_equal(config->limits.session_time, 3600);
	assert_int_equal(config->limits.eod_timeout, 600);
	assert_int_equal(config->limits.reply_length, 65536);
	assert_int_equal(config->limits.message_size, 0);
	assert_int_equal(config->inbound_count, 1);

	const struct config_inbound *inbound = &config->inbound[0];

	assert_string_equal(inbound->name, "inbound");
	assert_int_equal(inbound->line, 4);
	assert_int_equal(inbound->tls, NEAR_TLS_OFF);
	assert_int_equal(inbound->backend_tls, BACKEND_TLS_NONE);
	assert_int_equal(inbound->client_address, CLIENT_ADDRESS_NONE);
	assert_int_equal(inbound->auth, 0);
	assert_int_equal(inbound->bare_newline, BARE_NEWLINE_NORMALIZE);
	assert_int_equal(inbound->received, RECEIVED_AUTO);
	config_free(config);
}

static void test_everything(void **state)
{
	struct config *config = parse_fine(
		"\xEF\xBB\xBF[server]  ; with a byte order mark\r\n"
		"  hostname: mail.example.com   ; indented, and a colon\r\n"
		"user = a;b\r\nlog = syslog\nlog-level = debug\n"
		"# [inbound]\n"
		"[tls]\ncertificate = c 1\nkey = k1\ncertificate = c2\nkey = k2\n"
		"min-version = 1.3\nticket-key =\npriority = NORMAL:-VERS-TLS1.2\n"
		"[limits]\nmessage-size = 2G\nreply-length = 4K\nsession-time = 2h\n"
		"data-timeout = 90\nblock-timeout = 2m\n"
		"[inbound one]\nlisten = 0.0.0.0 [::]:2525\nlisten=192.0.2.1:0 "
		"192.0.2.1:0\n"
		"backend = mail.example.net:2525\tmail.example.net [2001:db8::1]\n"
		"backend-tls = legacy\nclient-address = proxy-v2\nauth = plain LOGIN\n"
		"accept-proxy-from = 192.0.2.0/24 2001:db8::1\nbare-newline = "
		"reject\nreceived = off\n"
		"[inbound two]\nbackend = 10.0.0.1\nlisten = 0.0.0.0:26\ntls = implicit");

	(void)state;
	assert_string_equal(config->user, "a;b");
	assert_int_equal(config->log, LOG_TO_SYSLOG);
	assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->pair_count, 2);
	assert_string_equal(config->pairs[0].certificate, "c 1");
	assert_string_equal(config->pairs[1].key, "k2");
	assert_int_equal(config->pair_lines[1], 10);
	assert_string_equal(config->min_version, "1.3");
	assert_null(config->ticket_key);
	assert_string_equal(config->priority, "NORMAL:-VERS-TLS1.2");
	assert_int_equal(config->limits.message_size, UINT64_C(2) << 30);
	assert_int_equal(config->limits.reply_length, 4096);
	assert_int_equal(config->limits.session_time, 7200);
	assert_int_equal(config->limits.data_timeout, 90);
	assert_int_equal(config->limits.block_timeout, 120);
	assert_int_equal(config->inbound_count, 2);

	const struct config_inbound *one = &config->inbound[0];

	assert_string_equal(one->name, "one");
	assert_int_equal(one->listen_count, 4);
	assert_int_equal(one->listen[0].port, 25);
	assert_int_equal(one->listen[1].family, AF_INET6);
	assert_int_equal(one->backend_count, 3);
	assert_string_equal(one->backend[0].host, "mail.example.net");
	assert_int_equal(one->backend[0].address.family, AF_UNSPEC);
	assert_int_equal(one->backend[0].address.port, 2525);
	assert_int_equal(one->backend[1].address.port, 25);
	assert_null(one->backend[2].host);
	assert_int_equal(one->backend[2].address.family, AF_INET6);
	assert_int_equal(one->backend_tls, BACKEND_TLS_LEGACY);
	assert_int_equal(one->client_address, CLIENT_ADDRESS_PROXY_V2);
	assert_int_equal(one->received, RECEIVED_OFF);
	assert_int_equal(one->auth, 1u << SMTP_AUTH_PLAIN | 1u << SMTP_AUTH_LOGIN);
	assert_int_equal(one->accept_proxy_count, 2);
	assert_int_equal(one->bare_newline, BARE_NEWLINE_REJECT);
	assert_int_equal(config->inbound[1].tls, NEAR_TLS_IMPLICIT);
	config_free(config);
}

/* ---- the manual ---- */

/* Each literal display is a whole configuration. */
static void test_manual_examples(void **state)
{
	char *manual = manual_read("sealpost.conf.5"), *at = manual;
	unsigned count = 0;

	(void)state;
	for (char *example; (example = manual_example(&at)) != NULL; count++)
		config_free(parse_fine(example));
	assert_int_equal(count, 6);
	free(manual);
}

/* The manual is written for a package, where SYSCONFDIR is /etc. */
static const char *default_told(const struct config_key *key, char *text, size_t size)
{
	size_t length = strlen(SYSCONFDIR);

	if (strncmp(key->fallback, SYSCONFDIR "/", length + 1) != 0)
		return key->fallback;
	snprintf(text, size, "/etc%s", key->fallback + length);
	return text;
}

/* Whether it says so before `end`, as the schema does. */
static void assert_restart_told(
	const struct config_key *key, const char *item, const char *end)
{
	const char *told = strstr(item, "\nOnly a restart changes ");

	if ((told != NULL && (end == NULL || told < end)) != key->restart)
		fail_msg("sealpost.conf(5) has it wrong whether a restart is needed for "
			 "%s",
			key->name);
}

/*
 * Every key has its paragraph, in its section, and that tells the default, and whether a
 * reload can change it.
 */
static void test_manual_keys(void **state)
{
	char *manual = manual_read("sealpost.conf.5"), mark[128];

	(void)state;
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct config_key *key = &config_keys[i];

		snprintf(mark, sizeof(mark), "\n.Ss Section %s\n",
			config_sections[key->section].name);
		const char *section = strstr(manual, mark);

		assert_non_null(section);
		snprintf(mark, sizeof(mark), "\n.It Ic %s Li = ", key->name);
		const char *item = strstr(section, mark);
		const char *next_section = strstr(section + 1, "\n.Ss ");

		if (item == NULL || item > next_section)
			fail_msg("sealpost.conf(5) lacks %s", key->name);
		const char *next = strstr(item + 1, "\n.It Ic ");

		assert_restart_told(key, item, next);
		if (key->fallback == NULL)
			continue;
		const char *told = strstr(item, "\nThe default is");

		if (told == NULL || (next != NULL && told > next))
			fail_msg("sealpost.conf(5) lacks the default of %s", key->name);
		told += strlen("\nThe default is");
		told += strspn(told, " \n");
		if (*told == '.')
			told += strlen(".Cm ");
		const char *fallback = default_told(key, mark, sizeof(mark));
		size_t length = strlen(fallback);

		if (strncmp(told, fallback, length) != 0 ||
			strchr(" .", told[length]) == NULL)
			fail_msg("sealpost.conf(5) has another default of %s", key->name);
	}
	free(manual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_too_many_services),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_list_values),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_the_machines_name_is_read_once),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_manual_examples),
		cmocka_unit_test(test_manual_keys),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
