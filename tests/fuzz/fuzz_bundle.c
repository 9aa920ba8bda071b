/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What is taken for a packed bundle is packed again to the same octets. */

#include "bundle.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check_again(const struct bundle *bundle, const uint8_t *data, size_t size)
{
	int fd = bundle_pack(bundle);
	uint8_t *octets = malloc(size + 1);

	must(fd >= 0 && octets);
	must(pread(fd, octets, size + 1, 0) == (ssize_t)size);
	must(memcmp(octets, data, size) == 0);
	free(octets);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	struct bundle *bundle = bundle_unpack(fd);

	close(fd);
	if (bundle)
		check_again(bundle, data, size);
	bundle_free(bundle);
	return 0;
}
