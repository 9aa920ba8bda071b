/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "control.h"

#include "status.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	CALLERS = 8,  /* at a time; others wait in the kernel's queue */
	REQUEST = 32, /* octets of a line at most */
	PATIENCE = 5, /* seconds that a caller gets */
	BACKLOG = 16,
};

struct caller {
	struct control *control;
	ev_io io; /* its fd is -1: nobody is here */
	ev_timer timer;
	char request[REQUEST];
	size_t asked;	   /* octets of the request */
	char *answer;	   /* NULL: not asked yet */
	size_t size, told; /* of the answer */
};

struct control {
	struct ev_loop *loop;
	struct sockaddr_un address;
	struct stat file; /* as we made it */
	void (*fill)(struct overview *overview, void *context);
	void *context;
	ev_io io;
	struct caller callers[CALLERS];
	struct overview overview; /* while it is written */
};

/* ---- a caller ---- */

static void hang_up(struct caller *c)
{
	struct ev_loop *loop = c->control->loop;
	if (c->io.fd < 0)
		return;
	ev_io_stop(loop, &c->io);
	ev_timer_stop(loop, &c->timer);
	close(c->io.fd);
	ev_io_set(&c->io, -1, 0);
	free(c->answer);
	c->answer = NULL;
	/* There is room for another one. */
	ev_io_start(loop, &c->control->io);
}

static void watch(struct caller *c, int events)
{
	ev_io_stop(c->control->loop, &c->io);
	ev_io_set(&c->io, c->io.fd, events);
	ev_io_start(c->control->loop, &c->io);
}

/* The words or the JSON of how things stand now, with the line before them. */
static bool compose(struct caller *c, bool json)
{
	struct overview *overview = &c->control->overview;
	char *body = NULL;
	size_t length = 0;
	c->control->fill(overview, c->control->context);
	FILE *out = open_memstream(&body, &length);
	if (out)
		(json ? overview_json : overview_print)(overview, out);
	bool fine = out && !ferror(out);
	fine = out && fclose(out) == 0 && fine;
	int status = overview_fine(overview) ? STATUS_FINE : STATUS_NO;
	int n = fine ? asprintf(&c->answer, "%d %zu\n%s", status, length, body) : -1;
	free(body);
	c->size = n < 0 ? 0 : (size_t)n;
	c->told = 0;
	if (n < 0)
		c->answer = NULL;
	return n >= 0;
}

static bool answer(struct caller *c)
{
	bool json = strcmp(c->request, "status json") == 0;
	if (!json && strcmp(c->request, "status") != 0)
		return false;
	if (!compose(c, json))
		return false;
	watch(c, EV_WRITE);
	return true;
}

/* False: it is to be hung up on. */
static bool listen_to(struct caller *c)
{
	ssize_t n = recv(c->io.fd, c->request + c->asked, REQUEST - c->asked, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->asked += (size_t)n;
	char *end = memchr(c->request, '\n', c->asked);
	if (!end)
		return n > 0 && c->asked < REQUEST;
	*end = '\0';
	return answer(c);
}

static bool tell(struct caller *c)
{
	ssize_t n = send(c->io.fd, c->answer + c->told, c->size - c->told, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->told += (size_t)n;
	return c->told < c->size;
}

static void caller_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct caller *c = io->data;
	(void)loop;
	if (!(events & EV_WRITE ? tell(c) : listen_to(c)))
		hang_up(c);
}

static void caller_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	hang_up(timer->data);
}

/* ---- the door ---- */

static struct caller *find_room(struct control *control)
{
	for (unsigned i = 0; i < CALLERS; i++)
		if (control->callers[i].io.fd < 0)
			return &control->callers[i];
	return NULL;
}

static void called(struct ev_loop *loop, ev_io *io, int events)
{
	struct control *control = io->data;
	struct caller *c = find_room(control);
	(void)events;
	int fd = c ? accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
	if (fd >= 0) {
		c->asked = 0;
		ev_io_set(&c->io, fd, EV_READ);
		ev_io_start(loop, &c->io);
		ev_timer_set(&c->timer, PATIENCE, 0);
		ev_timer_start(loop, &c->timer);
	}
	if (!find_room(control))
		ev_io_stop(loop, io);
}

void control_make_directory(const char *path, const char *user)
{
	const struct passwd *owner = getpwnam(user);
	const char *end = strrchr(path, '/');
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	if (!owner || !end || end == path || (size_t)(end - path) >= sizeof(directory))
		return;
	memcpy(directory, path, (size_t)(end - path));
	directory[end - path] = '\0';
	if (mkdir(directory, 0755) == 0 &&
		lchown(directory, owner->pw_uid, owner->pw_gid) != 0)
		rmdir(directory);
}

/* Whether the path is free now, of what nobody serves any more too. */
static bool make_way(const struct sockaddr_un *address, char *reason, size_t size)
{
	const char *path = address->sun_path;
	struct stat file;
	if (lstat(path, &file) != 0)
		return true; /* or bind() says why not */
	if (!S_ISSOCK(file.st_mode)) {
		snprintf(reason, size, "%s is there, and is no socket", path);
		return false;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool served =
		fd < 0 ||
		connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		errno != ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	if (served) {
		snprintf(reason, size, "%s is another process's", path);
		return false;
	}
	if (unlink(path) == 0)
		return true;
	snprintf(reason, size, "cannot remove %s, which nobody serves: %s", path,
		strerror(errno));
	return false;
}

static int listen_at(const struct sockaddr_un *address, char *reason, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t before = umask(0117); /* so it is never anybody's, not for a moment */
	bool done = fd >= 0 &&
		    bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
	int error = errno;
	umask(before);
	if (done && listen(fd, BACKLOG) == 0)
		return fd;
	error = done ? errno : error;
	snprintf(reason, size, "cannot listen on %s: %s%s", address->sun_path,
		strerror(error),
		error == ENOENT ? " (its directory has to be made first)" : "");
	if (fd >= 0)
		close(fd);
	return -1;
}

struct control *control_open(struct ev_loop *loop, const char *path,
	void (*fill)(struct overview *overview, void *context), void *context,
	char *reason, size_t size)
{
	struct control *control = calloc(1, sizeof(*control));
	if (!control) {
		snprintf(reason, size, "out of memory");
		return NULL;
	}
	struct sockaddr_un *address = &control->address;
	address->sun_family = AF_UNIX;
	int n = snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
	int fd = -1;
	if ((size_t)n >= sizeof(address->sun_path))
		snprintf(reason, size, "%s is too long for a socket's path", path);
	else if (make_way(address, reason, size))
		fd = listen_at(address, reason, size);
	if (fd < 0) {
		free(control);
		return NULL;
	}
	stat(address->sun_path, &control->file);
	control->loop = loop;
	control->fill = fill;
	control->context = context;
	for (unsigned i = 0; i < CALLERS; i++) {
		struct caller *c = &control->callers[i];
		c->control = control;
		ev_io_init(&c->io, caller_ready, -1, 0);
		ev_timer_init(&c->timer, caller_late, PATIENCE, 0);
		c->io.data = c->timer.data = c;
	}
	ev_io_init(&control->io, called, fd, EV_READ);
	control->io.data = control;
	ev_io_start(loop, &control->io);
	return control;
}

void control_close(struct control *control)
{
	struct stat file;
	if (!control)
		return;
	for (unsigned i = 0; i < CALLERS; i++)
		hang_up(&control->callers[i]);
	ev_io_stop(control->loop, &control->io);
	/* Unless it is somebody else's by now. */
	const char *path = control->address.sun_path;
	if (lstat(path, &file) == 0 && file.st_ino == control->file.st_ino &&
		file.st_dev == control->file.st_dev)
		unlink(path);
	close(control->io.fd);
	free(control);
}
