/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "directory.h"

#include "directory_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One reading of all files. */
struct reading {
	struct directory *directory;
	struct source source;
	struct set set;
	FILE *faults;
	size_t known; /* entries that were there before */
	bool changed;
};

/* ---- entries ---- */

static int entry_compare(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return strcmp(left->domain, right->domain);
}

void set_free(struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (!set->entries[i].lent)
			version_free(&set->entries[i].version);
	}
	free(set->entries);
	free(set->files);
	*set = (struct set){ .count = 0 };
}

/* ---- faults ---- */

__attribute__((format(printf, 2, 3))) static void fault(
	struct reading *reading, const char *format, ...)
{
	va_list arguments;

	reading->directory->faults++;
	fprintf(reading->faults, "%s", reading->directory->path);
	va_start(arguments, format);
	vfprintf(reading->faults, format, arguments);
	va_end(arguments);
	fputc('\n', reading->faults);
}

__attribute__((format(printf, 3, 4))) static void warning(
	const struct reading *reading, const struct entry *entry, const char *format, ...)
{
	va_list arguments;

	fprintf(reading->faults, "%s/%s.policy: warning: ", reading->directory->path,
		entry->domain);
	va_start(arguments, format);
	vfprintf(reading->faults, format, arguments);
	va_end(arguments);
	fputc('\n', reading->faults);
}

/* ---- one file ---- */

static void name_fault(struct reading *reading, const char *name)
{
	const char *why = "no domain, no address in brackets, and not \"default\"";
	char shown[REQUIREMENT_TEXT];

	for (const char *c = name; *c != '\0'; c++) {
		if (*c >= 'A' && *c <= 'Z')
			why = "write a domain in lower case, and an address as "
			      "[192.0.2.1] or [IPv6:2001:db8::1]";
		if ((unsigned char)*c > 127) {
			why = "write an international domain as A-labels: xn--... "
			      "(sealpost policy DOMAIN tells them)";
			break;
		}
	}
	directory_line(shown, sizeof(shown), name);
	fault(reading, "/%s: this name says not whose policy it is: %s", shown, why);
}

static void expiry_note(const struct reading *reading, struct entry *entry)
{
	int64_t expires = entry->version.file->expires;
	time_t last = (time_t)expires - 1;
	char day[32] = "";
	struct tm tm;

	entry->expired = expires != 0 && time(NULL) >= expires;
	if (!entry->expired)
		return;
	if (gmtime_r(&last, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	warning(reading, entry,
		"expired: its last day was %s, and it counts as though it were not there",
		day);
}

/* What was there before goes on, in place of what is there. */
static void version_keep(struct entry *entry, struct entry *old)
{
	if (!old)
		return;
	version_free(&entry->version);
	entry->version = old->version;
	old->lent = true;
}

static void outcome_tell(const struct reading *reading, const struct entry *entry)
{
	bool is_default = strcmp(entry->domain, "default") == 0;

	if (entry->version.file)
		warning(reading, entry, "the version before it stays in force");
	else
		warning(reading, entry, "mail of %s is answered 451 until this is mended",
			is_default ? "all who have no file of their own" : entry->domain);
}

static void faults_pass(struct reading *reading, const char *text)
{
	fputs(text, reading->faults);
	for (; (text = strchr(text, '\n')); text++)
		reading->directory->faults++;
}

/* Faults go to the entry as well, which must be able to tell why it is closed. */
static bool entry_parse(struct reading *reading, struct entry *entry)
{
	char *faults = NULL;
	size_t length;
	FILE *to = open_memstream(&faults, &length);
	bool good = to && version_read(&reading->source, entry->domain, to,
				  &entry->version, &entry->subdomains);

	if (to)
		fclose(to);
	if (!good) {
		const char *why = faults && *faults != '\0' ? faults : "out of memory\n";

		directory_line(entry->fault, sizeof(entry->fault), why);
		faults_pass(reading, why);
	}
	free(faults);
	return good;
}

/* A version that is no other than the one before is not kept twice. */
static void entry_read(struct reading *reading, struct entry *entry, struct entry *old)
{
	bool good = entry_parse(reading, entry);
	bool same = good && old && version_same(&entry->version, &old->version);

	reading->changed |= !old || strcmp(entry->fault, old->fault) != 0 ||
			    entry->subdomains != old->subdomains || (good && !same);
	if (same || !good)
		version_keep(entry, old);
	if (!good)
		outcome_tell(reading, entry);
	if (entry->version.file)
		expiry_note(reading, entry);
	reading->changed |= old && entry->expired != old->expired;
}

static void name_take(struct reading *reading, const char *name)
{
	struct entry *entry = &reading->set.entries[reading->set.count];

	if (!policyfile_domain(name, entry->domain)) {
		name_fault(reading, name);
		return;
	}
	struct entry *old = directory_entry(&reading->directory->set, entry->domain);

	reading->known += old != NULL;
	reading->set.count++;
	entry_read(reading, entry, old);
}

/* ---- all files ---- */

static bool ends_in(const char *name, const char *end)
{
	size_t length = strlen(name);

	return length >= strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

/* Editors keep hidden files beside those that they work on. */
bool directory_takes(const char *name)
{
	return name[0] != '.' && ends_in(name, ".policy");
}

static int is_policy(const struct dirent *entry)
{
	return directory_takes(entry->d_name);
}

bool set_reserve(struct set *set, size_t count)
{
	/* one more than none, so that NULL means one thing only */
	set->entries = calloc(count + 1, sizeof(*set->entries));
	set->files = calloc(count + 1, sizeof(*set->files));
	if (set->entries && set->files)
		return true;
	set_free(set);
	return false;
}

void set_complete(struct set *set)
{
	qsort(set->entries, set->count, sizeof(struct entry), entry_compare);
	for (size_t i = 0; i < set->count; i++) {
		if (set->entries[i].version.file)
			set->files[set->file_count++] = set->entries[i].version.file;
	}
}

/* NULL, or why it cannot be known which files there are. */
static const char *files_read(struct reading *reading)
{
	struct directory *directory = reading->directory;
	struct dirent **names;
	int count = scandir(directory->path, &names, is_policy, alphasort);

	if (count < 0)
		return strerror(errno);
	bool room = set_reserve(&reading->set, (size_t)count);

	for (int i = 0; i < count; i++) {
		if (room)
			name_take(reading, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	if (!room)
		return "out of memory";
	if (count == 0)
		fprintf(reading->faults,
			"%s: warning: there is no policy file in it, and nothing is "
			"demanded of any domain: write default.policy\n",
			directory->path);
	set_complete(&reading->set);
	reading->changed |= reading->known < directory->set.count;
	return NULL;
}

bool directory_reload(struct directory *directory, FILE *faults)
{
	struct reading reading = { .directory = directory, .faults = faults };
	int64_t now = time(NULL);
	bool first = directory->generation == 0 || directory->closed[0] != '\0';

	directory->faults = 0;
	if (directory->path[0] == '\0') {
		directory->generation = 1;
		return first;
	}
	const char *why = source_open(&reading.source, directory->path, directory->owner);

	if (!why) {
		why = files_read(&reading);
		source_close(&reading.source);
	}
	if (why) {
		fault(&reading, ": cannot be used: %s%s", why,
			first ? ": all mail is answered 451 until this is mended"
			      : ": the files read before stay in force");
		if (first)
			snprintf(directory->closed, sizeof(directory->closed), "%s: %s",
				directory->path, why);
		directory->generation += directory->generation == 0;
		return false;
	}
	if (!first)
		directory_compare(directory, &reading.set, now, faults);
	directory->read_at = now;
	directory->closed[0] = '\0';
	set_free(&directory->set);
	directory->set = reading.set;
	directory->generation += reading.changed || first;
	return reading.changed || first;
}

/* As though it had been read just now. */
static void last_good_take(struct directory *directory, int packed, FILE *faults)
{
	const char *why = directory_take(directory, packed);

	if (why)
		fprintf(faults,
			"%s: warning: what was in force before cannot be taken up: %s\n",
			directory->path, why);
	/* an empty one is none: all would be open if nothing can be read now */
	else if (directory->set.file_count > 0)
		directory->generation = 1;
	directory->read_at = time(NULL);
}

struct directory *directory_open(const char *path, uid_t owner, int packed, FILE *faults)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return NULL;
	directory->owner = owner;
	directory->path = strdup(path);
	if (!directory->path) {
		free(directory);
		return NULL;
	}
	if (packed >= 0 && path[0] != '\0')
		last_good_take(directory, packed, faults);
	directory_reload(directory, faults);
	return directory;
}

void directory_close(struct directory *directory)
{
	if (!directory)
		return;
	set_free(&directory->set);
	free(directory->path);
	free(directory);
}

/* Certificates that a ca may name lie there as well, and a README. */
static int is_other(const struct dirent *entry)
{
	const char *name = entry->d_name;

	return name[0] != '.' && strchr(name, '.') && entry->d_type != DT_DIR &&
	       !directory_takes(name) && !ends_in(name, ".pem") &&
	       !ends_in(name, ".crt") && !ends_in(name, ".cer");
}

void directory_others(const struct directory *directory, FILE *out)
{
	struct dirent **names;
	char shown[REQUIREMENT_TEXT];
	int count = scandir(directory->path, &names, is_other, alphasort);

	for (int i = 0; i < count; i++) {
		directory_line(shown, sizeof(shown), names[i]->d_name);
		fprintf(out,
			"%s/%s: note: no policy file, for its name does not end in "
			".policy\n",
			directory->path, shown);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

/* ---- what is known ---- */

uint64_t directory_generation(const struct directory *directory)
{
	return directory->generation;
}

unsigned directory_faults(const struct directory *directory)
{
	return directory->faults;
}

unsigned directory_broken(const struct directory *directory)
{
	unsigned count = 0;

	for (size_t i = 0; i < directory->set.count; i++)
		count += directory->set.entries[i].fault[0] != '\0';
	return count;
}

unsigned directory_count(const struct directory *directory)
{
	return directory->set.file_count;
}

const struct policyfile *directory_file(const struct directory *directory, unsigned i)
{
	return i < directory->set.file_count ? directory->set.files[i] : NULL;
}

/* A file that was never good may have meant to demand anything: it must be asked about.
 */
bool directory_demands_inbound(const struct directory *directory)
{
	for (size_t i = 0; i < directory->set.count; i++) {
		const struct policyfile *file = directory->set.entries[i].version.file;

		if (!file || file->inbound.level > LEVEL_MAY)
			return true;
	}
	return directory->closed[0] != '\0';
}

bool directory_needs_client_certificates(const struct directory *directory)
{
	for (unsigned i = 0; i < directory->set.file_count; i++) {
		if (directory->set.files[i]->inbound.level > LEVEL_ENCRYPT)
			return true;
	}
	return false;
}
