/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "services.h"

#include "credentials.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)SERVICE_REASON >= (int)BUNDLE_REASON, "a bundle writes to our reason");

static const uint8_t near_tls[] = {
	[NEAR_TLS_OFFER] = DIALOGUE_NEAR_OFFER,
	[NEAR_TLS_REQUIRE] = DIALOGUE_NEAR_REQUIRE,
	[NEAR_TLS_IMPLICIT] = DIALOGUE_NEAR_IMPLICIT,
	[NEAR_TLS_OFF] = DIALOGUE_NEAR_CLEAR,
};
static_assert(sizeof(near_tls) == NEAR_TLS_MODES, "one each");

static const uint8_t far_tls[] = {
	[BACKEND_TLS_NONE] = DIALOGUE_FAR_CLEAR,
	[BACKEND_TLS_MAY] = DIALOGUE_FAR_MAY,
	[BACKEND_TLS_ENCRYPT] = DIALOGUE_FAR_ENCRYPT,
	[BACKEND_TLS_LEGACY] = DIALOGUE_FAR_ENCRYPT,
};
static_assert(sizeof(far_tls) == BACKEND_TLS_MODES, "one each");

/* What every service takes from [server] and [limits]. */
static struct dialogue_service common(const struct config *config)
{
	const struct config_limits *limits = &config->limits;
	return (struct dialogue_service){
		.hostname = config->hostname,
		.message_size = limits->message_size,
		.command_length = limits->command_length,
		.auth_length = limits->auth_length,
		.recipients = limits->recipients,
		.disorder = limits->commands_out_of_order,
		.reply = { .length = limits->reply_length, .lines = limits->reply_lines },
	};
}

unsigned service_number(const struct config *config, const char *name)
{
	unsigned before = 0;
	for (unsigned i = 0; i < config->inbound_count; i++)
		before += strcmp(config->inbound[i].name, name) < 0;
	for (unsigned i = 0; i < config->outbound_count; i++)
		before += strcmp(config->outbound[i].name, name) < 0;
	return before;
}

void service_inbound(struct service *service, const struct config *config,
	const struct config_inbound *inbound, struct tls_server *server)
{
	*service = (struct service){
		.name = inbound->name,
		.number = service_number(config, inbound->name),
		.inbound = inbound,
		.listen = inbound->listen,
		.listen_count = inbound->listen_count,
		.dialogue = common(config),
		.server = inbound->tls == NEAR_TLS_OFF ? NULL : server,
	};
	struct dialogue_service *d = &service->dialogue;
	d->near_tls = near_tls[inbound->tls];
	d->far_tls = far_tls[inbound->backend_tls];
	d->xclient = inbound->client_address == CLIENT_ADDRESS_XCLIENT;
	d->received = inbound->received != RECEIVED_OFF;
	d->reject_bare = inbound->bare_newline == BARE_NEWLINE_REJECT;
	d->mechanisms = inbound->auth;
}

/* ---- outbound ---- */

/* Base64: libc has none, and what GnuTLS has is for tls* alone. */
static const char base64[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Writes with a NUL to `to`, which has room, and returns what is behind it. */
static char *encode(char *to, const char *from, size_t length)
{
	const unsigned char *at = (const unsigned char *)from;
	for (; length > 0; at += 3) {
		size_t n = length < 3 ? length : 3;
		uint32_t bits = (uint32_t)at[0] << 16 |
				(n > 1 ? (uint32_t)at[1] << 8 : 0) | (n > 2 ? at[2] : 0);
		*to++ = base64[bits >> 18];
		*to++ = base64[bits >> 12 & 63];
		*to++ = n > 1 ? base64[bits >> 6 & 63] : '=';
		*to++ = n > 2 ? base64[bits & 63] : '=';
		length -= n;
	}
	*to++ = '\0';
	return to;
}

/* RFC 4616: an empty authorisation identity, the user and the password. */
static bool encode_credentials(struct service *service, const struct credentials *c)
{
	char plain[2 + sizeof(c->user) + sizeof(c->password)];
	size_t user = strlen(c->user), password = strlen(c->password);
	size_t length = 2 + user + password;
	plain[0] = plain[1 + user] = '\0';
	memcpy(plain + 1, c->user, user);
	memcpy(plain + 2 + user, c->password, password);
	service->credentials = calloc(3, (sizeof(plain) + 2) / 3 * 4 + 1);
	if (service->credentials) {
		char *at = service->credentials;
		service->login.plain = at;
		at = encode(at, plain, length);
		service->login.user = at;
		at = encode(at, c->user, user);
		service->login.password = at;
		encode(at, c->password, password);
	}
	explicit_bzero(plain, sizeof(plain));
	return service->credentials;
}

static bool load_credentials(struct service *service, struct bundle *bundle,
	const char *path, char reason[SERVICE_REASON])
{
	struct credentials credentials;
	bool fine = credentials_read(bundle, path, &credentials, reason);
	if (fine && !encode_credentials(service, &credentials)) {
		snprintf(reason, SERVICE_REASON, "out of memory");
		fine = false;
	}
	credentials_wipe(&credentials);
	service->dialogue.credentials = fine ? &service->login : NULL;
	return fine;
}

static void set_route(struct dialogue_service *d, const struct config_outbound *outbound)
{
	d->synthesised = outbound->route != ROUTE_RELAY;
	d->early = outbound->route == ROUTE_INTERCEPT;
	d->own_greeting = outbound->route == ROUTE_RELAY;
	d->far_implicit = outbound->route == ROUTE_RELAY &&
			  outbound->relay_tls == RELAY_TLS_IMPLICIT;
	/* What is demanded is said leg by leg; a relay always has TLS. */
	d->far_tls = DIALOGUE_FAR_ENCRYPT;
	if (outbound->route == ROUTE_RELAY && !outbound->credentials) {
		d->mechanisms = 1u << SMTP_AUTH_PLAIN | 1u << SMTP_AUTH_LOGIN;
		d->auth_clear = true;
	}
}

bool service_outbound(struct service *service, struct bundle *bundle,
	const struct config *config, const struct config_outbound *outbound,
	struct tls_server *server, char reason[SERVICE_REASON])
{
	*service = (struct service){
		.name = outbound->name,
		.number = service_number(config, outbound->name),
		.outbound = outbound,
		.listen = outbound->listen,
		.listen_count = outbound->listen_count,
		.dialogue = common(config),
		.server = outbound->tls == NEAR_TLS_OFF ? NULL : server,
	};
	struct dialogue_service *d = &service->dialogue;
	set_route(d, outbound);
	d->near_tls = near_tls[outbound->tls];
	d->received = outbound->received == RECEIVED_ON;
	d->reject_bare = outbound->bare_newline == BARE_NEWLINE_REJECT;
	d->offer = outbound->offer;
	d->client_helo =
		outbound->helo == HELO_CLIENT ||
		(outbound->helo == HELO_AUTO && outbound->source == SOURCE_TRANSPARENT);
	return !outbound->credentials ||
	       load_credentials(service, bundle, outbound->credentials, reason);
}

void service_release(struct service *service)
{
	if (service->credentials)
		explicit_bzero(service->credentials, strlen(service->credentials));
	free(service->credentials);
}
