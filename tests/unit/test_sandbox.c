/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Each trial runs in a process of its own: what it gives up does not come back. */

#include "privileges.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what somebody might try; 0, or errno ---- */

static pid_t parent;	   /* of all trials */
static const char *folder; /* of the trial: read/file, write/, other/file */

static int opened(const char *name, int flags)
{
	char path[256];
	snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : folder,
		name[0] == '/' ? "" : "/", name);
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int open_passwd(void)
{
	return opened("/etc/passwd", O_RDONLY);
}

static int open_readable(void)
{
	return opened("read/file", O_RDONLY);
}

static int open_other(void)
{
	return opened("other/file", O_RDONLY);
}

static int change_readable(void)
{
	return opened("read/file", O_WRONLY);
}

static int make_writable(void)
{
	return opened("write/new", O_WRONLY | O_CREAT | O_TRUNC);
}

static int make_readable(void)
{
	return opened("read/new", O_WRONLY | O_CREAT);
}

static int rename_writable(void)
{
	char from[256], to[256];
	snprintf(from, sizeof(from), "%s/write/file", folder);
	snprintf(to, sizeof(to), "%s/write/renamed", folder);
	return rename(from, to) == 0 ? 0 : errno;
}

static int execute(void)
{
	char *const arguments[] = { "true", NULL };
	execv("/bin/true", arguments);
	return errno;
}

static int start_process(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	return child > 0 ? 0 : errno;
}

static int socket_of(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int socket_tcp(void)
{
	return socket_of(AF_INET, SOCK_STREAM, 0);
}

static int socket_udp(void)
{
	return socket_of(AF_INET6, SOCK_DGRAM, 0);
}

/* Without a filter: EPROTONOSUPPORT or ESOCKTNOSUPPORT. */
static int socket_odd(void)
{
	return socket_of(AF_INET, SOCK_STREAM, IPPROTO_UDP) == EPERM &&
			       socket_of(AF_INET6, SOCK_RDM, 0) == EPERM
		       ? EPERM
		       : 0;
}

static int socket_routes(void)
{
	return socket_of(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}

static int socket_diagnosis(void)
{
	return socket_of(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
}

static int socket_unix(void)
{
	return socket_of(AF_UNIX, SOCK_STREAM, 0);
}

static int socket_unix_datagrams(void)
{
	return socket_of(AF_UNIX, SOCK_DGRAM, 0);
}

static int pair_of(int type)
{
	int pair[2];
	return socketpair(AF_UNIX, type, 0, pair) == 0 ? 0 : errno;
}

static int pair_of_streams(void)
{
	return pair_of(SOCK_STREAM | SOCK_NONBLOCK);
}

/* Each of its ends can be connected to any path of anybody. */
static int pair_of_datagrams(void)
{
	return pair_of(SOCK_DGRAM);
}

/* ---- what somebody might do to sockets that others have, too ---- */

/* Beyond what a process begins with. */
static int listening(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int above = fd >= 0 && listen(fd, 1) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 10) : -1;
	close(fd);
	return above;
}

static int shared; /* made before anything is given up */

static int end_listening(void)
{
	return shutdown(shared, SHUT_RDWR) == 0 ? 0 : errno;
}

/* What ends a connection leaves a listening socket as it is. */
static int end_sending(void)
{
	return shutdown(shared, SHUT_WR) == 0 ? 0 : errno;
}

static int end_log(void)
{
	return shutdown(STDERR_FILENO, SHUT_WR) == 0 ? 0 : errno;
}

static int end_copy_of_log(void)
{
	int copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	if (copy < 0)
		copy = dup(STDERR_FILENO);
	return copy >= 0 ? 0 : errno;
}

static int copy_socket(void)
{
	return fcntl(shared, F_DUPFD_CLOEXEC, 0) >= 0 ? 0 : errno;
}

static int let_others_wait(void)
{
	return fcntl(shared, F_SETFL, O_RDWR) == 0 ? 0 : errno;
}

static int set_option(int level, int option)
{
	int on = 1;
	return setsockopt(shared, level, option, &on, sizeof(on)) == 0 ? 0 : errno;
}

static int send_at_once(void)
{
	return set_option(IPPROTO_TCP, TCP_NODELAY);
}

static int drop_all_packets(void)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = { 1, &nothing };
	return setsockopt(shared, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)) == 0
		       ? 0
		       : errno;
}

static int map_executable(void)
{
	void *at = mmap(
		NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? errno : 0;
}

static int map_shared(void)
{
	int fd = memfd_create("trial", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 4096) != 0)
		return errno;
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? errno : 0;
}

static int trace_parent(void)
{
	return ptrace(PTRACE_SEIZE, parent, NULL, NULL) == 0 ? 0 : errno;
}

static int kill_parent(void)
{
	return kill(parent, 0) == 0 ? 0 : errno;
}

static int kill_parents_thread(void)
{
	return syscall(SYS_tgkill, parent, parent, 0) == 0 ? 0 : errno;
}

static int raise_signal(void)
{
	signal(SIGUSR1, SIG_IGN);
	return raise(SIGUSR1) == 0 ? 0 : errno;
}

/* The kernel sends a signal, any, to whom a descriptor belongs. */
static int give_descriptor(void)
{
	return fcntl(shared, F_SETOWN, parent) == 0 ? 0 : errno;
}

static int choose_signal(void)
{
	return fcntl(shared, F_SETSIG, SIGKILL) == 0 ? 0 : errno;
}

static int wait_by_signals(void)
{
	return fcntl(shared, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC) == 0 ? 0 : errno;
}

static int give_descriptor_by_ioctl(void)
{
	return ioctl(shared, FIOSETOWN, &parent) == 0 ? 0 : errno;
}

/* ENOTTY without a filter: there is no terminal. */
static int type_at_terminal(void)
{
	return ioctl(shared, TIOCSTI, "x") == 0 ? 0 : errno;
}

static int count_waiting(void)
{
	int waiting, pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return errno;
	return ioctl(pair[0], FIONREAD, &waiting) == 0 ? 0 : errno;
}

static int ask_parents_limits(void)
{
	struct rlimit limit;
	return prlimit(parent, RLIMIT_NOFILE, NULL, &limit) == 0 ? 0 : errno;
}

static int leave_namespace(void)
{
	return unshare(CLONE_NEWNET) == 0 ? 0 : errno;
}

/* ---- trials ---- */

enum role { SUPERVISOR, WORKER, WORKER_SYSLOG, POLICY };

static bool confine(enum role role)
{
	char reason[256], read[256], write[256];
	snprintf(read, sizeof(read), "%s/read", folder);
	snprintf(write, sizeof(write), "%s/write", folder);
	const char *const reads[] = { read, "/no/such/path", "", NULL };
	const char *const writes[] = { write, NULL };
	const struct sandbox_paths paths = { reads, writes };
	bool confined;
	if (!privileges_none(reason, sizeof(reason)))
		return false;
	switch (role) {
	case SUPERVISOR: return sandbox_supervisor(reason, sizeof(reason));
	case WORKER: return sandbox_worker(false, reason, sizeof(reason));
	case WORKER_SYSLOG: return sandbox_worker(true, reason, sizeof(reason));
	default:
		return sandbox_policy(&paths, &confined, reason, sizeof(reason)) &&
		       confined;
	}
}

static int tried(enum role role, int (*act)(void))
{
	pid_t child = fork();
	int status;
	if (child == 0)
		_exit(confine(role) ? act() : 255);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_worker_opens_no_path(void **state)
{
	(void)state;
	assert_int_equal(tried(WORKER, open_passwd), EPERM);
	assert_int_equal(tried(WORKER, make_writable), EPERM);
}

static void a_worker_starts_nothing(void **state)
{
	(void)state;
	assert_int_equal(tried(WORKER, execute), EPERM);
	assert_int_equal(tried(WORKER, start_process), EPERM);
	assert_int_equal(tried(WORKER, map_executable), EPERM);
}

static void a_worker_talks_to_the_internet(void **state)
{
	(void)state;
	assert_int_equal(tried(WORKER, socket_tcp), 0);
	assert_int_equal(tried(WORKER, socket_udp), EPERM);
	assert_int_equal(tried(WORKER, socket_odd), EPERM);
	assert_int_equal(tried(WORKER, socket_routes), 0);
	assert_int_equal(tried(WORKER, socket_diagnosis), EPERM);
	assert_int_equal(tried(WORKER, map_shared), EPERM);
}

static void a_worker_talks_to_nobody_here(void **state)
{
	(void)state;
	assert_int_equal(tried(WORKER, socket_unix_datagrams), EPERM);
	assert_int_equal(tried(WORKER_SYSLOG, socket_unix_datagrams), 0);
	assert_int_equal(tried(WORKER_SYSLOG, socket_unix), EPERM);
	assert_int_equal(tried(WORKER, pair_of_datagrams), EPERM);
	assert_int_equal(tried(WORKER, pair_of_streams), EPERM);
}

static void a_worker_ends_no_other_process(void **state)
{
	(void)state;
	assert_int_equal(tried(WORKER, trace_parent), EPERM);
	assert_int_equal(tried(WORKER, kill_parent), EPERM);
	assert_int_equal(tried(WORKER, kill_parents_thread), EPERM);
	assert_int_equal(tried(WORKER, raise_signal), 0);
	assert_int_equal(tried(WORKER, give_descriptor), EPERM);
	assert_int_equal(tried(WORKER, choose_signal), EPERM);
	assert_int_equal(tried(WORKER, wait_by_signals), EPERM);
	assert_int_equal(tried(WORKER, ask_parents_limits), EPERM);
}

static void a_worker_leaves_what_it_shares_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(tried(WORKER, end_listening), EPERM);
	assert_int_equal(tried(WORKER, end_sending), 0);
	assert_int_equal(tried(WORKER, end_log), EPERM);
	assert_int_equal(tried(WORKER, end_copy_of_log), EPERM);
	assert_int_equal(tried(WORKER, copy_socket), 0);
	assert_int_equal(tried(WORKER, let_others_wait), EPERM);
	assert_int_equal(tried(WORKER, drop_all_packets), EPERM);
	assert_int_equal(tried(WORKER, send_at_once), 0);
}

static void the_policy_process_sees_its_paths(void **state)
{
	(void)state;
	assert_int_equal(tried(POLICY, open_readable), 0);
	assert_int_equal(tried(POLICY, make_writable), 0);
	assert_int_equal(tried(POLICY, rename_writable), 0);
	assert_int_equal(tried(POLICY, open_other), EACCES);
	assert_int_equal(tried(POLICY, open_passwd), EACCES);
	assert_int_equal(tried(POLICY, change_readable), EACCES);
	assert_int_equal(tried(POLICY, make_readable), EACCES);
}

static void the_policy_process_starts_nothing(void **state)
{
	(void)state;
	assert_int_equal(tried(POLICY, socket_unix), EPERM);
	assert_int_equal(tried(POLICY, execute), EPERM);
	assert_int_equal(tried(POLICY, start_process), EPERM);
	assert_int_equal(tried(POLICY, map_executable), EPERM);
}

static void the_policy_process_asks_the_network_alone(void **state)
{
	(void)state;
	assert_int_equal(tried(POLICY, socket_tcp), 0);
	assert_int_equal(tried(POLICY, socket_udp), 0);
	assert_int_equal(tried(POLICY, socket_odd), EPERM);
	assert_int_equal(tried(POLICY, socket_routes), 0);
	assert_int_equal(tried(POLICY, socket_diagnosis), EPERM);
	assert_int_equal(tried(POLICY, pair_of_streams), 0);
	assert_int_equal(tried(POLICY, pair_of_datagrams), EPERM);
	assert_int_equal(tried(POLICY, map_shared), 0);
	assert_int_equal(tried(POLICY, count_waiting), 0);
	assert_int_equal(tried(POLICY, type_at_terminal), EPERM);
}

static void the_policy_process_ends_no_other(void **state)
{
	(void)state;
	assert_int_equal(tried(POLICY, kill_parent), EPERM);
	assert_int_equal(tried(POLICY, kill_parents_thread), EPERM);
	assert_int_equal(tried(POLICY, raise_signal), 0);
	assert_int_equal(tried(POLICY, give_descriptor), EPERM);
	assert_int_equal(tried(POLICY, give_descriptor_by_ioctl), EPERM);
	assert_int_equal(tried(POLICY, choose_signal), EPERM);
	assert_int_equal(tried(POLICY, wait_by_signals), EPERM);
	assert_int_equal(tried(POLICY, let_others_wait), 0);
}

static void the_supervisor_minds_its_own_business(void **state)
{
	(void)state;
	assert_int_equal(tried(SUPERVISOR, open_passwd), 0);
	assert_int_equal(tried(SUPERVISOR, start_process), 0);
	assert_int_equal(tried(SUPERVISOR, execute), 0);
	assert_int_equal(tried(SUPERVISOR, trace_parent), EPERM);
	assert_int_equal(tried(SUPERVISOR, leave_namespace), EPERM);
}

/* ---- the folder ---- */

static void put(const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *to = fopen(path, "w");
	assert_non_null(to);
	assert_int_equal(fclose(to), 0);
}

static void make(const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int begin(void **state)
{
	static char name[] = "sandbox-XXXXXX";
	static char path[4096];
	(void)state;
	folder = mkdtemp(name) ? realpath(name, path) : NULL;
	assert_non_null(folder);
	make("read");
	make("write");
	make("other");
	put("read/file");
	put("write/file");
	put("other/file");
	parent = getpid();
	shared = listening();
	assert_true(shared > 3);
	return 0;
}

static int end(void **state)
{
	static const char *const names[] = { "read/file", "write/file", "write/new",
		"write/renamed", "other/file", "read/new" };
	static const char *const folders[] = { "read", "write", "other", "." };
	char path[256];
	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	for (unsigned i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, folders[i]);
		rmdir(path);
	}
	rmdir(folder);
	close(shared);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_opens_no_path),
		cmocka_unit_test(a_worker_starts_nothing),
		cmocka_unit_test(a_worker_talks_to_the_internet),
		cmocka_unit_test(a_worker_talks_to_nobody_here),
		cmocka_unit_test(a_worker_ends_no_other_process),
		cmocka_unit_test(a_worker_leaves_what_it_shares_as_it_is),
		cmocka_unit_test(the_policy_process_sees_its_paths),
		cmocka_unit_test(the_policy_process_starts_nothing),
		cmocka_unit_test(the_policy_process_asks_the_network_alone),
		cmocka_unit_test(the_policy_process_ends_no_other),
		cmocka_unit_test(the_supervisor_minds_its_own_business),
	};
#ifdef WITH_SANITIZER
	printf("1..0 # SKIP a sanitizer's runtime asks for more than the filters "
	       "allow\n");
	return 0;
#endif
	return cmocka_run_group_tests(tests, begin, end);
}
