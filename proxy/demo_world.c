/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The demo's world: addresses, a folder, certificates, a configuration. Keys lie on disk
 * only until they have been read.
 */

#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTNAME "mail.example"
#define INTERNET "mx.internet.example"

enum {
	BACKLOG = 128,
	FILE_NAME = DEMO_FOLDER + 32,
};

/* Files of the daemon's and of the Internet's. */
static const char control_name[] = "control";
static const char certificate_name[] = "certificate.pem", key_name[] = "key.pem";
static const char mx_certificate_name[] = "mx.pem", mx_key_name[] = "mx.key";

static bool cannot(char reason[DEMO_REASON], const char *what)
{
	snprintf(reason, DEMO_REASON, "%s: %s", what, strerror(errno));
	return false;
}

/* ---- addresses ---- */

/* A socket that listens there; the port that it has is written to `address`. */
static int listen_on(struct address *address)
{
	struct sockaddr_storage ss;
	socklen_t size = address_to_sockaddr(address, &ss);
	int on = 1, fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, size) == 0 && listen(fd, BACKLOG) == 0 &&
		getsockname(fd, (struct sockaddr *)&ss, &size) == 0 &&
		address_from_sockaddr(address, (struct sockaddr *)&ss))
		return fd;
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

/* The daemon will listen itself: this is to learn early whether it can. */
static bool addresses_free(struct demo_world *world, char reason[DEMO_REASON])
{
	struct address *const addresses[] = { &world->inbound, &world->outbound };
	int fds[] = { -1, -1 };
	char text[ADDRESS_TEXT];
	bool fine = true;

	world->outbound = world->inbound;
	if (world->inbound.port != 0)
		world->outbound.port++;
	for (unsigned i = 0; i < 2 && fine; i++) {
		fds[i] = listen_on(addresses[i]);
		fine = fds[i] >= 0;
		if (!fine)
			snprintf(reason, DEMO_REASON,
				"cannot listen on %s: %s (choose another address: "
				"sealpost demo --listen 127.0.0.1:2626)",
				address_text(addresses[i], text), strerror(errno));
	}
	for (unsigned i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return fine;
}

/* ---- files ---- */

static int make_subfolder(const struct demo_world *world, const char *name)
{
	if (mkdirat(world->folder, name, 0700) != 0)
		return -1;
	return openat(world->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool make_folders(struct demo_world *world, char reason[DEMO_REASON])
{
	const char *parent = getenv("TMPDIR");
	char *name = world->folder_name;

	if (!parent || *parent != '/')
		parent = "/tmp";
	errno = ENAMETOOLONG;
	if (snprintf(name, DEMO_FOLDER, "%s/sealpost-demo.XXXXXX", parent) >=
			DEMO_FOLDER ||
		!mkdtemp(name)) {
		name[0] = '\0';
		return cannot(reason, "a folder in $TMPDIR");
	}
	world->folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (world->folder < 0)
		return cannot(reason, name);
	world->backend.folder = make_subfolder(world, world->backend.name);
	world->internet.folder = make_subfolder(world, world->internet.name);
	return (world->backend.folder >= 0 && world->internet.folder >= 0) ||
	       cannot(reason, name);
}

static const char *path_of(
	const struct demo_world *world, const char *name, char path[FILE_NAME])
{
	snprintf(path, FILE_NAME, "%s/%s", world->folder_name, name);
	return path;
}

static bool make_certificates(struct demo_world *world, char reason[DEMO_REASON])
{
	char certificate[FILE_NAME], key[FILE_NAME], why[TLS_REASON];
	struct tls_pair pair = { certificate, key };
	const struct tls_server_options options = { .bundle = bundle_new(),
		.pairs = &pair,
		.pair_count = 1,
		.min_version = "1.2" };

	path_of(world, certificate_name, certificate);
	path_of(world, key_name, key);
	snprintf(why, sizeof(why), "out of memory");
	bool fine = options.bundle && tls_selfsign(HOSTNAME, certificate, key, why);

	path_of(world, mx_certificate_name, certificate);
	path_of(world, mx_key_name, key);
	fine = fine && tls_selfsign(INTERNET, certificate, key, why);
	if (fine)
		world->internet.tls = tls_server_new(&options, why);
	bundle_free(options.bundle);
	if (world->internet.tls)
		return true;
	snprintf(reason, DEMO_REASON, "%s", why);
	return false;
}

/* The servers write there, and will be the configuration's user. */
static bool give_folders_away(struct demo_world *world, char reason[DEMO_REASON])
{
	const int folders[] = { world->folder, world->backend.folder,
		world->internet.folder };

	if (geteuid() != 0)
		return true;
	errno = ENOENT;
	const struct passwd *user = getpwnam(world->config->user);

	if (!user)
		return cannot(reason, world->config->user);
	for (unsigned i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		if (fchown(folders[i], user->pw_uid, user->pw_gid) != 0)
			return cannot(reason, world->folder_name);
	return true;
}

/* ---- the configuration ---- */

static bool make_config(struct demo_world *world, char reason[DEMO_REASON])
{
	static const char name[] = "the demo's configuration";
	char inbound[ADDRESS_TEXT], outbound[ADDRESS_TEXT], from[ADDRESS_TEXT];
	char backend[ADDRESS_TEXT], internet[ADDRESS_TEXT];
	int n = snprintf(world->config_text, sizeof(world->config_text),
		"[server]\n"
		"hostname    = " HOSTNAME "\n"
		"user        = nobody\n"
		"workers     = 1\n"
		"control     = %s/%s\n"
		"log         = stderr\n"
		"\n"
		"[tls]\n"
		"certificate = %s/%s\n"
		"key         = %s/%s\n"
		"\n"
		"[inbound]\n"
		"listen      = %s\n"
		"backend     = %s\n"
		"\n"
		"[outbound]\n"
		"listen      = %s\n"
		"backends    = %s\n"
		"route       = relay %s\n"
		"\n"
		"[policy]\n"
		"ca          = %s/%s\n"
		"dane        = no\n"
		"mta-sts     = no\n",
		world->folder_name, control_name, world->folder_name, certificate_name,
		world->folder_name, key_name, address_text(&world->inbound, inbound),
		address_text(&world->backend_address, backend),
		address_text(&world->outbound, outbound),
		address_host(&world->outbound, from),
		address_text(&world->internet_address, internet), world->folder_name,
		mx_certificate_name);

	world->bundle = bundle_new();
	if (!world->bundle ||
		!bundle_put(
			world->bundle, BUNDLE_CONFIG, world->config_text, (size_t)n) ||
		!bundle_put(world->bundle, BUNDLE_CONFIG_PATH, name, strlen(name)))
		return cannot(reason, "the configuration");
	world->config = config_of_bundle(world->bundle, stderr);
	snprintf(reason, DEMO_REASON, "its configuration is at fault");
	if (!world->config)
		return false;
	/* What this machine has for its own mail is not for a demo: no name is none. */
	world->config->policy.directory[0] = '\0';
	world->config->policy.trust_anchor[0] = '\0';
	return true;
}

/* They are no files to the daemon, which would notice that they have gone. */
bool demo_world_read_keys(struct demo_world *world, char reason[DEMO_REASON])
{
	static const char *const names[] = { certificate_name, key_name,
		mx_certificate_name };
	char path[FILE_NAME];

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		path_of(world, names[i], path);
		if (!bundle_read_as(world->bundle, path, path, reason))
			return false;
	}
	return true;
}

/* ---- all of it ---- */

bool demo_world_make(struct demo_world *world, char reason[DEMO_REASON])
{
	world->backend.name = "backend";
	world->internet.name = "internet";
	address_parse(&world->backend_address, "127.0.0.1:0", 0);
	address_parse(&world->internet_address, "127.0.0.1:0", 0);
	if (!addresses_free(world, reason) || !make_folders(world, reason) ||
		!make_certificates(world, reason))
		return false;
	world->backend.listener = listen_on(&world->backend_address);
	world->internet.listener = listen_on(&world->internet_address);
	if (world->backend.listener < 0 || world->internet.listener < 0)
		return cannot(reason, "a server's socket");
	return make_config(world, reason) && give_folders_away(world, reason);
}

void demo_world_remove_keys(const struct demo_world *world)
{
	unlinkat(world->folder, key_name, 0);
	unlinkat(world->folder, certificate_name, 0);
	unlinkat(world->folder, mx_key_name, 0);
	unlinkat(world->folder, mx_certificate_name, 0);
}

void demo_world_end(struct demo_world *world)
{
	if (world->folder >= 0) {
		demo_world_remove_keys(world);
		unlinkat(world->folder, control_name, 0);
		/* where there is a message, it stays */
		unlinkat(world->folder, world->backend.name, AT_REMOVEDIR);
		unlinkat(world->folder, world->internet.name, AT_REMOVEDIR);
		close(world->folder);
	}
	if (world->folder_name[0] != '\0')
		rmdir(world->folder_name);
	tls_server_free(world->internet.tls);
	config_free(world->config);
	bundle_free(world->bundle);
}
