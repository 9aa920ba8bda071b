/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The policy process: its settings, its files' last good versions, its readers. */

#include "parcel.h"
#include "policyprocess.h"
#include "stamp.h"
#include "supervisor_private.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PACKET = sizeof(struct settings) + 1024,
	ROUND = 32,
	PATIENCE = 20, /* seconds without an answer; less where policy-timeout is less */
	FAREWELL = 2,  /* seconds to end in, for one that nobody asks any more */
};

static bool cannot(const char *what, char *reason, size_t size)
{
	snprintf(reason, size, "cannot start the policy process: %s: %s", what,
		strerror(errno));
	return false;
}

/* ---- its life ---- */

static bool begin(struct child *policy, char *reason, size_t size)
{
	struct supervisor *s = policy->owner;
	uint8_t packet[PACKET];
	size_t length = message_write_settings(packet, sizeof(packet), &s->settings);
	if (!parcel_send(policy->fd, packet, length, s->held))
		return cannot("its settings", reason, size);
	for (unsigned i = 0; i < s->worker_count; i++)
		policy_introduce(s, &s->workers[i]);
	return true;
}

static void keep_files(struct supervisor *s, int *fd)
{
	if (s->held >= 0)
		close(s->held);
	s->held = *fd;
	*fd = -1;
}

static bool write_log(const uint8_t *packet, size_t length)
{
	struct message_log log;
	if (!message_read_log(packet, length, &log))
		return false;
	log_message(log.level < LOG_LEVELS ? (enum log_level)log.level : LOG_LEVEL_DEBUG,
		"policy: %s", log.text);
	return true;
}

static bool take(struct supervisor *s, const uint8_t *packet, size_t length, int *fd)
{
	switch (message_type(packet, length)) {
	case MESSAGE_PONG: child_answered(s->policy); return true;
	case MESSAGE_STATE: return message_read_state(packet, length, &s->state);
	case MESSAGE_LOG: return write_log(packet, length);
	case MESSAGE_FILES: keep_files(s, fd); return true;
	default: return false;
	}
}

static bool read_packets(struct child *policy)
{
	uint8_t packet[MESSAGE_SUPERVISOR_MAX];
	for (unsigned i = 0; i < ROUND; i++) {
		size_t length;
		int fd;
		switch (parcel_receive(
			policy->fd, packet, sizeof(packet), &length, &fd)) {
		case PARCEL_TAKEN: break;
		case PARCEL_NONE: return true;
		default: return false;
		}
		bool fine = take(policy->owner, packet, length, &fd);
		if (fd >= 0)
			close(fd);
		if (!fine)
			return false;
	}
	return true;
}

static bool send_plain(const struct child *policy, enum message_type type)
{
	uint8_t packet[MESSAGE_QUESTION_MAX];
	size_t length = message_write_plain(packet, sizeof(packet), type);
	return parcel_send(policy->fd, packet, length, -1);
}

static bool ping(struct child *policy)
{
	return send_plain(policy, MESSAGE_PING);
}

static void gone(struct child *policy)
{
	(void)policy; /* workers see it for themselves */
}

static void ended(struct child *policy)
{
	supervisor_progress(policy->owner);
}

static const struct child_kind kind = {
	.argument = "policy-process",
	.name = "policy",
	.meanwhile = "mail is answered 451",
	.begin = begin,
	.read = read_packets,
	.ping = ping,
	.gone = gone,
	.ended = ended,
};

/* ---- for workers ---- */

void policy_introduce(struct supervisor *s, struct child *worker)
{
	int pair[2];
	if (!s->policy->kind || s->policy->fd < 0 || worker->fd < 0)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
		log_message(LOG_LEVEL_ERROR,
			"a worker gets no answers from the policy process: %s",
			strerror(errno));
		return;
	}
	uint8_t packet[MESSAGE_QUESTION_MAX];
	size_t length = message_write_reader(packet, sizeof(packet), worker->slot);
	/* Where one of the two does not take it, the other sees that it hung up. */
	if (parcel_send(s->policy->fd, packet, length, pair[0]))
		order_send(worker->fd, ORDER_POLICY, 0, NULL, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* ---- as the configuration wants it ---- */

static bool start_another(struct supervisor *s, char *reason, size_t size)
{
	struct child *before = s->policy;
	unsigned patience = 2 * s->settings.timeout;
	if (before->kind) {
		s->policy = &s->policies[before == s->policies];
		if (s->policy->pid > 0)
			child_kill(s->policy, "had to leave already");
		if (s->policy->kind)
			child_forget(s->policy);
		child_leave(before, FAREWELL);
	}
	*s->policy = (struct child){
		.kind = &kind,
		.owner = s,
		/* Whatever the DNS does, it answers pings. */
		.patience = patience < PATIENCE ? patience : PATIENCE,
	};
	return child_start(s->policy, s->loop, reason, size);
}

void policy_reload(struct supervisor *s)
{
	if (s->policy->kind && s->policy->fd >= 0 &&
		!send_plain(s->policy, MESSAGE_RELOAD))
		child_kill(s->policy, "takes no orders");
}

bool policy_renew(struct supervisor *s, char *reason, size_t size)
{
	struct settings settings;
	if (!s->config->policy.process)
		return true;
	if (!policyprocess_settings(s->config, &s->settings, &settings)) {
		snprintf(reason, size, "a setting of [policy] is too long");
		return false;
	}
	uint64_t beginning = stamp_beginning(&settings);
	bool same = s->policy->wanted && beginning == s->beginning &&
		    memcmp(&settings, &s->settings, sizeof(settings)) == 0;
	s->settings = settings;
	s->beginning = s->beginning_seen = beginning;
	if (!same)
		return start_another(s, reason, size);
	policy_reload(s);
	return true;
}

void policy_look(struct supervisor *s)
{
	char reason[SUPERVISOR_REASON];
	if (!s->policy->kind)
		return;
	uint64_t beginning = stamp_beginning(&s->settings);
	bool at_rest = beginning == s->beginning_seen;
	bool changed = at_rest && beginning != s->beginning;
	s->beginning_seen = beginning;
	if (changed)
		log_message(LOG_LEVEL_INFO,
			"the resolvers' addresses, the trust anchor or the CAs are "
			"others now: another policy process begins with them");
	/* One that could not be started nobody else would start again. */
	if ((changed || !s->policy->wanted) && !policy_renew(s, reason, sizeof(reason)))
		log_message(LOG_LEVEL_ERROR, "%s", reason);
}

bool policy_ended(struct supervisor *s)
{
	bool running = false;
	for (unsigned i = 0; i < 2; i++) {
		struct child *policy = &s->policies[i];
		if (policy->kind && policy->fd >= 0)
			child_leave(policy, FAREWELL);
		else if (policy->kind)
			child_dismiss(policy);
		running = running || policy->pid > 0;
	}
	return !running;
}
