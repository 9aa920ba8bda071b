/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_REACH_H
#define SEALPOST_REACH_H

/* What is for the public Internet. Pure. */

#include "requirement.h"

#include <stdbool.h>

/*
 * Whether IANA's special-purpose registries (RFC 6890 and the RFCs after it) keep the
 * address for something else than the public Internet. IPv4 inside IPv6 counts as IPv4;
 * FAMILY_NONE is nobody's, and private.
 */
bool reach_is_private(const struct peer_address *address);

#endif
