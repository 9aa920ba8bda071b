/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* As in dns.c, a lookup cannot be called off: its result is thrown away when it comes. */

#include "dns_text.h"

#include "dns_private.h"

#include <stdlib.h>

enum { TEXTS_MOST = 4096 };

struct dns_text {
	struct dns *dns;
	void (*done)(const char *, struct dns_packet *, void *); /* NULL: cancelled */
	void *context;
	ev_timer timer;
	bool beginning; /* dns_text_find() has not returned */
	bool answered;	/* libunbound is through with it */
	struct dns_text *next, **at;
};

static void free_text(struct dns_text *text)
{
	*text->at = text->next;
	if (text->next)
		text->next->at = text->at;
	text->dns->text_count--;
	ev_timer_stop(text->dns->loop, &text->timer);
	free(text);
}

static void tell(struct dns_text *text, const char *why, struct dns_packet *packet)
{
	void (*done)(const char *, struct dns_packet *, void *) = text->done;
	text->done = NULL;
	ev_timer_stop(text->dns->loop, &text->timer);
	if (done)
		done(why, packet, text->context);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	tell(timer->data, "the DNS does not answer", NULL);
}

static void on_result(void *data, int code, void *octets, int length, int security,
	char *why, int limited)
{
	struct dns_text *text = data;
	struct dns_result result = { .code = code,
		.octets = octets,
		.length = octets && length > 0 ? (size_t)length : 0,
		.security = security,
		.why = why };
	(void)limited;
	text->answered = true;
	const char *fault = dns_failure(&result);
	tell(text, fault, fault ? NULL : &result.packet);
	if (!text->beginning)
		free_text(text);
}

static struct dns_text *note(struct dns *dns)
{
	struct dns_text *text =
		dns->text_count < TEXTS_MOST ? calloc(1, sizeof(*text)) : NULL;
	if (!text)
		return NULL;
	text->dns = dns;
	text->next = dns->texts;
	text->at = &dns->texts;
	if (text->next)
		text->next->at = &text->next;
	dns->texts = text;
	dns->text_count++;
	return text;
}

struct dns_text *dns_text_find(struct dns *dns, const char *name, double seconds,
	void (*done)(const char *why, struct dns_packet *packet, void *context),
	void *context)
{
	static const char busy[] = "too many names are being looked up";
	struct dns_text *text = note(dns);
	if (!text) {
		done(busy, NULL, context);
		return NULL;
	}
	text->done = done;
	text->context = context;
	text->beginning = true;
	ev_timer_init(&text->timer, on_timer, seconds, 0.);
	text->timer.data = text;
	ev_timer_start(dns->loop, &text->timer);
	if (ub_resolve_event(
		    dns->context, name, DNS_TXT, CLASS_IN, text, on_result, NULL) != 0) {
		text->answered = true;
		tell(text, busy, NULL);
	}
	text->beginning = false;
	if (!text->answered)
		return text;
	free_text(text);
	return NULL;
}

void dns_text_cancel(struct dns_text *text)
{
	if (!text)
		return;
	ev_timer_stop(text->dns->loop, &text->timer);
	text->done = NULL;
}

void dns_text_forget(struct dns *dns)
{
	while (dns->texts)
		free_text(dns->texts);
}
