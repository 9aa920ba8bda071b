/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* As in dns.c, a lookup cannot be called off: its result is thrown away when it comes. */

#include "dns_records.h"

#include "dns_private.h"

#include <stdlib.h>

enum { RECORDS_MOST = 8192 };

struct dns_records {
	struct dns *dns;
	void (*done)(const char *, struct dns_packet *, void *); /* NULL: cancelled */
	void *context;
	ev_timer timer;
	bool beginning; /* dns_records_find() has not returned */
	bool answered;	/* libunbound is through with it */
	struct dns_records *next, **at;
};

static void free_records(struct dns_records *records)
{
	*records->at = records->next;
	if (records->next)
		records->next->at = records->at;
	records->dns->records_count--;
	ev_timer_stop(records->dns->loop, &records->timer);
	free(records);
}

static void tell(struct dns_records *records, const char *why, struct dns_packet *packet)
{
	void (*done)(const char *, struct dns_packet *, void *) = records->done;
	records->done = NULL;
	ev_timer_stop(records->dns->loop, &records->timer);
	if (done)
		done(why, packet, records->context);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	tell(timer->data, "the DNS does not answer", NULL);
}

static void on_result(void *data, int code, void *octets, int length, int security,
	char *why, int limited)
{
	struct dns_records *records = data;
	struct dns_result result = { .code = code,
		.octets = octets,
		.length = octets && length > 0 ? (size_t)length : 0,
		.security = security,
		.why = why };
	(void)limited;
	records->answered = true;
	const char *fault = dns_failure(&result);
	tell(records, fault, fault ? NULL : &result.packet);
	if (!records->beginning)
		free_records(records);
}

static struct dns_records *note(struct dns *dns)
{
	struct dns_records *records =
		dns->records_count < RECORDS_MOST ? calloc(1, sizeof(*records)) : NULL;
	if (!records)
		return NULL;
	records->dns = dns;
	records->next = dns->records;
	records->at = &dns->records;
	if (records->next)
		records->next->at = &records->next;
	dns->records = records;
	dns->records_count++;
	return records;
}

struct dns_records *dns_records_find(struct dns *dns, const char *name,
	enum dns_type type, double seconds,
	void (*done)(const char *why, struct dns_packet *packet, void *context),
	void *context)
{
	static const char busy[] = "too many names are being looked up";
	struct dns_records *records = note(dns);
	if (!records) {
		done(busy, NULL, context);
		return NULL;
	}
	records->done = done;
	records->context = context;
	records->beginning = true;
	ev_timer_init(&records->timer, on_timer, seconds, 0.);
	records->timer.data = records;
	ev_timer_start(dns->loop, &records->timer);
	if (ub_resolve_event(
		    dns->context, name, type, CLASS_IN, records, on_result, NULL) != 0) {
		records->answered = true;
		tell(records, busy, NULL);
	}
	records->beginning = false;
	if (!records->answered)
		return records;
	free_records(records);
	return NULL;
}

void dns_records_cancel(struct dns_records *records)
{
	if (!records)
		return;
	ev_timer_stop(records->dns->loop, &records->timer);
	records->done = NULL;
}

void dns_records_forget(struct dns *dns)
{
	while (dns->records)
		free_records(dns->records);
}
