/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Each trial runs in a process of its own: what it gives up does not come back. */

#include "privileges.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what somebody might try; 0, or errno ---- */

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

static int socket_of(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int socket_ipv4(void)
{
	return socket_of(AF_INET);
}

static int socket_unix(void)
{
	return socket_of(AF_UNIX);
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
	return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0 ? 0 : errno;
}

static int kill_parent(void)
{
	return kill(getppid(), 0) == 0 ? 0 : errno;
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
	assert_int_equal(tried(WORKER, socket_ipv4), 0);
	assert_int_equal(tried(WORKER, map_shared), 0);
	assert_int_equal(tried(WORKER, socket_unix), EPERM);
	assert_int_equal(tried(WORKER_SYSLOG, socket_unix), 0);
	assert_int_equal(tried(WORKER, trace_parent), EPERM);
	assert_int_equal(tried(WORKER, kill_parent), EPERM);
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
	assert_int_equal(tried(POLICY, socket_ipv4), 0);
	assert_int_equal(tried(POLICY, socket_unix), EPERM);
	assert_int_equal(tried(POLICY, execute), EPERM);
	assert_int_equal(tried(POLICY, start_process), EPERM);
	assert_int_equal(tried(POLICY, map_executable), EPERM);
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
	return 0;
}

int main(void)
{
#ifdef WITH_SANITIZER
	printf("1..0 # SKIP a sanitizer's runtime asks for more than the filters "
	       "allow\n");
	return 77;
#else
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_opens_no_path),
		cmocka_unit_test(a_worker_starts_nothing),
		cmocka_unit_test(a_worker_talks_to_the_internet),
		cmocka_unit_test(the_policy_process_sees_its_paths),
		cmocka_unit_test(the_policy_process_starts_nothing),
		cmocka_unit_test(the_supervisor_minds_its_own_business),
	};
	return cmocka_run_group_tests(tests, begin, end);
#endif
}
