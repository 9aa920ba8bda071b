/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* `becomes`: NULL where it is no domain. */
static void check(const char *domain, const char *becomes)
{
	char text[DOMAIN_TEXT] = "";

	assert_int_equal(domain_normalise((struct span){ domain, strlen(domain) }, text),
		becomes != NULL);
	if (becomes)
		assert_string_equal(text, becomes);
}

static void test_ascii(void **state)
{
	(void)state;
	check("bank.example", "bank.example");
	check("BANK.Example", "bank.example");
	check("bank.example.", "bank.example");
	check("[192.0.2.1]", "[192.0.2.1]");
	check("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]");
	check("", "");
	check(".", NULL);
}

static void test_beyond_ascii(void **state)
{
	(void)state;
	check("b\u00e4nk.example", "xn--bnk-qla.example");
	check("B\u00c4NK.example.", "xn--bnk-qla.example");
	check("stra\u00dfe.example", "xn--strae-oqa.example");
	check("xn--a\u0308.example", NULL);
	check("b\xe4nk.example", NULL);
}

/* What Unicode maps to ASCII must not come out as another spelling of a domain. */
static void test_lookalikes(void **state)
{
	(void)state;
	check("bank\u3002example", "bank.example");
	check("bank.example\u3002", "bank.example");
	check("bank.example\uff0e", "bank.example");
	check("bank.example\u3002\u3002", NULL);
	check("\u3002bank.example", NULL);
	check("bank\u3002\u3002example", NULL);
	check("ba\u00adnk.example", "bank.example");
	check("\u00ad", NULL);
	check("\u3002", NULL);
	check("\u00ad.example", NULL);
	check("bank\uff0fexample", NULL);
	check("bank\uff05.example", NULL);
	check("\uff3b192.0.2.1\uff3d", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ascii),
		cmocka_unit_test(test_beyond_ascii),
		cmocka_unit_test(test_lookalikes),
	};

	return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
