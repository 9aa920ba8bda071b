/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sockets.h"

#include "log.h"
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

/* What systemd has passed, and what of it is still nobody's. */
struct passed {
	struct unit_socket list[UNIT_SOCKETS];
	unsigned count;
};

/* A section, as far as sockets go. */
struct section {
	const char *name;
	const char *kind; /* "inbound": what the section is called */
	const struct address *listen;
	unsigned listen_count;
	bool intercepts;
};

/*
 * TPROXY gives a listening socket what was sent to others, if it may take it. REDIRECT
 * works without: so it is not an error where nobody lets us.
 */
static void take_what_is_for_others(int fd, const struct address *address)
{
	bool ipv6 = address->family == AF_INET6;
	char text[ADDRESS_TEXT];
	int on = 1;
	if (setsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
		    ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)) < 0)
		log_message(LOG_LEVEL_DEBUG,
			"no TPROXY to %s (REDIRECT works): cannot make the socket "
			"transparent: %s",
			address_text(address, text), strerror(errno));
}

static int bind_to(const struct address *address, bool intercepts)
{
	struct sockaddr_storage ss;
	socklen_t size = address_to_sockaddr(address, &ss);
	int on = 1;
	int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* The sockets that accept4() makes inherit it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (address->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (intercepts)
		take_what_is_for_others(fd, address);
	if (bind(fd, (struct sockaddr *)&ss, size) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* What to do about it, where that is known. */
static const char *advice(int error)
{
	switch (error) {
	case EADDRINUSE: return " (another program listens there)";
	case EADDRNOTAVAIL: return " (this machine has no such address)";
	case EACCES: return " (a port below 1024 needs root or CAP_NET_BIND_SERVICE)";
	default: return "";
	}
}

static bool add(struct sockets *sockets, const struct section *section, int fd,
	const struct address *address, bool lasting, char reason[SOCKETS_REASON])
{
	char *service = strdup(section->name);
	if (!service || sockets->count == CONFIG_SOCKETS_MAX) {
		snprintf(reason, SOCKETS_REASON, "cannot listen: %s",
			service ? "too many sockets" : "out of memory");
		free(service);
		close(fd);
		return false;
	}
	sockets->list[sockets->count++] =
		(struct listening){ fd, service, lasting, *address };
	return true;
}

static bool take_passed(struct sockets *sockets, struct passed *passed,
	const struct section *section, char reason[SOCKETS_REASON])
{
	int on = 1;
	for (unsigned i = 0; i < passed->count; i++) {
		struct unit_socket *s = &passed->list[i];
		if (s->taken || strcmp(s->name, section->name) != 0)
			continue;
		s->taken = true;
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (!add(sockets, section, s->fd, &s->address, true, reason))
			return false;
	}
	return true;
}

static bool is_open(const struct sockets *sockets, const struct address *address)
{
	for (unsigned i = 0; i < sockets->count; i++)
		if (address_same_host(&sockets->list[i].address, address) &&
			sockets->list[i].address.port == address->port)
			return true;
	return false;
}

static bool open_section(struct sockets *sockets, struct passed *passed,
	const struct section *section, char reason[SOCKETS_REASON])
{
	char text[ADDRESS_TEXT];
	unsigned before = sockets->count;
	if (!take_passed(sockets, passed, section, reason))
		return false;
	for (unsigned i = 0; i < section->listen_count; i++) {
		const struct address *address = &section->listen[i];
		if (is_open(sockets, address))
			continue;
		int fd = bind_to(address, section->intercepts);
		if (fd < 0) {
			snprintf(reason, SOCKETS_REASON, "cannot listen on %s: %s%s",
				address_text(address, text), strerror(errno),
				advice(errno));
			return false;
		}
		if (!add(sockets, section, fd, address, false, reason))
			return false;
	}
	if (sockets->count > before)
		return true;
	snprintf(reason, SOCKETS_REASON,
		"cannot serve [%s%s%s]: it has no listen, and systemd has passed no "
		"socket with FileDescriptorName=%s",
		section->kind, strcmp(section->kind, section->name) == 0 ? "" : " ",
		strcmp(section->kind, section->name) == 0 ? "" : section->name,
		section->name);
	return false;
}

/* Whoever set it up expects it to be served. */
static void close_others(struct passed *passed)
{
	char text[ADDRESS_TEXT];
	for (unsigned i = 0; i < passed->count; i++) {
		if (passed->list[i].taken)
			continue;
		log_message(LOG_LEVEL_WARNING,
			"systemd has passed a socket on %s as %s, which is no section's "
			"name: nobody serves it",
			address_text(&passed->list[i].address, text),
			passed->list[i].name);
		close(passed->list[i].fd);
	}
}

static bool open_all(struct sockets *sockets, struct passed *passed,
	const struct config *config, char reason[SOCKETS_REASON])
{
	for (unsigned i = 0; i < config->inbound_count; i++) {
		const struct config_inbound *inbound = &config->inbound[i];
		const struct section section = { inbound->name, "inbound",
			inbound->listen, inbound->listen_count, false };
		if (!open_section(sockets, passed, &section, reason))
			return false;
	}
	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];
		const struct section section = { outbound->name, "outbound",
			outbound->listen, outbound->listen_count,
			outbound->route == ROUTE_INTERCEPT };
		if (!open_section(sockets, passed, &section, reason))
			return false;
	}
	return true;
}

bool sockets_open(
	struct sockets *sockets, const struct config *config, char reason[SOCKETS_REASON])
{
	struct passed passed;
	char odd[SOCKETS_REASON];
	sockets->count = 0;
	passed.count = unit_sockets(passed.list, odd, sizeof(odd));
	if (odd[0] != '\0')
		log_message(LOG_LEVEL_WARNING, "%s", odd);
	bool fine = open_all(sockets, &passed, config, reason);
	close_others(&passed);
	return fine;
}

bool sockets_look_after(const struct listening *listening)
{
	char text[ADDRESS_TEXT];
	int listens = 0;
	socklen_t size = sizeof(listens);
	getsockopt(listening->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
	if (listens)
		return true;
	bool again = listen(listening->fd, BACKLOG) == 0;
	log_message(LOG_LEVEL_ERROR,
		"the socket on %s listens no more, and it was not we who ended it: it is "
		"made to listen again%s%s",
		address_text(&listening->address, text),
		again ? "" : ", in vain: ", again ? "" : strerror(errno));
	return again;
}

void sockets_close(struct sockets *sockets)
{
	for (unsigned i = 0; i < sockets->count; i++) {
		close(sockets->list[i].fd);
		free(sockets->list[i].service);
	}
	sockets->count = 0;
}
