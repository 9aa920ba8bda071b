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
 * Writes the address to the endpoint: that of the bundle, or else, which may take as long
 * as the resolver does, the first that the resolver tells, which is put in. `why` is a
 * constant.
 */
bool hosts_look_up(
	struct bundle *bundle, struct config_endpoint *endpoint, const char **why);

/* The same without asking anybody. An endpoint that is an address already stays so. */
bool hosts_find(const struct bundle *bundle, struct config_endpoint *endpoint);

#endif
