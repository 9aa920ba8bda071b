/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "hosts.h"

#include "unit.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { NAME = 300 }; /* octets of "host NAME" and its NUL */

static const char *entry_name(const struct config_endpoint *endpoint, char name[NAME])
{
	snprintf(name, NAME, "host %s", endpoint->host);
	return name;
}

bool hosts_find(const struct bundle *bundle, struct config_endpoint *endpoint)
{
	in_port_t port = endpoint->address.port;
	struct bundle_octets found;
	char name[NAME];

	if (!endpoint->host)
		return true;
	return bundle_find(bundle, entry_name(endpoint, name), &found) &&
	       address_parse(&endpoint->address, (const char *)found.at, port);
}

/*
 * NULL with a constant reason. To be freed. Silence takes its time for each name, and
 * systemd must not end all sessions for that.
 */
static struct addrinfo *ask(const struct config_endpoint *endpoint, const char **why)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int error = getaddrinfo(endpoint->host, NULL, &hints, &found);

	unit_alive();
	if (error != 0)
		*why = error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
	return found;
}

/* The resolver's first address counts: they are sorted as this machine wants them. */
static bool take_first(struct config_endpoint *endpoint, const char **why)
{
	struct addrinfo *found = ask(endpoint, why);
	in_port_t port = endpoint->address.port;

	if (!found)
		return false;
	bool usable = address_from_sockaddr(&endpoint->address, found->ai_addr);

	freeaddrinfo(found);
	endpoint->address.port = port;
	*why = "neither an IPv4 nor an IPv6 address";
	return usable;
}

bool hosts_look_up(
	struct bundle *bundle, struct config_endpoint *endpoint, const char **why)
{
	char name[NAME], text[ADDRESS_TEXT];

	if (!endpoint->host)
		return true;
	if (!take_first(endpoint, why))
		return hosts_find(bundle, endpoint);
	address_host(&endpoint->address, text);
	*why = "out of memory";
	return bundle_put(bundle, entry_name(endpoint, name), text, strlen(text));
}

static bool has_moved(const struct config_endpoint *endpoint)
{
	const char *why;
	struct addrinfo *found = endpoint->host ? ask(endpoint, &why) : NULL;
	bool moved = found;

	for (const struct addrinfo *one = found; one; one = one->ai_next) {
		struct address address;
		if (address_from_sockaddr(&address, one->ai_addr) &&
			address_same_host(&address, &endpoint->address))
			moved = false;
	}
	if (found)
		freeaddrinfo(found);
	return moved;
}

bool hosts_moved(const struct config *config)
{
	for (unsigned i = 0; i < config->inbound_count; i++) {
		const struct config_inbound *inbound = &config->inbound[i];

		for (unsigned n = 0; n < inbound->backend_count; n++)
			if (has_moved(&inbound->backend[n]))
				return true;
	}
	return false;
}
