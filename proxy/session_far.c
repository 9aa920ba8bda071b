/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The far leg: connecting to a backend or to where a route leads, TLS with it, and its
 * end. Nothing here watches or frees; session.c does, after each event.
 */

#include "origin.h"
#include "proxyheader.h"
#include "session_private.h"

#include <stdio.h>
#include <string.h>

/* ---- the end ---- */

/* `detail` is the log's. A host that was tried for a recipient has its line later. */
static void lose(
	struct session *s, const char *what, const char *detail, const char *reason)
{
	struct dialogue_io io = stream_io(&s->stream, NULL);
	if (!dialogue_preparing(&s->stream.dialogue))
		session_log_failure(s, what, detail);
	session_warn_of_duplicate(s);
	session_obey(s, dialogue_far_lost(&s->stream.dialogue, reason, &io));
}

void session_far_lost(struct session *s, const char *what, const char *reason)
{
	lose(s, what, reason, reason);
}

void session_far_close(struct session *s)
{
	ev_io_stop(s->worker->loop, &s->far_io);
	leg_close(&s->far);
	s->connecting = s->far_shaking = s->start_far_tls = s->far_readable = false;
	s->stream.far_end = NULL;
	buf_release(&s->stream.far_in);
	buf_release(&s->stream.far_out);
}

/* ---- connecting ---- */

enum config_client_address session_client_address(const struct session *s)
{
	const struct config_inbound *inbound = s->service->inbound;
	return inbound ? inbound->client_address : CLIENT_ADDRESS_NONE;
}

static void write_header_v2(struct session *s)
{
	struct facts facts = { .name = "" };
	char version[sizeof(facts.version) + 1];
	if (!s->stream.dialogue.near_tls) {
		proxyheader_write_v2(
			&s->stream.far_out, &s->client, &s->server, NULL, NULL, NULL);
		return;
	}
	tls_facts(s->near.tls, &facts);
	/* "TLS1.3" is "TLSv1.3" there. */
	snprintf(version, sizeof(version), "TLSv%.8s", facts.version + strlen("TLS"));
	proxyheader_write_v2(&s->stream.far_out, &s->client, &s->server, version,
		facts.cipher, facts.name[0] != '\0' ? facts.name : NULL);
}

static void far_up(struct session *s)
{
	struct dialogue_io io = stream_io(&s->stream, NULL);
	enum config_client_address mode = session_client_address(s);
	s->connecting = false;
	if (mode == CLIENT_ADDRESS_PROXY_V1)
		proxyheader_write_v1(&s->stream.far_out, &s->client, &s->server);
	if (mode == CLIENT_ADDRESS_PROXY_V2)
		write_header_v2(s);
	session_obey(s, dialogue_far_up(&s->stream.dialogue, &io));
}

/* Where far is, and by what address of ours it is to see us. */
static struct address far_address(const struct session *s)
{
	return s->service->outbound ? route_address(&s->errand->route)
				    : s->service->inbound->backend[s->backend].address;
}

static const struct address *source_address(const struct session *s, bool *transparent)
{
	const struct config_outbound *outbound = s->service->outbound;
	*transparent = outbound ? outbound->source == SOURCE_TRANSPARENT
				: s->service->inbound->client_address ==
					  CLIENT_ADDRESS_TRANSPARENT;
	if (*transparent)
		return &s->client;
	bool own = outbound && outbound->source == SOURCE_ADDRESS;
	return own ? &outbound->source_address : NULL;
}

/* Nothing may be heard from where it stands now: another backend, or a relay's address.
 */
static bool another(struct session *s, const char *reason)
{
	if (s->service->inbound)
		return ++s->backend < s->service->inbound->backend_count;
	return s->service->outbound->route == ROUTE_RELAY &&
	       route_failed(&s->errand->route, "4.4.1", reason, "");
}

static void connect_failed(struct session *s, const char *reason)
{
	char text[ADDRESS_TEXT], what[ADDRESS_TEXT + 40] = "cannot connect to ";
	struct address address = far_address(s);
	strcat(what, address_text(&address, text));
	if (another(s, reason)) {
		session_log_failure(s, what, reason);
		session_far_open(s);
		return;
	}
	session_far_lost(s, what, reason);
}

/* RFC 5321 §5.1: mail for a host that is this one would come back, and go again. */
static bool would_loop(const struct session *s, const struct address *address)
{
	const struct worker *worker = s->worker;
	for (unsigned i = 0; i < worker->listening_count; i++) {
		const struct address *listening = &worker->listening[i];
		bool any = address_is_wildcard(listening) &&
			   listening->family == address->family &&
			   origin_check(address, true) == ORIGIN_OURSELVES;
		if (listening->port == address->port &&
			(any || address_same_host(listening, address)))
			return true;
	}
	return false;
}

void session_far_open(struct session *s)
{
	bool transparent;
	session_far_close(s);
	if (s->service->outbound && !session_relay_known(s))
		return;
	const struct address *source = source_address(s, &transparent);
	struct address address = far_address(s);
	if (s->service->outbound && would_loop(s, &address)) {
		connect_failed(s, "that is this machine: mail would come back");
		return;
	}
	enum leg_status status = leg_connect(&s->far, &address, source, transparent);
	s->connecting = status == LEG_AGAIN;
	if (status == LEG_OK)
		far_up(s);
	else if (status != LEG_AGAIN)
		connect_failed(s, leg_reason(&s->far));
}

bool session_speaks_first(const struct session *s)
{
	enum config_client_address mode = session_client_address(s);
	const struct dialogue_service *service = &s->service->dialogue;
	return mode == CLIENT_ADDRESS_PROXY_V1 || mode == CLIENT_ADDRESS_PROXY_V2 ||
	       service->far_implicit || service->early;
}

/*
 * Who has nothing to say need not know of the connection before the backend's greeting
 * comes: that saves waking up once. So far may be readable already.
 */
bool session_far_connected(struct session *s)
{
	if (leg_connected(&s->far) == LEG_OK)
		far_up(s);
	else
		connect_failed(s, leg_reason(&s->far));
	return true;
}

void session_connect_late(struct session *s)
{
	if (leg_established(&s->far))
		far_up(s); /* and from here on greeting-timeout runs */
	else
		connect_failed(s, "no answer in time");
}

/* ---- TLS ---- */

bool session_far_start_tls(struct session *s)
{
	struct tls_client *client = s->service->setup->client;
	struct tls_target target = { .protocols = TLS_PROTOCOLS_1_2 };
	if (s->service->outbound)
		target = session_route_target(s);
	else if (s->service->inbound->backend_tls == BACKEND_TLS_LEGACY)
		target.protocols = TLS_PROTOCOLS_LEGACY;
	s->start_far_tls = false;
	if (!leg_connect_tls(&s->far, client, &target, &s->worker->pool)) {
		session_far_lost(s, "cannot start TLS with the server",
			"out of memory, or no such identity");
		return true;
	}
	s->far_shaking = s->far_readable = true;
	return true;
}

/* Why, kept where the dialogue may refer to it after the leg is closed. */
static const char *shake_reason(struct session *s)
{
	if (!s->errand)
		return "TLS with the mail server failed";
	snprintf(s->errand->route.text, sizeof(s->errand->route.text), "TLS %s",
		leg_reason(&s->far));
	return s->errand->route.text;
}

bool session_far_shake(struct session *s)
{
	struct dialogue_io io;
	s->far_readable = false;
	switch (leg_handshake(&s->far)) {
	case LEG_AGAIN: return false;
	case LEG_OK:
		s->far_shaking = false;
		s->far_readable = true;
		if (s->service->outbound && !session_route_judge(s))
			return true;
		io = stream_io(&s->stream, NULL);
		session_obey(s, dialogue_far_tls(&s->stream.dialogue, &io));
		return true;
	default:
		lose(s, "TLS handshake with the server failed", leg_reason(&s->far),
			shake_reason(s));
		return true;
	}
}
