/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DNS_PRIVATE_H
#define SEALPOST_DNS_PRIVATE_H

/* What the parts of dns share: dns.c asks, dns_setup.c makes what can be asked. */

#include "dns.h"

#include <stdbool.h>
#include <unbound-event.h>
#include <unbound.h>

enum { CLASS_IN = 1 };

/* What libunbound says of security. */
enum { INSECURE, BOGUS, SECURE };

struct lookup;
struct dns_text;

struct dns {
	struct ev_loop *loop;
	struct ub_event_base *base;
	struct ub_ctx *context;
	double timeout;		/* seconds for a query */
	bool anchored;		/* there is a trust anchor */
	struct lookup *lookups; /* under way */
	unsigned count;
	struct dns_text *texts; /* likewise, of dns_text.c */
	unsigned text_count;
	struct {
		void (*done)(enum dns_validation validation, void *context);
		void *context;
		ev_timer timer;
		enum dns_validation result;
	} probe;
};

/* Those under way, once libunbound can hand none of them out any more. */
void dns_forget_lookups(struct dns *dns);

#endif
