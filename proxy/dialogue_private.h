/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DIALOGUE_PRIVATE_H
#define SEALPOST_DIALOGUE_PRIVATE_H

/*
 * What the parts of the dialogue share: dialogue.c (its life and its other events),
 * dialogue_near.c (commands), dialogue_mail.c (MAIL, RCPT and the message),
 * dialogue_far.c (replies) and dialogue_leg.c (the far leg's beginning and end).
 */

#include "dialogue.h"

enum near_state {
	NEAR_UNGREETED, /* nothing was said to near yet */
	NEAR_GREETED,	/* EHLO or HELO must come first */
	NEAR_READY,
	NEAR_HANDSHAKE,
	NEAR_AUTH,    /* the next line is a response to a 334, not a command */
	NEAR_WAITING, /* far must answer before near's next line counts */
	NEAR_BODY,    /* DATA's lines */
	NEAR_CHUNK,   /* a BDAT chunk's octets */
	NEAR_CLOSED,
};

enum far_state {
	FAR_NONE, /* not asked for yet */
	FAR_OPENING,
	FAR_WAITING, /* connected, and nothing is asked of it yet */
	FAR_HANDSHAKE,
	FAR_UP,
	FAR_GONE, /* lost, or dropped by us */
};

enum policy_state {
	POLICY_NONE,
	POLICY_ASKED,
	POLICY_GRANTED,
	POLICY_REFUSED,
};

/* The replies that far owes us. OWN: to commands of ours; near never sees them. */
enum expect {
	EXPECT_GREETING,
	EXPECT_EHLO,
	EXPECT_HELO,
	EXPECT_HELO_FALLBACK, /* our HELO, after far did not know near's EHLO */
	EXPECT_MAIL,
	EXPECT_RCPT,
	EXPECT_DATA,
	EXPECT_EOD,
	EXPECT_CHUNK,
	EXPECT_LAST_CHUNK,
	EXPECT_RSET,
	EXPECT_NOOP,
	EXPECT_QUIT,
	EXPECT_AUTH,
	EXPECT_OWN_EHLO,
	EXPECT_OWN_HELO,
	EXPECT_OWN_STARTTLS,
	EXPECT_OWN_XCLIENT,
	EXPECT_OWN_AUTH,
	EXPECT_OWN_MAIL,
	EXPECT_OWN_RSET,
	EXPECT_OWN_CHUNK, /* the Received line as a chunk of its own */
	EXPECT_OWN_DATA,  /* in place of near's first chunk */
	EXPECT_OWN_EOD,	  /* the end of a message that has no recipient */
	EXPECTS,
	EXPECT_NOTHING = EXPECTS
};

/* ---- the FIFO ---- */

void expect_push(struct dialogue *d, enum expect what);
enum expect expect_head(const struct dialogue *d); /* EXPECT_NOTHING when empty */
enum expect expect_pop(struct dialogue *d);

/* Everything before the next command is answered: we may answer it ourselves. */
static inline bool drained(const struct dialogue *d)
{
	return d->fifo_count == 0;
}

/* A command may be passed on now. */
bool may_forward(const struct dialogue *d);

/* ---- saying things ---- */

/* One reply line of our own to near, without its end. */
void say(const struct dialogue_io *io, const char *line);

/* The same for a fault of near's: too many of them end the session. */
enum dialogue_want refuse(
	struct dialogue *d, const char *line, const struct dialogue_io *io);

/* Says a last line (NULL: none) and ends: DIALOGUE_CLOSE. `reason` is a constant. */
enum dialogue_want finish(struct dialogue *d, const char *line, enum dialogue_end end,
	const char *reason, const struct dialogue_io *io);

/* "CODE HOSTNAME REASON" as a last line. */
enum dialogue_want hang_up(struct dialogue *d, const char *code, enum dialogue_end end,
	const char *reason, const struct dialogue_io *io);

/* The transaction is over, however it ended. */
void transaction_clear(struct dialogue *d, const struct dialogue_io *io);

/*
 * From now on the chunks of this transaction are taken and dropped, each answered with
 * `refusal` (NULL: with say_lost()).
 */
void swallow_chunks(struct dialogue *d, const char *refusal);

/* A refusal: what stands in io->held. */
extern const char far_refusal[];

/* Forget it at far too, if far knows of one; near does not see the reply. */
void transaction_abandon(struct dialogue *d, const struct dialogue_io *io);

/* The reply to a DATA that near can't have, said by us or by far. */
extern const char no_recipients[];

/* DATA was refused: a message that follows unasked must not be read as commands. */
enum dialogue_want data_refused(struct dialogue *d, const struct dialogue_io *io);

/* Our own greeting to near. */
void greet(struct dialogue *d, const struct dialogue_io *io);

/* Whether near awaits the reply that is expected so. */
bool is_visible(enum expect what);

/* Far is of no use any more; what near is owed is answered when it asks. */
void far_drop(struct dialogue *d, const char *reason);

/* TLS with far has failed under `may`: once more, on a new leg, without it. */
enum dialogue_want far_in_clear(struct dialogue *d, const char *reason);

/* "451 4.4.2 HOSTNAME REASON": the message was not passed on whole, because far went. */
void say_lost(const struct dialogue *d, const struct dialogue_io *io);

/* Synthesised: far went with what it knew of this transaction, which ends by itself. */
bool transaction_lost(const struct dialogue *d, const struct dialogue_io *io);

/* ---- commands: dialogue_near.c calls dialogue_mail.c ---- */

enum dialogue_want near_mail(
	struct dialogue *d, struct span argument, const struct dialogue_io *io);

/* Far refused the MAIL: its answer, once for each recipient. */
enum dialogue_want answer_refused_mail(const struct dialogue_io *io);

enum dialogue_want near_rcpt(
	struct dialogue *d, struct span argument, const struct dialogue_io *io);
enum dialogue_want near_data(
	struct dialogue *d, struct span argument, const struct dialogue_io *io);
enum dialogue_want near_bdat(
	struct dialogue *d, struct span argument, const struct dialogue_io *io);

/* ---- lines made of what is known ---- */

/* Appends the Received line of the message that begins, where the service wants one. */
void write_received(
	const struct dialogue *d, const struct dialogue_io *io, struct buf *out);

/* Our EHLO reply, mirrored from far_ehlo or synthesised; sets near_keywords. */
void say_ehlo(struct dialogue *d, struct span greeting, const struct dialogue_io *io);

/* Our reply to near's EHLO or HELO in our own name. */
void say_hello(struct dialogue *d, const struct dialogue_io *io);

/* Says EHLO or HELO to far: by our name where `what` is an OWN one, else by near's. */
void far_hello(struct dialogue *d, const char *verb, enum expect what,
	const struct dialogue_io *io);

#endif
