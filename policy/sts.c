/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A query is somebody's question; a job is what is being done about a domain, for as many
 * queries as there are, or for none: a job goes on when the last query has lost patience,
 * and policies are fetched again before they expire. A job that waits for its turn or is
 * being fetched holds one of STS_FETCHES places.
 */

#include "sts.h"

#include "dns.h"
#include "dns_data.h"
#include "dns_text.h"
#include "reach.h"
#include "sts_cache.h"
#include "sts_fetch.h"
#include "sts_text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SWEEP = 60,	   /* seconds between looks for what expires */
	TEXT_SECONDS = 30, /* for the record, whoever waits */
	LIFETIME_LEAST = 5,
	LIFETIME_MOST = 3600,
	LIFETIME_PENDING = 10,
	LIFETIME_FAILED = 60,
};

struct sts_agent {
	struct ev_loop *loop;
	struct dns *dns;
	struct sts_cache *cache;
	struct sts_fetcher *fetcher;
	char no_fetcher[256]; /* why there is none */
	double wait;	      /* seconds */
	void (*say)(bool warning, const char *text, void *context);
	void *context;
	ev_timer sweep;
	struct job *jobs;
	struct job *queue, **queue_end; /* those that wait for a place */
	unsigned job_count, busy;
};

struct job {
	struct sts_agent *agent;
	struct job *next, **at; /* among all */
	struct job *queued;	/* behind this one in the queue */
	char domain[REQUIREMENT_NAME];
	char id[STS_ID]; /* of the policy that is to be had */
	bool placed;	 /* it holds a place */
	bool refreshes;	 /* what is in the cache has not been called old */
	bool late;	 /* somebody has lost patience: nobody else waits for it */
	uint32_t lifetime;
	struct dns_text *text;
	struct peer *peer; /* the policy host; while it is looked up */
	struct dns_query *hosts;
	struct sts_fetch *fetch;
	struct sts_query *queries;
};

struct sts_query {
	struct sts_agent *agent;
	struct job *job; /* NULL: it has its answer */
	struct sts_query *next, **at;
	ev_timer timer;
	uint32_t lifetime;
	void (*done)(const struct sts *sts, uint32_t lifetime, void *context);
	void *context;
	struct sts sts;
};

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

static uint32_t within(int64_t value, int64_t least, int64_t most)
{
	if (value < least)
		return (uint32_t)least;
	return (uint32_t)(value < most ? value : most);
}

/* ---- text for people ---- */

static void compose(char text[REQUIREMENT_TEXT], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* It will stand in the log, and holds what strangers wrote. */
static void compose(char text[REQUIREMENT_TEXT], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, REQUIREMENT_TEXT, format, arguments);
	va_end(arguments);
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void on_warning(const char *text, void *context)
{
	struct sts_agent *agent = context;
	agent->say(true, text, agent->context);
}

/* ---- queries ---- */

/* From a turn of the loop of its own, so that nobody is called back from where he called
 * us. */
static void answer(struct sts_query *query, uint32_t lifetime)
{
	query->lifetime = lifetime;
	*query->at = query->next;
	if (query->next)
		query->next->at = query->at;
	query->job = NULL;
	ev_timer_stop(query->agent->loop, &query->timer);
	ev_timer_set(&query->timer, 0., 0.);
	ev_timer_start(query->agent->loop, &query->timer);
}

/* By what is in the cache; `text` says why there may be nothing. */
static void answer_from_cache(
	struct sts_query *query, const char *domain, const char *text, uint32_t lifetime)
{
	struct sts *sts = &query->sts;
	int64_t t = now();
	if (sts_cache_find(query->agent->cache, domain, t, sts)) {
		lifetime = within(sts->expires - t, 1, lifetime);
	} else {
		memset(sts, 0, sizeof(*sts));
		compose(sts->text, "%s", text);
	}
	answer(query, lifetime);
}

/* It goes on without the query. */
static void answer_late(struct sts_query *query, const struct job *job)
{
	char text[REQUIREMENT_TEXT];
	compose(text, "%s%s %s not come within %g s",
		job->text ? "the TXT records of _mta-sts." : "the MTA-STS policy of ",
		job->domain, job->text ? "have" : "has", query->agent->wait);
	answer_from_cache(query, job->domain, text, LIFETIME_PENDING);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sts_query *query = timer->data;
	(void)loop, (void)events;
	if (query->job) {
		query->job->late = true;
		answer_late(query, query->job);
		return;
	}
	query->done(&query->sts, query->lifetime, query->context);
	free(query);
}

void sts_cancel(struct sts_query *query)
{
	if (!query)
		return;
	if (query->job) {
		*query->at = query->next;
		if (query->next)
			query->next->at = query->at;
	}
	ev_timer_stop(query->agent->loop, &query->timer);
	free(query);
}

/* ---- jobs ---- */

static struct job *find_job(struct sts_agent *agent, const char *domain)
{
	struct job *job = agent->jobs;
	while (job && strcmp(job->domain, domain) != 0)
		job = job->next;
	return job;
}

static struct job *new_job(struct sts_agent *agent, const char *domain)
{
	struct job *job = agent->job_count < STS_JOBS ? calloc(1, sizeof(*job)) : NULL;
	if (!job)
		return NULL;
	job->agent = agent;
	job->lifetime = LIFETIME_MOST;
	memcpy(job->domain, domain, strlen(domain) + 1);
	job->next = agent->jobs;
	job->at = &agent->jobs;
	if (job->next)
		job->next->at = &job->next;
	agent->jobs = job;
	agent->job_count++;
	return job;
}

static void free_job(struct job *job)
{
	dns_text_cancel(job->text);
	dns_cancel(job->hosts);
	sts_fetch_cancel(job->fetch);
	peer_free(job->peer);
	*job->at = job->next;
	if (job->next)
		job->next->at = job->at;
	job->agent->job_count--;
	free(job);
}

static void start(struct job *job);

/* Its place is the next one's. */
static void end(struct job *job)
{
	struct sts_agent *agent = job->agent;
	bool placed = job->placed;
	free_job(job);
	if (!placed)
		return;
	agent->busy--;
	struct job *first = agent->queue;
	if (!first)
		return;
	agent->queue = first->queued;
	if (!agent->queue)
		agent->queue_end = &agent->queue;
	start(first);
}

static void answer_all(struct job *job, const char *text, uint32_t lifetime)
{
	while (job->queries)
		answer_from_cache(job->queries, job->domain, text, lifetime);
}

static void fail(struct job *job, const char *why)
{
	struct sts_agent *agent = job->agent;
	struct sts sts;
	char text[REQUIREMENT_TEXT], line[REQUIREMENT_TEXT];
	bool kept = sts_cache_find(agent->cache, job->domain, now(), &sts);
	compose(text, "the MTA-STS policy of %s cannot be had: %s", job->domain, why);
	compose(line, "%s; %s", text,
		kept ? "the one that was had before stays in force"
		     : "mail goes as if it had none");
	agent->say(true, line, agent->context);
	sts_cache_blame(agent->cache, job->domain, now(), text);
	answer_all(job, text, LIFETIME_FAILED);
	end(job);
}

/* ---- the policy ---- */

/* A max_age of 0 is for those that wait now. */
static void answer_with(struct job *job, const struct sts *sts)
{
	while (job->queries) {
		struct sts_query *query = job->queries;
		query->sts = *sts;
		answer(query, within(sts->expires - sts->fetched, 1, job->lifetime));
	}
}

static void on_fetched(const char *fault, const char *body, size_t length, void *context)
{
	struct job *job = context;
	struct sts_agent *agent = job->agent;
	struct sts sts = { .fetched = now() };
	char line[REQUIREMENT_TEXT];
	uint32_t age;
	job->fetch = NULL;
	if (!fault)
		fault = sts_text_policy(body, length, &sts, &age);
	if (fault) {
		fail(job, fault);
		return;
	}
	memcpy(sts.id, job->id, sizeof(sts.id));
	sts.expires = sts.fetched + age;
	sts_cache_keep(agent->cache, job->domain, &sts);
	compose(line, "the MTA-STS policy of %s: mode %s, id %s, for %u s", job->domain,
		sts_mode_name((enum sts_mode)sts.mode), sts.id, (unsigned)age);
	agent->say(false, line, agent->context);
	answer_with(job, &sts);
	end(job);
}

/* Those of the policy host's that are not there to lead us into somebody's house. */
static unsigned public_addresses(
	const struct peer *peer, struct peer_address to[REQUIREMENT_ADDRESSES])
{
	const struct candidate *host = &peer->candidates[0];
	unsigned count = 0;
	for (unsigned i = 0; peer->candidate_count > 0 && i < host->address_count; i++)
		if (!reach_is_private(&host->addresses[i]))
			to[count++] = host->addresses[i];
	return count;
}

static void on_hosts(struct peer *peer, void *context)
{
	struct job *job = context;
	struct peer_address from[REQUIREMENT_ADDRESSES];
	char why[REQUIREMENT_TEXT];
	unsigned count = public_addresses(peer, from);
	job->hosts = NULL;
	job->peer = NULL;
	if (peer->status != PEER_FINE)
		compose(why, "%s", peer->text);
	else if (count == 0)
		compose(why, "%s has private addresses alone", peer->domain);
	else if (!job->agent->fetcher)
		compose(why, "%s", job->agent->no_fetcher);
	else
		compose(why, "out of memory");
	if (peer->status == PEER_FINE && count > 0 && job->agent->fetcher)
		job->fetch = sts_fetch_begin(
			job->agent->fetcher, job->domain, from, count, on_fetched, job);
	peer_free(peer);
	if (!job->fetch)
		fail(job, why);
}

/* It has a place. */
static void start(struct job *job)
{
	static const char host[] = "mta-sts.";
	size_t length = strlen(job->domain) + 1;
	job->placed = true;
	job->agent->busy++;
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer || sizeof(host) - 1 + length > sizeof(peer->domain)) {
		fail(job, peer ? "its name is too long" : "out of memory");
		free(peer);
		return;
	}
	peer->direction = DIRECTION_HOST;
	memcpy(peer->domain, host, sizeof(host) - 1);
	memcpy(peer->domain + sizeof(host) - 1, job->domain, length);
	job->peer = peer;
	job->hosts = dns_find(job->agent->dns, peer, on_hosts, job);
	if (!job->hosts)
		fail(job, "out of memory");
}

static void fetch(struct job *job)
{
	struct sts_agent *agent = job->agent;
	if (agent->busy < STS_FETCHES) {
		start(job);
		return;
	}
	*agent->queue_end = job;
	agent->queue_end = &job->queued;
}

/* ---- the record ---- */

enum announced { ANNOUNCED_NOT, ANNOUNCED_WRONGLY, ANNOUNCED };

/* Those that speak of something else do not count (RFC 8461 §3.1). */
static enum announced read_records(struct job *job, struct dns_packet *packet)
{
	struct dns_record record;
	unsigned count = 0;
	bool fine = true;
	while (dns_packet_next(packet, &record)) {
		char id[STS_ID];
		job->lifetime = within(record.ttl, LIFETIME_LEAST, job->lifetime);
		if (!record.answer || record.type != DNS_TXT)
			continue;
		enum sts_record kind =
			sts_text_record(packet->octets + record.at, record.length, id);
		if (kind == STS_RECORD_NONE)
			continue;
		count++;
		fine = fine && kind == STS_RECORD_FINE;
		memcpy(job->id, id, sizeof(id));
	}
	if (count == 0)
		return ANNOUNCED_NOT;
	return count == 1 && fine ? ANNOUNCED : ANNOUNCED_WRONGLY;
}

/* There is one record, and it is a good one. */
static void on_announced(struct job *job)
{
	struct sts_agent *agent = job->agent;
	struct sts sts;
	char why[REQUIREMENT_TEXT];
	int64_t t = now();
	bool kept = sts_cache_find(agent->cache, job->domain, t, &sts);
	sts_cache_blamed(agent->cache, job->domain, t, why);
	if (kept && strcmp(sts.id, job->id) == 0) {
		answer_all(job, "", job->lifetime);
		if (!sts_cache_is_due(agent->cache, job->domain, t)) {
			end(job);
			return;
		}
		job->refreshes = true;
	} else if (why[0] != '\0') {
		answer_all(job, why, LIFETIME_FAILED);
		end(job);
		return;
	}
	fetch(job);
}

static void on_text(const char *why, struct dns_packet *packet, void *context)
{
	struct job *job = context;
	char text[REQUIREMENT_TEXT] = "";
	uint32_t lifetime = LIFETIME_FAILED;
	job->text = NULL;
	if (why) {
		compose(text, "the TXT records of _mta-sts.%s cannot be had: %s",
			job->domain, why);
	} else {
		enum announced announced = read_records(job, packet);
		if (announced == ANNOUNCED) {
			on_announced(job);
			return;
		}
		lifetime = job->lifetime;
		if (announced == ANNOUNCED_WRONGLY)
			compose(text,
				"the MTA-STS record of %s is malformed, or one of "
				"several",
				job->domain);
	}
	answer_all(job, text, lifetime);
	end(job);
}

static void ask(struct job *job)
{
	char name[sizeof("_mta-sts.") + REQUIREMENT_NAME];
	snprintf(name, sizeof(name), "_mta-sts.%s", job->domain);
	struct dns_text *text =
		dns_text_find(job->agent->dns, name, TEXT_SECONDS, on_text, job);
	if (text) /* or the job may have ended */
		job->text = text;
}

/* ---- questions ---- */

static void join(struct sts_query *query, struct job *job)
{
	query->job = job;
	query->next = job->queries;
	query->at = &job->queries;
	if (query->next)
		query->next->at = &query->next;
	job->queries = query;
}

static void attend(struct sts_query *query, const char *domain)
{
	struct sts_agent *agent = query->agent;
	struct job *job = find_job(agent, domain);
	if (job) {
		if (job->late)
			answer_late(query, job);
		else if (job->refreshes &&
			 sts_cache_find(agent->cache, domain, now(), &query->sts))
			answer(query, LIFETIME_PENDING);
		else
			join(query, job);
		return;
	}
	job = new_job(agent, domain);
	if (!job) {
		answer_from_cache(query, domain,
			"too many MTA-STS policies are being looked up",
			LIFETIME_PENDING);
		return;
	}
	join(query, job);
	ask(job);
}

struct sts_query *sts_find(struct sts_agent *agent, const char *domain,
	void (*done)(const struct sts *sts, uint32_t lifetime, void *context),
	void *context)
{
	struct sts_query *query = calloc(1, sizeof(*query));
	if (!query)
		return NULL;
	query->agent = agent;
	query->done = done;
	query->context = context;
	query->at = &query->next; /* it is in no list */
	ev_timer_init(&query->timer, on_timer, agent->wait, 0.);
	query->timer.data = query;
	ev_timer_start(agent->loop, &query->timer);
	if (dns_is_host(domain))
		attend(query, domain);
	else
		answer(query, LIFETIME_MOST);
	return query;
}

/* ---- time ---- */

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sts_agent *agent = timer->data;
	char domain[REQUIREMENT_NAME];
	struct sts sts;
	int64_t t = now();
	(void)loop, (void)events;
	sts_cache_expire(agent->cache, t);
	while (agent->busy < STS_FETCHES && sts_cache_take_due(agent->cache, t, domain)) {
		struct job *job = find_job(agent, domain) ? NULL : new_job(agent, domain);
		if (!job || !sts_cache_find(agent->cache, domain, t, &sts))
			continue;
		memcpy(job->id, sts.id, sizeof(job->id));
		job->refreshes = true;
		start(job);
	}
}

/* ---- its life ---- */

struct sts_agent *sts_agent_new(
	struct ev_loop *loop, struct dns *dns, const struct sts_options *options)
{
	struct sts_agent *agent = calloc(1, sizeof(*agent));
	if (!agent)
		return NULL;
	agent->loop = loop;
	agent->dns = dns;
	agent->say = options->say;
	agent->context = options->context;
	agent->wait = options->wait < STS_WAIT ? options->wait : STS_WAIT;
	agent->queue_end = &agent->queue;
	agent->cache =
		sts_cache_new(options->cache, options->writes, now(), on_warning, agent);
	if (!agent->cache) {
		free(agent);
		return NULL;
	}
	agent->fetcher = sts_fetcher_new(
		loop, options->ca, agent->no_fetcher, sizeof(agent->no_fetcher));
	ev_timer_init(&agent->sweep, on_sweep, SWEEP, SWEEP);
	agent->sweep.data = agent;
	ev_timer_start(loop, &agent->sweep);
	return agent;
}

void sts_agent_free(struct sts_agent *agent)
{
	if (!agent)
		return;
	while (agent->jobs)
		free_job(agent->jobs);
	ev_timer_stop(agent->loop, &agent->sweep);
	sts_fetcher_free(agent->fetcher);
	sts_cache_free(agent->cache);
	free(agent);
}
