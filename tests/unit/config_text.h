/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_TESTS_CONFIG_TEXT_H
#define SEALPOST_TESTS_CONFIG_TEXT_H

/* Configurations out of a text: what is read, or which faults are told. */

#include "config.h"

#include <stddef.h>

/* Three lines, so that what a case adds begins on line 4; and a service to end with. */
#define SERVER	"[server]\nhostname = mail.example.com\n\n"
#define SERVICE "[inbound]\ntls = off\nlisten = 192.0.2.1\nbackend = 10.0.0.10\n"
#define PAIR	"[tls]\ncertificate = c.pem\nkey = k.pem\n"

struct fault_case {
	const char *text, *faults;
};

/* Fails the test where there is a fault; the configuration is the caller's to free. */
struct config *parse_fine(const char *text);

/* As the file "f". */
void assert_faults(const char *octets, size_t size, const char *expected);
void assert_fault_cases(const struct fault_case *cases, size_t count);

#endif
