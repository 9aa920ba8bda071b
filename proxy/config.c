/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "config.h"
#include "config_schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HOST_MAX = 256,
};

static void items_read(struct config_reader *reader)
{
	struct inifile *ini = &reader->ini;

	for (;;) {
		switch (inifile_next(ini)) {
		case INIFILE_END: return;
		case INIFILE_SECTION: config_section_begin(reader, ini->name); break;
		case INIFILE_KEY: config_key_set(reader, ini->name, ini->value); break;
		}
	}
}

/* ---- the whole ---- */

static struct config *config_new(const char *path)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->path = strdup(path);
	config->lines = calloc(1, sizeof(*config->lines));
	if (config->path && config->lines)
		return config;
	config_free(config);
	return NULL;
}

/* "" where it has none. */
static const char *machine_name(char name[HOST_MAX])
{
	name[HOST_MAX - 1] = '\0';
	if (gethostname(name, HOST_MAX - 1) != 0)
		name[0] = '\0';
	return name;
}

/* A machine's name is its administrator's to choose: it is held to the same rule. */
static void hostname_default(struct config_reader *reader, const char *machine)
{
	struct config *config = reader->config;
	const struct config_key *key = config_key_find(SECTION_SERVER, "hostname");

	/* a faulty one has been told of */
	if (config->hostname || config_key_line(config, key, 0) > 0)
		return;
	if (config_value_set(key, config, machine) != VALUE_OK)
		inifile_fault(&reader->ini, 0,
			"no hostname, and this machine's own, \"%s\", is no domain "
			"name: write hostname = in [server]",
			machine);
}

static struct config *parse(FILE *in, const char *name, const char *machine, FILE *faults)
{
	struct config_reader reader = {
		.config = config_new(name),
		.ini = { .in = in, .path = name, .faults = faults },
		.section = SECTION_NONE,
	};

	if (!reader.config) {
		errno = ENOMEM;
		inifile_fault(&reader.ini, 0, "cannot be read: %s", strerror(errno));
		return NULL;
	}
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		if (!config_sections[s].what)
			config_defaults_set(&reader, s, 0);
	}
	items_read(&reader);
	if (!reader.ini.broken) {
		hostname_default(&reader, machine);
		config_cross_check(&reader);
	}
	if (reader.ini.fault_count > 0) {
		config_free(reader.config);
		errno = reader.ini.error;
		return NULL;
	}
	return reader.config;
}

struct config *config_parse(FILE *in, const char *name, FILE *faults)
{
	char machine[HOST_MAX];

	return parse(in, name, machine_name(machine), faults);
}

/* The machine's name is as it was read, too: it may be another by now. */
struct config *config_of_bundle(const struct bundle *bundle, FILE *faults)
{
	struct bundle_octets text, path, machine = { .at = (const uint8_t *)"" };

	if (!bundle_find(bundle, BUNDLE_CONFIG, &text) ||
		!bundle_find(bundle, BUNDLE_CONFIG_PATH, &path)) {
		fprintf(faults, "no configuration is in the bundle\n");
		errno = ENOENT;
		return NULL;
	}
	/* not every fmemopen() takes an empty buffer */
	bool empty = text.length == 0;
	FILE *in = empty ? fmemopen("\n", 1, "r")
			 : fmemopen((void *)text.at, text.length, "r");

	if (!in) {
		fprintf(faults, "%s: cannot be read: %s\n", path.at, strerror(errno));
		return NULL;
	}
	bundle_find(bundle, BUNDLE_MACHINE, &machine);
	struct config *config =
		parse(in, (const char *)path.at, (const char *)machine.at, faults);
	int error = errno;

	fclose(in);
	errno = error;
	return config;
}

struct config *config_read(struct bundle *bundle, const char *path, FILE *faults)
{
	char reason[BUNDLE_REASON], machine[HOST_MAX];

	machine_name(machine);
	if (bundle_read_as(bundle, BUNDLE_CONFIG, path, reason)) {
		if (bundle_put(bundle, BUNDLE_CONFIG_PATH, path, strlen(path)) &&
			bundle_put(bundle, BUNDLE_MACHINE, machine, strlen(machine)))
			return config_of_bundle(bundle, faults);
		errno = ENOMEM;
		snprintf(reason, sizeof(reason), "%s: out of memory", path);
	}
	int error = errno;

	fprintf(faults, "%s\n", reason);
	errno = error;
	return NULL;
}

static void inbound_free(struct config_inbound *inbound)
{
	free(inbound->name);
	for (unsigned i = 0; i < inbound->backend_count; i++)
		free(inbound->backend[i].host);
}

static void outbound_free(struct config_outbound *outbound)
{
	free(outbound->name);
	free(outbound->relay.host);
	free(outbound->credentials);
}

static void pair_free(struct tls_pair *pair)
{
	free((char *)pair->certificate);
	free((char *)pair->key);
}

static void policy_free(struct config_policy *policy)
{
	free(policy->directory);
	free(policy->resolver);
	free(policy->trust_anchor);
	free(policy->ca);
	free(policy->cache);
	for (unsigned i = 0; i < policy->stub_count; i++) {
		free(policy->stubs[i].zone);
		free(policy->stubs[i].server);
	}
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (unsigned i = 0; i < config->inbound_count; i++)
		inbound_free(&config->inbound[i]);
	for (unsigned i = 0; i < config->outbound_count; i++)
		outbound_free(&config->outbound[i]);
	for (unsigned i = 0; i < config->identity_count; i++) {
		free(config->identities[i].name);
		pair_free(&config->identities[i].pair);
	}
	for (unsigned i = 0; i < config->pair_count; i++)
		pair_free(&config->pairs[i]);
	policy_free(&config->policy);
	free(config->path);
	free(config->hostname);
	free(config->user);
	free(config->control);
	free(config->lines);
	free(config->min_version);
	free(config->ticket_key);
	free(config->priority);
	free(config);
}
