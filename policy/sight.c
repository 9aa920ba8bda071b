/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sight.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Where CAs lie on the systems that we know; the names in some are links to others. Keys
 * lie beside them, in /etc/ssl/private and /etc/pki/tls/private. */
static const char *const ca_folders[] = { "/etc/ssl/certs", "/etc/pki/tls/certs",
	"/etc/pki/ca-trust", "/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates" };

/* What libunbound, libcurl and its OpenSSL read to know where they are; and whose files
 * these are. */
static const char *const files[] = { "/etc/resolv.conf", "/run/systemd/resolve",
	"/etc/hosts", "/etc/nsswitch.conf", "/etc/passwd", "/etc/ssl/cert.pem",
	"/etc/ssl/ca-bundle.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/cert.pem",
	"/etc/pki/tls/openssl.cnf" };

enum {
	CA_FOLDERS = sizeof(ca_folders) / sizeof(ca_folders[0]),
	FILES = sizeof(files) / sizeof(files[0]),
	SETTINGS = 3,
};
static_assert(CA_FOLDERS + FILES + SETTINGS < SIGHT_READ, "room for all of them");

void sight_of(const struct settings *settings, struct sight *sight)
{
	unsigned n = 0;
	memset(sight, 0, sizeof(*sight));
	sight->read[n++] = settings->directory;
	sight->read[n++] = settings->trust_anchor;
	sight->read[n++] = settings->ca;
	for (unsigned i = 0; i < CA_FOLDERS; i++)
		sight->read[n++] = ca_folders[i];
	for (unsigned i = 0; i < FILES; i++)
		sight->read[n++] = files[i];
	sight->write[0] = settings->cache;
}

static bool is_below(const char *folder, const char *path)
{
	size_t length = strlen(folder);
	while (length > 0 && folder[length - 1] == '/')
		length--;
	return strncmp(folder, path, length) == 0 && path[length] == '/';
}

bool sight_shows_ca(const char *directory, const char *ca)
{
	bool shown = ca[0] != '/' || is_below(directory, ca);
	for (unsigned i = 0; i < CA_FOLDERS && !shown; i++)
		shown = is_below(ca_folders[i], ca);
	return shown && !strstr(ca, "..");
}
