/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The same octets as a TXT record, as a policy and as a file of the cache. What is taken
 * in means something, and is read back from a file as it was.
 */

#include "dns_data.h"
#include "sts_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check_id(const char *id)
{
	size_t length = strlen(id);

	must(length > 0 && length < STS_ID);
	for (size_t i = 0; i < length; i++)
		must((id[i] >= '0' && id[i] <= '9') || (id[i] >= 'A' && id[i] <= 'Z') ||
			(id[i] >= 'a' && id[i] <= 'z'));
}

static void check_policy(const struct sts *sts)
{
	must(sts->mode < STS_MODES && sts->mx_count <= REQUIREMENT_STS_MX);
	must(sts->mode == STS_NONE || sts->mx_count > 0);
	for (unsigned i = 0; i < sts->mx_count; i++)
		must(dns_is_host(sts->mx[i] + (strncmp(sts->mx[i], "*.", 2) == 0) * 2));
}

static void try_record(const uint8_t *data, size_t size)
{
	char id[STS_ID];

	if (sts_text_record(data, size, id) == STS_RECORD_FINE)
		check_id(id);
	else
		must(id[0] == '\0');
}

static void try_policy(const char *text, size_t length)
{
	struct sts was, is;
	uint32_t age;
	char file[STS_FILE];

	memset(&was, 0, sizeof(was));
	if (sts_text_policy(text, length, &was, &age))
		return;
	must(length <= STS_BODY && age <= STS_AGE_MOST);
	check_policy(&was);
	strcpy(was.id, "1");
	was.fetched = 1767225600;
	was.expires = was.fetched + age;
	length = sts_text_write(file, sizeof(file), "a.lab", &was);
	must(length > 0 && sts_text_read(file, length, "a.lab", &is));
	must(was.mode == is.mode && was.mx_count == is.mx_count);
	for (unsigned i = 0; i < was.mx_count; i++)
		must(strcmp(was.mx[i], is.mx[i]) == 0);
	must(was.expires == is.expires && was.fetched == is.fetched);
}

static void try_file(const char *text, size_t length)
{
	struct sts sts;
	char again[STS_FILE];

	if (!sts_text_read(text, length, "a.lab", &sts))
		return;
	check_id(sts.id);
	check_policy(&sts);
	must(sts.expires - sts.fetched <= STS_AGE_MOST && sts.fetched >= 0);
	must(sts_text_write(again, sizeof(again), "a.lab", &sts) == length);
	must(memcmp(text, again, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_record(data, size);
	try_policy((const char *)data, size);
	try_file((const char *)data, size);
	return 0;
}
