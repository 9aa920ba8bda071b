/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * An event notes what is ready, then session_run() reads, lets the stream run, obeys and
 * writes for as long as that moves anything; after it arm() derives from the state alone
 * what to watch and how long. The only place that arms, and the only place that frees.
 */

#include "policylink.h"
#include "session_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ROUNDS = 8,   /* of one event before the other sessions get their turn */
	LINGER = 2,   /* seconds for near to take our last words and close */
	SHORT = 1024, /* octets of last words that go out together with the goodbye */
};

/* ---- watching ---- */

static void watch(struct session *s, ev_io *io, int fd, int events)
{
	struct ev_loop *loop = s->worker->loop;
	if (ev_is_active(io) && io->fd == fd &&
		(io->events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(loop, io);
	ev_io_set(io, fd, events);
	if (fd >= 0 && events != 0)
		ev_io_start(loop, io);
}

static int near_events(const struct session *s)
{
	if (s->near_shaking)
		return s->near.want_write_to_read ? EV_WRITE : EV_READ;
	bool writes = buf_length(&s->stream.near_out) > 0 || s->phase == PHASE_CLOSING;
	int events = writes ? EV_WRITE : 0;
	bool reads = s->phase == PHASE_HEADER || s->phase == PHASE_LINGER ||
		     (s->phase == PHASE_TALK && stream_near_room(&s->stream) > 0);
	return events | (reads && !s->near.eof && !s->start_near_tls ? EV_READ : 0);
}

static int far_events(const struct session *s)
{
	if (s->far.fd < 0 || s->phase != PHASE_TALK)
		return 0;
	if (s->connecting)
		return session_speaks_first(s) ? EV_WRITE : EV_READ;
	if (s->far_shaking)
		return s->far.want_write_to_read ? EV_WRITE : EV_READ;
	bool reads = stream_far_room(&s->stream) > 0 && !s->far.eof && !s->start_far_tls;
	bool writes =
		buf_length(&s->stream.far_out) > 0 && !stream_body_awaited(&s->stream);
	return (writes ? EV_WRITE : 0) | (reads ? EV_READ : 0);
}

/*
 * Seconds for what the conversation waits for (RFC 5321 §4.5.3.2). What far owes us is
 * awaited a tenth shorter than near awaits us, so that near hears our 421 rather than
 * hang up before it. Never so for the verdict on a message: to give that up early makes
 * duplicates (RFC 1047).
 */
static double patience(const struct session *s, enum dialogue_wait wait)
{
	const struct config_limits *limits = &session_config(s)->limits;
	switch (wait) {
	case DIALOGUE_WAIT_COMMAND: return limits->command_timeout;
	case DIALOGUE_WAIT_BODY: return limits->block_timeout;
	case DIALOGUE_WAIT_NEAR_TLS:
	case DIALOGUE_WAIT_FAR_TLS: return limits->tls_timeout;
	/* The policy process gives up by itself then, and can say why. */
	case DIALOGUE_WAIT_POLICY: return limits->policy_timeout + 1;
	case DIALOGUE_WAIT_CONNECT: return limits->connect_timeout;
	case DIALOGUE_WAIT_GREETING: return 0.9 * limits->greeting_timeout;
	case DIALOGUE_WAIT_DATA: return 0.9 * limits->data_timeout;
	case DIALOGUE_WAIT_EOD: return limits->eod_timeout;
	default: return 0.9 * limits->command_timeout;
	}
}

/* Whether a recipient is on its way: its leg, or the replies to it and its MAIL. */
static bool on_its_way(const struct session *s)
{
	const struct dialogue *d = &s->stream.dialogue;
	if (!s->errand || !d->service->synthesised)
		return false;
	return dialogue_preparing(d) || (d->mail && s->waiting == DIALOGUE_WAIT_REPLY &&
						buf_length(&s->stream.held) == 0);
}

/* A deadline moves only when something was achieved, never because an octet came. */
static void set_deadline(struct session *s)
{
	const struct dialogue *d = &s->stream.dialogue;
	enum dialogue_wait waiting = dialogue_waiting(d);
	if (s->phase != PHASE_TALK)
		return;
	if (s->deadline != 0 && waiting == s->waiting && d->events == s->seen_events &&
		s->stream.octets == s->seen_octets)
		return;
	s->waiting = waiting;
	s->seen_events = d->events;
	s->seen_octets = s->stream.octets;
	s->deadline = clock_steady() + patience(s, waiting);
	/* All the work that one recipient makes has one budget. */
	if (on_its_way(s) && s->errand->deadline < s->deadline)
		s->deadline = s->errand->deadline;
}

static double next_deadline(const struct session *s)
{
	double most = s->started + session_config(s)->limits.session_time;
	if (s->phase != PHASE_TALK || dialogue_awaits_verdict(&s->stream.dialogue))
		return s->deadline;
	return s->deadline < most ? s->deadline : most;
}

/*
 * The timer is not moved when a deadline moves away: it finds out when it fires. It fires
 * at once where `more` is to be done, for octets inside TLS wake nobody; but as others'
 * events do, once they have had their turn.
 */
static void arm_timer(struct session *s, bool more)
{
	struct ev_loop *loop = s->worker->loop;
	double at = more ? 0 : next_deadline(s);
	if (ev_is_active(&s->timer) && s->due <= at)
		return;
	ev_timer_stop(loop, &s->timer);
	double after = at - clock_steady();
	ev_timer_set(&s->timer, after > 0 ? after : 0, 0);
	ev_timer_start(loop, &s->timer);
	s->due = at;
}

static void arm(struct session *s, bool more)
{
	set_deadline(s);
	watch(s, &s->near_io, s->near.fd, near_events(s));
	watch(s, &s->far_io, s->far.fd, far_events(s));
	arm_timer(s, more);
}

/* ---- the end ---- */

static void free_session(struct session *s)
{
	struct worker *worker = s->worker;
	session_log_end(s);
	ev_io_stop(worker->loop, &s->near_io);
	ev_io_stop(worker->loop, &s->far_io);
	ev_timer_stop(worker->loop, &s->timer);
	session_route_end(s);
	leg_close(&s->near);
	leg_close(&s->far);
	stream_release(&s->stream);
	session_count_handshake(s, false);
	if (s->entered)
		limits_leave(&worker->limits, &s->client);
	limits_disconnect(&worker->limits);
	counters_subtract(worker->counters, worker->limits.slot, s->service->number,
		COUNTER_OPEN, 1);
	if (s->next)
		s->next->previous = s->previous;
	*(s->previous ? &s->previous->next : &worker->sessions) = s->next;
	setup_release(s->service->setup);
	free(s);
	if (worker->stopping && !worker->sessions)
		worker->drained(worker);
}

/*
 * Our last words are flushed. After QUIT near is about to close anyhow; else a close at
 * once, with octets of near unread, would reset the connection and take our words with
 * it. Who was refused at the door does not get to stand in it.
 */
static void last_words_sent(struct session *s)
{
	if (leg_bye(&s->near) == LEG_AGAIN)
		return;
	bool leaves = s->stream.dialogue.end == DIALOGUE_END_QUIT || s->near.eof;
	if (leaves || s->near.broken || s->refused) {
		s->over = true;
		return;
	}
	leg_shutdown(&s->near);
	s->phase = PHASE_LINGER;
	s->deadline = clock_steady() + LINGER;
}

/* Near's octets are taken and dropped until it closes. */
static void linger(struct session *s)
{
	if (!s->near_readable)
		return;
	s->near_readable = false;
	buf_release(&s->stream.near_in);
	enum leg_status status = leg_fill(&s->near, &s->stream.near_in, BUF_BLOCK);
	buf_release(&s->stream.near_in);
	s->over = status == LEG_EOF || status == LEG_FAILED;
}

/* ---- running ---- */

/* Messages that far has taken, over a leg with TLS or without. */
static void count_messages(struct session *s, uint32_t n, bool tls)
{
	if (n == 0)
		return;
	session_log_note(s, tls);
	session_count(s, COUNTER_MESSAGES, n);
	if (tls)
		session_count(s, COUNTER_MESSAGES_TLS, n);
	if (tls && session_route_identified(s))
		session_count(s, COUNTER_MESSAGES_VERIFIED, n);
}

/* One turn of the stream; whether it can go on at once. */
static bool run_stream(struct session *s)
{
	struct stream *stream = &s->stream;
	stream->tls_busy = !s->near.tls && session_tls_busy(s);
	stream->ask_sender = s->service->inbound && s->worker->policy &&
			     policylink_state(s->worker->policy).inbound_demands;
	struct trace trace = session_trace(s);
	/* Far may go right behind its reply, and its TLS with it. */
	const uint32_t messages = stream->dialogue.transactions;
	const uint64_t octets = stream->octets;
	const bool tls = stream->dialogue.far_tls;
	enum dialogue_want want = stream_run(stream, &trace);
	count_messages(s, stream->dialogue.transactions - messages, tls);
	if (stream->octets != octets)
		session_count(s, COUNTER_OCTETS, stream->octets - octets);
	if (stream_failed(stream)) {
		session_log_failure(s, "session ended", "out of memory");
		session_near_lost(s, DIALOGUE_END_SERVER, "out of memory");
		return false;
	}
	session_log_run(s, want);
	if (want == DIALOGUE_CLOSE && stream->dialogue.end == DIALOGUE_END_TLS)
		session_tls_refused(s);
	if (want == DIALOGUE_READ && s->worker->stopping && !s->near_shaking) {
		struct dialogue_io io = stream_io(stream, NULL);
		want = dialogue_shutdown(&stream->dialogue, false, &io);
	}
	session_obey(s, want);
	/* An answer that was at hand: what was held for it can be taken now. */
	bool answered = want == DIALOGUE_ASK_POLICY || want == DIALOGUE_NEXT_FAR;
	return answered && !s->asking && !s->over && s->phase == PHASE_TALK;
}

static bool talk(struct session *s)
{
	bool moved = session_read(s);
	if (!s->over && s->phase == PHASE_TALK && !s->near_shaking)
		while (run_stream(s))
			continue;
	if (s->over || s->phase != PHASE_TALK)
		return !s->over;
	bool full = stream_full(&s->stream);
	moved |= session_write(s);
	/* Nothing more to read, and nothing waited for room: one round is all. */
	return moved && (full || s->near_readable || s->far_readable ||
				leg_pending(&s->near) || leg_pending(&s->far));
}

static void say_last_words(struct session *s)
{
	if (buf_length(&s->stream.near_out) <= SHORT)
		leg_hold(&s->near);
	session_write(s);
	if (!s->over && buf_length(&s->stream.near_out) == 0)
		last_words_sent(s);
}

/* One round; whether another may move more. */
static bool advance(struct session *s)
{
	switch (s->phase) {
	case PHASE_HEADER: return session_header(s);
	case PHASE_TALK: return talk(s);
	case PHASE_CLOSING: say_last_words(s); return false;
	default: linger(s); return false;
	}
}

static void session_run(struct session *s)
{
	bool moved = true;
	for (unsigned round = 0; moved && !s->over && round < ROUNDS; round++)
		moved = advance(s);
	if (s->over)
		free_session(s);
	else
		arm(s, moved);
}

static void near_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct session *s = io->data;
	(void)loop;
	s->near_readable |= (events & EV_READ) || s->near_shaking;
	session_run(s);
}

static void far_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct session *s = io->data;
	(void)loop;
	s->far_readable |= (events & EV_READ) || s->connecting || s->far_shaking;
	session_run(s);
}

/* What is late, and so who is told. */
static void expire(struct session *s)
{
	struct stream *stream = &s->stream;
	struct dialogue_io io = stream_io(stream, NULL);
	double now = clock_steady();
	if (s->phase == PHASE_HEADER)
		session_near_lost(s, DIALOGUE_END_TIMEOUT, "no PROXY header in time");
	else if (s->phase != PHASE_TALK)
		s->over = true;
	else if (now < s->deadline)
		session_obey(
			s, dialogue_evict(&stream->dialogue, "Session too long", &io));
	else if (s->asking)
		session_ask_late(s);
	else if (s->connecting)
		session_connect_late(s);
	else if (s->waiting == DIALOGUE_WAIT_BODY && buf_length(&stream->far_out) > 0 &&
		 !stream_body_awaited(stream))
		session_far_lost(
			s, "server lost", "the mail server stopped taking the message");
	else
		session_late(s);
	/* Progress or not, what comes next has a deadline of its own. */
	if (s->phase == PHASE_TALK)
		s->deadline = 0;
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct session *s = timer->data;
	(void)loop, (void)events;
	if (clock_steady() >= next_deadline(s))
		expire(s);
	session_run(s);
}

/* ---- life ---- */

static bool speaks_for_others(const struct session *s)
{
	const struct config_inbound *config = s->service->inbound;
	for (unsigned i = 0; config && i < config->accept_proxy_count; i++)
		if (network_contains(&config->accept_proxy_from[i], &s->client))
			return true;
	return false;
}

static void learn_server_address(struct session *s)
{
	enum config_client_address mode = session_client_address(s);
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	if (mode == CLIENT_ADDRESS_NONE || mode == CLIENT_ADDRESS_TRANSPARENT)
		return;
	if (getsockname(s->near.fd, (struct sockaddr *)&ss, &size) == 0)
		address_from_sockaddr(&s->server, (struct sockaddr *)&ss);
}

void session_start(struct worker *worker, const struct service *service, int fd,
	const struct address *client)
{
	struct session *s = calloc(1, sizeof(*s));
	if (!s) {
		close(fd);
		limits_disconnect(&worker->limits);
		return;
	}
	s->worker = worker;
	s->service = service;
	setup_hold(service->setup);
	session_count(s, COUNTER_OPEN, 1);
	session_count(s, COUNTER_SESSIONS, 1);
	s->id = worker->next_id;
	worker->next_id += CONFIG_WORKERS_MAX;
	s->started = clock_steady();
	s->client = *client;
	stream_init(&s->stream, &worker->pool, &service->dialogue);
	leg_adopt(&s->near, fd);
	leg_init(&s->far);
	learn_server_address(s);
	ev_io_init(&s->near_io, near_ready, fd, 0);
	ev_io_init(&s->far_io, far_ready, -1, 0);
	ev_timer_init(&s->timer, timer_fired, 0, 0);
	s->near_io.data = s->far_io.data = s->timer.data = s;
	s->next = worker->sessions;
	if (s->next)
		s->next->previous = s;
	worker->sessions = s;
	s->deadline = s->started + session_config(s)->limits.tls_timeout;
	if (speaks_for_others(s)) {
		s->phase = PHASE_HEADER;
	} else {
		s->deadline = 0;
		session_begin(s);
	}
	session_run(s);
}

void session_answer(struct session *s, struct peer *peer)
{
	session_answered(s, peer);
	session_run(s);
}

void session_stop(struct session *s)
{
	if (s->phase == PHASE_HEADER)
		s->over = true;
	session_run(s);
}

void session_abort(struct session *s)
{
	struct dialogue *d = &s->stream.dialogue;
	struct dialogue_io io = stream_io(&s->stream, NULL);
	if (s->phase != PHASE_TALK || dialogue_awaits_verdict(d))
		session_near_lost(
			s, DIALOGUE_END_SHUTDOWN, "cut off by the end of the service");
	else
		session_obey(s, dialogue_shutdown(d, true, &io));
	session_run(s);
}

bool session_awaits_verdict(const struct session *s)
{
	return dialogue_awaits_verdict(&s->stream.dialogue);
}

struct session *session_next(const struct session *s)
{
	return s->next;
}
