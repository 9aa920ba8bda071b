/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "playbook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A test without memory has nothing to say. */
static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* ---- text and patterns ---- */

static int hex(char c)
{
	const char *digits = "0123456789abcdef0123456789ABCDEF", *at = strchr(digits, c);
	return at && c != '\0' ? (int)(at - digits) % 16 : -1;
}

/* The octet at *text, which moves on, or -1 where an escape is wrong. */
static int unescape(const char **text)
{
	static const char escapes[] = "r\rn\nt\t0\0\\\\**";
	const char *at = *text;
	if (at[0] != '\\') {
		*text += 1;
		return (unsigned char)at[0];
	}
	if (at[1] == 'x' && hex(at[2]) >= 0 && hex(at[3]) >= 0) {
		*text += 4;
		return hex(at[2]) * 16 + hex(at[3]);
	}
	*text += 2;
	for (size_t i = 0; i < sizeof escapes - 1; i += 2)
		if (escapes[i] == at[1])
			return (unsigned char)escapes[i + 1];
	return -1;
}

static bool matches(const char *pattern, const char *line, size_t length)
{
	while (*pattern != '\0' && *pattern != '*') {
		int c = unescape(&pattern);
		if (length == 0 || c != (unsigned char)*line)
			return false;
		line++, length--;
	}
	if (*pattern == '\0')
		return length == 0;
	for (size_t skip = 0; skip <= length; skip++)
		if (matches(pattern + 1, line + skip, length - skip))
			return true;
	return false;
}

bool pattern_matches(const struct step *step, const char *line, size_t length)
{
	return matches(step->text, line, length);
}

/* ---- steps ---- */

static bool wrong(struct playbook *book, const char *why)
{
	book->fault = why;
	return false;
}

static struct step *add(struct playbook *book, enum step_kind kind, bool near)
{
	if ((book->count & (book->count - 1)) == 0)
		book->steps = must(realloc(
			book->steps, (2 * book->count + 1) * sizeof *book->steps));
	struct step *step = &book->steps[book->count++];
	*step = (struct step){
		.line = book->fault_line, .kind = kind, .near = near, .times = 1
	};
	return step;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* Whether `text` begins with this word; *rest is then what follows it. */
static bool word(const char *text, const char *name, const char **rest)
{
	size_t n = strlen(name);
	if (strncmp(text, name, n) != 0 || (text[n] != '\0' && !strchr(" \t", text[n])))
		return false;
	*rest = skip_blanks(text + n);
	return true;
}

static bool whole(const char *text, const char *name)
{
	const char *rest;
	return word(text, name, &rest) && *rest == '\0';
}

/* What is sent is unescaped now; a pattern is only checked. */
static bool set_text(
	struct playbook *book, struct step *step, const char *text, bool crlf)
{
	step->text = must(malloc(strlen(text) + 3));
	if (step->kind == STEP_EXPECT)
		strcpy(step->text, text);
	while (*text != '\0') {
		int c = unescape(&text);
		if (c < 0)
			return wrong(book, "an escape that is none");
		if (step->kind != STEP_EXPECT)
			step->text[step->length++] = (char)c;
	}
	if (step->kind == STEP_EXPECT)
		return true;
	strcpy(step->text + step->length, crlf ? "\r\n" : "");
	step->length += crlf ? 2 : 0;
	return true;
}

/* "C: TEXT", "C= TEXT", "C* N TEXT" and the same with S. */
static bool read_words(struct playbook *book, const char *text, bool near)
{
	bool ours = text[0] == (near ? 'S' : 'C');
	char how = text[1];
	struct step *step = add(book, ours ? STEP_EXPECT : STEP_SEND, near);
	if ((text[0] != 'C' && text[0] != 'S') || !strchr(":=*", how) ||
		(ours && how == '='))
		return wrong(book, "neither said nor expected");
	text += 2;
	if (how == '*') {
		char *end;
		step->times = (unsigned)strtoul(text, &end, 10);
		text = end;
	}
	return set_text(book, step, *text == ' ' ? text + 1 : text, how != '=');
}

static bool read_leg(struct playbook *book, const char *text, bool near)
{
	if (whole(text, "TLS"))
		add(book, STEP_TLS, near);
	else if (whole(text, "TLS fails"))
		add(book, STEP_TLS_FAILS, near);
	else if (whole(text, "ends"))
		add(book, STEP_ENDS, near);
	else if (whole(text, "stalls"))
		add(book, STEP_STALLS, near);
	else if (whole(text, "reads"))
		add(book, STEP_READS, near);
	else if (whole(text, "closed"))
		add(book, STEP_CLOSED, near);
	else if (!near && whole(text, "refused"))
		book->far_refused = true;
	else if (!near && whole(text, "silent"))
		book->far_silent = true;
	else
		return read_words(book, text, near);
	return true;
}

static bool read_policy(struct playbook *book, const char *text)
{
	const char *rest;
	if (word(text, "asked", &rest))
		return set_text(book, add(book, STEP_ASKED, false), rest, false);
	if (word(text, "next", &rest))
		return set_text(book, add(book, STEP_NEXT, false), rest, false);
	struct step *step = add(book, STEP_POLICY, false);
	if (word(text, "open", &rest))
		step->word = POLICY_WORD_OPEN;
	else if (word(text, "served", &rest))
		step->word = POLICY_WORD_SERVED;
	else if (word(text, "refused", &rest))
		step->word = POLICY_WORD_REFUSED;
	else
		return wrong(book, "no such policy");
	return set_text(book, step, rest, false);
}

/* ---- settings ---- */

static const struct dialogue_service defaults = {
	.hostname = "proxy.example",
	.near_tls = DIALOGUE_NEAR_OFFER,
	.offer = SMTP_KW(PIPELINING) | SMTP_KW(SIZE) | SMTP_KW(8BITMIME) | SMTP_KW(DSN) |
		 SMTP_KW(ENHANCEDSTATUSCODES) | SMTP_KW(SMTPUTF8) | SMTP_KW(CHUNKING) |
		 SMTP_KW(LIMITS),
	.command_length = 2048,
	.auth_length = 12288,
	.recipients = 1000,
	.disorder = 20,
	.reply = { .length = 65536, .lines = 200 },
};

static bool set_mechanisms(struct dialogue_service *service, const char *list)
{
	while (*list != '\0') {
		struct span name = { list, strcspn(list, " ") };
		int mechanism = smtp_mechanism_find(name);
		if (mechanism < 0)
			return false;
		service->mechanisms |= 1u << mechanism;
		list = skip_blanks(list + name.length);
	}
	return true;
}

static const struct setting {
	const char *key, *value;
	size_t offset; /* of an octet in struct dialogue_service */
	uint8_t octet;
} settings[] = {
#define SET(key, value, member, octet)                                                   \
	{                                                                                \
		key, value, offsetof(struct dialogue_service, member), octet             \
	}
	SET("tls", "off", near_tls, DIALOGUE_NEAR_CLEAR),
	SET("tls", "offer", near_tls, DIALOGUE_NEAR_OFFER),
	SET("tls", "require", near_tls, DIALOGUE_NEAR_REQUIRE),
	SET("tls", "implicit", near_tls, DIALOGUE_NEAR_IMPLICIT),
	SET("backend-tls", "none", far_tls, DIALOGUE_FAR_CLEAR),
	SET("backend-tls", "may", far_tls, DIALOGUE_FAR_MAY),
	SET("backend-tls", "encrypt", far_tls, DIALOGUE_FAR_ENCRYPT),
	SET("client-address", "none", xclient, false),
	SET("client-address", "xclient", xclient, true),
	SET("received", "on", received, true),
	SET("received", "off", received, false),
	SET("bare-newline", "normalize", reject_bare, false),
	SET("bare-newline", "reject", reject_bare, true),
	SET("ehlo", "synthesised", synthesised, true),
	SET("far", "early", early, true),
	SET("far", "implicit", far_implicit, true),
	SET("greeting", "own", own_greeting, true),
	SET("helo", "client", client_helo, true),
	SET("auth-clear", "yes", auth_clear, true),
#undef SET
};

static bool set(struct playbook *book, const char *key, const char *value)
{
	static const struct dialogue_credentials credentials = {
		.plain = "AHVzZXIAc2VjcmV0", .user = "dXNlcg==", .password = "c2VjcmV0"
	};
	if (strcmp(key, "credentials") == 0 && strcmp(value, "yes") == 0) {
		book->service.credentials = &credentials;
		return true;
	}
	if (strcmp(key, "sender-policy") == 0 && strcmp(value, "yes") == 0)
		return book->ask_sender = true;
	if (strcmp(key, "auth") == 0)
		return set_mechanisms(&book->service, value) ||
		       wrong(book, "no such mechanism");
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		const struct setting *s = &settings[i];
		if (strcmp(s->key, key) != 0 || strcmp(s->value, value) != 0)
			continue;
		*((uint8_t *)&book->service + s->offset) = s->octet;
		return true;
	}
	return wrong(book, "no such setting");
}

static bool limit(struct playbook *book, const char *key, const char *value)
{
	struct dialogue_service *service = &book->service;
	unsigned long number = strtoul(value, NULL, 10);
	if (strcmp(key, "command-length") == 0)
		service->command_length = (uint32_t)number;
	else if (strcmp(key, "auth-length") == 0)
		service->auth_length = (uint32_t)number;
	else if (strcmp(key, "reply-length") == 0)
		service->reply.length = number;
	else if (strcmp(key, "reply-lines") == 0)
		service->reply.lines = (unsigned)number;
	else if (strcmp(key, "recipients") == 0)
		service->recipients = (uint32_t)number;
	else if (strcmp(key, "message-size") == 0)
		service->message_size = number;
	else if (strcmp(key, "commands-out-of-order") == 0)
		service->disorder = (uint32_t)number;
	else if (!strstr(key, "timeout"))
		return wrong(book, "no such limit");
	return true;
}

static bool read_setting(struct playbook *book, char *text,
	bool (*take)(struct playbook *book, const char *key, const char *value))
{
	char *equals = strchr(text, '='), *key_end = equals;
	if (!equals)
		return wrong(book, "no '='");
	while (key_end > text && key_end[-1] == ' ')
		key_end--;
	*key_end = '\0';
	return take(book, text, skip_blanks(equals + 1));
}

/* ---- the file ---- */

static bool read_only(struct playbook *book, const char *text)
{
	book->only_daemon |= whole(text, "daemon");
	book->only_whole |= whole(text, "whole");
	return whole(text, "daemon") || whole(text, "whole") || whole(text, "core") ||
	       wrong(book, "only what?");
}

static bool read_line(struct playbook *book, char *line)
{
	const char *text = skip_blanks(line), *rest;
	if (*text == '\0' || *text == '#')
		return true;
	if (word(text, "near", &rest))
		return read_leg(book, rest, true);
	if (word(text, "far", &rest))
		return read_leg(book, rest, false);
	if (word(text, "set", &rest))
		return read_setting(book, line + (rest - line), set);
	if (word(text, "limit", &rest))
		return read_setting(book, line + (rest - line), limit);
	if (word(text, "only", &rest))
		return read_only(book, rest);
	if (word(text, "policy", &rest))
		return read_policy(book, rest);
	if (word(text, "timeout", &rest))
		return set_text(book, add(book, STEP_TIMEOUT, false), rest, false);
	if (word(text, "evict", &rest))
		return set_text(book, add(book, STEP_EVICT, false), rest, false);
	if (whole(text, "handshakes full"))
		return add(book, STEP_BUSY, false);
	if (whole(text, "shutdown"))
		return add(book, STEP_SHUTDOWN, false);
	return wrong(book, "not a playbook's word");
}

bool playbook_read(struct playbook *book, const char *path)
{
	*book = (struct playbook){ .path = path, .service = defaults };
	FILE *file = fopen(path, "r");
	if (!file)
		return wrong(book, strerror(errno));
	char *line = NULL;
	size_t size = 0;
	bool fine = true;
	for (ssize_t n; fine && (n = getline(&line, &size, file)) >= 0;) {
		book->fault_line++;
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		fine = read_line(book, line);
	}
	free(line);
	fclose(file);
	add(book, STEP_END, false);
	return fine;
}

void playbook_free(struct playbook *book)
{
	for (size_t i = 0; i < book->count; i++)
		free(book->steps[i].text);
	free(book->steps);
}
