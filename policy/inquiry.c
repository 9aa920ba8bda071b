/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "inquiry.h"

#include "directory.h"
#include "dns.h"
#include "sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	LIFETIME = 300, /* seconds, of what files alone decide */
	LIFETIME_BROKEN = 10,
};

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

static void shorten(struct peer *peer, int64_t seconds)
{
	if (seconds < peer->lifetime)
		peer->lifetime = seconds > 0 ? (uint32_t)seconds : 0;
}

void inquiry_unavailable(struct peer *peer, const char *why)
{
	peer->status = PEER_UNAVAILABLE;
	peer->candidate_count = 0;
	peer->lifetime = 0;
	snprintf(peer->text, sizeof(peer->text), "the policy process %s", why);
}

/* ---- what the files demand ---- */

/* False without memory. */
static bool find_demand(struct inquiry *inquiry)
{
	const struct sources *sources = inquiry->sources;
	struct peer *peer = inquiry->peer;
	char domain[REQUIREMENT_NAME];
	memcpy(domain, peer->domain, sizeof(domain));
	free(peer->demand.ca);
	peer->demand.ca = NULL;
	if (!directory_find(sources->directory, (enum direction)peer->direction, domain,
		    now(), peer, &inquiry->demand_until)) {
		inquiry_unavailable(peer, "is out of memory");
		return false;
	}
	/* What nobody asks about is not demanded where DNS fails, either. */
	peer->demand.dane &= sources->settings.dane;
	peer->demand.mta_sts &= sources->settings.mta_sts;
	return true;
}

/* They may have changed, or expired, while the DNS was asked. */
static void renew_demand(struct inquiry *inquiry)
{
	struct peer *peer = inquiry->peer;
	struct peer found = { .status = peer->status };
	uint64_t generation = directory_generation(inquiry->sources->directory);
	memcpy(found.text, peer->text, sizeof(found.text));
	if (peer->generation == generation && now() < inquiry->demand_until)
		return;
	if (!find_demand(inquiry))
		return;
	if (peer->status == PEER_FINE) {
		peer->status = found.status;
		memcpy(peer->text, found.text, sizeof(peer->text));
	} else {
		peer->lifetime = LIFETIME_BROKEN;
	}
}

/* ---- the DNS and the policy host ---- */

static void end(struct inquiry *inquiry)
{
	shorten(inquiry->peer, inquiry->demand_until - now());
	inquiry->done(inquiry);
}

/* Once neither is under way any more. */
static void end_if_complete(struct inquiry *inquiry)
{
	if (inquiry->hosts || inquiry->sts)
		return;
	renew_demand(inquiry);
	shorten(inquiry->peer, inquiry->sts_lifetime);
	end(inquiry);
}

static void on_hosts(struct peer *peer, void *context)
{
	struct inquiry *inquiry = context;
	(void)peer;
	inquiry->hosts = NULL;
	end_if_complete(inquiry);
}

static void on_sts(uint32_t lifetime, void *context)
{
	struct inquiry *inquiry = context;
	inquiry->sts = NULL;
	inquiry->sts_lifetime = lifetime;
	end_if_complete(inquiry);
}

/* Made when it is first needed: who only receives has no use for its cache. */
static bool begin_sts(struct sources *sources)
{
	const struct settings *settings = &sources->settings;
	const struct sts_options options = {
		.ca = settings->ca,
		.cache = settings->cache,
		.writes = sources->writes,
		.wait = settings->timeout / 2., /* the worker counts as well */
		.say = sources->say,
		.context = sources->context,
	};
	if (!sources->sts)
		sources->sts = sts_agent_new(sources->loop, sources->dns, &options);
	return sources->sts;
}

/* Both at once; and none of them is the other's to wait for. */
static void find_hosts(struct inquiry *inquiry)
{
	struct sources *sources = inquiry->sources;
	struct peer *peer = inquiry->peer;
	if (!sources->dns) {
		peer->status = PEER_DNS_FAILED;
		peer->lifetime = LIFETIME_BROKEN;
		memcpy(peer->text, sources->no_dns, sizeof(peer->text));
		end(inquiry);
		return;
	}
	bool wants_sts =
		sources->settings.mta_sts && peer->direction == DIRECTION_OUTBOUND;
	inquiry->sts_lifetime = UINT32_MAX;
	inquiry->hosts = dns_find(sources->dns, peer, on_hosts, inquiry);
	if (wants_sts && begin_sts(sources))
		inquiry->sts =
			sts_find(sources->sts, peer->domain, &peer->sts, on_sts, inquiry);
	if (!inquiry->hosts || (wants_sts && !inquiry->sts)) {
		inquiry_cancel(inquiry);
		inquiry_unavailable(peer, "is out of memory");
		end(inquiry);
	}
}

void inquiry_begin(struct inquiry *inquiry)
{
	struct peer *peer = inquiry->peer;
	bool known = find_demand(inquiry);
	/* "<postmaster>" has no domain that could have hosts (RFC 5321 §4.5.1). */
	bool hosts = peer->direction != DIRECTION_INBOUND && peer->domain[0] != '\0';
	if (known && peer->status == PEER_FINE && hosts) {
		find_hosts(inquiry);
		return;
	}
	if (known)
		peer->lifetime = peer->status == PEER_FINE ? LIFETIME : LIFETIME_BROKEN;
	end(inquiry);
}

void inquiry_cancel(struct inquiry *inquiry)
{
	dns_cancel(inquiry->hosts);
	sts_cancel(inquiry->sts);
	inquiry->hosts = NULL;
	inquiry->sts = NULL;
}

/* ---- whom there is to ask ---- */

void sources_close(struct sources *sources)
{
	sts_agent_free(sources->sts);
	dns_free(sources->dns);
	directory_close(sources->directory);
}
