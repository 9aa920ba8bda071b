/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Command lines from a stranger. Whatever they are: spans stay inside their line, a path
 * that was accepted reads the same once written again, and nothing is written that could
 * end a line or drive a terminal.
 */

#include "smtp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_LIMIT = 512 };

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static bool inside(struct span part, struct span whole)
{
	return part.length == 0 ||
	       (part.at >= whole.at && part.length <= whole.length &&
		       part.at - whole.at <= (ptrdiff_t)(whole.length - part.length));
}

static bool same(struct span a, struct span b)
{
	return a.length == b.length &&
	       (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

static bool holds(struct span s, char c)
{
	return s.length > 0 && memchr(s.at, c, s.length) != NULL;
}

static bool controls(struct span s)
{
	for (size_t i = 0; i < s.length; i++)
		if ((unsigned char)s.at[i] < ' ' || s.at[i] == 127)
			return true;
	return false;
}

static struct span content(const struct buf *b)
{
	return (struct span){ (const char *)buf_head(b), buf_length(b) };
}

static void check_written(const struct smtp_path *path, bool utf8)
{
	struct buf_pool pool;
	struct buf out;
	struct smtp_path again;
	struct span rest;

	buf_pool_init(&pool, 0);
	buf_init(&out, &pool);
	smtp_path_write(&out, path);
	must(!out.failed && !controls(content(&out)));
	must(smtp_path(content(&out), utf8, &again, &rest) == SMTP_PATH_OK);
	must(same(path->local, again.local) && same(path->domain, again.domain));
	must(rest.length == 0);
	buf_release(&out);
	must(pool.borrowed == 0);
}

static void check_parameters(struct span rest)
{
	struct span whole = rest;
	struct span name, value;
	bool broken;

	for (size_t left = rest.length + 1;; left = rest.length) {
		if (!smtp_parameter(&rest, &name, &value, &broken))
			break;
		must(rest.length < left && !broken);
		must(name.length > 0 && inside(name, whole) && !controls(name));
		must(inside(value, whole) && !controls(value) && !holds(value, ' '));
	}
	must(broken || rest.length == 0);
}

static enum smtp_path_status check_path(struct span text, bool utf8)
{
	struct smtp_path path;
	struct span rest;
	enum smtp_path_status status = smtp_path(text, utf8, &path, &rest);

	must(inside(path.local, text) && inside(path.domain, text) && inside(rest, text));
	if (status != SMTP_PATH_OK)
		return status;
	must(!holds(path.domain, '@') && !holds(path.domain, '>') &&
		!holds(path.domain, ' '));
	must(path.local.length > 0 || path.domain.length == 0);
	must(path.domain.length <= 255);
	check_written(&path, utf8);
	check_parameters(rest);
	return status;
}

static void check_paths(struct span text)
{
	enum smtp_path_status ascii = check_path(text, false);
	enum smtp_path_status utf8 = check_path(text, true);

	must(ascii != SMTP_PATH_OK || utf8 == SMTP_PATH_OK);
	must(ascii != SMTP_PATH_SYNTAX || utf8 == SMTP_PATH_SYNTAX);
	must(utf8 != SMTP_PATH_NONASCII);
}

static void check_bdat(struct span argument)
{
	struct buf_pool pool;
	struct buf out;
	uint64_t octets, again;
	bool last, again_last;

	if (!smtp_bdat(argument, &octets, &last))
		return;
	buf_pool_init(&pool, 0);
	buf_init(&out, &pool);
	buf_printf(&out, "%" PRIu64 "%s", octets, last ? " LAST" : "");
	must(smtp_bdat(content(&out), &again, &again_last));
	must(octets == again && last == again_last);
	buf_release(&out);
}

static void check_xtext(struct span s)
{
	struct buf_pool pool;
	struct buf out;

	buf_pool_init(&pool, 0);
	buf_init(&out, &pool);
	smtp_xtext_write(&out, s);
	must(!controls(content(&out)) && !holds(content(&out), ' '));
	buf_release(&out);
}

static void check_command(struct span line)
{
	struct smtp_command command;

	smtp_command(line, &command);
	must((unsigned)command.verb < SMTP_VERBS);
	must(inside(command.argument, line));
	if (command.verb == SMTP_MAIL || command.verb == SMTP_RCPT)
		check_paths(command.argument);
	else
		must(command.argument.at != NULL);
	if (command.verb == SMTP_BDAT)
		check_bdat(command.argument);
	check_xtext(command.argument);
}

static void check_line(const uint8_t *data, enum smtp_line_status status,
	struct span line, size_t consumed)
{
	struct span again;
	size_t again_consumed;

	if (status == SMTP_LINE_LONG)
		return;
	must(consumed <= LINE_LIMIT && line.length < consumed);
	must(smtp_line(data, consumed - 1, LINE_LIMIT, &again, &again_consumed) ==
		SMTP_LINE_PARTIAL);
	must(smtp_line(data, consumed, LINE_LIMIT, &again, &again_consumed) == status);
	must(same(line, again) && again_consumed == consumed);
	if (status == SMTP_LINE_OK)
		must(!holds(line, '\r') && !holds(line, '\n') && !holds(line, '\0'));
	check_command(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_paths((struct span){ (const char *)data, size });
	while (size > 0) {
		struct span line;
		size_t consumed;
		enum smtp_line_status status =
			smtp_line(data, size, LINE_LIMIT, &line, &consumed);

		if (status == SMTP_LINE_PARTIAL) {
			must(consumed == 0 && size < LINE_LIMIT);
			break;
		}
		must(consumed > 0 && consumed <= size);
		check_line(data, status, line, consumed);
		data += consumed;
		size -= consumed;
	}
	return 0;
}
