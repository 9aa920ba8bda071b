/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Plays conversations (tests/playbooks, whose README is the format) against the pure
 * core, as TAP. What the session does with sockets is done here with byte queues: the
 * same wants are obeyed in the same way. Each conversation is held twice, segments whole
 * and octet by octet, and must go the same way.
 */

#include "playbook.h"
#include "stream.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct side {
	struct octets sent; /* what the peer has sent and the stream has not taken */
	struct octets got;  /* what the peer has received and no expectation has read */
	bool open, ended, shaking, stalled;
};

struct world {
	const struct playbook *book;
	bool slowly; /* octet by octet */
	struct buf_pool pool;
	struct stream stream;
	struct trace trace;
	struct side near, far;
	bool connecting, asked, stopping, over;
	bool faulty; /* told already */
};

/* ---- telling ---- */

static void put_octets(const char *octets, size_t n)
{
	for (size_t i = 0; i < n && i < 200; i++)
		if (octets[i] == '\r' || octets[i] == '\n')
			fputs(octets[i] == '\r' ? "\\r" : "\\n", stdout);
		else if (octets[i] >= ' ' && octets[i] <= '~')
			putchar(octets[i]);
		else
			printf("\\x%02x", (unsigned char)octets[i]);
	fputs(n > 200 ? "..." : "", stdout);
}

/* The first fault is the one that matters. */
static bool fault(struct world *w, const struct step *step, const char *what)
{
	if (w->faulty)
		return false;
	w->faulty = true;
	printf("# %s:%u: %s: %s\n", w->book->path, step->line,
		w->slowly ? "octet by octet" : "whole", what);
	return true;
}

static void saw(const char *leg, const struct side *side)
{
	printf("#\t%s has unread: ", leg);
	put_octets(octets_head(&side->got), side->got.length);
	putchar('\n');
}

/* ---- the session's part ---- */

static void end_session(struct world *w)
{
	w->over = true;
	w->near.open = w->far.open = w->connecting = false;
}

static void obey(struct world *w, enum dialogue_want want);

static void far_drop(struct world *w)
{
	w->far.open = w->far.shaking = w->far.ended = w->far.stalled = w->connecting =
		false;
	octets_clear(&w->far.sent);
	w->stream.far_end = NULL;
	buf_release(&w->stream.far_in);
	buf_release(&w->stream.far_out);
}

static struct dialogue_io io(struct world *w)
{
	return stream_io(&w->stream, &w->trace);
}

static void far_lost(struct world *w, const char *reason)
{
	struct dialogue_io to = io(w);
	obey(w, dialogue_far_lost(&w->stream.dialogue, reason, &to));
}

static void far_open(struct world *w)
{
	far_drop(w);
	w->connecting = w->book->far_silent;
	if (w->book->far_refused)
		far_lost(w, "Connection refused");
	if (w->book->far_refused || w->book->far_silent)
		return;
	w->far.open = true;
	struct dialogue_io to = io(w);
	obey(w, dialogue_far_up(&w->stream.dialogue, &to));
}

static bool flush(struct world *w)
{
	struct stream *s = &w->stream;
	size_t before = buf_length(&s->near_out) + buf_length(&s->far_out);
	if (!w->near.stalled)
		octets_take(&w->near.got, &s->near_out);
	if (w->far.open && !w->far.stalled)
		octets_take(&w->far.got, &s->far_out);
	return buf_length(&s->near_out) + buf_length(&s->far_out) < before;
}

static void obey(struct world *w, enum dialogue_want want)
{
	switch (want) {
	case DIALOGUE_OPEN_FAR: far_open(w); break;
	case DIALOGUE_ASK_POLICY: w->asked = true; break;
	case DIALOGUE_START_TLS_NEAR: w->near.shaking = true; break;
	case DIALOGUE_START_TLS_FAR: w->far.shaking = true; break;
	case DIALOGUE_CLOSE:
		flush(w);
		end_session(w);
		break;
	default: break;
	}
	if (w->far.open && !dialogue_needs_far(&w->stream.dialogue))
		far_drop(w);
}

static bool feed(struct world *w, struct side *side, struct buf *in, size_t room)
{
	size_t n = side->sent.length < room ? side->sent.length : room;
	if (w->slowly && n > 1)
		n = 1;
	buf_append(in, octets_head(&side->sent), n);
	octets_drop(&side->sent, n);
	return n > 0;
}

static bool feed_near(struct world *w)
{
	struct stream *s = &w->stream;
	if (w->near.shaking && (w->near.sent.length > 0 || w->near.ended))
		end_session(w); /* that was no ClientHello */
	if (w->over || w->near.shaking)
		return false;
	if (w->near.ended && w->near.sent.length == 0 && !s->near_end)
		return s->near_end = true;
	return feed(w, &w->near, &s->near_in, stream_near_room(s));
}

static bool feed_far(struct world *w)
{
	struct stream *s = &w->stream;
	if (!w->far.open || w->over)
		return false;
	if (w->far.shaking) {
		if (w->far.sent.length > 0 || w->far.ended)
			far_lost(w, "TLS with the mail server failed");
		return false;
	}
	if (w->far.ended && w->far.sent.length == 0 && !s->far_end) {
		w->far.ended = false;
		s->far_end = "the connection to the mail server was lost";
		return true;
	}
	return feed(w, &w->far, &s->far_in, stream_far_room(s));
}

/* Goes on until nothing moves any more. */
static void run(struct world *w)
{
	struct stream *s = &w->stream;
	for (bool moved = true; moved && !w->over;) {
		moved = feed_near(w);
		moved |= feed_far(w);
		if (w->over || w->near.shaking)
			break;
		enum dialogue_want want = stream_run(s, &w->trace);
		if (want == DIALOGUE_READ && w->stopping) {
			struct dialogue_io to = io(w);
			want = dialogue_shutdown(&s->dialogue, false, &to);
		}
		moved |= want != DIALOGUE_READ;
		obey(w, want);
		moved |= flush(w);
	}
}

/* ---- what the playbook does ---- */

static void do_tls(struct world *w, const struct step *step)
{
	struct side *side = step->near ? &w->near : &w->far;
	struct dialogue *d = &w->stream.dialogue;
	if (!side->shaking || w->over) {
		fault(w, step, "nobody waits for a handshake here");
		return;
	}
	side->shaking = false;
	w->trace.tls = step->near ? "TLS1.3 TLS_AES_256_GCM_SHA384" : w->trace.tls;
	struct dialogue_io to = io(w);
	obey(w, step->near ? dialogue_near_tls(d, &to) : dialogue_far_tls(d, &to));
	flush(w);
}

static void do_timeout(struct world *w, const struct step *step)
{
	struct dialogue *d = &w->stream.dialogue;
	const char *waits = dialogue_wait_name(dialogue_waiting(d));
	if (w->over || strcmp(waits, step->text) != 0) {
		if (fault(w, step, "another deadline runs"))
			printf("#\texpected: %s\n#\tseen: %s\n", step->text,
				w->over ? "none, all is over" : waits);
		return;
	}
	struct dialogue_io to = io(w);
	obey(w, dialogue_timeout(d, &to));
	flush(w);
}

static void do_policy(struct world *w, const struct step *step)
{
	struct dialogue *d = &w->stream.dialogue;
	static const enum dialogue_verdict verdicts[] = {
		[POLICY_WORD_OPEN] = DIALOGUE_POLICY_OPEN,
		[POLICY_WORD_SERVED] = DIALOGUE_POLICY_SERVED,
		[POLICY_WORD_REFUSED] = DIALOGUE_POLICY_REFUSED,
	};
	if (!w->asked) {
		fault(w, step, "the policy was not asked");
		return;
	}
	w->asked = false;
	struct dialogue_io to = io(w);
	obey(w, dialogue_policy(d, verdicts[step->word],
			step->length > 0 ? step->text : NULL, &to));
	flush(w);
}

static void do_evict(struct world *w, const struct step *step)
{
	struct dialogue_io to = io(w);
	obey(w, dialogue_evict(&w->stream.dialogue, step->text, &to));
	flush(w);
}

static void do_send(struct world *w, const struct step *step)
{
	struct side *side = step->near ? &w->near : &w->far;
	for (unsigned i = 0; i < step->times; i++)
		octets_append(&side->sent, step->text, step->length);
	const struct step *next = step + 1;
	bool segment_goes_on = next->kind == STEP_SEND && next->near == step->near;
	if (w->over || (!step->near && !w->far.open))
		fault(w, step, "the leg is closed already");
	if (!segment_goes_on)
		run(w);
}

static void do_end(struct world *w, const struct step *step)
{
	if (step->near)
		w->near.ended = true;
	else
		w->far.ended = true;
}

static void act(struct world *w, const struct step *step)
{
	switch (step->kind) {
	case STEP_SEND: do_send(w, step); return;
	case STEP_TLS: do_tls(w, step); break;
	case STEP_TLS_FAILS:
		if (!(step->near ? w->near : w->far).shaking)
			fault(w, step, "nobody waits for a handshake here");
		do_end(w, step);
		break;
	case STEP_ENDS: do_end(w, step); break;
	case STEP_STALLS: (step->near ? &w->near : &w->far)->stalled = true; break;
	case STEP_READS: (step->near ? &w->near : &w->far)->stalled = false; break;
	case STEP_TIMEOUT: do_timeout(w, step); break;
	case STEP_POLICY: do_policy(w, step); break;
	case STEP_EVICT: do_evict(w, step); break;
	case STEP_BUSY: w->stream.tls_busy = true; break;
	default: w->stopping = true;
	}
	run(w);
}

/* ---- what the playbook expects ---- */

static void expect_line(struct world *w, const struct step *step)
{
	struct side *side = step->near ? &w->near : &w->far;
	for (unsigned i = 0; i < step->times; i++) {
		size_t length;
		bool whole = octets_line(&side->got, &length);
		if (whole && pattern_matches(step, octets_head(&side->got), length)) {
			octets_drop(&side->got, length + 2);
			continue;
		}
		if (fault(w, step, whole ? "another line" : "no line")) {
			printf("#\texpected: %s\n#\tseen: ", step->text);
			put_octets(octets_head(&side->got),
				whole ? length : side->got.length);
			putchar('\n');
		}
		return;
	}
}

static void expect_closed(struct world *w, const struct step *step)
{
	struct side *side = step->near ? &w->near : &w->far;
	bool closed = !side->open;
	if ((!closed || side->got.length > 0) &&
		fault(w, step, closed ? "unread octets at the end" : "not closed"))
		saw(step->near ? "near" : "far", side);
}

static void expect_asked(struct world *w, const struct step *step)
{
	struct span asked = w->stream.dialogue.asked;
	if (!w->asked)
		fault(w, step, "the policy was not asked");
	else if (!span_is(asked, step->text) && fault(w, step, "another domain"))
		printf("#\tseen: %.*s\n", (int)asked.length, asked.at);
}

static void expect(struct world *w, const struct step *step)
{
	if (step->kind == STEP_EXPECT)
		expect_line(w, step);
	else if (step->kind == STEP_CLOSED)
		expect_closed(w, step);
	else
		expect_asked(w, step);
}

/* Before a peer acts, and at the end, all that we have said was expected. */
static void expect_silence(struct world *w, const struct step *step)
{
	if (w->near.got.length == 0 && w->far.got.length == 0)
		return;
	if (fault(w, step, "something was said that nobody expected")) {
		saw("near", &w->near);
		saw("far", &w->far);
	}
}

/* ---- a whole conversation ---- */

static bool expects(const struct step *step)
{
	return step->kind == STEP_EXPECT || step->kind == STEP_CLOSED ||
	       step->kind == STEP_ASKED;
}

static void begin(struct world *w)
{
	buf_pool_init(&w->pool, 0);
	stream_init(&w->stream, &w->pool, &w->book->service);
	w->near.open = true;
	w->trace = (struct trace){ .hostname = w->book->service.hostname,
		.client = "192.0.2.1",
		.server = "192.0.2.25",
		.client_port = 41022,
		.server_port = 25,
		.id = "1" };
	struct dialogue_io to = io(w);
	obey(w, dialogue_begin(&w->stream.dialogue, &w->book->service, &to));
	flush(w);
	run(w);
}

static bool play(const struct playbook *book, bool slowly)
{
	struct world w = { .book = book, .slowly = slowly };
	begin(&w);
	bool expected = true;
	const struct step *step = book->steps;
	for (; step->kind != STEP_END && !w.faulty; step++) {
		if (expects(step)) {
			expect(&w, step);
		} else {
			if (expected)
				expect_silence(&w, step);
			act(&w, step);
		}
		expected = expects(step);
	}
	expect_silence(&w, step);
	if (stream_failed(&w.stream))
		fault(&w, step, "a buffer has failed");
	stream_release(&w.stream);
	if (w.pool.borrowed != 0)
		fault(&w, step, "memory is still borrowed");
	octets_clear(&w.near.sent);
	octets_clear(&w.near.got);
	octets_clear(&w.far.sent);
	octets_clear(&w.far.got);
	return !w.faulty;
}

static bool test(unsigned number, const char *path)
{
	struct playbook book;
	bool fine = playbook_read(&book, path);
	if (!fine) {
		printf("# %s:%u: %s\n", path, book.fault_line, book.fault);
	} else if (!book.only_daemon) {
		fine = play(&book, false);
		if (!book.only_whole)
			fine = play(&book, true) && fine;
	}
	const char *name = strrchr(path, '/');
	printf("%sok %u - %s%s\n", fine ? "" : "not ", number, name ? name + 1 : path,
		fine && book.only_daemon ? " # SKIP only daemon" : "");
	fflush(stdout);
	playbook_free(&book);
	return fine;
}

static int is_playbook(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');
	return dot && strcmp(dot, ".play") == 0;
}

static int test_directory(const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_playbook, alphasort);
	bool fine = count > 0;
	if (count < 0)
		perror(directory);
	printf("1..%d\n", count < 0 ? 0 : count);
	for (int i = 0; i < count; i++) {
		char path[8192];
		snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
		fine = test((unsigned)i + 1, path) && fine;
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return fine ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	char directory[4096];
	bool fine = true;
	if (argc > 1) {
		printf("1..%d\n", argc - 1);
		for (int i = 1; i < argc; i++)
			fine = test((unsigned)i, argv[i]) && fine;
		return fine ? 0 : 1;
	}
	snprintf(
		directory, sizeof directory, "%s/tests/playbooks", srcdir ? srcdir : ".");
	return test_directory(directory);
}
