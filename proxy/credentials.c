/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Not by inih: to it "; " begins a comment, and a password may have one. Not by stdio:
 * its buffers would keep what was read.
 */

#include "credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 4096 };

/* A part of the file. */
struct piece {
	const char *at;
	size_t length;
};

struct reading {
	const char *path;
	struct credentials *c;
	char *reason;
	size_t size;
	unsigned line;
};

static bool cannot(const struct reading *r, const char *why)
{
	snprintf(r->reason, r->size, "%s: %s", r->path, why);
	return false;
}

static bool fault(const struct reading *r, const char *why)
{
	snprintf(r->reason, r->size, "%s:%u: %s", r->path, r->line, why);
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct piece trimmed(struct piece p)
{
	while (p.length > 0 && is_blank(p.at[0])) {
		p.at++;
		p.length--;
	}
	while (p.length > 0 && is_blank(p.at[p.length - 1]))
		p.length--;
	return p;
}

static bool piece_is(struct piece p, const char *word)
{
	return p.length == strlen(word) && memcmp(p.at, word, p.length) == 0;
}

static bool has_controls(struct piece p)
{
	for (size_t i = 0; i < p.length; i++) {
		unsigned char c = (unsigned char)p.at[i];

		if (c < ' ' || c == 127)
			return true;
	}
	return false;
}

static bool value_take(const struct reading *r, struct piece value, char *to)
{
	if (*to != '\0')
		return fault(r, "written a second time");
	if (value.length == 0)
		return fault(r, "no value behind the =");
	if (value.length >= CREDENTIALS_TEXT)
		return fault(r, "longer than 255 octets");
	if (has_controls(value))
		return fault(r, "a control character");
	memcpy(to, value.at, value.length);
	to[value.length] = '\0';
	return true;
}

static bool line_take(const struct reading *r, struct piece line)
{
	line = trimmed(line);
	if (line.length == 0 || *line.at == '#' || *line.at == ';')
		return true;
	const char *equals = memchr(line.at, '=', line.length);

	if (equals == NULL)
		return fault(r, "neither user = ... nor password = ...");
	struct piece key = { line.at, (size_t)(equals - line.at) };
	struct piece value = { equals + 1, line.length - key.length - 1 };

	key = trimmed(key);
	value = trimmed(value);
	if (piece_is(key, "user"))
		return value_take(r, value, r->c->user);
	if (piece_is(key, "password"))
		return value_take(r, value, r->c->password);
	return fault(r, "unknown key: there are user and password");
}

static bool text_take(struct reading *r, struct piece text)
{
	while (text.length > 0) {
		const char *end = memchr(text.at, '\n', text.length);
		size_t length = end != NULL ? (size_t)(end - text.at) : text.length;
		struct piece line = { text.at, length };
		size_t used = length + (end != NULL);

		if (length > 0 && text.at[length - 1] == '\r')
			line.length--;
		r->line++;
		if (!line_take(r, line))
			return false;
		text.at += used;
		text.length -= used;
	}
	if (*r->c->user == '\0')
		return cannot(r, "no user = ... in it");
	if (*r->c->password == '\0')
		return cannot(r, "no password = ... in it");
	return true;
}

/* Whose it is says the file that is open, not the path. */
static bool file_fit(const struct reading *r, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return cannot(r, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cannot(r, "not a regular file");
	if ((st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		return cannot(r, "others can read or change it: chmod 640");
	return true;
}

/* Up to `size` octets; -1 with errno. */
static ssize_t read_all(int fd, char *to, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, to + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return (ssize_t)length;
}

static bool file_take(struct reading *r, int fd)
{
	char text[FILE_MAX + 1];

	if (!file_fit(r, fd))
		return false;
	ssize_t length = read_all(fd, text, sizeof(text));
	bool fine;

	if (length < 0)
		fine = cannot(r, strerror(errno));
	else if (length > FILE_MAX)
		fine = cannot(r, "longer than 4096 octets");
	else
		fine = text_take(r, (struct piece){ text, (size_t)length });
	explicit_bzero(text, sizeof(text));
	return fine;
}

bool credentials_read(const char *path, struct credentials *c, char *reason, size_t size)
{
	struct reading r = { .path = path, .c = c, .reason = reason, .size = size };
	/* not to wait where it is a fifo */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	memset(c, 0, sizeof(*c));
	if (fd < 0) {
		snprintf(reason, size, "%s: cannot be read: %s", path, strerror(errno));
		return false;
	}
	bool fine = file_take(&r, fd);

	close(fd);
	if (!fine)
		credentials_wipe(c);
	return fine;
}

void credentials_wipe(struct credentials *c)
{
	explicit_bzero(c, sizeof(*c));
}
