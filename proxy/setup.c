/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "setup.h"

#include "hosts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)SETUP_REASON >= (int)TLS_REASON, "tls writes to our reason");
static_assert((int)SETUP_REASON >= (int)SERVICE_REASON, "and so do services");

/* The first fault is the reason; whoever made the bundle has seen that there is none. */
static bool load_config(struct setup *setup, const struct bundle *bundle, char *reason)
{
	FILE *faults = fmemopen(reason, SETUP_REASON, "w");

	if (!faults) {
		snprintf(reason, SETUP_REASON, "%s", strerror(errno));
		return false;
	}
	setup->config = config_of_bundle(bundle, faults);
	fclose(faults);
	reason[SETUP_REASON - 1] = '\0';
	reason[strcspn(reason, "\n")] = '\0';
	return setup->config;
}

static bool find_hosts(struct config *config, const struct bundle *bundle, char *reason)
{
	for (unsigned i = 0; i < config->inbound_count; i++) {
		struct config_inbound *inbound = &config->inbound[i];

		for (unsigned n = 0; n < inbound->backend_count; n++) {
			if (hosts_find(bundle, &inbound->backend[n]))
				continue;
			snprintf(reason, SETUP_REASON, "backend = %s was not looked up",
				inbound->backend[n].host);
			return false;
		}
	}
	return true;
}

static bool load_server(struct setup *setup, struct bundle *bundle, char *reason)
{
	const struct config *config = setup->config;

	if (config->pair_count == 0)
		return true; /* no service uses TLS: the configuration was read so */
	setup->server = setup_server(config, bundle, reason);
	return setup->server;
}

static bool load_client(struct setup *setup, struct bundle *bundle, bool cas,
	const struct setup *before, char *reason)
{
	const struct config *config = setup->config;
	struct tls_identity identities[CONFIG_IDENTITY_MAX];

	for (unsigned i = 0; i < config->identity_count; i++)
		identities[i] = (struct tls_identity){ config->identities[i].name,
			config->identities[i].pair };
	const struct tls_client_options options = {
		.bundle = bundle,
		.ca = cas ? config->policy.ca : NULL,
		.before = before ? before->client : NULL,
		.identities = identities,
		.identity_count = config->identity_count,
	};
	setup->client = tls_client_new(&options, reason);
	return setup->client;
}

static bool make_services(struct setup *setup, struct bundle *bundle, char *reason)
{
	const struct config *config = setup->config;
	bool fine = true;

	for (unsigned i = 0; i < config->inbound_count; i++)
		service_inbound(&setup->services[setup->service_count++], config,
			&config->inbound[i], setup->server);
	for (unsigned i = 0; i < config->outbound_count && fine; i++)
		fine = service_outbound(&setup->services[setup->service_count++], bundle,
			config, &config->outbound[i], setup->server, reason);
	for (unsigned i = 0; i < setup->service_count; i++)
		setup->services[i].setup = setup;
	return fine;
}

struct setup *setup_new(struct bundle *bundle, uint32_t generation, bool cas,
	const struct setup *before, char reason[SETUP_REASON])
{
	struct setup *setup = calloc(1, sizeof(*setup));

	if (!setup) {
		snprintf(reason, SETUP_REASON, "out of memory");
		return NULL;
	}
	setup->holders = 1;
	setup->generation = generation;
	setup->cas = cas;
	if (load_config(setup, bundle, reason) &&
		find_hosts(setup->config, bundle, reason) &&
		load_server(setup, bundle, reason) &&
		make_services(setup, bundle, reason) &&
		load_client(setup, bundle, cas, before, reason))
		return setup;
	setup_release(setup);
	return NULL;
}

struct setup *setup_hold(struct setup *setup)
{
	setup->holders++;
	return setup;
}

void setup_release(struct setup *setup)
{
	if (!setup || --setup->holders > 0)
		return;
	for (unsigned i = 0; i < setup->service_count; i++)
		service_release(&setup->services[i]);
	tls_client_free(setup->client);
	tls_server_free(setup->server);
	config_free(setup->config);
	free(setup);
}

const struct service *setup_service(const struct setup *setup, const char *name)
{
	for (unsigned i = 0; i < setup->service_count; i++)
		if (strcmp(setup->services[i].name, name) == 0)
			return &setup->services[i];
	return NULL;
}

struct tls_server *setup_server(
	const struct config *config, struct bundle *bundle, char reason[SETUP_REASON])
{
	const struct tls_server_options options = {
		.bundle = bundle,
		.pairs = config->pairs,
		.pair_count = config->pair_count,
		.min_version = config->min_version,
		.priority = config->priority,
		.ticket_key = config->ticket_key,
	};

	return tls_server_new(&options, reason);
}
