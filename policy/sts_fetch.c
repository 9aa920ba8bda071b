/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "sts_fetch.h"

#include "reach.h"
#include "sts_text.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
	CONNECT_SECONDS = 10, /* TLS included */
	CA_SECONDS = 600,     /* after which the CAs are read again */
	HEADERS = 64 * 1024,  /* octets of them at most */
	REASON = 300,
};

struct sts_fetcher {
	struct ev_loop *loop;
	CURLM *multi;
	ev_timer timer;
	const char *ca; /* NULL: the system's */
	char ca_file[];
};

/* A socket of libcurl's, while libcurl has it watched. */
struct watch {
	ev_io io;
	struct sts_fetcher *fetcher;
};

struct sts_fetch {
	struct sts_fetcher *fetcher;
	CURL *easy;
	CURLSH *share; /* has the addresses, which so end with the fetch */
	struct curl_slist *resolve;
	struct peer_address from[REQUIREMENT_ADDRESSES];
	unsigned count;
	void (*done)(const char *, const char *, size_t, void *);
	void *context;
	char domain[REQUIREMENT_NAME];
	char error[CURL_ERROR_SIZE];
	size_t headers, length;
	bool too_long, refused;
	char *body;
};

/* ---- what came ---- */

static void free_fetch(struct sts_fetch *fetch)
{
	if (fetch->easy)
		curl_easy_cleanup(fetch->easy);
	if (fetch->share)
		curl_share_cleanup(fetch->share);
	curl_slist_free_all(fetch->resolve);
	free(fetch->body);
	free(fetch);
}

static size_t on_body(char *octets, size_t size, size_t count, void *data)
{
	struct sts_fetch *fetch = data;
	size_t length = size * count;
	fetch->too_long = length > STS_BODY - fetch->length;
	char *body =
		fetch->too_long ? NULL : realloc(fetch->body, fetch->length + length + 1);
	if (!body)
		return length == 0; /* anything but `length` ends it */
	memcpy(body + fetch->length, octets, length);
	fetch->body = body;
	fetch->length += length;
	return length;
}

static size_t on_header(char *octets, size_t size, size_t count, void *data)
{
	struct sts_fetch *fetch = data;
	size_t length = size * count;
	(void)octets;
	fetch->too_long = length > HEADERS - fetch->headers;
	if (fetch->too_long)
		return 0;
	fetch->headers += length;
	return length;
}

/* Parameters do not count (RFC 8461 §3.2). */
static bool is_plain_text(const char *type)
{
	static const char plain[] = "text/plain";
	size_t length = sizeof(plain) - 1;
	return type && strncasecmp(type, plain, length) == 0 &&
	       (type[length] == '\0' || strchr("; \t", type[length]));
}

static void printable(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* False: `reason` says why there is no policy in it. */
static bool is_good(struct sts_fetch *fetch, CURLcode code, char reason[REASON])
{
	long status = 0;
	const char *type = NULL;
	curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_TYPE, &type);
	reason[0] = '\0';
	if (fetch->refused)
		snprintf(reason, REASON, "its address may not be connected to");
	else if (fetch->too_long)
		snprintf(reason, REASON, "it is longer than 64 KiB");
	else if (code != CURLE_OK)
		snprintf(reason, REASON, "%s",
			fetch->error[0] ? fetch->error : curl_easy_strerror(code));
	else if (status >= 300 && status < 400)
		snprintf(reason, REASON, "HTTP %ld: redirects are not followed", status);
	else if (status != 200)
		snprintf(reason, REASON, "HTTP %ld", status);
	else if (!is_plain_text(type))
		snprintf(reason, REASON, "it is %s, not text/plain",
			type ? type : "of no type");
	printable(reason);
	return reason[0] == '\0';
}

static void finish(struct sts_fetch *fetch, CURLcode code)
{
	char reason[REASON];
	bool good = is_good(fetch, code, reason);
	curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
	fetch->done(good ? NULL : reason, fetch->body ? fetch->body : "", fetch->length,
		fetch->context);
	free_fetch(fetch);
}

/* ---- libcurl in the loop ---- */

static void act(struct sts_fetcher *fetcher, curl_socket_t socket, int bits)
{
	int count;
	CURLMsg *message;
	curl_multi_socket_action(fetcher->multi, socket, bits, &count);
	while ((message = curl_multi_info_read(fetcher->multi, &count))) {
		struct sts_fetch *fetch = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
		finish(fetch, message->data.result);
	}
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct watch *watch = io->data;
	(void)loop;
	act(watch->fetcher, io->fd,
		(events & EV_READ ? CURL_CSELECT_IN : 0) |
			(events & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* Zero means at once, which must not be from here. */
static int set_timer(CURLM *multi, long milliseconds, void *data)
{
	struct sts_fetcher *fetcher = data;
	(void)multi;
	ev_timer_stop(fetcher->loop, &fetcher->timer);
	if (milliseconds >= 0) {
		ev_timer_set(&fetcher->timer, (double)milliseconds / 1000., 0.);
		ev_timer_start(fetcher->loop, &fetcher->timer);
	}
	return 0;
}

static int set_socket(
	CURL *easy, curl_socket_t socket, int what, void *data, void *socket_data)
{
	struct sts_fetcher *fetcher = data;
	struct watch *watch = socket_data;
	(void)easy;
	if (watch)
		ev_io_stop(fetcher->loop, &watch->io);
	if (what == CURL_POLL_REMOVE) {
		free(watch);
		return 0;
	}
	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		if (!watch)
			return -1;
		watch->fetcher = fetcher;
		ev_init(&watch->io, on_io);
		watch->io.data = watch;
		curl_multi_assign(fetcher->multi, socket, watch);
	}
	ev_io_set(&watch->io, socket,
		(what & CURL_POLL_IN ? EV_READ : 0) |
			(what & CURL_POLL_OUT ? EV_WRITE : 0));
	ev_io_start(fetcher->loop, &watch->io);
	return 0;
}

struct sts_fetcher *sts_fetcher_new(
	struct ev_loop *loop, const char *ca, char *reason, size_t size)
{
	size_t length = strlen(ca) + 1;
	struct sts_fetcher *fetcher = calloc(1, sizeof(*fetcher) + length);
	bool system = strcmp(ca, "system") == 0;
	snprintf(reason, size, "out of memory");
	if (!fetcher)
		return NULL;
	memcpy(fetcher->ca_file, ca, length);
	fetcher->ca = system ? NULL : fetcher->ca_file;
	fetcher->loop = loop;
	ev_init(&fetcher->timer, on_timer);
	fetcher->timer.data = fetcher;
	if (!system && access(ca, R_OK) != 0) {
		snprintf(reason, size, "cannot read ca = %s", ca);
	} else if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
		fetcher->multi = curl_multi_init();
		if (!fetcher->multi)
			curl_global_cleanup();
	}
	if (!fetcher->multi) {
		free(fetcher);
		return NULL;
	}
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
	return fetcher;
}

/* GnuTLS's learnt it in 8.9. */
unsigned sts_fetcher_room(void)
{
	static const char first[] = "OpenSSL/";
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
	bool shares = info->version_num >= 0x080900 ||
		      (info->ssl_version &&
			      strncmp(info->ssl_version, first, sizeof(first) - 1) == 0);
	return shares ? STS_FETCHES : STS_FETCHES_FEW;
}

void sts_fetcher_free(struct sts_fetcher *fetcher)
{
	if (!fetcher)
		return;
	curl_multi_cleanup(fetcher->multi);
	ev_timer_stop(fetcher->loop, &fetcher->timer);
	curl_global_cleanup();
	free(fetcher);
}

/* ---- a fetch ---- */

static bool is_of(const struct sts_fetch *fetch, const struct peer_address *address)
{
	for (unsigned i = 0; i < fetch->count; i++)
		if (memcmp(&fetch->from[i], address, sizeof(*address)) == 0)
			return true;
	return false;
}

/* Whatever libcurl believes: one of the addresses it was given, and none that is private.
 */
static curl_socket_t open_socket(
	void *data, curlsocktype purpose, struct curl_sockaddr *peer)
{
	struct sts_fetch *fetch = data;
	struct peer_address address = { .family = FAMILY_NONE };
	if (peer->family == AF_INET) {
		address.family = FAMILY_IPV4;
		memcpy(address.octets,
			&((const struct sockaddr_in *)(const void *)&peer->addr)
				 ->sin_addr,
			4);
	} else if (peer->family == AF_INET6) {
		address.family = FAMILY_IPV6;
		memcpy(address.octets,
			&((const struct sockaddr_in6 *)(const void *)&peer->addr)
				 ->sin6_addr,
			16);
	}
	if (purpose != CURLSOCKTYPE_IPCXN || !is_of(fetch, &address) ||
		reach_is_private(&address)) {
		fetch->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(peer->family, peer->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
		peer->protocol);
}

/* "mta-sts.DOMAIN:443:192.0.2.1,[2001:db8::1]" */
static struct curl_slist *resolve_list(const struct sts_fetch *fetch)
{
	char text[REQUIREMENT_NAME + 32 + REQUIREMENT_ADDRESSES * (INET6_ADDRSTRLEN + 3)];
	size_t at =
		(size_t)snprintf(text, sizeof(text), "mta-sts.%s:443:", fetch->domain);
	for (unsigned i = 0; i < fetch->count; i++) {
		const struct peer_address *address = &fetch->from[i];
		bool six = address->family == FAMILY_IPV6;
		char host[INET6_ADDRSTRLEN] = "";
		inet_ntop(six ? AF_INET6 : AF_INET, address->octets, host, sizeof(host));
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s%s%s",
			i > 0 ? "," : "", six ? "[" : "", host, six ? "]" : "");
	}
	return curl_slist_append(NULL, text);
}

static CURLcode set_limits(CURL *easy)
{
	CURLcode code = CURLE_OK;
	code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)STS_FETCH_SECONDS);
	code |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	code |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	code |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	code |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "sealpost");
	return code;
}

/* A directory of CAs would be read beside the file, and for each fetch anew. */
static CURLcode set_verification(CURL *easy, const char *ca)
{
	CURLcode code = CURLE_OK;
	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	code |= curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	code |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	code |= curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_SECONDS);
	if (ca)
		code |= curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
	return code;
}

static CURLcode set_callbacks(struct sts_fetch *fetch)
{
	CURL *easy = fetch->easy;
	CURLcode code = CURLE_OK;
	code |= curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
	return code;
}

/* False without memory. */
static bool prepare(struct sts_fetch *fetch)
{
	char url[REQUIREMENT_NAME + 64];
	fetch->easy = curl_easy_init();
	fetch->share = curl_share_init();
	fetch->resolve = resolve_list(fetch);
	if (!fetch->easy || !fetch->share || !fetch->resolve)
		return false;
	snprintf(url, sizeof(url), "https://mta-sts.%s/.well-known/mta-sts.txt",
		fetch->domain);
	CURL *easy = fetch->easy;
	CURLcode code = set_limits(easy);
	code |= set_verification(easy, fetch->fetcher->ca);
	code |= set_callbacks(fetch);
	code |= curl_easy_setopt(easy, CURLOPT_URL, url);
	code |= curl_easy_setopt(easy, CURLOPT_RESOLVE, fetch->resolve);
	if (curl_share_setopt(fetch->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) !=
		CURLSHE_OK)
		return false;
	code |= curl_easy_setopt(easy, CURLOPT_SHARE, fetch->share);
	return code == CURLE_OK;
}

struct sts_fetch *sts_fetch_begin(struct sts_fetcher *fetcher, const char *domain,
	const struct peer_address *from, unsigned count,
	void (*done)(const char *fault, const char *body, size_t length, void *context),
	void *context)
{
	struct sts_fetch *fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return NULL;
	fetch->fetcher = fetcher;
	fetch->done = done;
	fetch->context = context;
	fetch->count = count < REQUIREMENT_ADDRESSES ? count : REQUIREMENT_ADDRESSES;
	memcpy(fetch->from, from, fetch->count * sizeof(from[0]));
	snprintf(fetch->domain, sizeof(fetch->domain), "%s", domain);
	if (prepare(fetch) &&
		curl_multi_add_handle(fetcher->multi, fetch->easy) == CURLM_OK)
		return fetch;
	free_fetch(fetch);
	return NULL;
}

void sts_fetch_cancel(struct sts_fetch *fetch)
{
	if (!fetch)
		return;
	curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
	free_fetch(fetch);
}
