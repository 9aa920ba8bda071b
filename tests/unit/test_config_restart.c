/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "config_schema.h"
#include "config_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

#define HEAD "[server]\nhostname = mail.example.com\n"

/* Lines 3 to 6, and 7 to 10. */
#define IN "[inbound]\ntls = off\nlisten = 192.0.2.1 192.0.2.2\nbackend = 10.0.0.1\n"
#define OUT                                                                              \
	"[outbound]\nlisten = 192.0.2.1:26\nbackends = 10.0.0.1\nroute = relay "         \
	"a.example\n"

/* What it is like after a change; NULL: a reload will do. */
static const struct {
	const char *fresh, *reason;
} cases[] = {
	{ HEAD IN OUT, NULL },
	{ OUT IN HEAD, NULL },
	{ HEAD IN OUT "[limits]\nrecipients = 5\nconnections = 10000\n", NULL },
	{ HEAD "log-level = debug\nuser = sealpost\nworkers = auto\n" IN OUT, NULL },
	{ HEAD IN "backend = 10.0.0.2\n" OUT, NULL },
	{ HEAD IN OUT "[identity a]\ncertificate = a\nkey = b\n", NULL },
	{ HEAD IN "[outbound]\nlisten = 192.0.2.1:26\nbackends = 10.0.0.2\n"
		  "route = relay b.example:587\n",
		NULL },
	{ HEAD "user = other\n" IN OUT, "f:3: user" },
	{ HEAD "workers = 2\n" IN OUT, "f:3: workers" },
	{ HEAD "log = syslog\n" IN OUT, "f:3: log" },
	{ HEAD "control = /run/x\n" IN OUT, "f:3: control" },
	{ HEAD IN OUT "[limits]\nconnections = 5\n", "f:12: connections" },
	{ HEAD IN "listen = 192.0.2.3\n" OUT, "f:5: listen" },
	{ HEAD IN "client-address = xclient\n" OUT, "f:7: client-address" },
	{ HEAD IN OUT "source = transparent\n", "f:11: source" },
	{ HEAD IN OUT "[outbound two]\nlisten = 192.0.2.1:27\n"
		      "backends = 10.0.0.1\n",
		"f:11: [outbound two]" },
	{ HEAD OUT, "f: [inbound inbound]" },
	{ HEAD "[inbound]\ntls = off\nlisten = 192.0.2.2 192.0.2.1\nbackend = "
	       "10.0.0.1\n" OUT,
		"f:5: listen" },
	{ HEAD "[inbound]\ntls = off\nbackend = 10.0.0.1\n" OUT, "f:3: listen" },
	{ HEAD "[inbound]\ntls = off\nlisten = 192.0.2.1 192.0.2.2:26\n"
	       "backend = 10.0.0.1\n" OUT,
		"f:5: listen" },
	{ HEAD IN "[outbound]\nlisten = 192.0.2.1:26\nbackends = 10.0.0.1\n",
		"f:7: route" },
};

static void test_changes(void **state)
{
	struct config *old = parse_fine(HEAD IN OUT);

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct config *fresh = parse_fine(cases[i].fresh);
		char reason[CONFIG_REASON] = "", expected[CONFIG_REASON] = "";
		bool needed = config_restart_needed(old, fresh, reason);

		if (cases[i].reason != NULL)
			snprintf(expected, sizeof(expected),
				"%s: only a restart changes it", cases[i].reason);
		assert_string_equal(reason, expected);
		assert_int_equal(needed, cases[i].reason != NULL);
		config_free(fresh);
	}
	config_free(old);
}

/* Values of other types would be compared by what points to them. */
static void test_types(void **state)
{
	(void)state;
	for (size_t k = 0; k < CONFIG_KEYS; k++) {
		if (!config_keys[k].restart)
			continue;
		switch (config_keys[k].type) {
		case TYPE_WORD:
		case TYPE_NUMBER:
		case TYPE_NUMBER_AUTO:
		case TYPE_TEXT:
		case TYPE_ROUTE:
		case TYPE_SOURCE:
		case TYPE_LISTEN: break;
		default: fail_msg("%s cannot be compared", config_keys[k].name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests_name("config_restart", tests, NULL, NULL);
}
