/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What is in force, and how something else comes to be: read and verified as a whole,
 * from a bundle of its own, before anybody hears of it. All or nothing.
 */

#include "check.h"
#include "clock.h"
#include "hosts.h"
#include "supervisor_private.h"
#include "unit.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_EVERY = 300 }; /* seconds between questions for backends' addresses */

/* ---- why not ---- */

/* Whether the line is one of these. */
static bool is_among(const char *lines, const char *line)
{
	size_t length = strlen(line);
	for (const char *end; (end = strchr(lines, '\n')); lines = end + 1)
		if (length == (size_t)(end - lines) && memcmp(lines, line, length) == 0)
			return true;
	return false;
}

/* A line a time; the first fault is what `status` and the unit show. What is but a
 * warning need not be heard at each reading. */
static void tell_faults(
	const struct supervisor *s, char *lines, char fault[OVERVIEW_TEXT])
{
	for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		bool warning = strstr(line, ": warning: ");
		if (!warning || !s->told || !is_among(s->told, line))
			log_message(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "%s",
				line);
		if (!warning && fault[0] == '\0')
			snprintf(fault, OVERVIEW_TEXT, "%s", line);
		*end = '\n';
	}
}

/* ---- taking up ---- */

static bool take_up(
	struct supervisor *s, struct bundle *bundle, struct config *config, FILE *faults)
{
	char reason[SUPERVISOR_REASON];
	int packed = bundle_pack(bundle);
	if (packed < 0) {
		fprintf(faults, "%s: cannot be handed to workers: %s\n", config->path,
			strerror(errno));
		return false;
	}
	close(s->packed);
	bundle_free(s->bundle);
	config_free(s->config);
	s->packed = packed;
	s->bundle = bundle;
	s->config = config;
	s->generation++;
	s->taken_up = time(NULL);
	log_open(config->log, config->log_level);
	if (!policy_renew(s, reason, sizeof(reason)))
		fprintf(faults, "%s\n", reason);
	workers_renew(s);
	return true;
}

/* `running`: the text in force with the files as they are now; else all is read anew. */
static bool read_and_take_up(struct supervisor *s, bool running, FILE *faults)
{
	char reason[SUPERVISOR_REASON];
	struct config *config = NULL;
	struct bundle *bundle = bundle_new();
	if (bundle && bundle_carry(bundle, s->bundle))
		config = running ? config_of_bundle(bundle, faults)
				 : config_read(bundle, s->config->path, faults);
	else
		fprintf(faults, "%s: out of memory\n", s->config->path);
	/* Once there is one it stays: sessions may have asked it. */
	if (config)
		config->policy.process |= s->policy->kind != NULL;
	bool fine = config && config_verify(config, bundle, faults);
	if (fine && config_restart_needed(s->config, config, reason)) {
		fprintf(faults, "%s\n", reason);
		fine = false;
	}
	if (fine && take_up(s, bundle, config, faults))
		return true;
	config_free(config);
	bundle_free(bundle);
	return false;
}

/* Whether all is well; what is not, is logged, and why in short. */
static bool renew(struct supervisor *s, bool running, char fault[OVERVIEW_TEXT])
{
	char *lines = NULL;
	size_t length;
	FILE *faults = open_memstream(&lines, &length);
	if (!faults) {
		snprintf(fault, OVERVIEW_TEXT, "out of memory");
		return false;
	}
	fault[0] = '\0';
	bool fine = read_and_take_up(s, running, faults);
	if (fclose(faults) == 0) {
		tell_faults(s, lines, fault);
		free(s->told);
		s->told = lines;
	} else {
		free(lines);
	}
	return fine;
}

void reload_configuration(struct supervisor *s)
{
	unit_reloading();
	log_message(LOG_LEVEL_INFO, "reading %s again", s->config->path);
	s->fault_of_files[0] = '\0';
	if (!renew(s, false, s->fault)) {
		log_message(LOG_LEVEL_ERROR,
			"%s was not taken up: what was in force stays so",
			s->config->path);
		policy_reload(s);
	}
	supervisor_progress(s);
}

/* Whether the file has another text than what is in force. */
static bool was_edited(const struct supervisor *s)
{
	char reason[BUNDLE_REASON];
	struct bundle_octets now, then;
	struct bundle *bundle = bundle_new();
	bool same = bundle &&
		    bundle_read_as(bundle, BUNDLE_CONFIG, s->config->path, reason) &&
		    bundle_find(bundle, BUNDLE_CONFIG, &now) &&
		    bundle_find(s->bundle, BUNDLE_CONFIG, &then) &&
		    now.length == then.length && memcmp(now.at, then.at, now.length) == 0;
	bundle_free(bundle);
	return !same;
}

static void take_up_what_changed(struct supervisor *s, const char *what)
{
	log_message(LOG_LEVEL_INFO, "%s: %s", s->config->path, what);
	if (!renew(s, true, s->fault_of_files))
		log_message(LOG_LEVEL_ERROR,
			"that was not taken up: what was in force stays so");
	else if (!was_edited(s))
		s->fault[0] = '\0';
	supervisor_progress(s);
}

static bool files_have_changed(struct supervisor *s)
{
	uint64_t stamp = bundle_stamp(s->bundle);
	bool at_rest = stamp == s->stamp_seen;
	s->stamp_seen = stamp;
	if (!at_rest || stamp == bundle_stamp_read(s->bundle) ||
		stamp == s->stamp_refused)
		return false;
	s->stamp_refused = stamp;
	return true;
}

static bool hosts_have_moved(struct supervisor *s)
{
	double now = clock_steady();
	if (now < s->hosts_asked + HOSTS_EVERY)
		return false;
	s->hosts_asked = now;
	return hosts_moved(s->config);
}

void reload_look(struct supervisor *s)
{
	if (files_have_changed(s))
		take_up_what_changed(s, "certificates, or other files of it, changed");
	else if (hosts_have_moved(s))
		take_up_what_changed(s, "a backend's name leads elsewhere now");
	policy_look(s);
}
