/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * A query is somebody's question; a job is what is being done about a domain, for as many
 * queries as there are, or for none: a job goes on when the last query has lost patience,
 * and policies are fetched again before they expire. Only the fetch itself takes one of
 * the places (sts_places.h); to be asked about in the DNS costs little.
 */

#include "sts.h"

#include "dns.h"
#include "dns_data.h"
#include "dns_records.h"
#include "reach.h"
#include "sts_cache.h"
#include "sts_fetch.h"
#include "sts_places.h"
#include "sts_text.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SWEEP = 60,	  /* seconds between looks for what expires */
	SWEEP_MOST = 16,  /* fetches that are begun ahead of expiry, at once */
	DNS_SECONDS = 30, /* for one look at the DNS, whoever waits */
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
	unsigned job_count, sweep_count;
	struct sts_places places; /* of those that fetch */
};

/* Something that is asked of the DNS for a job. */
struct sought {
	struct job *job;
	struct dns_records *records; /* under way */
};

struct job {
	struct sts_agent *agent;
	struct job *next, **at; /* among all */
	char domain[REQUIREMENT_NAME];
	char id[STS_ID]; /* of the policy that is to be had */
	bool refreshes;	 /* what is in the cache has not been called old */
	bool swept;	 /* nobody has asked: it was due */
	bool late;	 /* somebody has lost patience: nobody else waits for it */
	uint32_t lifetime;
	struct sought text, addresses[2]; /* the second are IPv6 */
	unsigned missing;		  /* of its addresses: answers */
	struct candidate host;		  /* the policy host */
	char no_host[REQUIREMENT_TEXT];	  /* why it has no address */
	struct sts_place place;
	struct sts_fetch *fetch;
	struct sts_query *queries;
};

struct sts_query {
	struct sts_agent *agent;
	struct job *job; /* NULL: it has its answer */
	struct sts_query *next, **at;
	ev_timer timer;
	uint32_t lifetime;
	struct sts *sts;
	void (*done)(uint32_t lifetime, void *context);
	void *context;
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
	struct sts *sts = query->sts;
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
		job->text.records ? "the TXT records of _mta-sts."
				  : "the MTA-STS policy of ",
		job->domain, job->text.records ? "have" : "has", query->agent->wait);
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
	query->done(query->lifetime, query->context);
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
	job->text.job = job->addresses[0].job = job->addresses[1].job = job;
	memcpy(job->domain, domain, strlen(domain) + 1);
	job->next = agent->jobs;
	job->at = &agent->jobs;
	if (job->next)
		job->next->at = &job->next;
	agent->jobs = job;
	agent->job_count++;
	return job;
}

static void end(struct job *job)
{
	struct sts_agent *agent = job->agent;
	dns_records_cancel(job->text.records);
	dns_records_cancel(job->addresses[0].records);
	dns_records_cancel(job->addresses[1].records);
	sts_fetch_cancel(job->fetch);
	sts_places_leave(&agent->places, &job->place);
	*job->at = job->next;
	if (job->next)
		job->next->at = job->at;
	agent->job_count--;
	agent->sweep_count -= job->swept;
	free(job);
}

/* `done` gets `sought`, perhaps from within here; the job may have ended then. */
static void seek(struct sought *sought, const char *name, enum dns_type type,
	void (*done)(const char *why, struct dns_packet *packet, void *sought))
{
	struct dns_records *records = dns_records_find(
		sought->job->agent->dns, name, type, DNS_SECONDS, done, sought);
	if (records)
		sought->records = records;
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
		*query->sts = *sts;
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

static struct job *job_of(struct sts_place *place)
{
	return (struct job *)(void *)((char *)place - offsetof(struct job, place));
}

static void on_place(struct sts_place *place)
{
	struct job *job = job_of(place);
	struct sts_agent *agent = job->agent;
	job->fetch = sts_fetch_begin(agent->fetcher, job->domain, job->host.addresses,
		job->host.address_count, on_fetched, job);
	if (!job->fetch)
		fail(job, "out of memory");
}

static void on_place_withdrawn(struct sts_place *place)
{
	fail(job_of(place), "its host takes its time while others wait");
}

/* ---- the policy host ---- */

/* Some may be there to lead us into somebody's house. */
static void take_address(struct job *job, const struct peer_address *address)
{
	if (!reach_is_private(address))
		dns_add_address(&job->host, address);
	else
		compose(job->no_host, "mta-sts.%s has private addresses alone",
			job->domain);
}

static void on_addresses(const char *why, struct dns_packet *packet, void *context)
{
	struct sought *sought = context;
	struct job *job = sought->job;
	struct dns_record record;
	struct peer_address address;
	sought->records = NULL;
	if (why)
		compose(job->no_host, "the addresses of mta-sts.%s cannot be had: %s",
			job->domain, why);
	while (packet && dns_packet_next(packet, &record))
		if (record.answer && dns_packet_address(packet, &record, &address))
			take_address(job, &address);
	if (--job->missing > 0)
		return;
	if (job->host.address_count > 0)
		sts_places_want(&job->agent->places, &job->place);
	else
		fail(job, job->no_host);
}

/* From the DNS; then, in its turn, the fetch itself. */
static void find_host(struct job *job)
{
	char name[sizeof("mta-sts.") + REQUIREMENT_NAME];
	struct sts_agent *agent = job->agent;
	int length = snprintf(name, sizeof(name), "mta-sts.%s", job->domain);
	if (!agent->fetcher || length >= REQUIREMENT_NAME) {
		fail(job, agent->fetcher ? "its name is too long" : agent->no_fetcher);
		return;
	}
	compose(job->no_host, "%s has no address", name);
	job->missing = 2;
	seek(&job->addresses[0], name, DNS_A, on_addresses);
	seek(&job->addresses[1], name, DNS_AAAA, on_addresses); /* the job may end */
}

/* ---- the record ---- */

enum announced { ANNOUNCED_NOT, ANNOUNCED_WRONGLY, ANNOUNCED };

/* Those that speak of something else do not count (RFC 8461 §3.1). */
static enum announced read_records(struct job *job, struct dns_packet *packet)
{
	struct dns_record record;
	unsigned count = 0;
	bool fine = true;
	job->lifetime =
		within(dns_packet_lifetime(*packet), LIFETIME_LEAST, LIFETIME_MOST);
	while (dns_packet_next(packet, &record)) {
		char id[STS_ID];
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
	find_host(job);
}

static void on_text(const char *why, struct dns_packet *packet, void *context)
{
	struct sought *sought = context;
	struct job *job = sought->job;
	char text[REQUIREMENT_TEXT] = "";
	uint32_t lifetime = LIFETIME_FAILED;
	sought->records = NULL;
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
	seek(&job->text, name, DNS_TXT, on_text);
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
			 sts_cache_find(agent->cache, domain, now(), query->sts))
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

struct sts_query *sts_find(struct sts_agent *agent, const char *domain, struct sts *sts,
	void (*done)(uint32_t lifetime, void *context), void *context)
{
	struct sts_query *query = calloc(1, sizeof(*query));
	if (!query)
		return NULL;
	*sts = (struct sts){ .mode = STS_NONE };
	query->agent = agent;
	query->sts = sts;
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
	while (agent->sweep_count < SWEEP_MOST &&
		sts_cache_take_due(agent->cache, t, domain)) {
		struct job *job = find_job(agent, domain) ? NULL : new_job(agent, domain);
		if (!job)
			continue;
		if (sts_cache_find(agent->cache, domain, t, &sts))
			memcpy(job->id, sts.id, sizeof(job->id));
		job->refreshes = job->swept = true;
		agent->sweep_count++;
		find_host(job);
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
	agent->cache =
		sts_cache_new(options->cache, options->writes, now(), on_warning, agent);
	if (!agent->cache) {
		free(agent);
		return NULL;
	}
	agent->fetcher = sts_fetcher_new(
		loop, options->ca, agent->no_fetcher, sizeof(agent->no_fetcher));
	sts_places_init(&agent->places, loop, sts_fetcher_room(), agent->wait / 2,
		on_place, on_place_withdrawn);
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
		end(agent->jobs);
	ev_timer_stop(agent->loop, &agent->sweep);
	sts_fetcher_free(agent->fetcher);
	sts_cache_free(agent->cache);
	free(agent);
}
