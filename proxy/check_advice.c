/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What the machine needs beside Sealpost. */

#include "check_private.h"

#include "firewall.h"

static bool borrows_in(const struct config *config)
{
	for (unsigned i = 0; i < config->inbound_count; i++) {
		if (config->inbound[i].client_address == CLIENT_ADDRESS_TRANSPARENT)
			return true;
	}
	return false;
}

static bool borrows_out(const struct config *config)
{
	for (unsigned i = 0; i < config->outbound_count; i++) {
		if (config->outbound[i].source == SOURCE_TRANSPARENT)
			return true;
	}
	return false;
}

static bool intercepts(const struct config *config)
{
	for (unsigned i = 0; i < config->outbound_count; i++) {
		if (config->outbound[i].route == ROUTE_INTERCEPT)
			return true;
	}
	return false;
}

void check_advise(const struct config *config)
{
	bool in = borrows_in(config), out = borrows_out(config);

	if (!firewall_needed(config))
		return;
	printf("This configuration needs, beside Sealpost:\n");
	if (in || out)
		printf("* CAP_NET_RAW for serve (%s = transparent);\n",
			in ? "client-address" : "source");
	if (in)
		printf("* the backend's default route leads through this machine;\n");
	if (intercepts(config))
		printf("* what the backends send to port 25 comes through this machine, "
		       "and no other way;\n");
	printf("* rules of the firewall, which `sealpost firewall print` shows and\n"
	       "  `systemctl enable --now sealpost-intercept` loads.\n");
}
