/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "check.h"

#include "address.h"
#include "check_private.h"
#include "command.h"
#include "config.h"
#include "explain.h"
#include "hosts.h"
#include "policyprocess.h"
#include "privileges.h"
#include "setup.h"
#include "smtp.h"
#include "tls.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	COMMAND_TIMEOUT = 5 * 60, /* RFC 5321 §4.5.3.2: MAIL, RCPT */
	REASON = 256,
};

__attribute__((format(printf, 5, 0))) static void say(FILE *to,
	const struct config *config, unsigned line, const char *kind, const char *format,
	va_list arguments)
{
	if (line > 0)
		fprintf(to, "%s:%u: %s", config->path, line, kind);
	else
		fprintf(to, "%s: %s", config->path, kind);
	vfprintf(to, format, arguments);
	fputc('\n', to);
}

void check_fault(struct verifier *v, unsigned line, const char *format, ...)
{
	va_list arguments;

	v->faults++;
	va_start(arguments, format);
	say(v->to, v->config, line, "", format, arguments);
	va_end(arguments);
}

void check_warning(const struct verifier *v, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(v->to, v->config, line, "warning: ", format, arguments);
	va_end(arguments);
}

void check_note(const struct verifier *v, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(v->to, v->config, line, "note: ", format, arguments);
	va_end(arguments);
}

/* ---- [server] and [limits] ---- */

static void verify_server(struct verifier *v)
{
	const struct config *config = v->config;

	if (!strchr(config->hostname, '.'))
		check_warning(v, 0,
			"hostname %s has no dot: the Internet wants a full name such as "
			"mail.example.com",
			config->hostname);
	if (geteuid() == 0 && !getpwnam(config->user))
		check_warning(v, 0,
			"user %s does not exist, and serve becomes that user when "
			"started as root: create it (useradd --system %s) or set "
			"user = in [server]",
			config->user, config->user);
}

/* RFC 5321 §4.5.3.2: whoever gives up sooner loses mail that is merely slow. */
static void verify_timers(const struct verifier *v)
{
	const struct config_limits *limits = &v->config->limits;
	const struct {
		const char *name;
		unsigned seconds, least;
	} timers[] = {
		{ "greeting-timeout", limits->greeting_timeout, 5 * 60 },
		{ "command-timeout", limits->command_timeout, COMMAND_TIMEOUT },
		{ "data-timeout", limits->data_timeout, 2 * 60 },
		{ "block-timeout", limits->block_timeout, 3 * 60 },
		{ "eod-timeout", limits->eod_timeout, 10 * 60 },
	};

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		if (timers[i].seconds < timers[i].least)
			check_warning(v, 0, "%s = %us: RFC 5321 wants %us at least",
				timers[i].name, timers[i].seconds, timers[i].least);
	}
	if (limits->rcpt_budget >= COMMAND_TIMEOUT)
		check_warning(v, 0,
			"rcpt-budget = %us: a client waits %us for the reply to a "
			"recipient, and goes away then",
			limits->rcpt_budget, COMMAND_TIMEOUT);
	if (limits->policy_timeout >= limits->rcpt_budget)
		check_warning(v, 0,
			"policy-timeout = %us leaves nothing of rcpt-budget = %us",
			limits->policy_timeout, limits->rcpt_budget);
}

/* ---- [tls] ---- */

/* Each pair on its own first, which tells the line; then all of them, as serve does. */
static void verify_tls(struct verifier *v)
{
	const struct config *config = v->config;
	char reason[SETUP_REASON];
	unsigned before = v->faults;

	for (unsigned i = 0; i < config->pair_count; i++) {
		reason[0] = '\0';
		if (!tls_pair_check(v->bundle, &config->pairs[i], reason))
			check_fault(v, config->pair_lines[i], "%s", reason);
		else if (reason[0] != '\0')
			check_warning(v, config->pair_lines[i], "%s", reason);
	}
	if (config->pair_count == 0 || v->faults > before)
		return;
	struct tls_server *server = setup_server(config, v->bundle, reason);

	if (!server)
		check_fault(v, 0, "[tls]: %s", reason);
	tls_server_free(server);
}

/* ---- [inbound] ---- */

bool check_is_local(struct address a)
{
	struct sockaddr_storage ss;
	int fd = socket(a.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	a.port = 0;
	socklen_t length = address_to_sockaddr(&a, &ss);
	bool bound = bind(fd, (struct sockaddr *)&ss, length) == 0;

	close(fd);
	return bound;
}

static bool leads_to(const struct address *to, const struct address *listen)
{
	if (to->family != listen->family || to->port != listen->port)
		return false;
	return address_is_wildcard(listen) ? check_is_local(*to)
					   : address_same_host(to, listen);
}

static bool any_leads_to(
	const struct address *to, const struct address *listen, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (leads_to(to, &listen[i]))
			return true;
	}
	return false;
}

void check_loop(
	struct verifier *v, unsigned line, const char *key, const struct address *to)
{
	const struct config *config = v->config;
	char text[ADDRESS_TEXT];
	const char *name = NULL;
	unsigned its_line = 0;

	for (unsigned i = 0; i < config->inbound_count && !name; i++) {
		const struct config_inbound *inbound = &config->inbound[i];

		its_line = inbound->line;
		if (any_leads_to(to, inbound->listen, inbound->listen_count))
			name = inbound->name;
	}
	for (unsigned i = 0; i < config->outbound_count && !name; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		its_line = outbound->line;
		if (any_leads_to(to, outbound->listen, outbound->listen_count))
			name = outbound->name;
	}
	if (name)
		check_fault(v, line,
			"%s%s: that is our own service %s (line %u): mail would go round "
			"in circles",
			key, address_text(to, text), name, its_line);
}

static void verify_backends(struct verifier *v, struct config_inbound *inbound)
{
	for (unsigned i = 0; i < inbound->backend_count; i++) {
		struct config_endpoint *backend = &inbound->backend[i];
		const char *why;

		if (!hosts_look_up(v->bundle, backend, &why)) {
			check_fault(v, inbound->line,
				"backend = %s: cannot be looked up: %s", backend->host,
				why);
			continue;
		}
		check_loop(v, inbound->line, "backend = ", &backend->address);
	}
}

static void verify_listen(const struct verifier *v, const struct config_inbound *inbound)
{
	for (unsigned i = 0; i < inbound->listen_count; i++) {
		if (inbound->listen[i].port != SMTP_PORT)
			continue;
		if (inbound->tls == NEAR_TLS_IMPLICIT)
			check_warning(v, inbound->line,
				"tls = implicit on port 25: no mail server on the "
				"Internet expects TLS there from the first octet");
		if (inbound->tls == NEAR_TLS_REQUIRE)
			check_warning(v, inbound->line,
				"tls = require on port 25: senders that cannot do TLS "
				"will not reach you (RFC 3207 wants a public server to "
				"serve them)");
	}
}

static void verify_proxy_networks(
	const struct verifier *v, const struct config_inbound *inbound)
{
	for (unsigned i = 0; i < inbound->accept_proxy_count; i++) {
		if (inbound->accept_proxy_from[i].prefix == 0)
			check_warning(v, inbound->line,
				"accept-proxy-from: everybody may say which address he "
				"comes from");
	}
}

bool check_valid_mark_needed(void)
{
	FILE *in = fopen("/proc/sys/net/ipv4/conf/all/src_valid_mark", "re");

	if (!in)
		return false;
	int c = getc(in);

	fclose(in);
	return c == '1';
}

static void verify_client_address(
	const struct verifier *v, const struct config_inbound *inbound)
{
	if (inbound->client_address == CLIENT_ADDRESS_NONE)
		check_warning(v, inbound->line,
			"client-address = none: to the backend all mail comes from this "
			"machine; if it relays for this machine's address, it is an "
			"open relay now");
	if (inbound->client_address == CLIENT_ADDRESS_TRANSPARENT &&
		check_valid_mark_needed())
		check_warning(v, inbound->line,
			"client-address = transparent: the sysctl "
			"net.ipv4.conf.all.src_valid_mark is 1, and replies of an IPv4 "
			"backend will be lost; set it to 0");
}

bool config_verify(struct config *config, struct bundle *bundle, FILE *faults)
{
	struct verifier v = { .config = config, .bundle = bundle, .to = faults };

	/* once, for a directory may come and go meanwhile */
	config->policy.process |= access(config->policy.directory, F_OK) == 0;
	verify_server(&v);
	verify_timers(&v);
	verify_tls(&v);
	for (unsigned i = 0; i < config->inbound_count; i++) {
		struct config_inbound *inbound = &config->inbound[i];

		verify_backends(&v, inbound);
		verify_listen(&v, inbound);
		verify_proxy_networks(&v, inbound);
		verify_client_address(&v, inbound);
	}
	check_outbound(&v);
	check_policy(&v);
	check_identities(&v);
	return v.faults == 0;
}

/* ---- what the unit of systemd would meet ---- */

static bool can_read(const struct passwd *user, const char *file)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(initgroups(user->pw_name, user->pw_gid) != 0 ||
			setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0 ||
			access(file, R_OK) != 0);
	return child < 0 || waitpid(child, &status, 0) < 0 || status == 0;
}

/*
 * A reload reads as the user that serve has become, and the unit starts serve as that
 * user at once: what root alone can read is lost to both.
 */
static void verify_file(const struct verifier *v, const struct passwd *user,
	unsigned line, const char *file)
{
	const struct group *group = getgrgid(user->pw_gid);

	if (file && !can_read(user, file))
		check_warning(v, line,
			"%s: user %s cannot read it, who has to for a reload, and at the "
			"start by the systemd unit: chgrp %s it, and chmod 640",
			file, user->pw_name, group ? group->gr_name : user->pw_name);
}

static void verify_pair(const struct verifier *v, const struct passwd *user,
	unsigned line, const struct tls_pair *pair)
{
	verify_file(v, user, line, pair->certificate);
	verify_file(v, user, line, pair->key);
}

static void verify_readable(struct config *config)
{
	const struct verifier v = { .config = config, .to = stderr };
	const struct passwd *user = geteuid() == 0 ? getpwnam(config->user) : NULL;

	if (!user)
		return;
	verify_file(&v, user, 0, config->path);
	for (unsigned i = 0; i < config->pair_count; i++)
		verify_pair(&v, user, config->pair_lines[i], &config->pairs[i]);
	verify_file(&v, user, 0, config->ticket_key);
	for (unsigned i = 0; i < config->identity_count; i++)
		verify_pair(&v, user, config->identities[i].line,
			&config->identities[i].pair);
	for (unsigned i = 0; i < config->outbound_count; i++)
		verify_file(&v, user, config->outbound[i].line,
			config->outbound[i].credentials);
}

static const char *plural(unsigned count)
{
	return count == 1 ? "" : "s";
}

static void tell_fine(const struct config *config, unsigned files)
{
	printf("%s: fine: %u inbound service%s, %u outbound service%s, %u "
	       "certificate%s, %u policy file%s\n",
		config->path, config->inbound_count, plural(config->inbound_count),
		config->outbound_count, plural(config->outbound_count),
		config->pair_count, plural(config->pair_count), files, plural(files));
}

/*
 * Where nobody would ask for them, policy files need not be there. They are read, and the
 * DNS is asked, as the user that serves: we are nobody else from here on.
 */
static bool verify_policy(struct config *config, unsigned *files)
{
	struct verifier v = { .config = config, .to = stderr };
	const struct config_policy *policy = &config->policy;
	const char *identities[CONFIG_IDENTITY_MAX + 1] = { NULL };
	struct settings settings;
	char reason[REASON];

	for (unsigned i = 0; i < config->identity_count; i++)
		identities[i] = config->identities[i].name;
	if (!policy->process)
		return true;
	bool readable = check_reads_directory(policy->directory);

	if (!privileges_drop_all(config, reason, sizeof(reason))) {
		check_warning(&v, 0,
			"neither policy files nor the DNS were looked at: %s", reason);
		return true;
	}
	if (!policyprocess_settings(config, NULL, &settings)) {
		check_fault(&v, 0, "a setting of [policy] is too long");
		return false;
	}
	if (policy->directory_line > 0 && !readable) /* config_verify() has said so */
		settings.directory[0] = '\0';
	return policy_check(&settings, config->path, identities, stderr, files) == 0;
}

static bool check(struct config *config, struct bundle *bundle)
{
	bool fine = config_verify(config, bundle, stderr);
	unsigned files = 0;

	if (fine)
		verify_readable(config);
	fine = verify_policy(config, &files) && fine;
	if (!fine)
		return false;
	config_notes(config, stderr);
	check_advise(config);
	tell_fine(config, files);
	return true;
}

enum status check_run(const char *config_path)
{
	struct bundle *bundle;
	struct config *config;
	enum status status = command_open(config_path, &bundle, &config);

	if (status != STATUS_FINE)
		return status;
	status = check(config, bundle) ? STATUS_FINE : STATUS_NO;
	config_free(config);
	bundle_free(bundle);
	return command_printed(status);
}
