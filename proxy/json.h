/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_JSON_H
#define SEALPOST_JSON_H

/*
 * One object on one line, for programs (RFC 8259), written as it goes. An octet that is
 * no printable ASCII is \u00HH: strangers need not send UTF-8.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	bool comma; /* something stands before what comes next */
};

/* An element of a list; objects and lists by their brackets, wherever they stand. */
void json_string(struct json *j, const char *text);
void json_begin(struct json *j, char bracket);
void json_end(struct json *j, char bracket);

/* Of an object: what follows is the value; or both at once. */
void json_key(struct json *j, const char *name);
void json_pair(struct json *j, const char *name, const char *value);
void json_truth(struct json *j, const char *name, bool value);
void json_number(struct json *j, const char *name, uint64_t value);
void json_nothing(struct json *j, const char *name);

/* Seconds since 1970 as RFC 3339 has it, "" for 0. */
void json_moment(struct json *j, const char *name, int64_t seconds);

/* In hexadecimal. */
void json_octets(struct json *j, const char *name, const uint8_t *at, size_t length);

#endif
