/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* `sealpost status`. */

#include "command.h"
#include "config_schema.h"
#include "control.h"
#include "inifile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE = 10 }; /* seconds without a word */

static enum status cannot(const char *what, const char *path, const char *why)
{
	fprintf(stderr, "sealpost: cannot %s %s: %s\n", what, path, why);
	return STATUS_CANNOT;
}

/* ---- where to ask ---- */

/* The last value of [server] control. */
static void find_control(struct inifile *file, struct sockaddr_un *address)
{
	bool server = false;
	for (enum inifile_item item; (item = inifile_next(file)) != INIFILE_END;) {
		if (item == INIFILE_SECTION)
			server = strcmp(file->name, "server") == 0;
		else if (server && strcmp(file->name, "control") == 0 &&
			 strlen(file->value) < sizeof(address->sun_path))
			strcpy(address->sun_path, file->value);
	}
}

/* False where the file cannot be read: with errno. */
static bool read_address(const char *config_path, struct sockaddr_un *address)
{
	const struct config_key *key = config_key_find(SECTION_SERVER, "control");
	struct inifile file = { .in = fopen(config_path, "re"), .path = config_path };
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", key->fallback);
	if (!file.in)
		return false;
	file.faults = fopen("/dev/null", "we");
	if (file.faults) {
		find_control(&file, address);
		fclose(file.faults);
	}
	fclose(file.in);
	errno = file.faults ? file.error : errno;
	return file.faults && file.error == 0;
}

/* ---- asking ---- */

static int reach(const struct sockaddr_un *address)
{
	const struct timeval patience = { .tv_sec = PATIENCE };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static enum status not_reached(const char *path)
{
	char why[200];
	int error = errno;
	if (error == ENOENT || error == ECONNREFUSED)
		snprintf(why, sizeof(why), "is sealpost serving? (%s)", strerror(error));
	else if (error == EACCES)
		snprintf(why, sizeof(why),
			"%s (ask as root, or as a member of the service's group)",
			strerror(error));
	else
		snprintf(why, sizeof(why), "%s",
			error == EAGAIN ? "it does not answer" : strerror(error));
	return cannot("reach", path, why);
}

/* Of what was said: the line at the head, and as much behind it as that says. */
static enum status hand_on(const char *path, const char *said, size_t size)
{
	int status, head = 0;
	size_t length;
	if (sscanf(said, "%d %zu%n", &status, &length, &head) != 2 ||
		(status != STATUS_FINE && status != STATUS_NO) || said[head] != '\n' ||
		size - (size_t)head - 1 != length)
		return cannot("understand", path, "it hung up before it had said all");
	fwrite(said + head + 1, 1, length, stdout);
	return command_printed((enum status)status);
}

static enum status ask(const char *path, int fd, bool json)
{
	const char *request = json ? "status json\n" : "status\n";
	char *said = NULL, octets[4096];
	size_t size = 0;
	FILE *into = open_memstream(&said, &size);
	ssize_t n = into ? send(fd, request, strlen(request), MSG_NOSIGNAL) : -1;
	while (n > 0 && (n = recv(fd, octets, sizeof(octets), 0)) > 0)
		fwrite(octets, 1, (size_t)n, into);
	int error = errno;
	bool whole = into && !ferror(into);
	whole = into && fclose(into) == 0 && whole;
	enum status status = STATUS_CANNOT;
	errno = error;
	if (n < 0)
		status = not_reached(path);
	else if (!whole)
		status = cannot("ask", path, "out of memory");
	else
		status = hand_on(path, said, size);
	free(said);
	return status;
}

enum status control_run(const char *config_path, bool json)
{
	struct sockaddr_un address;
	if (!read_address(config_path, &address))
		return cannot("read", config_path, strerror(errno));
	int fd = reach(&address);
	if (fd < 0)
		return not_reached(address.sun_path);
	enum status status = ask(address.sun_path, fd, json);
	close(fd);
	return status;
}
