/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "dns_loop.h"
#include "dns_packet.h"
#include "dns_private.h"
#include "dns_records.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool cannot(char *reason, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool cannot(char *reason, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, size, format, arguments);
	va_end(arguments);
	return false;
}

/* ---- settings ---- */

/* libunbound's own are for a program that asks once: 16 sockets, 1 MiB. */
static const struct option {
	const char *name, *value;
} options[] = {
	{ "outgoing-range:", "512" },
	{ "num-queries-per-thread:", "4096" },
	{ "outgoing-num-tcp:", "64" },
	{ "msg-cache-size:", "4m" },
	{ "rrset-cache-size:", "8m" },
	{ "cache-max-ttl:", "3600" },
	/* A name server that was away is found again in a minute, not in fifteen. */
	{ "infra-host-ttl:", "60" },
	{ "infra-keep-probing:", "yes" },
};

static bool set_options(struct ub_ctx *context, char *reason, size_t size)
{
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (ub_ctx_set_option(context, options[i].name, options[i].value) != 0)
			return cannot(reason, size, "libunbound does not take %s %s",
				options[i].name, options[i].value);
	return true;
}

static bool is_loopback(const char *server)
{
	return strncmp(server, "127.", 4) == 0 || strncmp(server, "::1@", 4) == 0 ||
	       strcmp(server, "::1") == 0;
}

static bool set_resolver(
	struct ub_ctx *context, const char *resolver, char *reason, size_t size)
{
	int error = 0;
	if (strcmp(resolver, "system") == 0)
		error = ub_ctx_resolvconf(context, NULL);
	else if (strcmp(resolver, "recursive") != 0)
		error = ub_ctx_set_fwd(context, resolver);
	if (error == UB_READFILE)
		return cannot(reason, size, "cannot read /etc/resolv.conf: %s",
			strerror(errno));
	return error == 0 || cannot(reason, size, "cannot use the resolver %s: %s",
				     resolver, ub_strerror(error));
}

/* Where we go from name server to name server ourselves, a stranger's NS record must not
 * send us to this machine; unless the administrator has done so. */
static bool guard_loopback(struct ub_ctx *context, const struct settings *settings,
	char *reason, size_t size)
{
	bool guard = strcmp(settings->resolver, "recursive") == 0;
	for (unsigned i = 0; i < settings->stub_count; i++)
		guard = guard && !is_loopback(settings->stubs[i].server);
	return ub_ctx_set_option(
		       context, "do-not-query-localhost:", guard ? "yes" : "no") == 0 ||
	       cannot(reason, size, "libunbound does not take do-not-query-localhost");
}

static bool set_stubs(struct ub_ctx *context, const struct settings *settings,
	char *reason, size_t size)
{
	for (unsigned i = 0; i < settings->stub_count; i++) {
		const char *zone = settings->stubs[i].zone;
		const char *server = settings->stubs[i].server;
		int error = ub_ctx_set_stub(context, zone, server, 0);
		if (error != 0)
			return cannot(reason, size, "cannot use stub = %s %s: %s", zone,
				server, ub_strerror(error));
	}
	return true;
}

static bool set_anchor(
	struct ub_ctx *context, const char *path, char *reason, size_t size)
{
	if (path[0] == '\0')
		return true;
	if (access(path, R_OK) != 0)
		return cannot(reason, size, "cannot read the trust anchor %s: %s", path,
			strerror(errno));
	int error = ub_ctx_add_ta_file(context, path);
	return error == 0 || cannot(reason, size, "cannot use the trust anchor %s: %s",
				     path, ub_strerror(error));
}

/* Any change to the local zones makes libunbound read what it was given. */
static bool finish(struct ub_ctx *context, const char *anchor, char *reason, size_t size)
{
	int error = ub_ctx_zone_remove(context, "nothing.invalid.");
	return error == 0 ||
	       cannot(reason, size, "cannot start libunbound (trust anchor %s): %s",
		       anchor[0] != '\0' ? anchor : "none", ub_strerror(error));
}

static bool set_up(struct ub_ctx *context, const struct settings *settings, char *reason,
	size_t size)
{
	ub_ctx_debugout(context, NULL);
	return set_options(context, reason, size) &&
	       set_resolver(context, settings->resolver, reason, size) &&
	       guard_loopback(context, settings, reason, size) &&
	       set_stubs(context, settings, reason, size) &&
	       set_anchor(context, settings->trust_anchor, reason, size) &&
	       finish(context, settings->trust_anchor, reason, size);
}

/* ---- its life ---- */

static void probe_ended(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct dns *dns = timer->data;
	void (*done)(enum dns_validation, void *) = dns->probe.done;
	(void)loop, (void)events;
	dns->probe.done = NULL;
	if (done)
		done(dns->probe.result, dns->probe.context);
}

static void free_dns(struct dns *dns)
{
	if (dns->context)
		ub_ctx_delete(dns->context);
	free(dns->base);
	free(dns);
}

struct dns *dns_new(
	struct ev_loop *loop, const struct settings *settings, char *reason, size_t size)
{
	struct dns *dns = calloc(1, sizeof(*dns));
	if (dns)
		dns->base = dns_loop_new(loop);
	if (dns && dns->base)
		dns->context = ub_ctx_create_ub_event(dns->base);
	if (!dns || !dns->context)
		cannot(reason, size, "cannot make a resolver: out of memory");
	if (!dns)
		return NULL;
	if (!dns->context || !set_up(dns->context, settings, reason, size)) {
		free_dns(dns);
		return NULL;
	}
	dns->loop = loop;
	dns->timeout = settings->timeout;
	dns->dane = settings->dane;
	dns->anchored = settings->trust_anchor[0] != '\0';
	ev_init(&dns->probe.timer, probe_ended);
	dns->probe.timer.data = dns;
	return dns;
}

void dns_free(struct dns *dns)
{
	if (!dns)
		return;
	ev_timer_stop(dns->loop, &dns->probe.timer);
	ub_ctx_delete(dns->context);
	dns->context = NULL;
	dns_forget_lookups(dns);
	dns_records_forget(dns);
	free_dns(dns);
}

/* ---- does it validate? ---- */

/* An answer that is neither proven nor bogus: no anchor speaks for the root. */
static enum dns_validation validation(int code, int security)
{
	if (security == SECURE)
		return DNS_VALIDATES;
	if (security == BOGUS)
		return DNS_DOES_NOT;
	return code == DNS_NOERROR ? DNS_NO_ANCHOR : DNS_NO_ANSWER;
}

static void set_probe_timer(struct dns *dns, double seconds)
{
	ev_timer_stop(dns->loop, &dns->probe.timer);
	ev_timer_set(&dns->probe.timer, seconds, 0.);
	ev_timer_start(dns->loop, &dns->probe.timer);
}

static void on_keys(void *data, int code, void *octets, int length, int security,
	char *why, int limited)
{
	struct dns *dns = data;
	(void)octets, (void)length, (void)why, (void)limited;
	dns->probe.result = validation(code, security);
	if (dns->probe.done)
		set_probe_timer(dns, 0.);
}

void dns_probe(struct dns *dns, unsigned seconds,
	void (*done)(enum dns_validation validation, void *context), void *context)
{
	dns->probe.done = done;
	dns->probe.context = context;
	dns->probe.result = DNS_NO_ANSWER;
	set_probe_timer(dns, seconds);
	if (dns->anchored && ub_resolve_event(dns->context, ".", DNS_DNSKEY, CLASS_IN,
				     dns, on_keys, NULL) == 0)
		return;
	if (!dns->anchored)
		dns->probe.result = DNS_NO_ANCHOR;
	set_probe_timer(dns, 0.);
}

bool dns_complaint(enum dns_validation validation, const struct settings *settings,
	char text[REQUIREMENT_TEXT])
{
	int length = 0;
	if (validation == DNS_DOES_NOT)
		length = snprintf(text, REQUIREMENT_TEXT,
			"the root's keys do not validate through resolver = %s: mail to "
			"every domain is answered 451; use resolver = recursive, or a "
			"resolver that hands on DNSSEC",
			settings->resolver);
	else if (validation == DNS_NO_ANCHOR && settings->dane)
		length = snprintf(text, REQUIREMENT_TEXT,
			"no trust anchor for the root (trust-anchor = %s): no host is "
			"found to have DANE; dane = no in [policy] if that is meant so",
			settings->trust_anchor);
	else if (validation == DNS_NO_ANSWER)
		length = snprintf(text, REQUIREMENT_TEXT,
			"no answer from the DNS (resolver = %s)", settings->resolver);
	return length > 0;
}
