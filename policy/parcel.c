/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "parcel.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one descriptor; by its alignment perhaps for two. */
struct control {
	alignas(struct cmsghdr) char octets[CMSG_SPACE(sizeof(int))];
};

bool parcel_send(int to, const void *octets, size_t length, int fd)
{
	struct control control = { .octets = "" };
	struct iovec vector = { .iov_base = (void *)octets, .iov_len = length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	ssize_t sent;
	if (fd >= 0) {
		message.msg_control = control.octets;
		message.msg_controllen = sizeof(control.octets);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	do
		sent = sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent >= 0;
}

/* Into *fd; but it is false, and all of them are closed, where there are several. */
static bool take_descriptors(struct msghdr *message, int *fd)
{
	unsigned count = 0;
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	for (; header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t octets = header->cmsg_len - CMSG_LEN(0);
		for (size_t at = 0; at + sizeof(*fd) <= octets; at += sizeof(*fd)) {
			if (count++ > 0)
				close(*fd);
			memcpy(fd, CMSG_DATA(header) + at, sizeof(*fd));
		}
	}
	if (count <= 1)
		return true;
	close(*fd);
	*fd = -1;
	return false;
}

static ssize_t receive(int from, struct msghdr *message)
{
	ssize_t length;
	do
		length = recvmsg(from, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (length < 0 && errno == EINTR);
	return length;
}

enum parcel_status parcel_receive(
	int from, void *octets, size_t size, size_t *length, int *fd)
{
	struct control control;
	struct iovec vector = { .iov_base = octets, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.octets,
		.msg_controllen = sizeof(control.octets),
	};
	*length = 0;
	*fd = -1;
	ssize_t came = receive(from, &message);
	if (came < 0)
		return errno == EAGAIN ? PARCEL_NONE : PARCEL_HUNG_UP;
	bool fine = take_descriptors(&message, fd) &&
		    (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
	/* An empty packet is none that we would send, and cannot be told from the end. */
	if (fine && came > 0) {
		*length = (size_t)came;
		return PARCEL_TAKEN;
	}
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return fine ? PARCEL_HUNG_UP : PARCEL_NONSENSE;
}
