/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sandbox.h"

#include "sandbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

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
	CALL(tgkill),
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
	CALL(dup),
	CALL(dup3),
	CALL(fcntl),
	CALL(fcntl64),
	CALL(fstat),
	CALL(fstat64),
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
	CALL(pipe2),
	CALL(memfd_create),
	CALL(ftruncate),
};

/* Sockets that there are; new ones are a matter of their family. */
static const int sockets[] = {
	CALL(connect),
	CALL(bind),
	CALL(accept),
	CALL(accept4),
	CALL(getsockname),
	CALL(getpeername),
	CALL(getsockopt),
	CALL(setsockopt),
	CALL(sendto),
	CALL(sendmsg),
	CALL(sendmmsg),
	CALL(recvfrom),
	CALL(recvmsg),
	CALL(recvmmsg),
	CALL(shutdown),
	CALL(socketpair),
};

/* Files by their names: Landlock says which. */
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
	CALL(ioctl),
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

/* ---- filters ---- */

static int add_all(
	scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int error = 0;
	for (size_t i = 0; i < count && error == 0; i++)
		error = seccomp_rule_add(filter, action, calls[i], 0);
	return error;
}

/* Memory that can be executed is what was loaded at the start, and stays so. */
static int add_memory(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp data = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mmap), 1, data);
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mprotect), 1, data);
	return error;
}

static int add_families(scmp_filter_ctx filter, const int *families, size_t count)
{
	int error = 0;
	for (size_t i = 0; i < count && error == 0; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
	return error;
}

/* glibc's fstat(). With a path it tells what a file is like, and opens none. */
static int add_fstat(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(newfstatat), 0);
}

/* Its own limits are read, and nobody's set. */
static int add_prlimit(scmp_filter_ctx filter)
{
	return seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, CALL(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0, 0));
}

static int add_common(scmp_filter_ctx filter)
{
	int error = add_all(filter, SCMP_ACT_ALLOW, everybody, COUNT(everybody));
	if (error == 0)
		error = add_all(filter, SCMP_ACT_ALLOW, descriptors, COUNT(descriptors));
	if (error == 0)
		error = add_all(filter, SCMP_ACT_ALLOW, sockets, COUNT(sockets));
	if (error == 0)
		error = add_memory(filter);
	if (error == 0)
		error = add_fstat(filter);
	return error == 0 ? add_prlimit(filter) : error;
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
	/* AF_NETLINK: whether an intercepted connection would come back to this machine
	 */
	static const int families[] = { AF_INET, AF_INET6, AF_NETLINK, AF_UNIX };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error = filter ? add_common(filter) : 0;
	if (filter && error == 0)
		error = add_families(filter, families, COUNT(families) - !syslog);
	return finish(filter, error, reason, size);
}

bool sandbox_policy(
	const struct sandbox_paths *paths, bool *confined, char *reason, size_t size)
{
	static const int families[] = { AF_INET, AF_INET6, AF_NETLINK };
	if (!sandbox_confine(paths, confined, reason, size))
		return false;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error = filter ? add_common(filter) : 0;
	if (filter && error == 0)
		error = add_families(filter, families, COUNT(families));
	if (filter && error == 0)
		error = add_all(filter, SCMP_ACT_ALLOW, files, COUNT(files));
	return finish(filter, error, reason, size);
}
