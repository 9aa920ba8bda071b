/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_MESSAGE_H
#define SEALPOST_MESSAGE_H

/*
 * What passes between the policy process and those whom it serves: one message a packet
 * (SOCK_SEQPACKET), some with a descriptor (parcel.h). Pure. It has one socket to the
 * supervisor and one to each worker. Each side takes the other's octets as hostile: a
 * worker talks to the Internet, and the policy process reads what the DNS says.
 */

#include "requirement.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MESSAGE_MAX = 160 * 1024,      /* octets of any message */
	MESSAGE_QUESTION_MAX = 512,    /* of a question, or a message without contents */
	MESSAGE_SUPERVISOR_MAX = 2048, /* of any message to the supervisor */
	MESSAGE_PATH = 4096,
	MESSAGE_STUBS = 16,
};

/* Those marked so have no contents: message_write_plain(). */
enum message_type {
	/* from the supervisor; fd of the first: what MESSAGE_FILES brought, or none */
	MESSAGE_SETTINGS = 1, /* once, first */
	/* from a worker, which says nothing else */
	MESSAGE_QUESTION,
	/* from the supervisor */
	MESSAGE_RELOAD, /* plain: read the policy files again */
	/* from the policy process */
	MESSAGE_ANSWER, /* to the worker who asked */
	MESSAGE_STATE,	/* to the supervisor and each worker, first and after changes */
	MESSAGE_LOG,	/* to the supervisor, who has the log */
	MESSAGE_FILES,	/* plain, to the supervisor; fd: the last good version of each
			   policy file, sealed, for the policy process after this one */
	MESSAGE_PONG,	/* plain, to the supervisor */
	/* from the supervisor */
	MESSAGE_READER, /* fd: the socket of a worker, in the place of its last one */
	MESSAGE_PING,	/* plain */
	MESSAGE_TYPES
};

/* [policy], as the policy process needs it. */
struct settings {
	char directory[MESSAGE_PATH];	 /* "": no files */
	uint32_t owner;			 /* may own policy files beside root */
	char resolver[128];		 /* "system", "recursive", "192.0.2.1@53" */
	char trust_anchor[MESSAGE_PATH]; /* "": no validation */
	uint8_t stub_count;
	struct {
		char zone[REQUIREMENT_NAME];
		char server[64]; /* ADDRESS[@PORT] */
	} stubs[MESSAGE_STUBS];
	uint32_t timeout;	  /* seconds for one question */
	bool dane;		  /* ask for TLSA records */
	bool mta_sts;		  /* ask for MTA-STS policies */
	char cache[MESSAGE_PATH]; /* where they are kept; "": nowhere */
	char ca[MESSAGE_PATH];	  /* of policy hosts; "system" or a PEM file */
};

struct question {
	uint32_t id;
	uint8_t direction;	       /* enum direction */
	char domain[REQUIREMENT_NAME]; /* or "[192.0.2.1]", "[IPv6:…]", or a host */
};

struct policy_state {
	uint64_t generation;
	bool inbound_demands;	  /* ask at MAIL */
	bool client_certificates; /* ask clients for theirs */
	uint32_t files;		  /* policy files in force */
	uint32_t broken;     /* that are not as they stand there: others, or none, are */
	uint32_t unanswered; /* domains in a row, up to the last, without an answer of DNS
			      */
};

struct message_log {
	uint8_t level; /* 0 error, 1 warning, 2 info, 3 debug */
	char text[1024];
};

/* Writers: octets written to `to` of `size`, or 0 where it does not fit. */
size_t message_write_settings(uint8_t *to, size_t size, const struct settings *settings);
size_t message_write_question(uint8_t *to, size_t size, const struct question *question);
size_t message_write_answer(
	uint8_t *to, size_t size, uint32_t id, const struct peer *peer);
size_t message_write_state(uint8_t *to, size_t size, const struct policy_state *state);
size_t message_write_log(uint8_t *to, size_t size, const struct message_log *log);
size_t message_write_reader(uint8_t *to, size_t size, uint32_t worker);
size_t message_write_plain(uint8_t *to, size_t size, enum message_type type);

/* Of a packet; 0 for none of them. A plain message is no longer than that. */
enum message_type message_type(const uint8_t *at, size_t length);

/* Readers: false for anything that is not exactly one such message. */
bool message_read_settings(const uint8_t *at, size_t length, struct settings *settings);
bool message_read_question(const uint8_t *at, size_t length, struct question *question);
/* A new peer, to be freed by peer_free(); NULL for a bad message or without memory. */
struct peer *message_read_answer(const uint8_t *at, size_t length, uint32_t *id);
bool message_read_state(const uint8_t *at, size_t length, struct policy_state *state);
bool message_read_log(const uint8_t *at, size_t length, struct message_log *log);
bool message_read_reader(const uint8_t *at, size_t length, uint32_t *worker);

#endif
