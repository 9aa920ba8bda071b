/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What the kernel knows of an intercepted connection. Whether an address is this
 * machine's is asked of its routes: bind() to it would not tell where
 * net.ipv4.ip_nonlocal_bind is set, as it is on machines that share an address.
 */

#include "origin.h"

#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

enum {
	SMTP = 25,
	ORIGINAL_DESTINATION = 80, /* SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST */
};

/* ---- is it this machine's? ---- */

static bool ask_route(int fd, const struct address *address, unsigned char *type)
{
	unsigned size = address->family == AF_INET ? 4 : 16;
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		struct rtattr attribute;
		uint8_t octets[16];
	} question = {
		.header.nlmsg_type = RTM_GETROUTE,
		.header.nlmsg_flags = NLM_F_REQUEST,
		.route.rtm_family = (unsigned char)address->family,
		.route.rtm_dst_len = (unsigned char)(8 * size),
		.attribute.rta_type = RTA_DST,
		.attribute.rta_len = (unsigned short)RTA_LENGTH(size),
	};
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
	} answer; /* what it says beyond that is not wanted */

	question.header.nlmsg_len =
		(uint32_t)(sizeof(question) - sizeof(question.octets) + size);
	memcpy(question.octets, address->octets, size);
	if (send(fd, &question, question.header.nlmsg_len, 0) < 0 ||
		recv(fd, &answer, sizeof(answer), MSG_DONTWAIT) != sizeof(answer))
		return false;
	/* An error: there is no way there, so it is not here either. */
	*type = answer.header.nlmsg_type == RTM_NEWROUTE ? answer.route.rtm_type
							 : RTN_UNREACHABLE;
	return true;
}

/* What cannot be found out counts as ours: then nothing is sent there. */
static bool is_ours(const struct address *address)
{
	unsigned char type;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return true;
	bool known = ask_route(fd, address, &type);
	close(fd);
	return !known || type == RTN_LOCAL || type == RTN_ANYCAST;
}

/* ---- where it was going ---- */

static bool own_name(int fd, struct address *name)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	return getsockname(fd, (struct sockaddr *)&ss, &size) == 0 &&
	       address_from_sockaddr(name, (struct sockaddr *)&ss);
}

/* False where conntrack is not there, or has not seen the connection. */
static bool before_nat(int fd, sa_family_t family, struct address *destination)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	bool v4 = family == AF_INET;

	return getsockopt(fd, v4 ? SOL_IP : SOL_IPV6, ORIGINAL_DESTINATION, &ss, &size) ==
		       0 &&
	       address_from_sockaddr(destination, (struct sockaddr *)&ss);
}

enum origin_verdict origin_find(int fd, struct address *destination)
{
	struct address name;

	*destination = (struct address){ .family = AF_UNSPEC };
	if (!own_name(fd, &name))
		return ORIGIN_UNKNOWN;
	if (before_nat(fd, name.family, destination) &&
		!(address_same_host(destination, &name) &&
			destination->port == name.port))
		return ORIGIN_FINE;
	*destination = name;
	/* A name that is not ours is TPROXY's doing. */
	return is_ours(&name) ? ORIGIN_UNKNOWN : ORIGIN_FINE;
}

enum origin_verdict origin_check(const struct address *destination, bool allow_private)
{
	if (destination->port != SMTP)
		return ORIGIN_NOT_SMTP;
	if (is_ours(destination))
		return ORIGIN_OURSELVES;
	if (!allow_private && origin_is_private(destination))
		return ORIGIN_PRIVATE;
	return ORIGIN_FINE;
}
