/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "firewall.h"
#include "manual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SERVER	 "[server]\nhostname = mail.example.com\n"
#define INBOUND	 "[inbound]\nlisten = 0.0.0.0:25\ntls = off\n"
#define OUTBOUND "[outbound]\nlisten = 10.0.0.1:10025\nbackends = 10.0.0.10\n"

#define HEAD "table inet sealpost\ndelete table inet sealpost\ntable inet sealpost {\n"
#define DIVERT                                                                           \
	"\t# Replies to a borrowed address are ours; so is mail of the backends.\n"      \
	"\tchain divert {\n"                                                             \
	"\t\ttype filter hook prerouting priority mangle; policy accept;\n"
#define UNTRACKED_IN                                                                     \
	"\t# What comes in may have the same ends as what goes out.\n"                   \
	"\tchain untracked_in {\n"                                                       \
	"\t\ttype filter hook prerouting priority raw; policy accept;\n"
#define UNTRACKED_OUT                                                                    \
	"\t# The answers to it.\n"                                                       \
	"\tchain untracked_out {\n"                                                      \
	"\t\ttype filter hook output priority raw; policy accept;\n"
#define INTERCEPT                                                                        \
	"\t# Mail of the backends is ours.\n"                                            \
	"\tchain intercept {\n"                                                          \
	"\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
#define GUARD                                                                            \
	"\t# Mail that was not taken does not leave.\n"                                  \
	"\tchain guard {\n"                                                              \
	"\t\ttype filter hook forward priority filter; policy accept;\n"

static struct config *parse(const char *text)
{
	FILE *in = fmemopen((void *)text, strlen(text), "r");

	assert_non_null(in);
	struct config *config = config_parse(in, "f", stderr);

	assert_non_null(config);
	fclose(in);
	return config;
}

static void assert_rules(const char *text, bool four, bool six, const char *wanted)
{
	struct config *config = parse(text);
	char *rules;
	size_t length;
	FILE *to = open_memstream(&rules, &length);

	assert_non_null(to);
	assert_true(firewall_verify(config, to));
	firewall_write(config, to);
	fclose(to);
	assert_string_equal(rules, wanted);
	assert_int_equal(firewall_marks(config, AF_INET), four);
	assert_int_equal(firewall_marks(config, AF_INET6), six);
	assert_int_equal(firewall_needed(config), strstr(rules, "{") != NULL);
	free(rules);
	config_free(config);
}

/* What was loaded for another configuration is removed. */
static void nothing(void **state)
{
	(void)state;
	assert_rules(SERVER INBOUND "backend = mail.lan\n" OUTBOUND, false, false,
		"table inet sealpost\ndelete table inet sealpost\n");
}

/* Of all services at once. */
static void replies(void **state)
{
	(void)state;
	assert_rules(SERVER INBOUND
		"backend = 10.0.0.10:2525 10.0.0.11\nclient-address = transparent\n"
		"[inbound no]\nlisten = 0.0.0.0:26\ntls = off\nbackend = [fd00::1]:26\n",
		true, false,
		HEAD DIVERT "\t\ttcp sport { 2525, 25 } socket transparent 1 meta mark "
			    "set 0x19 accept\n\t}\n}\n");
	assert_rules(SERVER INBOUND
		"backend = mail.lan:27\nclient-address = transparent\n"
		"[outbound]\nlisten = [::1]:28\nbackends = fd00::1\n"
		"source = transparent\nroute = relay a.example:587\n",
		true, true,
		HEAD DIVERT "\t\ttcp sport { 27, 587 } socket transparent 1 meta mark "
			    "set 0x19 accept\n\t}\n}\n");
	assert_rules(SERVER "[outbound]\nlisten = [::1]:28\nbackends = fd00::1\nsource = "
			    "transparent\n",
		false, true,
		HEAD DIVERT "\t\ttcp sport { 25 } socket transparent 1 meta mark set "
			    "0x19 accept\n\t}\n}\n");
}

/* One address is translated to, any address redirected to. */
static void intercepted(void **state)
{
	(void)state;
	assert_rules(SERVER
		"[outbound]\nroute = intercept\nlisten = 10.0.0.1:10025 [::]:10026\n"
		"backends = 10.0.0.10 fd00::/64\n",
		false, false,
		HEAD INTERCEPT
		"\t\tip saddr 10.0.0.10/32 tcp dport 25 dnat ip to 10.0.0.1:10025\n"
		"\t\tip6 saddr fd00::/64 tcp dport 25 redirect to :10026\n"
		"\t}\n" GUARD
		"\t\tip saddr 10.0.0.10/32 tcp dport 25 reject with tcp reset\n"
		"\t\tip saddr 10.0.0.10/32 meta l4proto tcp ct original proto-dst 25 "
		"reject with tcp reset\n"
		"\t\tip6 saddr fd00::/64 tcp dport 25 reject with tcp reset\n"
		"\t\tip6 saddr fd00::/64 meta l4proto tcp ct original proto-dst 25 "
		"reject with tcp reset\n"
		"\t}\n}\n");
}

static void intercepted_and_borrowed(void **state)
{
	(void)state;
	assert_rules(SERVER
		"[outbound]\nroute = intercept\nlisten = 0.0.0.0:10025 [fd00::1]:10026\n"
		"backends = 10.0.0.0/24 fd00::10\nsource = transparent\n",
		true, true,
		HEAD DIVERT
		"\t\ttcp sport { 25 } socket transparent 1 meta mark set 0x19 accept\n"
		"\t\tip saddr 10.0.0.0/24 tcp dport 25 tproxy ip to :10025 "
		"meta mark set 0x19 accept\n"
		"\t\tip6 saddr fd00::10/128 tcp dport 25 tproxy ip6 to [fd00::1]:10026 "
		"meta mark set 0x19 accept\n"
		"\t}\n" UNTRACKED_IN "\t\tip saddr 10.0.0.0/24 tcp dport 25 notrack\n"
		"\t\tip6 saddr fd00::10/128 tcp dport 25 notrack\n"
		"\t}\n" UNTRACKED_OUT "\t\tip daddr 10.0.0.0/24 tcp sport 25 notrack\n"
		"\t\tip6 daddr fd00::10/128 tcp sport 25 notrack\n"
		"\t}\n" GUARD
		"\t\tip saddr 10.0.0.0/24 tcp dport 25 reject with tcp reset\n"
		"\t\tip6 saddr fd00::10/128 tcp dport 25 reject with tcp reset\n"
		"\t}\n}\n");
}

static void left_alone(void **state)
{
	(void)state;
	assert_rules(SERVER "[outbound]\nroute = intercept\nlisten = 0.0.0.0:1\n"
			    "backends = 10.0.0.1 fd00::1\nguard = eth1\n"
			    "bypass = 192.0.2.0/24 2001:db8::/48 198.51.100.7\n",
		false, false,
		HEAD INTERCEPT
		"\t\tip saddr 10.0.0.1/32 ip daddr 192.0.2.0/24 tcp dport 25 accept\n"
		"\t\tip saddr 10.0.0.1/32 ip daddr 198.51.100.7/32 tcp dport 25 accept\n"
		"\t\tip6 saddr fd00::1/128 ip6 daddr 2001:db8::/48 tcp dport 25 accept\n"
		"\t\tip saddr 10.0.0.1/32 tcp dport 25 redirect to :1\n"
		"\t}\n" GUARD
		"\t\tip saddr 10.0.0.1/32 ip daddr 192.0.2.0/24 tcp dport 25 accept\n"
		"\t\tip saddr 10.0.0.1/32 ip daddr 198.51.100.7/32 tcp dport 25 accept\n"
		"\t\tip6 saddr fd00::1/128 ip6 daddr 2001:db8::/48 tcp dport 25 accept\n"
		"\t\tip saddr 10.0.0.1/32 tcp dport 25 reject with tcp reset\n"
		"\t\tip saddr 10.0.0.1/32 meta l4proto tcp ct original proto-dst 25 "
		"reject with tcp reset\n"
		"\t\tip6 saddr fd00::1/128 tcp dport 25 reject with tcp reset\n"
		"\t\tip6 saddr fd00::1/128 meta l4proto tcp ct original proto-dst 25 "
		"reject with tcp reset\n"
		"\t\tiifname \"eth1\" tcp dport 25 reject with tcp reset\n"
		"\t}\n}\n");
}

/* Nothing is there to take the IPv6 of the first; of the second nobody knows any. */
static void guarded(void **state)
{
	(void)state;
	assert_rules(SERVER "[outbound a]\nroute = intercept\nlisten = 0.0.0.0:1\n"
			    "backends = 10.0.0.1 fd00::1\nguard = eth1 eth2\n"
			    "[outbound b]\nroute = intercept\nlisten = 0.0.0.0:2\n"
			    "backends = 10.0.0.2\n",
		false, false,
		HEAD INTERCEPT
		"\t\tip saddr 10.0.0.1/32 tcp dport 25 redirect to :1\n"
		"\t\tip saddr 10.0.0.2/32 tcp dport 25 redirect to :2\n"
		"\t}\n" GUARD
		"\t\tip saddr 10.0.0.1/32 tcp dport 25 reject with tcp reset\n"
		"\t\tip saddr 10.0.0.1/32 meta l4proto tcp ct original proto-dst 25 "
		"reject with tcp reset\n"
		"\t\tip6 saddr fd00::1/128 tcp dport 25 reject with tcp reset\n"
		"\t\tip6 saddr fd00::1/128 meta l4proto tcp ct original proto-dst 25 "
		"reject with tcp reset\n"
		"\t\tiifname \"eth1\" tcp dport 25 reject with tcp reset\n"
		"\t\tiifname \"eth2\" tcp dport 25 reject with tcp reset\n"
		"\t\tip saddr 10.0.0.2/32 tcp dport 25 reject with tcp reset\n"
		"\t\tip saddr 10.0.0.2/32 meta l4proto tcp ct original proto-dst 25 "
		"reject with tcp reset\n"
		"\t\tip6 saddr ::/0 tcp dport 25 reject with tcp reset\n"
		"\t}\n}\n");
}

/* Where only the socket unit knows where we listen. */
static void nowhere_to_send_it(void **state)
{
	struct config *config = parse(SERVER OUTBOUND "route = intercept\n");
	char *faults;
	size_t length;
	FILE *to = open_memstream(&faults, &length);

	(void)state;
	assert_non_null(to);
	config->outbound[0].listen_count = 0;
	assert_false(firewall_verify(config, to));
	fclose(to);
	assert_string_equal(faults,
		"f:3: [outbound] without listen: write the addresses that the socket "
		"unit has, so that the firewall can send mail there\n");
	free(faults);
	config_free(config);
}

#ifdef HAVE_SYSTEMD
/* The example that is installed has a use for most of it. */
static void example(void **state)
{
	char *text = manual_read("examples/sealpost.conf");
	struct config *config = parse(text);

	(void)state;
	assert_true(firewall_verify(config, stderr));
	assert_true(firewall_needed(config));
	assert_int_equal(config->inbound_count + config->outbound_count, 2);
	config_free(config);
	free(text);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(replies),
		cmocka_unit_test(intercepted),
		cmocka_unit_test(intercepted_and_borrowed),
		cmocka_unit_test(guarded),
		cmocka_unit_test(left_alone),
		cmocka_unit_test(nowhere_to_send_it),
#ifdef HAVE_SYSTEMD /* it writes to the journal */
		cmocka_unit_test(example),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
