/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Plays conversations (tests/playbooks, whose README is the format) against the pure
 * core, as TAP. Each conversation is held twice, segments whole and octet by octet, and
 * must go the same way.
 */

#include "playbook.h"
#include "stage.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
	struct stage stage;
	const struct playbook *book;
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
		w->stage.piece == 1 ? "octet by octet" : "whole", what);
	return true;
}

static void saw(const char *leg, const struct side *side)
{
	printf("#\t%s has unread: ", leg);
	put_octets(octets_head(&side->got), side->got.length);
	putchar('\n');
}

/* ---- what the playbook does ---- */

static struct side *side_of(struct world *w, const struct step *step)
{
	return step->near ? &w->stage.near : &w->stage.far;
}

static void do_tls(struct world *w, const struct step *step)
{
	if (w->stage.over || !side_of(w, step)->shaking)
		fault(w, step, "nobody waits for a handshake here");
	else
		stage_tls(&w->stage, step->near);
}

static void do_timeout(struct world *w, const struct step *step)
{
	struct dialogue *d = &w->stage.stream.dialogue;
	const char *waits = dialogue_wait_name(dialogue_waiting(d));
	if (w->stage.over || strcmp(waits, step->text) != 0) {
		if (fault(w, step, "another deadline runs"))
			printf("#\texpected: %s\n#\tseen: %s\n", step->text,
				w->stage.over ? "none, all is over" : waits);
		return;
	}
	struct dialogue_io io = stage_io(&w->stage);
	stage_obey(&w->stage, dialogue_timeout(d, &io));
}

static void do_policy(struct world *w, const struct step *step)
{
	struct dialogue *d = &w->stage.stream.dialogue;
	static const enum dialogue_verdict verdicts[] = {
		[POLICY_WORD_OPEN] = DIALOGUE_POLICY_OPEN,
		[POLICY_WORD_SERVED] = DIALOGUE_POLICY_SERVED,
		[POLICY_WORD_REFUSED] = DIALOGUE_POLICY_REFUSED,
	};
	if (!w->stage.asked) {
		fault(w, step, "the policy was not asked");
		return;
	}
	w->stage.asked = false;
	struct dialogue_io io = stage_io(&w->stage);
	stage_obey(&w->stage, dialogue_policy(d, verdicts[step->word],
				      step->length > 0 ? step->text : NULL, &io));
}

static void do_evict(struct world *w, const struct step *step)
{
	struct dialogue_io io = stage_io(&w->stage);
	stage_obey(&w->stage, dialogue_evict(&w->stage.stream.dialogue, step->text, &io));
}

static void do_send(struct world *w, const struct step *step)
{
	struct side *side = side_of(w, step);
	for (unsigned i = 0; i < step->times; i++)
		octets_append(&side->sent, step->text, step->length);
	const struct step *next = step + 1;
	bool segment_goes_on = next->kind == STEP_SEND && next->near == step->near;
	if (w->stage.over || (!step->near && !w->stage.far.open))
		fault(w, step, "the leg is closed already");
	if (!segment_goes_on)
		stage_run(&w->stage);
}

static void do_end(struct world *w, const struct step *step)
{
	side_of(w, step)->ended = true;
}

static void act(struct world *w, const struct step *step)
{
	switch (step->kind) {
	case STEP_SEND: do_send(w, step); return;
	case STEP_TLS: do_tls(w, step); break;
	case STEP_TLS_FAILS:
		if (!side_of(w, step)->shaking)
			fault(w, step, "nobody waits for a handshake here");
		do_end(w, step);
		break;
	case STEP_ENDS: do_end(w, step); break;
	case STEP_STALLS: side_of(w, step)->stalled = true; break;
	case STEP_READS: side_of(w, step)->stalled = false; break;
	case STEP_TIMEOUT: do_timeout(w, step); break;
	case STEP_POLICY: do_policy(w, step); break;
	case STEP_EVICT: do_evict(w, step); break;
	case STEP_BUSY: w->stage.stream.tls_busy = true; break;
	default: w->stage.stopping = true;
	}
	stage_run(&w->stage);
}

/* ---- what the playbook expects ---- */

static void expect_line(struct world *w, const struct step *step)
{
	struct side *side = side_of(w, step);
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
	struct side *side = side_of(w, step);
	bool closed = !side->open;
	if ((!closed || side->got.length > 0) &&
		fault(w, step, closed ? "unread octets at the end" : "not closed"))
		saw(step->near ? "near" : "far", side);
}

static void expect_asked(struct world *w, const struct step *step)
{
	struct span asked = w->stage.stream.dialogue.asked;
	if (!w->stage.asked)
		fault(w, step, "the policy was not asked");
	else if (!span_is(asked, step->text) && fault(w, step, "another domain"))
		printf("#\tseen: %.*s\n", (int)asked.length, asked.at);
}

static void expect_next(struct world *w, const struct step *step)
{
	const struct dialogue *d = &w->stage.stream.dialogue;
	bool next = w->stage.asked && !dialogue_needs_far(d);
	if (!next)
		fault(w, step, "no other far is wanted");
	else if (strcmp(d->unfit, step->text) != 0 && fault(w, step, "another code"))
		printf("#\tseen: %s\n", d->unfit);
}

static void expect(struct world *w, const struct step *step)
{
	if (step->kind == STEP_EXPECT)
		expect_line(w, step);
	else if (step->kind == STEP_CLOSED)
		expect_closed(w, step);
	else if (step->kind == STEP_NEXT)
		expect_next(w, step);
	else
		expect_asked(w, step);
}

/* Before a peer acts, and at the end, all that we have said was expected. */
static void expect_silence(struct world *w, const struct step *step)
{
	if (w->stage.near.got.length == 0 && w->stage.far.got.length == 0)
		return;
	if (fault(w, step, "something was said that nobody expected")) {
		saw("near", &w->stage.near);
		saw("far", &w->stage.far);
	}
}

/* ---- a whole conversation ---- */

static bool expects(const struct step *step)
{
	return step->kind == STEP_EXPECT || step->kind == STEP_CLOSED ||
	       step->kind == STEP_ASKED || step->kind == STEP_NEXT;
}

static bool play(const struct playbook *book, bool slowly)
{
	struct world w = { .book = book };
	w.stage.piece = slowly ? 1 : 0;
	w.stage.far_refused = book->far_refused;
	w.stage.far_silent = book->far_silent;
	w.stage.ask_sender = book->ask_sender;
	stage_begin(&w.stage, &book->service);
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
	if (stream_failed(&w.stage.stream))
		fault(&w, step, "a buffer has failed");
	stage_end(&w.stage);
	if (w.stage.pool.borrowed != 0)
		fault(&w, step, "memory is still borrowed");
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
