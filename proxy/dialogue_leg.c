/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The life of the far leg: when it is begun with, what becomes of near when it is lost or
 * unfit, and the policy that says whether there is to be another.
 */

#include "dialogue_private.h"

#include <stdio.h>

void dialogue_demand(struct dialogue *d, enum dialogue_far_tls demand)
{
	d->demand = demand;
}

/* There is a connection, and a reason to use it. */
static enum dialogue_want far_begin(struct dialogue *d)
{
	if (d->service->far_implicit) {
		d->far = FAR_HANDSHAKE;
		return DIALOGUE_START_TLS_FAR;
	}
	d->far = FAR_UP;
	expect_push(d, EXPECT_GREETING);
	return DIALOGUE_READ;
}

enum dialogue_want dialogue_far_up(struct dialogue *d, const struct dialogue_io *io)
{
	d->events++;
	if (!d->service->early || d->policy == POLICY_GRANTED)
		return far_begin(d);
	d->far = FAR_WAITING;
	greet(d, io);
	return DIALOGUE_READ;
}

enum dialogue_want dialogue_far_tls(struct dialogue *d, const struct dialogue_io *io)
{
	d->events++;
	d->far = FAR_UP;
	d->far_tls = true;
	if (d->service->far_implicit)
		expect_push(d, EXPECT_GREETING);
	else
		far_hello(d, "EHLO", EXPECT_OWN_EHLO, io);
	return DIALOGUE_READ;
}

enum dialogue_want far_in_clear(struct dialogue *d, const char *reason)
{
	far_drop(d, reason);
	d->far_clear = true;
	d->far = FAR_OPENING;
	return DIALOGUE_OPEN_FAR;
}

enum dialogue_want dialogue_far_unfit(struct dialogue *d, const char *code,
	const char *reason, const struct dialogue_io *io)
{
	if (d->near == NEAR_CLOSED)
		return DIALOGUE_CLOSE;
	d->events++;
	d->unfit = code;
	if (dialogue_preparing(d)) {
		far_drop(d, reason);
		return DIALOGUE_NEXT_FAR;
	}
	char line[16];
	snprintf(line, sizeof(line), "421 %s", code);
	return hang_up(d, line, DIALOGUE_END_SERVER, reason, io);
}

/* The status code of a far that went while it was being made ready. */
static const char *lost_code(const struct dialogue *d)
{
	if (d->far == FAR_OPENING)
		return "4.4.1";
	return d->far == FAR_HANDSHAKE ? "4.7.5" : "4.4.2";
}

/* Near is owed replies to what far took and will never answer. */
static enum dialogue_want far_lost_owing(struct dialogue *d, const struct dialogue_io *io)
{
	enum expect owed[DIALOGUE_FIFO];
	unsigned count = 0;
	while (!drained(d))
		owed[count++] = expect_pop(d);
	enum expect first = count > 0 ? owed[0] : EXPECT_NOTHING;
	bool message = first == EXPECT_EOD || first == EXPECT_CHUNK ||
		       first == EXPECT_LAST_CHUNK || first == EXPECT_OWN_CHUNK;
	/* Where there are other hosts the session outlives this one. */
	bool survives = d->service->synthesised && !d->service->early;
	if (first == EXPECT_QUIT)
		return finish(d, "221 2.0.0 Bye", DIALOGUE_END_QUIT, d->reason, io);
	if (!message && !survives)
		return hang_up(d, "421 4.4.2", DIALOGUE_END_SERVER, d->reason, io);
	/* RFC 1047: it may or may not have arrived; near tries again. */
	for (unsigned i = 0; i < count; i++)
		if (is_visible(owed[i]) && buf_length(io->held) > 0)
			answer_refused_mail(io);
		else if (is_visible(owed[i]))
			say_lost(d, io);
	d->near = NEAR_READY;
	enum expect last = count > 0 ? owed[count - 1] : EXPECT_NOTHING;
	if (last == EXPECT_EOD || last == EXPECT_LAST_CHUNK)
		transaction_clear(d, io);
	else if (message)
		swallow_chunks(d, NULL);
	else if (last == EXPECT_DATA)
		return data_refused(d, io);
	return DIALOGUE_READ;
}

/* Near must be heard to the end of its message before it can be told. */
static void far_lost_inside(
	struct dialogue *d, const char *reason, const struct dialogue_io *io)
{
	unsigned before = 0; /* chunks that were taken before this one */
	while (d->fifo_count > 1)
		before += expect_pop(d) == EXPECT_CHUNK;
	far_drop(d, reason);
	d->body_discard = true;
	for (; before > 0; before--)
		say_lost(d, io);
	if (d->near == NEAR_CHUNK && !d->refusing)
		swallow_chunks(d, NULL);
}

static enum dialogue_want far_unreachable(
	struct dialogue *d, const char *reason, const struct dialogue_io *io)
{
	char line[512];
	far_drop(d, reason);
	snprintf(line, sizeof(line), "421 4.4.1 %s Cannot reach the mail server: %s",
		d->service->hostname, reason);
	return finish(d, line, DIALOGUE_END_SERVER, reason, io);
}

enum dialogue_want dialogue_far_lost(
	struct dialogue *d, const char *reason, const struct dialogue_io *io)
{
	if (d->near == NEAR_CLOSED)
		return DIALOGUE_CLOSE;
	if (d->far == FAR_GONE || d->far == FAR_NONE)
		return DIALOGUE_READ;
	d->events++;
	if (d->far == FAR_OPENING && !dialogue_preparing(d))
		return far_unreachable(d, reason, io);
	if (d->near == NEAR_BODY || d->near == NEAR_CHUNK) {
		far_lost_inside(d, reason, io);
		return DIALOGUE_READ;
	}
	bool starting = d->far == FAR_HANDSHAKE || expect_head(d) == EXPECT_OWN_STARTTLS;
	if (starting && d->demand == DIALOGUE_FAR_MAY)
		return far_in_clear(d, reason);
	if (dialogue_preparing(d) || d->far == FAR_HANDSHAKE)
		return dialogue_far_unfit(d, lost_code(d), reason, io);
	bool held = buf_length(io->held) > 0 && !d->mail_refused;
	bool unseen = !d->mail || (d->mail_refused && drained(d)) || held;
	if (d->service->synthesised && unseen) {
		far_drop(d, reason);
		/* What was granted was this leg: the recipient is asked about anew. */
		if (d->policy == POLICY_GRANTED)
			d->policy = POLICY_NONE;
		return DIALOGUE_READ;
	}
	uint8_t count = d->fifo_count;
	far_drop(d, reason);
	d->fifo_count = count;
	return far_lost_owing(d, io);
}

enum dialogue_want dialogue_policy(struct dialogue *d, enum dialogue_verdict verdict,
	const char *refusal, const struct dialogue_io *io)
{
	if (d->near == NEAR_CLOSED || d->policy == POLICY_NONE)
		return dialogue_closed(d) ? DIALOGUE_CLOSE : DIALOGUE_READ;
	d->events++;
	d->policy = verdict == DIALOGUE_POLICY_REFUSED ? POLICY_REFUSED : POLICY_GRANTED;
	d->refusal = refusal;
	if (verdict == DIALOGUE_POLICY_REFUSED || !d->service->synthesised)
		return DIALOGUE_READ;
	/* Far may have gone between the question and the answer. */
	if (transaction_lost(d, io)) {
		d->policy = POLICY_NONE;
		return DIALOGUE_READ;
	}
	if (verdict == DIALOGUE_POLICY_SERVED && d->far == FAR_WAITING)
		return far_begin(d);
	if (verdict == DIALOGUE_POLICY_SERVED && dialogue_needs_far(d))
		return DIALOGUE_READ;
	far_drop(d, "");
	d->far_clear = false;
	d->far = FAR_OPENING;
	return DIALOGUE_OPEN_FAR;
}
