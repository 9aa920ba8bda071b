/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * One loop. A question becomes a topic, about which there is an inquiry; the answer goes
 * to all who have asked meanwhile, and is kept. The supervisor may go before its workers:
 * they are served as long as there is one.
 */

#include "service.h"

#include "clock.h"
#include "directory.h"
#include "dns.h"
#include "inquiry.h"
#include "reader.h"
#include "stamp.h"
#include "status.h"
#include "topics.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PROBE = 15 }; /* seconds until the resolver must have shown the root's keys */

/* Between looks at the policy files; touched ones must be untouched for so long. */
static const double quiet = 2.;

enum { LOG_ERROR, LOG_WARNING, LOG_INFO };

struct service {
	int status;
	bool settled; /* the settings have come */
	policy_confine *confine;
	struct stat place; /* of the policy files, when it was confined */
	struct sources sources;
	struct readers *readers;
	ev_timer look;
	struct topics *topics;
	uint64_t stamp_read; /* of the files as they were read */
	uint64_t stamp_seen; /* at the last look */
	int64_t day;	     /* when they were read: some expire */
	uint32_t unanswered; /* domains in a row; and the last */
	char unanswered_last[REQUIREMENT_NAME];
	uint8_t packet[MESSAGE_MAX];
};

static void end(struct service *service, int status)
{
	service->status = status;
	ev_break(service->sources.loop, EVBREAK_ALL);
}

/* ---- to the readers ---- */

/* What is in service->packet. */
static void send_packet(struct service *service, uint32_t reader, size_t length, int fd)
{
	readers_send(service->readers, reader, service->packet, length, fd);
}

static void send_plain(struct service *service, enum message_type type, int fd)
{
	send_packet(service, READER_SUPERVISOR,
		message_write_plain(service->packet, sizeof(service->packet), type), fd);
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
	send_packet(service, READER_SUPERVISOR,
		message_write_log(service->packet, sizeof(service->packet), &log), -1);
}

static size_t write_state(struct service *service)
{
	const struct directory *directory = service->sources.directory;
	const struct policy_state state = {
		.generation = directory_generation(directory),
		.inbound_demands = directory_demands_inbound(directory),
		.client_certificates = directory_needs_client_certificates(directory),
		.files = directory_count(directory),
		.broken = directory_broken(directory),
		.unanswered = service->unanswered,
	};
	return message_write_state(service->packet, sizeof(service->packet), &state);
}

static void send_state_to_all(struct service *service)
{
	readers_send_all(service->readers, service->packet, write_state(service));
}

static void send_answer(
	struct service *service, struct topic_waiter to, const struct peer *peer)
{
	send_packet(service, to.reader,
		message_write_answer(
			service->packet, sizeof(service->packet), to.id, peer),
		-1);
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

/* Reads the files, first or again; `packed` is of a process before us, or -1. True:
 * something is different now. */
static bool read_files(struct service *service, int packed)
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
			directory_open(settings->directory, settings->owner, packed, to);
	if (fclose(to) == 0)
		say_faults(service, faults);
	free(faults);
	if (sources->directory)
		service->stamp_read = service->stamp_seen =
			stamp_take(settings->directory, sources->directory);
	return changed && sources->directory;
}

/* For the process after us. */
static void send_files(struct service *service)
{
	int fd = directory_pack(service->sources.directory);
	if (fd >= 0)
		send_plain(service, MESSAGE_FILES, fd);
	else if (errno != ENOENT)
		say(service, LOG_WARNING,
			"%s: the versions in force now would not outlive the policy "
			"process: %s",
			service->sources.settings.directory, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/*
 * What the process may see was settled when it began, by what was there then: another
 * directory under the same name is for another process.
 */
static bool is_out_of_sight(const struct service *service)
{
	const char *path = service->sources.settings.directory;
	struct stat now;
	if (!service->confine || stat(path, &now) != 0 ||
		(now.st_dev == service->place.st_dev &&
			now.st_ino == service->place.st_ino))
		return false;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EACCES;
}

static void read_again(struct service *service)
{
	if (is_out_of_sight(service)) {
		say(service, LOG_WARNING,
			"%s is another directory than before: the policy process starts "
			"anew to see it",
			service->sources.settings.directory);
		end(service, STATUS_FINE);
		return;
	}
	if (!read_files(service, -1))
		return;
	send_files(service);
	topics_forget(service->topics);
	send_state_to_all(service);
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

static void refuse(struct service *service, struct topic_waiter waiter,
	const struct question *question)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return;
	peer->direction = question->direction;
	memcpy(peer->domain, question->domain, sizeof(peer->domain));
	inquiry_unavailable(peer, "has too much to do");
	send_answer(service, waiter, peer);
	free(peer);
}

/* The topic has its answer. Nobody waits for it from now on: who is lost meanwhile is not
 * taken out of the midst of those who are answered. */
static void answer(struct service *service, struct topic *topic)
{
	unsigned count = topic->waiter_count;
	topic->waiter_count = 0;
	for (unsigned i = 0; i < count; i++)
		send_answer(service, topic->waiters[i], topic->peer);
	size_t length = message_write_answer(
		service->packet, sizeof(service->packet), 0, topic->peer);
	if (length > 0 && topic->peer->lifetime > 0)
		topics_keep(
			service->topics, topic, service->packet, length, clock_steady());
	else
		topics_drop(service->topics, topic);
}

/* One domain that is asked about again and again may be at fault itself; the supervisor
 * hears of the others. */
static void count_unanswered(struct service *service, const struct peer *peer)
{
	uint32_t before = service->unanswered;
	if (peer->direction == DIRECTION_INBOUND)
		return;
	if (peer->status != PEER_DNS_FAILED)
		service->unanswered = 0;
	else if (before == 0 || strcmp(service->unanswered_last, peer->domain) != 0)
		service->unanswered++;
	memcpy(service->unanswered_last, peer->domain, sizeof(peer->domain));
	if (service->unanswered != before)
		send_packet(service, READER_SUPERVISOR, write_state(service), -1);
}

static void on_answer(struct inquiry *inquiry)
{
	struct service *service = inquiry->sources->context;
	count_unanswered(service, inquiry->peer);
	answer(service, inquiry->context);
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
	struct topic_waiter waiter, const struct question *question)
{
	uint32_t nobody;
	double left = topic->until - clock_steady();
	struct peer *peer = message_read_answer(topic->packet, topic->length, &nobody);
	if (!peer) {
		refuse(service, waiter, question);
		return;
	}
	peer->lifetime = left < 1 ? 1 : (uint32_t)left;
	send_answer(service, waiter, peer);
	peer_free(peer);
}

static void on_question(
	struct service *service, uint32_t reader, const struct question *question)
{
	struct topic_waiter waiter = { .reader = reader, .id = question->id };
	enum direction direction = (enum direction)question->direction;
	struct topic *topic =
		topics_find(service->topics, direction, question->domain, clock_steady());
	if (topic && topic->packet) {
		repeat(service, topic, waiter, question);
		return;
	}
	bool is_new = !topic;
	if (is_new)
		topic = topics_add(service->topics, direction, question->domain);
	if (!topic || !topic_wait(topic, waiter))
		refuse(service, waiter, question);
	else if (is_new)
		begin(service, topic);
}

/* ---- from the readers ---- */

static void on_probed(enum dns_validation validation, void *context)
{
	struct service *service = context;
	char text[REQUIREMENT_TEXT];
	if (dns_complaint(validation, &service->sources.settings, text))
		say(service, validation == DNS_DOES_NOT ? LOG_ERROR : LOG_WARNING, "%s",
			text);
}

static void begin_service(struct service *service, int packed)
{
	service->settled = true;
	read_files(service, packed);
	service->topics = topics_new();
	if (!service->sources.directory || !service->topics) {
		end(service, STATUS_CANNOT);
		return;
	}
	send_state_to_all(service);
	send_files(service);
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

/* Takes `fd` over where it can. */
static void add_reader(struct service *service, uint32_t worker, int *fd)
{
	uint32_t reader = 0;
	if (*fd >= 0 && worker < READERS - PLACE_WORKERS)
		reader = readers_add(service->readers, PLACE_WORKERS + worker, *fd);
	if (reader == 0) {
		say(service, LOG_ERROR,
			*fd < 0 ? "a worker came without its socket"
				: "there are too many workers");
		return;
	}
	*fd = -1;
	send_packet(service, reader, write_state(service), -1);
}

static void take_ping(struct service *service)
{
	send_plain(service, MESSAGE_PONG, -1);
	malloc_trim(0); /* a crowd that has gone left its memory in pieces */
}

static void on_supervisor(
	struct service *service, const uint8_t *octets, size_t length, int *fd)
{
	enum message_type type = message_type(octets, length);
	uint32_t worker;
	if (message_read_reader(octets, length, &worker))
		add_reader(service, worker, fd);
	else if (type == MESSAGE_RELOAD)
		read_again(service);
	else if (type == MESSAGE_PING)
		take_ping(service);
	else
		say(service, LOG_WARNING,
			"the supervisor sent what is no order: type %u, %zu octets",
			(unsigned)type, length);
}

static void on_worker(struct service *service, uint32_t reader, const uint8_t *octets,
	size_t length, int fd)
{
	struct question question;
	if (fd < 0 && message_read_question(octets, length, &question)) {
		on_question(service, reader, &question);
		return;
	}
	say(service, LOG_WARNING,
		"a worker sent what is no question: type %u, %zu octets; it is heard no "
		"more",
		(unsigned)message_type(octets, length), length);
	readers_drop(service->readers, reader);
}

static bool is_confined(struct service *service)
{
	char reason[REQUIREMENT_TEXT] = "";
	stat(service->sources.settings.directory, &service->place);
	if (!service->confine ||
		service->confine(&service->sources.settings, reason, sizeof(reason))) {
		if (reason[0] != '\0')
			say(service, LOG_WARNING, "%s", reason);
		return true;
	}
	fprintf(stderr, "sealpost: cannot run the policy process: %s\n", reason);
	return false;
}

static void on_packet(
	uint32_t reader, const uint8_t *octets, size_t length, int fd, void *context)
{
	struct service *service = context;
	bool ended = service->status >= 0;
	if (!ended && reader != READER_SUPERVISOR)
		on_worker(service, reader, octets, length, fd);
	else if (!ended && service->settled)
		on_supervisor(service, octets, length, &fd);
	else if (!ended &&
		 message_read_settings(octets, length, &service->sources.settings) &&
		 is_confined(service))
		begin_service(service, fd);
	else if (!ended)
		end(service, STATUS_CANNOT);
	if (fd >= 0)
		close(fd);
}

static void on_lost(uint32_t reader, void *context)
{
	struct service *service = context;
	if (service->topics)
		topics_leave(service->topics, reader);
	if (readers_count(service->readers) == 0 && service->status < 0)
		end(service, STATUS_FINE);
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
	readers_free(service->readers);
	ev_loop_destroy(service->sources.loop);
	free(service);
}

int policy_service_run(int fd, policy_confine *confine)
{
	struct service *service = calloc(1, sizeof(*service));
	struct ev_loop *loop = service ? ev_loop_new(EVFLAG_AUTO) : NULL;
	const struct readers_owner owner = {
		.take = on_packet, .lost = on_lost, .context = service
	};
	if (!loop) {
		free(service);
		return STATUS_CANNOT;
	}
	service->sources = (struct sources){
		.loop = loop, .writes = true, .say = on_sts_says, .context = service
	};
	service->status = -1;
	service->confine = confine;
	service->readers = readers_new(loop, &owner);
	if (service->readers && readers_add(service->readers, PLACE_SUPERVISOR, fd))
		ev_run(loop, 0);
	int status = service->status;
	dismantle(service);
	return status >= 0 ? status : STATUS_CANNOT;
}
