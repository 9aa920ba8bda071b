/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The first line is a file's name, the rest what is in it. A file has faults or is a
 * policy: never both, never neither; and no policy leaves a demand that means nothing.
 */

#include "policyfile.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_demand(const struct demand *demand, unsigned line)
{
	bool names = demand->level == LEVEL_VERIFY || demand->level == LEVEL_SECURE;

	check(line > 0);
	check(demand->level < LEVELS && demand->protocols < PROTOCOLS_COUNT);
	check(demand->match_count <= REQUIREMENT_PATTERNS);
	check(demand->mx_count <= REQUIREMENT_PATTERNS);
	check(demand->fingerprint_count <= REQUIREMENT_FINGERPRINTS);
	check((demand->match_count > 0) == names);
	check((demand->fingerprint_count > 0) == (demand->level == LEVEL_FINGERPRINT));
	for (unsigned i = 0; i < demand->fingerprint_count; i++)
		check(demand->fingerprints[i].length == 32 ||
			demand->fingerprints[i].length == 64);
}

static void check_file(const struct policyfile *file)
{
	check(file->has_outbound || file->has_inbound);
	if (file->has_outbound)
		check_demand(&file->outbound, file->outbound_line);
	if (file->has_inbound)
		check_demand(&file->inbound, file->inbound_line);
	check(file->inbound.mx_count == 0 && !file->inbound.bounce);
}

/* A name that stands for a domain is the name of that domain's file. */
static void take_name(const char *name, char domain[REQUIREMENT_NAME])
{
	if (!policyfile_domain(name, domain)) {
		strcpy(domain, "default");
		return;
	}
	check(strncmp(name, domain, strlen(domain)) == 0);
	check(strcmp(name + strlen(domain), ".policy") == 0);
	check(strchr(domain, '/') == NULL && domain[0] != '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t length = end != NULL ? (size_t)(end - data) : size;
	size_t rest = end != NULL ? size - length - 1 : 0;
	char *name = strndup((const char *)data, length), *faults = NULL;
	char domain[REQUIREMENT_NAME];
	bool subdomains;
	/* not every fmemopen() takes an empty buffer */
	FILE *in = rest > 0 ? fmemopen((void *)(end + 1), rest, "r")
			    : fopen("/dev/null", "r");
	FILE *out = open_memstream(&faults, &size);

	check(name != NULL && in != NULL && out != NULL);
	take_name(name, domain);
	struct policyfile *file = policyfile_read(in, "f", domain, out, &subdomains);

	fclose(in);
	fclose(out);
	check((file == NULL) == (size > 0));
	if (file != NULL)
		check_file(file);
	policyfile_free(file);
	free(faults);
	free(name);
	return 0;
}
