/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* What [outbound], [policy] and [identity NAME] are worth on this machine. */

#include "check_private.h"

#include "address.h"
#include "credentials.h"
#include "tls.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	NARROW_IPV4 = 24, /* bits: wider networks are hardly mail servers alone */
	NARROW_IPV6 = 64,
};

/* ---- [outbound] ---- */

static void verify_backends(struct verifier *v, const struct config_outbound *outbound)
{
	char text[ADDRESS_TEXT];

	for (unsigned i = 0; i < outbound->backends_count; i++) {
		const struct network *n = &outbound->backends[i];

		if (n->prefix == 0)
			check_fault(v, outbound->line,
				"backends = %s/0: whoever reaches this service could "
				"send through it: an open relay; name the mail servers "
				"alone",
				address_host(&n->base, text));
	}
}

static void verify_source(
	const struct verifier *v, const struct config_outbound *outbound)
{
	char text[ADDRESS_TEXT];

	if (outbound->source == SOURCE_ADDRESS &&
		!check_is_local(outbound->source_address))
		check_warning(v, outbound->line,
			"source = %s: this machine has no such address now, and no "
			"connection will come about",
			address_host(&outbound->source_address, text));
	if (outbound->source == SOURCE_TRANSPARENT && check_valid_mark_needed())
		check_warning(v, outbound->line,
			"source = transparent: the sysctl "
			"net.ipv4.conf.all.src_valid_mark is 1, and replies by IPv4 will "
			"be lost; set it to 0");
}

static void verify_relay(struct verifier *v, const struct config_outbound *outbound)
{
	struct credentials credentials;
	char reason[BUNDLE_REASON];

	/* what a name means is looked up when there is mail */
	if (outbound->route == ROUTE_RELAY && !outbound->relay.host)
		check_loop(v, outbound->line, "route = relay ", &outbound->relay.address);
	if (!outbound->credentials)
		return;
	if (!credentials_read(v->bundle, outbound->credentials, &credentials, reason))
		check_fault(v, outbound->line, "credentials: %s", reason);
	credentials_wipe(&credentials);
}

void check_outbound(struct verifier *v)
{
	for (unsigned i = 0; i < v->config->outbound_count; i++) {
		const struct config_outbound *outbound = &v->config->outbound[i];

		verify_backends(v, outbound);
		verify_source(v, outbound);
		verify_relay(v, outbound);
	}
}

/* ---- [policy] and [identity NAME] ---- */

bool check_reads_directory(const char *path)
{
	DIR *directory = opendir(path);

	if (directory)
		closedir(directory);
	return directory;
}

/* Without it, every domain would be held to nothing, and nobody would notice. */
static void verify_directory(struct verifier *v)
{
	const struct config_policy *policy = &v->config->policy;

	if (policy->directory_line > 0 && !check_reads_directory(policy->directory))
		check_fault(v, policy->directory_line,
			"directory = %s: cannot be read: %s", policy->directory,
			strerror(errno));
}

static void verify_ca(struct verifier *v)
{
	const struct config_policy *policy = &v->config->policy;
	const struct tls_client_options options = { .bundle = v->bundle,
		.ca = policy->ca };
	char reason[TLS_REASON];

	/* who only receives, and has no policy files, may do without */
	if (policy->ca_line == 0 && !policy->process)
		return;
	struct tls_client *client = tls_client_new(&options, reason);

	if (!client)
		check_fault(v, policy->ca_line, "ca = %s: %s", policy->ca, reason);
	tls_client_free(client);
}

/* By the owner and his rights alone: whoever checks need not be who serves. */
static bool can_write(uid_t uid, const struct stat *s)
{
	if (uid == 0)
		return true;
	return (s->st_mode & (s->st_uid == uid ? S_IWUSR : S_IWOTH)) != 0;
}

static void verify_cache(struct verifier *v)
{
	const struct config_policy *policy = &v->config->policy;
	const struct passwd *user = geteuid() == 0 ? getpwnam(v->config->user) : NULL;
	uid_t uid = user ? user->pw_uid : geteuid();
	char kept[PATH_MAX];
	struct stat s;

	if (policy->cache_line == 0 || !policy->mta_sts)
		return;
	snprintf(kept, sizeof(kept), "%s/mta-sts", policy->cache);
	if (stat(kept, &s) != 0 && stat(policy->cache, &s) != 0)
		check_fault(v, policy->cache_line, "cache = %s: %s", policy->cache,
			strerror(errno));
	else if (!S_ISDIR(s.st_mode))
		check_fault(v, policy->cache_line, "cache = %s: is no directory",
			policy->cache);
	else if (!can_write(uid, &s))
		check_fault(v, policy->cache_line,
			"cache = %s: user = %s may not write there", policy->cache,
			v->config->user);
}

void check_policy(struct verifier *v)
{
	verify_directory(v);
	verify_ca(v);
	verify_cache(v);
}

void check_identities(struct verifier *v)
{
	for (unsigned i = 0; i < v->config->identity_count; i++) {
		const struct config_identity *identity = &v->config->identities[i];
		char reason[TLS_REASON] = "";

		if (!tls_pair_check(v->bundle, &identity->pair, reason))
			check_fault(v, identity->line, "%s", reason);
		else if (reason[0] != '\0')
			check_warning(v, identity->line, "%s", reason);
	}
}

/* ---- notes ---- */

static void note_networks(
	const struct verifier *v, const struct config_outbound *outbound)
{
	char text[ADDRESS_TEXT];

	for (unsigned i = 0; i < outbound->backends_count; i++) {
		const struct network *n = &outbound->backends[i];
		unsigned narrow = n->base.family == AF_INET6 ? NARROW_IPV6 : NARROW_IPV4;

		if (n->prefix < narrow)
			check_note(v, outbound->line,
				"backends = %s/%u: every machine there can send in your "
				"name; better name the mail servers alone",
				address_host(&n->base, text), n->prefix);
	}
}

/* systemd listens in our place, and names the socket for us. */
static void note_listen(const struct verifier *v, unsigned line, const char *name,
	const struct address *listen, unsigned count)
{
	char text[ADDRESS_TEXT];

	if (count == 0)
		check_note(v, line,
			"no listen: it is served where systemd passes a socket for it, "
			"FileDescriptorName=%s, and nowhere else",
			name);
	for (unsigned i = 0; i < count; i++) {
		if (!check_is_local(listen[i]))
			check_warning(v, line,
				"listen = %s: this machine has no such address: serve "
				"refuses to start, unless systemd passes a socket for it",
				address_text(&listen[i], text));
	}
}

static void note_guard(const struct verifier *v, const struct config_outbound *outbound)
{
	for (unsigned i = 0; i < outbound->guard_count; i++) {
		if (if_nametoindex(outbound->guard[i]) == 0)
			check_warning(v, outbound->line,
				"guard = %s: this machine has no such interface, and "
				"nothing is guarded there",
				outbound->guard[i]);
	}
}

static void note_key(const struct verifier *v, unsigned line, const char *key)
{
	struct stat s;

	if (stat(key, &s) == 0 && (s.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		check_warning(
			v, line, "%s: others can read or change it: chmod 640", key);
}

static void note_route(const struct verifier *v, const struct config_outbound *outbound)
{
	bool four = config_serves(outbound, AF_INET),
	     six = config_serves(outbound, AF_INET6);

	if (outbound->route == ROUTE_SMARTHOST)
		check_note(v, outbound->line,
			"route = smarthost: an Exchange server waits for its retry "
			"interval, often 15 minutes, for each further domain that a "
			"message goes to; with route = intercept nothing waits");
	if (outbound->route == ROUTE_INTERCEPT && outbound->guard_count == 0 &&
		!(four && six))
		check_note(v, outbound->line,
			"route = intercept by %s alone: the guard of `sealpost firewall` "
			"refuses everybody's mail that would pass by %s; name the "
			"backends' addresses of it, too, or guard = their interface",
			four ? "IPv4" : "IPv6", four ? "IPv6" : "IPv4");
}

void config_notes(struct config *config, FILE *to)
{
	const struct verifier v = { .config = config, .to = to };

	for (unsigned i = 0; i < config->pair_count; i++)
		note_key(&v, config->pair_lines[i], config->pairs[i].key);
	for (unsigned i = 0; i < config->identity_count; i++)
		note_key(&v, config->identities[i].line, config->identities[i].pair.key);
	for (unsigned i = 0; i < config->inbound_count; i++) {
		const struct config_inbound *inbound = &config->inbound[i];

		note_listen(&v, inbound->line, inbound->name, inbound->listen,
			inbound->listen_count);
	}
	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		note_listen(&v, outbound->line, outbound->name, outbound->listen,
			outbound->listen_count);
		note_networks(&v, &config->outbound[i]);
		note_guard(&v, &config->outbound[i]);
		note_route(&v, &config->outbound[i]);
	}
}
