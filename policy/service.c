/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * One worker, one socket, one loop. A question becomes a topic, about which there is an
 * inquiry; the answer goes to all who have asked meanwhile, and is kept.
 */

#include "service.h"

#include "directory.h"
#include "dns.h"
#include "inquiry.h"
#include "outbox.h"
#include "stamp.h"
#include "topics.h"

#include <errno.h>
#include <ev.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
	STATUS_FINE = 0,
	STATUS_CANNOT = 3,
	ROUND = 64, /* packets that are read in a row */
	PROBE = 15, /* seconds until the resolver must have shown the root's keys */
};

/* Between looks at the policy files; touched ones must be untouched for so long. */
static const double quiet = 2.;

enum { LOG_ERROR, LOG_WARNING, LOG_INFO };

struct service {
	int fd;
	int status;
	bool settled; /* the settings have come */
	struct sources sources;
	ev_io in, out;
	ev_timer look;
	struct outbox outbox;
	struct topics *topics;
	uint64_t stamp_read; /* of the files as they were read */
	uint64_t stamp_seen; /* at the last look */
	int64_t day;	     /* when they were read: some expire */
	uint8_t packet[MESSAGE_MAX];
};

/* Seconds of a clock that nobody sets. */
static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void end(struct service *service, int status)
{
	service->status = status;
	ev_break(service->sources.loop, EVBREAK_ALL);
}

/* ---- to the worker ---- */

/*
 * What is in service->packet. A worker that misses any of it goes by policies that are no
 * longer so, or waits for an answer for ever: it is to begin anew with another of us.
 */
static void send_packet(struct service *service, size_t length)
{
	if (length == 0 ||
		!outbox_send(&service->outbox, service->fd, service->packet, length))
		end(service, STATUS_FINE);
	if (outbox_waits(&service->outbox))
		ev_io_start(service->sources.loop, &service->out);
}

static void say(struct service *service, unsigned level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct service *service, unsigned level, const char *format, ...)
{
	struct message_log log = { .level = (uint8_t)level };
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(log.text, sizeof(log.text), format, arguments);
	va_end(arguments);
	send_packet(service,
		message_write_log(service->packet, sizeof(service->packet), &log));
}

static void send_state(struct service *service)
{
	const struct directory *directory = service->sources.directory;
	const struct policy_state state = {
		.generation = directory_generation(directory),
		.inbound_demands = directory_demands_inbound(directory),
		.client_certificates = directory_needs_client_certificates(directory),
	};
	send_packet(service,
		message_write_state(service->packet, sizeof(service->packet), &state));
}

static void send_answer(struct service *service, uint32_t id, const struct peer *peer)
{
	send_packet(service,
		message_write_answer(service->packet, sizeof(service->packet), id, peer));
}

/* ---- policy files ---- */

static void say_faults(struct service *service, char *faults)
{
	for (char *line = faults, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		say(service, strstr(line, ": warning: ") ? LOG_WARNING : LOG_ERROR, "%s",
			line);
	}
}

static int64_t today(void)
{
	return (int64_t)time(NULL) / (24 * 60 * 60);
}

/* Reads the files, first or again. True: something is different now. */
static bool read_files(struct service *service)
{
	struct sources *sources = &service->sources;
	const struct settings *settings = &sources->settings;
	char *faults = NULL;
	size_t length;
	bool changed = true;
	FILE *to = open_memstream(&faults, &length);
	if (!to)
		return false;
	service->day = today();
	if (sources->directory)
		changed = directory_reload(sources->directory, to);
	else
		sources->directory =
			directory_open(settings->directory, settings->owner, to);
	if (fclose(to) == 0)
		say_faults(service, faults);
	free(faults);
	if (sources->directory)
		service->stamp_read = service->stamp_seen =
			stamp_take(settings->directory, sources->directory);
	return changed && sources->directory;
}

static void read_again(struct service *service)
{
	if (!read_files(service))
		return;
	topics_forget(service->topics);
	send_state(service);
	say(service, LOG_INFO, "policy files read again: %u of %s are in force",
		directory_count(service->sources.directory),
		service->sources.settings.directory);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct service *service = timer->data;
	uint64_t stamp = stamp_take(
		service->sources.settings.directory, service->sources.directory);
	(void)loop, (void)events;
	bool touched = stamp == service->stamp_seen && stamp != service->stamp_read;
	if (touched || today() != service->day)
		read_again(service);
	else
		service->stamp_seen = stamp;
}

/* ---- answers ---- */

static void refuse(struct service *service, const struct question *question)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return;
	peer->direction = question->direction;
	memcpy(peer->domain, question->domain, sizeof(peer->domain));
	inquiry_unavailable(peer, "has too much to do");
	send_answer(service, question->id, peer);
	free(peer);
}

/* The topic has its answer. */
static void answer(struct service *service, struct topic *topic)
{
	for (unsigned i = 0; i < topic->waiter_count; i++)
		send_answer(service, topic->waiters[i], topic->peer);
	size_t length = message_write_answer(
		service->packet, sizeof(service->packet), 0, topic->peer);
	if (length > 0 && topic->peer->lifetime > 0)
		topics_keep(service->topics, topic, service->packet, length, now());
	else
		topics_drop(service->topics, topic);
}

static void on_answer(struct inquiry *inquiry)
{
	answer(inquiry->sources->context, inquiry->context);
}

static void on_sts_says(bool warning, const char *text, void *context)
{
	say(context, warning ? LOG_WARNING : LOG_INFO, "%s", text);
}

static void begin(struct service *service, struct topic *topic)
{
	topic->inquiry = (struct inquiry){ .sources = &service->sources,
		.peer = topic->peer,
		.done = on_answer,
		.context = topic };
	inquiry_begin(&topic->inquiry);
}

static void repeat(struct service *service, const struct topic *topic,
	const struct question *question)
{
	uint32_t nobody;
	double left = topic->until - now();
	struct peer *peer = message_read_answer(topic->packet, topic->length, &nobody);
	if (!peer) {
		refuse(service, question);
		return;
	}
	peer->lifetime = left < 1 ? 1 : (uint32_t)left;
	send_answer(service, question->id, peer);
	peer_free(peer);
}

static void on_question(struct service *service, const struct question *question)
{
	enum direction direction = (enum direction)question->direction;
	struct topic *topic =
		topics_find(service->topics, direction, question->domain, now());
	if (topic && topic->packet) {
		repeat(service, topic, question);
		return;
	}
	bool is_new = !topic;
	if (is_new)
		topic = topics_add(service->topics, direction, question->domain);
	if (!topic || !topic_wait(topic, question->id))
		refuse(service, question);
	else if (is_new)
		begin(service, topic);
}

/* ---- from the worker ---- */

static void on_probed(enum dns_validation validation, void *context)
{
	struct service *service = context;
	const char *resolver = service->sources.settings.resolver;
	if (validation == DNS_DOES_NOT)
		say(service, LOG_ERROR,
			"the root's keys do not validate through resolver = %s: mail to "
			"every domain will be answered 451; use resolver = recursive, or "
			"a resolver that hands on DNSSEC",
			resolver);
	else if (validation == DNS_NO_ANCHOR && service->sources.settings.dane)
		say(service, LOG_WARNING,
			"no trust anchor for the root (trust-anchor = %s): no host is "
			"found to have DANE; dane = no in [policy] if that is meant so",
			service->sources.settings.trust_anchor);
	else if (validation == DNS_NO_ANSWER)
		say(service, LOG_WARNING, "no answer from the DNS (resolver = %s)",
			resolver);
}

static void begin_service(struct service *service)
{
	service->settled = true;
	read_files(service);
	service->topics = topics_new();
	if (!service->sources.directory || !service->topics) {
		end(service, STATUS_CANNOT);
		return;
	}
	send_state(service);
	service->sources.dns = dns_new(service->sources.loop, &service->sources.settings,
		service->sources.no_dns, sizeof(service->sources.no_dns));
	if (service->sources.dns)
		dns_probe(service->sources.dns, PROBE, on_probed, service);
	else
		say(service, LOG_ERROR, "no mail host can be found: %s",
			service->sources.no_dns);
	if (service->sources.settings.directory[0] == '\0')
		return;
	ev_timer_init(&service->look, on_look, quiet, quiet);
	service->look.data = service;
	ev_timer_start(service->sources.loop, &service->look);
}

static void on_packet(struct service *service, size_t length)
{
	struct question question;
	enum message_type type = message_type(service->packet, length);
	if (!service->settled) {
		if (message_read_settings(
			    service->packet, length, &service->sources.settings))
			begin_service(service);
		else
			end(service, STATUS_CANNOT);
	} else if (message_read_question(service->packet, length, &question)) {
		on_question(service, &question);
	} else if (type == MESSAGE_RELOAD) {
		read_again(service);
	} else {
		say(service, LOG_WARNING,
			"a worker sent what is no question: type %u, %zu octets",
			(unsigned)type, length);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct service *service = io->data;
	(void)loop, (void)events;
	for (unsigned i = 0; i < ROUND && service->status < 0; i++) {
		ssize_t n = recv(service->fd, service->packet, sizeof(service->packet),
			MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			end(service, STATUS_FINE);
		else
			on_packet(service,
				(size_t)n <= sizeof(service->packet) ? (size_t)n : 0);
	}
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	struct service *service = io->data;
	(void)events;
	if (!outbox_flush(&service->outbox, service->fd))
		end(service, STATUS_FINE);
	else if (!outbox_waits(&service->outbox))
		ev_io_stop(loop, io);
}

/* ---- its life ---- */

static void dismantle(struct service *service)
{
	struct topic *topic;
	while (service->topics && (topic = topics_under_way(service->topics))) {
		inquiry_cancel(&topic->inquiry);
		topics_drop(service->topics, topic);
	}
	topics_free(service->topics);
	sources_close(&service->sources);
	outbox_free(&service->outbox);
	ev_loop_destroy(service->sources.loop);
	free(service);
}

int policy_service_run(int fd)
{
	struct service *service = calloc(1, sizeof(*service));
	struct ev_loop *loop = service ? ev_loop_new(EVFLAG_AUTO) : NULL;
	if (!loop) {
		free(service);
		return STATUS_CANNOT;
	}
	service->sources = (struct sources){
		.loop = loop, .writes = true, .say = on_sts_says, .context = service
	};
	service->fd = fd;
	service->status = -1;
	outbox_init(&service->outbox);
	ev_io_init(&service->in, on_readable, fd, EV_READ);
	ev_io_init(&service->out, on_writable, fd, EV_WRITE);
	service->in.data = service->out.data = service;
	ev_io_start(loop, &service->in);
	ev_run(loop, 0);
	int status = service->status;
	dismantle(service);
	return status;
}
