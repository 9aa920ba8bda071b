/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "stage.h"

#include <stdlib.h>
#include <string.h>

/* ---- queues of octets ---- */

void octets_append(struct octets *o, const char *at, size_t n)
{
	if (o->start > 0 && o->start >= o->length) {
		memmove(o->data, o->data + o->start, o->length);
		o->start = 0;
	}
	if (o->start + o->length + n > o->size) {
		o->size = 2 * (o->start + o->length + n);
		o->data = realloc(o->data, o->size);
		if (!o->data)
			abort();
	}
	if (n > 0)
		memcpy(o->data + o->start + o->length, at, n);
	o->length += n;
}

void octets_take(struct octets *o, struct buf *from)
{
	octets_append(o, (const char *)buf_head(from), buf_length(from));
	buf_consume(from, buf_length(from));
}

void octets_drop(struct octets *o, size_t n)
{
	o->start += n;
	o->length -= n;
}

void octets_clear(struct octets *o)
{
	free(o->data);
	*o = (struct octets){ 0 };
}

bool octets_line(const struct octets *o, size_t *length)
{
	const char *head = octets_head(o);
	for (size_t i = 1; i < o->length; i++)
		if (head[i - 1] == '\r' && head[i] == '\n') {
			*length = i - 1;
			return true;
		}
	return false;
}

/* ---- the ends of legs ---- */

static void over(struct stage *stage)
{
	stage->over = true;
	stage->near.open = stage->far.open = stage->connecting = false;
}

static void far_drop(struct stage *stage)
{
	struct side *far = &stage->far;
	octets_clear(&far->sent);
	*far = (struct side){ .got = far->got };
	stage->connecting = false;
	stage->stream.far_end = NULL;
	buf_release(&stage->stream.far_in);
	buf_release(&stage->stream.far_out);
}

struct dialogue_io stage_io(struct stage *stage)
{
	return stream_io(&stage->stream, &stage->trace);
}

static void far_lost(struct stage *stage, const char *reason)
{
	struct dialogue_io io = stage_io(stage);
	stage_obey(stage, dialogue_far_lost(&stage->stream.dialogue, reason, &io));
}

static void far_open(struct stage *stage)
{
	far_drop(stage);
	stage->connecting = stage->far_silent;
	if (stage->far_refused)
		far_lost(stage, "Connection refused");
	if (stage->far_refused || stage->far_silent)
		return;
	stage->far.open = true;
	stage->far_legs++;
	struct dialogue_io io = stage_io(stage);
	stage_obey(stage, dialogue_far_up(&stage->stream.dialogue, &io));
}

/* ---- octets ---- */

static bool flush(struct stage *stage)
{
	struct stream *s = &stage->stream;
	size_t before = buf_length(&s->near_out) + buf_length(&s->far_out);
	if (!stage->near.stalled)
		octets_take(&stage->near.got, &s->near_out);
	if (stage->far.open && !stage->far.stalled)
		octets_take(&stage->far.got, &s->far_out);
	return buf_length(&s->near_out) + buf_length(&s->far_out) < before;
}

void stage_obey(struct stage *stage, enum dialogue_want want)
{
	switch (want) {
	case DIALOGUE_OPEN_FAR: far_open(stage); break;
	case DIALOGUE_ASK_POLICY:
	case DIALOGUE_NEXT_FAR: stage->asked = true; break;
	case DIALOGUE_START_TLS_NEAR: stage->near.shaking = true; break;
	case DIALOGUE_START_TLS_FAR: stage->far.shaking = true; break;
	case DIALOGUE_CLOSE:
		flush(stage);
		over(stage);
		break;
	default: break;
	}
	if (stage->far.open && !dialogue_needs_far(&stage->stream.dialogue))
		far_drop(stage);
}

static bool feed(struct stage *stage, struct side *side, struct buf *in, size_t room)
{
	size_t n = side->sent.length < room ? side->sent.length : room;
	if (stage->piece != 0 && n > stage->piece)
		n = stage->piece;
	buf_append(in, octets_head(&side->sent), n);
	octets_drop(&side->sent, n);
	return n > 0;
}

static bool feed_near(struct stage *stage)
{
	struct stream *s = &stage->stream;
	struct side *near = &stage->near;
	if (near->shaking && (near->sent.length > 0 || near->ended))
		over(stage); /* that was no ClientHello */
	if (stage->over || near->shaking)
		return false;
	if (near->ended && near->sent.length == 0 && !s->near_end)
		return s->near_end = true;
	return feed(stage, near, &s->near_in, stream_near_room(s));
}

static bool feed_far(struct stage *stage)
{
	struct stream *s = &stage->stream;
	struct side *far = &stage->far;
	if (!far->open || stage->over)
		return false;
	if (far->shaking) {
		if (far->sent.length > 0 || far->ended)
			far_lost(stage, "TLS with the mail server failed");
		return false;
	}
	if (far->ended && far->sent.length == 0 && !s->far_end) {
		far->ended = false;
		s->far_end = "the connection to the mail server was lost";
		return true;
	}
	return feed(stage, far, &s->far_in, stream_far_room(s));
}

/* ---- running ---- */

void stage_run(struct stage *stage)
{
	struct stream *s = &stage->stream;
	for (bool moved = true; moved && !stage->over;) {
		moved = feed_near(stage);
		moved |= feed_far(stage);
		if (stage->over || stage->near.shaking)
			break;
		enum dialogue_want want = stream_run(s, &stage->trace);
		if (want == DIALOGUE_READ && stage->stopping) {
			struct dialogue_io io = stage_io(stage);
			want = dialogue_shutdown(&s->dialogue, false, &io);
		}
		moved |= want != DIALOGUE_READ;
		stage_obey(stage, want);
		moved |= flush(stage);
	}
	flush(stage);
}

void stage_tls(struct stage *stage, bool near)
{
	struct dialogue *d = &stage->stream.dialogue;
	(near ? &stage->near : &stage->far)->shaking = false;
	if (near) {
		stage->trace.tls = "TLS1.3";
		stage->trace.cipher = "TLS_AES_256_GCM_SHA384";
	}
	struct dialogue_io io = stage_io(stage);
	stage_obey(stage, near ? dialogue_near_tls(d, &io) : dialogue_far_tls(d, &io));
	stage_run(stage);
}

void stage_begin(struct stage *stage, const struct dialogue_service *service)
{
	static const struct address client = { AF_INET, 41022, { 192, 0, 2, 1 } };
	static const struct address server = { AF_INET, 25, { 192, 0, 2, 25 } };
	buf_pool_init(&stage->pool, 0);
	stream_init(&stage->stream, &stage->pool, service);
	stage->stream.ask_sender = stage->ask_sender;
	stage->near.open = true;
	stage->trace = (struct trace){ .hostname = service->hostname,
		.client = &client,
		.server = &server,
		.id = 1 };
	struct dialogue_io io = stage_io(stage);
	stage_obey(stage, dialogue_begin(&stage->stream.dialogue, service, &io));
	stage_run(stage);
}

void stage_end(struct stage *stage)
{
	stream_release(&stage->stream);
	octets_clear(&stage->near.sent);
	octets_clear(&stage->near.got);
	octets_clear(&stage->far.sent);
	octets_clear(&stage->far.got);
}
