/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_FACTS_H
#define SEALPOST_FACTS_H

/* What is known of a TLS connection, in plain data: all that any judgement sees of it. */

#include <stdbool.h>

struct facts {
	char version[12]; /* "TLS1.3"; empty in clear */
	char cipher[48];  /* IANA's name, "TLS_AES_256_GCM_SHA384" */
	char name[256];	  /* the SNI: what the client asked for; empty where it did not */
	bool resumed;
};

#endif
