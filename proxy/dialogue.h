/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_DIALOGUE_H
#define SEALPOST_DIALOGUE_H

/*
 * The conversation. A session has two legs: the SMTP client is on the near one, the SMTP
 * server on the far one. The dialogue takes one event, appends octets to the out buffers
 * of both and says what the shell is to do next. It knows no descriptor, no TLS library,
 * no clock, no memory of its own and no log: a text playbook or a fuzzer is its complete
 * environment.
 *
 * Pipelining is solved by a FIFO of the replies that the far side still owes us. A
 * command that we answer ourselves waits until everything before it is answered; a
 * command that we pass on goes at once where the far side offers PIPELINING, else when
 * the FIFO is empty.
 */

#include "buf.h"
#include "smtp.h"
#include "trace.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DIALOGUE_FIFO = 32,   /* replies outstanding at most; more commands are held */
	DIALOGUE_HELO = 80,   /* octets kept of a HELO name, its NUL included */
	DIALOGUE_PATH = 88,   /* octets kept of a path for the log, its NUL included */
	DIALOGUE_ABOUT = 256, /* octets of whom a loss is told of, with the NUL */
	DIALOGUE_SAID = 160, /* octets kept of what an unfit far has said, with its NUL */
};

/* ---- what a service is: data, shared by all its sessions ---- */

enum dialogue_near_tls {
	DIALOGUE_NEAR_CLEAR, /* STARTTLS is not offered */
	DIALOGUE_NEAR_OFFER,
	DIALOGUE_NEAR_REQUIRE,	/* 530 5.7.0 until TLS is up (RFC 3207 §4) */
	DIALOGUE_NEAR_IMPLICIT, /* TLS from the first octet (RFC 8314) */
};

enum dialogue_far_tls {
	DIALOGUE_FAR_CLEAR,
	DIALOGUE_FAR_MAY,     /* STARTTLS where it is offered */
	DIALOGUE_FAR_ENCRYPT, /* STARTTLS, or nothing is said at all */
};

/* What is said to a far that wants AUTH, in base64 (RFC 4616, and LOGIN's two answers).
 */
struct dialogue_credentials {
	const char *plain, *user, *password;
};

struct dialogue_service {
	const char *hostname;
	uint8_t near_tls; /* enum dialogue_near_tls */
	uint8_t far_tls;  /* enum dialogue_far_tls */
	/*
	 * Greeting and EHLO are our own, MAIL is held, and the policy is asked at each
	 * RCPT: far is opened, or begun with, at the first of a transaction. Else far is
	 * opened at once, and its words are mirrored.
	 */
	bool synthesised;
	bool early; /* synthesised: far is connected to at once, and waits for the policy
		     */
	bool own_greeting; /* mirrored: near is greeted in our own name, not in far's */
	bool far_implicit; /* far speaks TLS from the first octet (RFC 8314) */
	bool client_helo;  /* our own EHLO bears near's name, not ours */
	bool xclient;	   /* tell far the client's address, if it knows XCLIENT */
	bool received;	   /* insert a Received line */
	bool reject_bare;  /* bare CR and LF in DATA are refused, not repaired */
	uint32_t offer; /* synthesised: SMTP_KW bits; STARTTLS and AUTH are ours to add */
	uint32_t mechanisms; /* AUTH let through inside TLS: 1u << SMTP_AUTH_… */
	bool auth_clear;     /* ... and in clear as well: near is in the house */
	const struct dialogue_credentials *credentials; /* AUTH of our own, or NULL */
	uint64_t message_size;		      /* octets; 0: what the far side says */
	uint32_t command_length, auth_length; /* octets of a line with its CRLF */
	uint32_t recipients;		      /* a transaction */
	uint32_t disorder; /* commands refused by ourselves before we hang up */
	struct smtp_reply_limits reply;
};

/* ---- one conversation ---- */

/* What the shell is to do next. */
enum dialogue_want {
	DIALOGUE_READ,	     /* go on with the next line or reply */
	DIALOGUE_HOLD,	     /* not yet: bring this one again after the next event */
	DIALOGUE_BODY,	     /* stream near's octets through body until it ends */
	DIALOGUE_ASK_POLICY, /* what `asked` demands: dialogue_policy() */
	DIALOGUE_OPEN_FAR,   /* connect, then dialogue_far_up() or _far_lost() */
	DIALOGUE_NEXT_FAR, /* `unfit`, for `reason`: dialogue_policy(), OPEN or REFUSED */
	DIALOGUE_START_TLS_NEAR, /* flush, shake hands, then dialogue_near_tls() */
	DIALOGUE_START_TLS_FAR,	 /* likewise; dialogue_far_tls() or _far_lost() */
	DIALOGUE_CLOSE,		 /* flush near, then end the session */
	DIALOGUE_WANTS
};

/* What the conversation waits for: tells which timer of RFC 5321 §4.5.3.2 runs. */
enum dialogue_wait {
	DIALOGUE_WAIT_COMMAND, /* near: the next command */
	DIALOGUE_WAIT_BODY,    /* near: the next octets of the message */
	DIALOGUE_WAIT_NEAR_TLS,
	DIALOGUE_WAIT_POLICY,
	DIALOGUE_WAIT_CONNECT,
	DIALOGUE_WAIT_FAR_TLS,
	DIALOGUE_WAIT_GREETING,
	DIALOGUE_WAIT_REPLY, /* far: to any command but the two below */
	DIALOGUE_WAIT_DATA,  /* far: the 354 */
	DIALOGUE_WAIT_EOD,   /* far: the reply to the end of the message */
	DIALOGUE_WAITS
};

/* How it ended; the log's end=… */
enum dialogue_end {
	DIALOGUE_END_NONE, /* not yet */
	DIALOGUE_END_QUIT,
	DIALOGUE_END_CLIENT,  /* near closed without QUIT */
	DIALOGUE_END_SERVER,  /* far could not be reached, was lost, or said 421 */
	DIALOGUE_END_TIMEOUT, /* of near */
	DIALOGUE_END_ABUSE,   /* near broke a rule or a limit */
	DIALOGUE_END_TLS,     /* near's handshake failed, or could not be had */
	DIALOGUE_END_SHUTDOWN,
	DIALOGUE_ENDS
};

enum dialogue_verdict {
	DIALOGUE_POLICY_REFUSED, /* the recipient is answered by a reply line of ours */
	DIALOGUE_POLICY_SERVED,	 /* the far leg that is up, or waits, serves it */
	DIALOGUE_POLICY_OPEN, /* a new far leg is needed; not behind a RCPT passed on */
};

struct dialogue {
	const struct dialogue_service *service;

	/* private; the enums stand in dialogue_private.h */
	uint8_t near, far, policy;
	uint8_t near_before; /* what near was when its chunk began */
	uint8_t end;	     /* enum dialogue_end */
	uint8_t demand;	     /* enum dialogue_far_tls, of the leg in use or to come */
	uint8_t auth_step;   /* of our own AUTH LOGIN */
	bool near_tls, far_tls, far_ready, esmtp, authenticated;
	bool far_knows; /* far has taken an EHLO or HELO */
	bool far_clear; /* STARTTLS has failed under `may`: go on without */
	bool mail;	/* MAIL was passed on or is held, and nothing has ended it */
	bool utf8, binary, chunked;
	bool recast; /* far is inside a DATA that is made of near's chunks */
	bool traced; /* the Received line of this transaction has gone, as a chunk */
	bool cut;    /* far spoke during the body: nothing more of it is passed on */
	bool mail_refused; /* by far; synthesised: its reply stands in io->held */
	bool refusing;	   /* the chunks of this transaction are swallowed */
	uint8_t fifo[DIALOGUE_FIFO]; /* a ring of enum expect */
	uint8_t fifo_start, fifo_count;
	const char *refusal; /* our reply to a swallowed chunk or a refused recipient */
	uint32_t recipients; /* accepted in this transaction */
	uint32_t disorder;
	uint32_t near_keywords; /* what our EHLO reply offered */
	struct smtp_ehlo far_ehlo;

	/* for the shell to read */
	bool body_chunk;	 /* DIALOGUE_BODY: BDAT, of body_octets; else DATA */
	bool body_first;	 /* ... and it starts a message */
	bool body_last;		 /* ... and is the last chunk */
	bool body_discard;	 /* ... and is not passed on (may change on the way) */
	uint64_t body_octets;	 /* of this chunk */
	uint64_t message_octets; /* of all its chunks so far */
	bool dsn_lost;		 /* far lacks DSN: what near asked of it was left out */
	uint32_t events;	 /* counts what was taken in: a change is progress */
	uint32_t transactions;	 /* messages accepted by the far side */
	char helo[DIALOGUE_HELO];
	char from[DIALOGUE_PATH]; /* the last MAIL's, ... */
	char to[DIALOGUE_PATH];	  /* ... and its first RCPT's */
	const char *reason;	  /* why it ended or will end, or "" */
	const char *unfit;	  /* NEXT_FAR: the enhanced status code of `reason` */
	struct span asked;	  /* RCPT's domain, or MAIL's, inside the held line */
};

/* What shell and dialogue tell each other of a far that is not the house's own. */
struct dialogue_notes {
	char said[DIALOGUE_SAID];   /* by far, where that made it unfit */
	char about[DIALOGUE_ABOUT]; /* "bank.example via mx1.bank.example[192.0.2.1]:" */
};

/* What an event may write to. */
struct dialogue_io {
	/* What the shell knows of near; NULL where no Received or XCLIENT can be due. */
	const struct trace *trace;
	struct buf *near_out, *far_out;
	struct buf *held;   /* synthesised: keeps the MAIL until the far leg is there */
	size_t near_behind; /* octets of near at hand behind the line of this event */
	size_t far_behind;  /* octets of far behind the reply of this event */
	bool tls_busy;	    /* too many handshakes: STARTTLS gets 421 4.7.0 */
	bool ask_sender;    /* mirrored: the policy is asked about MAIL's domain */
	struct dialogue_notes *notes; /* or NULL, where far is of the house */
};

/*
 * DIALOGUE_OPEN_FAR, DIALOGUE_START_TLS_NEAR (implicit) or DIALOGUE_READ (greeted by
 * ourselves).
 */
enum dialogue_want dialogue_begin(struct dialogue *d,
	const struct dialogue_service *service, const struct dialogue_io *io);

/* A command line as smtp_line() cut it; `line` is empty for SMTP_LINE_LONG. */
enum dialogue_want dialogue_near_line(struct dialogue *d, enum smtp_line_status status,
	struct span line, const struct dialogue_io *io);

/* A whole reply, or none that could be understood (BROKEN, LONG: reply is not read). */
enum dialogue_want dialogue_far_reply(struct dialogue *d, enum smtp_reply_status status,
	const struct smtp_reply *reply, const struct dialogue_io *io);

/* Near's handshake is done. (After a failed one nobody is there to be told: no event.) */
enum dialogue_want dialogue_near_tls(struct dialogue *d, const struct dialogue_io *io);

/*
 * What is demanded of the leg that is opened or begun with next; the service's far_tls
 * where nobody says otherwise. Stands before dialogue_far_up() or dialogue_policy().
 */
void dialogue_demand(struct dialogue *d, enum dialogue_far_tls demand);

enum dialogue_want dialogue_far_up(struct dialogue *d, const struct dialogue_io *io);
enum dialogue_want dialogue_far_tls(struct dialogue *d, const struct dialogue_io *io);

/*
 * The shell has found a fault with the leg that is up: NEXT_FAR, or a 421 where there can
 * be no other. `reason` stays valid as long as the dialogue.
 */
enum dialogue_want dialogue_far_unfit(struct dialogue *d, const char *code,
	const char *reason, const struct dialogue_io *io);

/*
 * The far leg could not be had, failed or ended; `reason` in plain words, one line, a
 * constant. Also right after the leg was dropped on our own account: then it changes
 * nothing.
 */
enum dialogue_want dialogue_far_lost(
	struct dialogue *d, const char *reason, const struct dialogue_io *io);

/*
 * The answer to DIALOGUE_ASK_POLICY or _NEXT_FAR; `refusal` is a reply line without its
 * end that stays valid until the held line was taken, or NULL. A 421 ends the session.
 */
enum dialogue_want dialogue_policy(struct dialogue *d, enum dialogue_verdict verdict,
	const char *refusal, const struct dialogue_io *io);

/* The body has come to its end, with this fault (enum body_fault, BODY_FINE for none). */
enum dialogue_want dialogue_body_end(
	struct dialogue *d, int fault, const struct dialogue_io *io);

/* Near has closed its side, and all its lines were taken. HOLD: it is owed replies. */
enum dialogue_want dialogue_near_ended(struct dialogue *d);

/* The deadline of dialogue_waiting() has passed. */
enum dialogue_want dialogue_timeout(struct dialogue *d, const struct dialogue_io *io);

/*
 * The service ends: CLOSE for the idle, READ while a transaction is under way and `now`
 * is false. Never `now` while dialogue_awaits_verdict().
 */
enum dialogue_want dialogue_shutdown(
	struct dialogue *d, bool now, const struct dialogue_io *io);

/* Near broke a limit that the shell keeps: a 421 where it can be said, and the end. */
enum dialogue_want dialogue_evict(
	struct dialogue *d, const char *reason, const struct dialogue_io *io);

enum dialogue_wait dialogue_waiting(const struct dialogue *d);

/* Octets that a line of near may have now, with its CRLF. */
size_t dialogue_line_limit(const struct dialogue *d);

/* Whether near's octets are lines now: not a body, not TLS, not behind the end. */
bool dialogue_takes_lines(const struct dialogue *d);

/* It has ended: there is only something left to flush. */
bool dialogue_closed(const struct dialogue *d);

/* Whether far is to be open. Once false the shell drops it, mid-message or not. */
bool dialogue_needs_far(const struct dialogue *d);

/* Far is connected but not begun with: what it says is kept until then. */
bool dialogue_far_waits(const struct dialogue *d);

/* A leg is being made ready for a recipient whose policy is known. */
bool dialogue_preparing(const struct dialogue *d);

/* A whole message was passed on, and its reply is owed: never cut this short. */
bool dialogue_awaits_verdict(const struct dialogue *d);

const char *dialogue_want_name(enum dialogue_want want);
const char *dialogue_wait_name(enum dialogue_wait wait);
const char *dialogue_end_name(enum dialogue_end end);

#endif
