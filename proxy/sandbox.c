/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sandbox.h"

#include "sandbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* What an architecture does not have is no call that somebody could make. */
#define CALL(name) SCMP_SYS(name)

/* Memory, time, and what a C library does by itself. */
static const int everybody[] = {
	CALL(brk),
	CALL(munmap),
	CALL(mremap),
	CALL(madvise),
	CALL(membarrier),
	CALL(clock_gettime),
	CALL(clock_getres),
	CALL(gettimeofday),
	CALL(time),
	CALL(nanosleep),
	CALL(clock_nanosleep),
	CALL(getrandom),
	CALL(futex),
	CALL(restart_syscall),
	CALL(rt_sigaction),
	CALL(rt_sigprocmask),
	CALL(rt_sigreturn),
	CALL(sigaltstack),
	CALL(sched_yield),
	CALL(sched_getaffinity),
	CALL(getpid),
	CALL(gettid),
	CALL(getuid),
	CALL(geteuid),
	CALL(getgid),
	CALL(getegid),
	CALL(getrlimit),
	CALL(getrusage),
	CALL(sysinfo),
	CALL(uname),
	CALL(rseq),
	CALL(set_robust_list),
	CALL(exit),
	CALL(exit_group),
};

/* Descriptors that there are, and waiting for them. */
static const int descriptors[] = {
	CALL(read),
	CALL(readv),
	CALL(write),
	CALL(writev),
	CALL(pread64),
	CALL(lseek),
	CALL(close),
	CALL(fstat),
	CALL(fstat64),
	CALL(newfstatat), /* glibc's fstat(); with a path it still opens nothing */
	CALL(poll),
	CALL(ppoll),
	CALL(select),
	CALL(pselect6),
	CALL(epoll_create1),
	CALL(epoll_ctl),
	CALL(epoll_wait),
	CALL(epoll_pwait),
	CALL(epoll_pwait2),
	CALL(eventfd2),
	CALL(timerfd_create),
	CALL(timerfd_settime),
};

/* Sockets that there are; new ones are a matter of what they are of. */
static const int sockets[] = {
	CALL(connect),
	CALL(bind),
	CALL(accept),
	CALL(accept4),
	CALL(getsockname),
	CALL(getpeername),
	CALL(getsockopt),
	CALL(sendto),
	CALL(sendmsg),
	CALL(sendmmsg),
	CALL(recvfrom),
	CALL(recvmsg),
	CALL(recvmmsg),
};

/* Files by their names: Landlock says which. And what no other process has a part in. */
static const int files[] = {
	CALL(open),
	CALL(openat),
	CALL(openat2),
	CALL(stat),
	CALL(stat64),
	CALL(lstat),
	CALL(lstat64),
	CALL(statx),
	CALL(access),
	CALL(faccessat),
	CALL(faccessat2),
	CALL(readlink),
	CALL(readlinkat),
	CALL(getcwd),
	CALL(getdents64),
	CALL(mkdir),
	CALL(mkdirat),
	CALL(unlink),
	CALL(unlinkat),
	CALL(rename),
	CALL(renameat),
	CALL(renameat2),
	CALL(fsync),
	CALL(fdatasync),
	CALL(fchmod),
	CALL(statfs),
	CALL(fstatfs),
	CALL(utimensat),
	CALL(flock),
	CALL(ftruncate),
	CALL(memfd_create),
	CALL(pipe2),
	CALL(dup),
	CALL(dup3),
	CALL(setsockopt),
	CALL(shutdown),
};

/* What the supervisor, which starts processes, must never need. */
static const int forbidden[] = {
	CALL(ptrace),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
	CALL(process_madvise),
	CALL(pidfd_getfd),
	CALL(kcmp),
	CALL(mount),
	CALL(umount2),
	CALL(pivot_root),
	CALL(chroot),
	CALL(move_mount),
	CALL(open_tree),
	CALL(fsopen),
	CALL(fsmount),
	CALL(fspick),
	CALL(fsconfig),
	CALL(mount_setattr),
	CALL(unshare),
	CALL(setns),
	CALL(init_module),
	CALL(finit_module),
	CALL(delete_module),
	CALL(kexec_load),
	CALL(kexec_file_load),
	CALL(reboot),
	CALL(swapon),
	CALL(swapoff),
	CALL(acct),
	CALL(quotactl),
	CALL(bpf),
	CALL(perf_event_open),
	CALL(userfaultfd),
	CALL(io_uring_setup),
	CALL(io_uring_enter),
	CALL(io_uring_register),
	CALL(keyctl),
	CALL(add_key),
	CALL(request_key),
	CALL(personality),
	CALL(open_by_handle_at),
	CALL(name_to_handle_at),
	CALL(settimeofday),
	CALL(clock_settime),
	CALL(adjtimex),
	CALL(clock_adjtime),
	CALL(sethostname),
	CALL(setdomainname),
	CALL(syslog),
	CALL(iopl),
	CALL(ioperm),
	CALL(mknod),
	CALL(mknodat),
	CALL(modify_ldt),
	CALL(vhangup),
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* ---- calls that are a matter of what they are given ---- */

enum { GIVEN_MAX = 3 };

struct careful {
	int call;
	struct scmp_arg_cmp given[GIVEN_MAX]; /* unused ones are zero */
};

/* The kernel takes half a register for an int: so do these. */
#define BITS(number, mask, value)                                                        \
	{                                                                                \
		(number), SCMP_CMP_MASKED_EQ, (uint32_t)(mask), (value)                  \
	}
#define IS(number, value) BITS(number, UINT32_MAX, value)

#define WITHOUT_FLAGS (~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK))
#define SOCKET(family, type, protocol)                                                   \
	{                                                                                \
		CALL(socket),                                                            \
		{                                                                        \
			IS(0, family), BITS(1, WITHOUT_FLAGS, type), IS(2, protocol)     \
		}                                                                        \
	}

static const struct careful careful_all[] = {
	/* Memory that can be executed is what was loaded at the start, and stays so. */
	{ CALL(mmap), { BITS(2, PROT_EXEC, 0) } },
	{ CALL(mprotect), { BITS(2, PROT_EXEC, 0) } },
	/* Its own limits are read, and nobody's set. */
	{ CALL(prlimit64), { IS(0, 0), { 2, SCMP_CMP_EQ, 0, 0 } } },
	/* Who owns a descriptor is sent signals, of any kind: no F_SETOWN, no O_ASYNC. */
	{ CALL(fcntl), { IS(1, F_GETFD) } },
	{ CALL(fcntl), { IS(1, F_SETFD) } },
	{ CALL(fcntl), { IS(1, F_GETFL) } },
	/* AF_NETLINK: whether a connection would come back to this machine. */
	SOCKET(AF_INET, SOCK_STREAM, 0),
	SOCKET(AF_INET6, SOCK_STREAM, 0),
	SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
};

/*
 * A worker shares listening sockets with the others, and the log: it cannot have them
 * wait in accept(), nor take packets away, nor hang up for all. Connecting with
 * AF_UNSPEC still ends a listening socket: no filter sees that, but the supervisor does.
 */
static const struct careful careful_worker[] = {
	{ CALL(fcntl), { IS(1, F_SETFL), BITS(2, O_NONBLOCK | O_ASYNC, O_NONBLOCK) } },
	{ CALL(setsockopt), { IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY) } },
	{ CALL(setsockopt), { IS(1, IPPROTO_IP), IS(2, IP_TRANSPARENT) } },
	{ CALL(setsockopt), { IS(1, IPPROTO_IPV6), IS(2, IPV6_TRANSPARENT) } },
	{ CALL(setsockopt), { IS(1, IPPROTO_IP), IS(2, IP_BIND_ADDRESS_NO_PORT) } },
};

/* A stream cannot be connected to a path: a datagram socket, also one of a pair, can. */
static const struct careful careful_syslog[] = {
	SOCKET(AF_UNIX, SOCK_DGRAM, 0),
};

static const struct careful careful_policy[] = {
	{ CALL(fcntl), { IS(1, F_SETFL), BITS(2, O_ASYNC, 0) } },
	{ CALL(fcntl), { IS(1, F_DUPFD_CLOEXEC) } },
	{ CALL(fcntl), { IS(1, F_GET_SEALS) } },
	{ CALL(fcntl), { IS(1, F_ADD_SEALS) } },
	{ CALL(ioctl), { IS(1, FIONREAD) } },
	{ CALL(ioctl), { IS(1, FIONBIO) } },
	{ CALL(socketpair), { IS(0, AF_UNIX), BITS(1, WITHOUT_FLAGS, SOCK_STREAM) } },
	SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
};

/* ---- filters ---- */

static int add_all(
	scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int error = 0;
	for (size_t i = 0; i < count && error == 0; i++)
		error = seccomp_rule_add(filter, action, calls[i], 0);
	return error;
}

static int add_careful(scmp_filter_ctx filter, const struct careful *calls, size_t count)
{
	int error = 0;
	for (size_t i = 0; i < count && error == 0; i++) {
		unsigned given = 0;
		while (given < GIVEN_MAX && calls[i].given[given].op != 0)
			given++;
		error = seccomp_rule_add_array(
			filter, SCMP_ACT_ALLOW, calls[i].call, given, calls[i].given);
	}
	return error;
}

/* abort() and raise(): to nobody but itself. */
static int add_tgkill(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp itself = IS(0, (unsigned)getpid());
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(tgkill), 1, itself);
}

/*
 * With any descriptor but those that it began with: a bit beyond the lowest two is set.
 * The log is among them, and a copy of it would be another number.
 */
static int add_beyond(scmp_filter_ctx filter, int call, int what)
{
	int error = 0;
	for (unsigned bit = 2; bit < 31 && error == 0; bit++) {
		const struct careful careful = { call,
			{ BITS(0, 1U << bit, 1U << bit), IS(1, (unsigned)what) } };
		error = add_careful(filter, &careful, 1);
	}
	return error;
}

static int add_common(scmp_filter_ctx filter)
{
	int error = add_all(filter, SCMP_ACT_ALLOW, everybody, COUNT(everybody));
	if (error == 0)
		error = add_all(filter, SCMP_ACT_ALLOW, descriptors, COUNT(descriptors));
	if (error == 0)
		error = add_all(filter, SCMP_ACT_ALLOW, sockets, COUNT(sockets));
	if (error == 0)
		error = add_careful(filter, careful_all, COUNT(careful_all));
	return error == 0 ? add_tgkill(filter) : error;
}

static int add_worker(scmp_filter_ctx filter, bool syslog)
{
	int error = add_common(filter);
	if (error == 0)
		error = add_careful(filter, careful_worker, COUNT(careful_worker));
	if (error == 0 && syslog)
		error = add_careful(filter, careful_syslog, COUNT(careful_syslog));
	if (error == 0)
		error = add_beyond(filter, CALL(fcntl), F_DUPFD_CLOEXEC);
	return error == 0 ? add_beyond(filter, CALL(shutdown), SHUT_WR) : error;
}

static int add_policy(scmp_filter_ctx filter)
{
	int error = add_common(filter);
	if (error == 0)
		error = add_careful(filter, careful_policy, COUNT(careful_policy));
	return error == 0 ? add_all(filter, SCMP_ACT_ALLOW, files, COUNT(files)) : error;
}

static bool finish(scmp_filter_ctx filter, int error, char *reason, size_t size)
{
	if (!filter)
		error = -ENOMEM;
	if (error == 0 && SANDBOX_FILTERS)
		error = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	if (error != 0)
		snprintf(reason, size, "cannot give up system calls (seccomp): %s",
			strerror(-error));
	return error == 0;
}

bool sandbox_supervisor(char *reason, size_t size)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int error = filter ? add_all(filter, SCMP_ACT_ERRNO(EPERM), forbidden,
				     COUNT(forbidden))
			   : 0;
	return finish(filter, error, reason, size);
}

bool sandbox_worker(bool syslog, char *reason, size_t size)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	return finish(filter, filter ? add_worker(filter, syslog) : 0, reason, size);
}

bool sandbox_policy(
	const struct sandbox_paths *paths, bool *confined, char *reason, size_t size)
{
	if (!sandbox_confine(paths, confined, reason, size))
		return false;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	return finish(filter, filter ? add_policy(filter) : 0, reason, size);
}
