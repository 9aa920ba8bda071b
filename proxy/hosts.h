/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_HOSTS_H
#define SEALPOST_HOSTS_H

/*
 * The addresses of backends that are configured by name. The resolver is asked where a
 * configuration is verified; what it said stands in the bundle as "host NAME".
 */

#include "bundle.h"
#include "config.h"

/*
 * Writes the address to the endpoint and puts it in the bundle: the first that the
 * resolver tells, which may take as long as that does; or, where it tells none, that of
 * the bundle. `why` is a constant.
 */
bool hosts_look_up(
	struct bundle *bundle, struct config_endpoint *endpoint, const char **why);

/* Whether the resolver knows a name by other addresses alone than the one in force. */
bool hosts_moved(const struct config *config);

/* The address of the bundle, without asking anybody. An endpoint that is an address
 * already stays so. */
bool hosts_find(const struct bundle *bundle, struct config_endpoint *endpoint);

#endif
