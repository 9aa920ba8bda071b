/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What is kept of MTA-STS, in memory and on disk. Files are written with every step
 * failing once, and with the process killed before and after every step.
 */

#include "sts_cache.h"
#include "sts_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW = 1767225600, KILLED = 77, STEPS_MOST = 20 };

/* ---- steps that fail (see -Wl,--wrap in Makefile.am) ---- */

enum fault {
	FAULT_NONE,
	FAULT_FAILS,
	FAULT_HALF,
	FAULT_KILLED_BEFORE,
	FAULT_KILLED_AFTER
};

static struct {
	enum fault fault;
	unsigned at, step; /* which step, and which one comes next */
} armed;

static bool is_hit(void)
{
	bool hit = armed.fault != FAULT_NONE && armed.step++ == armed.at;
	if (hit && armed.fault == FAULT_KILLED_BEFORE)
		_exit(KILLED);
	return hit;
}

/* What a step that went well, or did not, returns. */
static long outcome(bool hit, long result)
{
	if (hit && armed.fault == FAULT_KILLED_AFTER)
		_exit(KILLED);
	return result;
}

static bool fails(bool hit)
{
	if (!hit || armed.fault != FAULT_FAILS)
		return false;
	errno = ENOSPC;
	return true;
}

int __real_openat(int at, const char *path, int flags, mode_t mode);
int __wrap_openat(int at, const char *path, int flags, mode_t mode);
ssize_t __real_write(int fd, const void *octets, size_t length);
ssize_t __wrap_write(int fd, const void *octets, size_t length);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_renameat(int at, const char *from, int to_at, const char *to);
int __wrap_renameat(int at, const char *from, int to_at, const char *to);

int __wrap_openat(int at, const char *path, int flags, mode_t mode)
{
	bool hit = is_hit();
	return fails(hit) ? -1 : (int)outcome(hit, __real_openat(at, path, flags, mode));
}

ssize_t __wrap_write(int fd, const void *octets, size_t length)
{
	bool hit = is_hit();
	if (hit && armed.fault == FAULT_HALF)
		length /= 2;
	return fails(hit) ? -1 : outcome(hit, __real_write(fd, octets, length));
}

int __wrap_fsync(int fd)
{
	bool hit = is_hit();
	return fails(hit) ? -1 : (int)outcome(hit, __real_fsync(fd));
}

int __wrap_close(int fd)
{
	bool hit = is_hit();
	int result = (int)outcome(hit, __real_close(fd));
	return fails(hit) ? -1 : result;
}

int __wrap_renameat(int at, const char *from, int to_at, const char *to)
{
	bool hit = is_hit();
	return fails(hit) ? -1 : (int)outcome(hit, __real_renameat(at, from, to_at, to));
}

/* ---- a cache in a folder of its own ---- */

struct world {
	char folder[64];
	struct sts_cache *cache;
	unsigned warnings;
	char warning[512];
};

static void on_warning(const char *text, void *context)
{
	struct world *w = context;
	w->warnings++;
	/* It may be told to a terminal. */
	for (const char *c = text; *c != '\0'; c++)
		assert_in_range(*c, ' ', '~');
	snprintf(w->warning, sizeof(w->warning), "%s", text);
}

static void reopen(struct world *w, int64_t now)
{
	sts_cache_free(w->cache);
	w->cache = sts_cache_new(w->folder, true, now, on_warning, w);
	assert_non_null(w->cache);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	strcpy(w->folder, "/tmp/test-sts.XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	reopen(w, NOW);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char command[128];
	armed.fault = FAULT_NONE;
	sts_cache_free(w->cache);
	snprintf(command, sizeof(command), "rm -rf '%s'", w->folder);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static struct sts sample(const char *id, int64_t fetched, int64_t age)
{
	struct sts sts = { .mode = STS_ENFORCE, .mx_count = 1 };
	strcpy(sts.mx[0], "mx.d.lab");
	snprintf(sts.id, sizeof(sts.id), "%s", id);
	sts.fetched = fetched;
	sts.expires = fetched + age;
	return sts;
}

static void keep(struct world *w, const char *domain, const char *id)
{
	struct sts sts = sample(id, NOW, 86400);
	sts_cache_keep(w->cache, domain, &sts);
}

/* "" where there is none. */
static const char *kept(struct world *w, const char *domain, int64_t now)
{
	static struct sts sts;
	return sts_cache_find(w->cache, domain, now, &sts) ? sts.id : "";
}

static bool exists(const struct world *w, const char *name)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/mta-sts/%s", w->folder, name);
	return access(path, F_OK) == 0;
}

/* ---- tests ---- */

static void test_it_outlives_the_process(void **state)
{
	struct world *w = *state;
	keep(w, "d.lab", "1");
	keep(w, "e.lab", "2");
	assert_string_equal(kept(w, "d.lab", NOW), "1");
	reopen(w, NOW + 10);
	assert_string_equal(kept(w, "d.lab", NOW + 10), "1");
	assert_string_equal(kept(w, "e.lab", NOW + 86399), "2");
	assert_string_equal(kept(w, "e.lab", NOW + 86400), "");
	assert_string_equal(kept(w, "f.lab", NOW), "");
	keep(w, "d.lab", "3");
	reopen(w, NOW + 10);
	assert_string_equal(kept(w, "d.lab", NOW), "3");
	assert_int_equal(w->warnings, 0);
}

static void test_it_expires(void **state)
{
	struct world *w = *state;
	keep(w, "d.lab", "1");
	sts_cache_expire(w->cache, NOW + 86399);
	assert_true(exists(w, "d.lab"));
	sts_cache_expire(w->cache, NOW + 86400);
	assert_false(exists(w, "d.lab"));
	keep(w, "d.lab", "1");
	reopen(w, NOW + 86400);
	assert_false(exists(w, "d.lab"));
	assert_int_equal(w->warnings, 0);
}

static void test_it_is_due(void **state)
{
	struct world *w = *state;
	struct sts year = sample("1", NOW, STS_AGE_MOST), hour = sample("2", NOW, 3600);
	struct sts third = sample("3", NOW, 3 * 3600);
	char domain[REQUIREMENT_NAME];
	sts_cache_keep(w->cache, "third.lab", &third);
	sts_cache_keep(w->cache, "year.lab", &year);
	sts_cache_keep(w->cache, "hour.lab", &hour);
	assert_false(sts_cache_is_due(w->cache, "hour.lab", NOW + 1799));
	assert_true(sts_cache_is_due(w->cache, "hour.lab", NOW + 1800));
	assert_false(sts_cache_is_due(w->cache, "year.lab", NOW + 86399));
	assert_true(sts_cache_is_due(w->cache, "year.lab", NOW + 86400));
	assert_false(sts_cache_is_due(w->cache, "none.lab", NOW + 86400));
	/* Nobody gets more of us than a fetch an hour for having been asked about once.
	 */
	assert_false(sts_cache_take_due(w->cache, NOW + 5399, domain));
	assert_true(sts_cache_take_due(w->cache, NOW + 5400, domain));
	assert_string_equal(domain, "third.lab");
	assert_false(sts_cache_take_due(w->cache, NOW + 5401, domain));
	third = sample("4", NOW + 5400, 2400);
	sts_cache_keep(w->cache, "third.lab", &third);
	assert_true(sts_cache_is_due(w->cache, "third.lab", NOW + 6600));
	assert_false(sts_cache_take_due(w->cache, NOW + 7799, domain));
	assert_true(sts_cache_take_due(w->cache, NOW + 86400, domain));
	assert_string_equal(domain, "year.lab");
	assert_false(sts_cache_take_due(w->cache, NOW + 86400 + 3599, domain));
	assert_true(sts_cache_take_due(w->cache, NOW + 86400 + 3600, domain));
}

/* What was noted by a clock that went wrong does not hold for as long as it went. */
static void test_a_clock_set_back(void **state)
{
	enum { YEAR = 365 * 86400 };
	struct world *w = *state;
	char why[REQUIREMENT_TEXT], domain[REQUIREMENT_NAME];
	keep(w, "d.lab", "1");
	sts_cache_blame(w->cache, "other.lab", NOW, "its certificate has expired");
	sts_cache_blamed(w->cache, "other.lab", NOW - YEAR, why);
	assert_string_equal(why, "");
	assert_string_equal(kept(w, "d.lab", NOW - YEAR), "1");
	assert_true(sts_cache_is_due(w->cache, "d.lab", NOW - YEAR));
	assert_true(sts_cache_take_due(w->cache, NOW - YEAR, domain));
	assert_string_equal(domain, "d.lab");
	assert_false(sts_cache_take_due(w->cache, NOW - YEAR, domain));
}

/* Where the machine begins with a clock that is late, its policies wait for it. */
static void test_a_clock_late_at_the_start(void **state)
{
	enum { YEAR = 365 * 86400 };
	struct world *w = *state;
	keep(w, "d.lab", "1");
	reopen(w, NOW - YEAR);
	assert_int_equal(w->warnings, 1);
	assert_string_equal(kept(w, "d.lab", NOW - YEAR), "");
	assert_string_equal(kept(w, "d.lab", NOW), "1");
	assert_string_equal(kept(w, "d.lab", NOW + 86400), "");
	/* What is had meanwhile holds by the clock that it was had by. */
	struct sts late = sample("2", NOW - YEAR, 86400);
	sts_cache_keep(w->cache, "d.lab", &late);
	assert_string_equal(kept(w, "d.lab", NOW - YEAR), "2");
}

static void test_failures(void **state)
{
	struct world *w = *state;
	char why[REQUIREMENT_TEXT], domain[32];
	keep(w, "d.lab", "1");
	sts_cache_blame(w->cache, "d.lab", NOW, "it burns");
	sts_cache_blamed(w->cache, "d.lab", NOW + 299, why);
	assert_string_equal(why, "it burns");
	sts_cache_blamed(w->cache, "d.lab", NOW + 300, why);
	assert_string_equal(why, "");
	assert_string_equal(kept(w, "d.lab", NOW), "1");
	assert_false(sts_cache_is_due(w->cache, "d.lab", NOW + 3599));
	keep(w, "d.lab", "2");
	sts_cache_blamed(w->cache, "d.lab", NOW + 1, why);
	assert_string_equal(why, "");
	/* However many there are, no policy goes for them. */
	for (unsigned i = 0; i < 2 * STS_CACHE_FAILURES; i++) {
		snprintf(domain, sizeof(domain), "f%u.lab", i);
		sts_cache_blame(w->cache, domain, NOW, "no");
	}
	sts_cache_blamed(w->cache, "f0.lab", NOW, why);
	assert_string_equal(why, "");
	sts_cache_blamed(w->cache, domain, NOW, why);
	assert_string_equal(why, "no");
	assert_string_equal(kept(w, "d.lab", NOW), "2");
}

/* The steps that it takes to write one; in the last but one it gets its name. */
static unsigned steps(struct world *w)
{
	armed.fault = FAULT_HALF;
	armed.at = STEPS_MOST;
	armed.step = 0;
	keep(w, "count.lab", "1");
	armed.fault = FAULT_NONE;
	assert_in_range(armed.step, 5, STEPS_MOST - 1);
	return armed.step;
}

static void arm(enum fault fault, unsigned at)
{
	armed.fault = fault;
	armed.at = at;
	armed.step = 0;
}

static void test_every_step_fails(void **state)
{
	struct world *w = *state;
	unsigned count = steps(w);
	for (unsigned i = 0; i < count - 1; i++) {
		keep(w, "d.lab", "1");
		w->warnings = 0;
		arm(FAULT_FAILS, i);
		keep(w, "d.lab", "2");
		arm(FAULT_NONE, 0);
		assert_int_equal(w->warnings, 1);
		assert_non_null(strstr(w->warning, strerror(ENOSPC)));
		assert_string_equal(kept(w, "d.lab", NOW), "2");
		/* The old one is still there; nothing else is. */
		reopen(w, NOW);
		assert_int_equal(w->warnings, 1);
		assert_string_equal(kept(w, "d.lab", NOW), "1");
	}
	arm(FAULT_HALF, 1);
	keep(w, "d.lab", "3");
	arm(FAULT_NONE, 0);
	reopen(w, NOW);
	assert_string_equal(kept(w, "d.lab", NOW), "3");
}

static void test_a_full_disk_is_told_once(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 3; i++) {
		arm(FAULT_FAILS, 1);
		keep(w, "d.lab", "1");
	}
	arm(FAULT_NONE, 0);
	assert_int_equal(w->warnings, 1);
	keep(w, "d.lab", "1");
	arm(FAULT_FAILS, 1);
	keep(w, "d.lab", "2");
	arm(FAULT_NONE, 0);
	assert_int_equal(w->warnings, 2);
}

/* Files that are being written, or were. */
static unsigned unfinished(const struct world *w)
{
	char path[128];
	unsigned count = 0;
	snprintf(path, sizeof(path), "%s/mta-sts", w->folder);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));)
		count += strncmp(entry->d_name, ".new.", 5) == 0;
	closedir(dir);
	return count;
}

static void kill_at(struct world *w, enum fault fault, unsigned step, bool named)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		reopen(w, NOW);
		arm(fault, step);
		keep(w, "d.lab", "2");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), KILLED);
	reopen(w, NOW);
	assert_int_equal(w->warnings, 0);
	const char *id = kept(w, "d.lab", NOW);
	assert_string_equal(id, named ? "2" : "1");
	assert_int_equal(unfinished(w), 0);
}

static void test_killed_at_every_step(void **state)
{
	struct world *w = *state;
	unsigned count = steps(w);
	for (unsigned i = 0; i < count; i++) {
		keep(w, "d.lab", "1");
		kill_at(w, FAULT_KILLED_BEFORE, i, i > count - 2);
		kill_at(w, FAULT_KILLED_AFTER, i, i >= count - 2);
	}
}

/* ---- several processes ---- */

static int make_file(const struct world *w, const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/mta-sts/%s", w->folder, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void test_what_is_left_behind(void **state)
{
	static const char ours[] = ".new.0123456789abcdef";
	static const char *const others[] = { ".new.", ".new.4711",
		".new.0123456789abcdeg", ".new.0123456789abcdef0",
		".old.0123456789abcdef" };
	struct world *w = *state;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		close(make_file(w, others[i]));
	int fd = make_file(w, ours);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	reopen(w, NOW);
	assert_true(exists(w, ours)); /* somebody is writing it */
	close(fd);
	reopen(w, NOW);
	assert_false(exists(w, ours));
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_true(exists(w, others[i]));
	assert_int_equal(w->warnings, 0);
}

/* What one of them believes to be old the other one may have had anew. */
static void test_renewed_by_another(void **state)
{
	struct world *w = *state, other = *w;
	struct sts brief = sample("1", NOW, 100);
	other.cache = NULL;
	sts_cache_keep(w->cache, "d.lab", &brief);
	reopen(&other, NOW);
	keep(&other, "d.lab", "2");
	sts_cache_expire(w->cache, NOW + 100);
	assert_string_equal(kept(w, "d.lab", NOW + 100), "");
	assert_true(exists(w, "d.lab"));
	reopen(&other, NOW + 100);
	assert_string_equal(kept(&other, "d.lab", NOW + 100), "2");
	sts_cache_free(other.cache);
	assert_int_equal(w->warnings + other.warnings, 0);
}

/* Exits with the number of its warnings. */
static pid_t write_in_another(const struct world *from, unsigned times)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	struct world w = *from;
	reopen(&w, NOW);
	for (unsigned i = 0; i < times; i++)
		keep(&w, "d.lab", i % 2 == 0 ? "1" : "2");
	_exit((int)w.warnings);
}

static void test_several_write_and_begin(void **state)
{
	struct world *w = *state;
	pid_t pids[2];
	int status;
	for (unsigned i = 0; i < 2; i++)
		pids[i] = write_in_another(w, 300);
	for (unsigned i = 0; i < 300; i++)
		reopen(w, NOW);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	reopen(w, NOW);
	assert_string_not_equal(kept(w, "d.lab", NOW), "");
	assert_int_equal(w->warnings, 0);
	assert_int_equal(unfinished(w), 0);
}

static void test_names_that_are_none(void **state)
{
	static const char *const names[] = { "a..b", "UPPER.lab", "192.0.2.1",
		"\033[2J\377.lab" };
	struct world *w = *state;
	char path[128], text[STS_FILE];
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct sts sts = sample("1", NOW, 86400);
		size_t length = sts_text_write(text, sizeof(text), names[i], &sts);
		snprintf(path, sizeof(path), "%s/mta-sts/%s", w->folder, names[i]);
		int fd = open(path, O_WRONLY | O_CREAT, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, text, length), (ssize_t)length);
		assert_int_equal(close(fd), 0);
		w->warnings = 0;
		reopen(w, NOW);
		assert_int_equal(w->warnings, i + 1);
		assert_string_equal(kept(w, names[i], NOW), "");
	}
}

/* Whoever can open it can lock it, and we would wait for him. */
static void test_nobody_else_opens_it(void **state)
{
	struct world *w = *state;
	struct stat s;
	char path[128];
	snprintf(path, sizeof(path), "%s/mta-sts", w->folder);
	assert_int_equal(chmod(path, 0755), 0);
	reopen(w, NOW);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0700);
	assert_int_equal(w->warnings, 0);
}

static void test_no_directory(void **state)
{
	struct world *w = *state;
	char path[128];
	snprintf(path, sizeof(path), "%s/missing/deep", w->folder);
	sts_cache_free(w->cache);
	w->cache = sts_cache_new(path, true, NOW, on_warning, w);
	assert_non_null(w->cache);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->warning, path));
	keep(w, "d.lab", "1");
	assert_string_equal(kept(w, "d.lab", NOW), "1");
	/* Who only reads does not miss what nobody has written. */
	sts_cache_free(w->cache);
	w->cache = sts_cache_new(path, false, NOW, on_warning, w);
	assert_int_equal(w->warnings, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_it_outlives_the_process, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_it_expires, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_nobody_else_opens_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_it_is_due, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_clock_set_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_clock_late_at_the_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_step_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_full_disk_is_told_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_killed_at_every_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_is_left_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_renewed_by_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_several_write_and_begin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_names_that_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_directory, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
