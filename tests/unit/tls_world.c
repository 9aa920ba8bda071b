/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "tls_world.h"

#include <fcntl.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Beyond an int, and hence no enumerator. */
#define P256_BITS GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)

enum {
	RSA_BITS = 2048,
	DAY = 24 * 60 * 60,
	ROUNDS = 10000, /* of a handshake, before it counts as stalled */
};

const char *const world_names[WORLD_NAMES] = { "mail.example.com", "mx.example.net" };

/* ---- certificates ---- */

char *world_file(const struct world *w, const char *name, size_t size, mode_t mode)
{
	size_t length = strlen(w->folder) + 1 + strlen(name) + 1;
	char *path = malloc(length);

	assert_non_null(path);
	snprintf(path, length, "%s/%s", w->folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(write(fd, &i, 1), 1);
	close(fd);
	return path;
}

static void save(const char *path, const gnutls_datum_t *pem)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, pem->data, pem->size), pem->size);
	close(fd);
	gnutls_free(pem->data);
}

static void make_pair(gnutls_pk_algorithm_t algorithm, unsigned bits, const char *name,
	int from, int until, const struct tls_pair *pair)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem;
	time_t now = time(NULL);

	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(gnutls_x509_privkey_generate(key, algorithm, bits, 0), 0);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_activation_time(crt, now + from * DAY);
	gnutls_x509_crt_set_expiration_time(crt, now + until * DAY);
	gnutls_x509_crt_set_key(crt, key);
	gnutls_x509_crt_set_subject_alt_name(
		crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), GNUTLS_FSAN_SET);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	save(pair->certificate, &pem);
	assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
	save(pair->key, &pem);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

void world_dated_pair(const struct world *w, int from, int until, struct tls_pair *pair)
{
	pair->certificate = world_file(w, "dated.pem", 0, 0600);
	pair->key = world_file(w, "dated.key", 0, 0600);
	make_pair(GNUTLS_PK_ECDSA, P256_BITS, "dated.example", from, until, pair);
}

void world_named_pair(
	const struct world *w, const char *name, bool rsa, struct tls_pair *pair)
{
	char file[96];

	snprintf(file, sizeof(file), "%s%s.pem", name, rsa ? "-rsa" : "");
	pair->certificate = world_file(w, file, 0, 0600);
	snprintf(file, sizeof(file), "%s%s.key", name, rsa ? "-rsa" : "");
	pair->key = world_file(w, file, 0, 0600);
	if (rsa)
		make_pair(GNUTLS_PK_RSA, RSA_BITS, name, -1, 90, pair);
	else
		make_pair(GNUTLS_PK_ECDSA, P256_BITS, name, -1, 90, pair);
}

void world_forget_pair(struct tls_pair *pair)
{
	unlink(pair->certificate);
	unlink(pair->key);
	free((char *)(uintptr_t)pair->certificate);
	free((char *)(uintptr_t)pair->key);
	*pair = (struct tls_pair){ .key = NULL };
}

static void make_pairs(struct world *w)
{
	char reason[TLS_REASON], file[64];

	for (unsigned i = 0; i < WORLD_PAIRS; i++) {
		const char *name = world_names[i / 2];
		snprintf(file, sizeof(file), "%u.pem", i);
		w->pairs[i].certificate = world_file(w, file, 0, 0600);
		snprintf(file, sizeof(file), "%u.key", i);
		w->pairs[i].key = world_file(w, file, 0, 0600);
		if (i % 2 == 0) {
			make_pair(GNUTLS_PK_RSA, RSA_BITS, name, -1, 90, &w->pairs[i]);
			continue;
		}
		unlink(w->pairs[i].certificate);
		unlink(w->pairs[i].key);
		assert_true(tls_selfsign(
			name, w->pairs[i].certificate, w->pairs[i].key, reason));
	}
}

struct bundle *world_bundle(struct world *w)
{
	bundle_free(w->bundle);
	w->bundle = bundle_new();
	assert_non_null(w->bundle);
	return w->bundle;
}

struct tls_server_options world_options(struct world *w)
{
	return (struct tls_server_options){ .bundle = world_bundle(w),
		.pairs = w->pairs,
		.pair_count = WORLD_PAIRS,
		.min_version = "1.2" };
}

struct tls_server *world_server(
	struct world *w, const char *min_version, const char *ticket_key)
{
	struct tls_server_options options = world_options(w);
	char reason[TLS_REASON];

	options.min_version = min_version;
	options.ticket_key = ticket_key;
	struct tls_server *server = tls_server_new(&options, reason);
	assert_string_equal(reason, "");
	assert_non_null(server);
	return server;
}

/* ---- the world ---- */

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char reason[TLS_REASON];

	assert_non_null(w);
	strcpy(w->folder, "/tmp/sealpost-tls-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	make_pairs(w);
	buf_pool_init(&w->pool, 4);
	w->server = world_server(w, "1.2", NULL);
	w->client = tls_client_new(&(struct tls_client_options){ .ca = NULL }, reason);
	assert_non_null(w->client);
	assert_int_equal(gnutls_certificate_allocate_credentials(&w->nobody), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&w->rsa), 0);
	assert_int_equal(
		gnutls_certificate_set_x509_key_file(w->rsa, w->pairs[0].certificate,
			w->pairs[0].key, GNUTLS_X509_FMT_PEM),
		0);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;
	char command[96];

	tls_server_free(w->server);
	tls_client_free(w->client);
	bundle_free(w->bundle);
	gnutls_certificate_free_credentials(w->nobody);
	gnutls_certificate_free_credentials(w->rsa);
	for (unsigned i = 0; i < WORLD_PAIRS; i++)
		world_forget_pair(&w->pairs[i]);
	buf_pool_free(&w->pool);
	snprintf(command, sizeof(command), "rm -r %s", w->folder);
	int failed = system(command);
	free(w);
	return failed;
}

void world_socketpair(int fds[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
		0);
}

/* ---- ours against ours ---- */

void ends_open(struct ends *e, struct world *w, struct tls_server *server,
	struct tls_client *client, const char *name)
{
	*e = (struct ends){ .server = NULL };
	world_socketpair(e->fds);
	if (server) {
		e->server = tls_accept(server, e->fds[0], &w->pool);
		assert_non_null(e->server);
	}
	if (client) {
		const struct tls_target target = { .name = name };
		e->client = tls_connect(client, e->fds[1], &target, &w->pool);
		assert_non_null(e->client);
	}
}

void ends_narrow(struct ends *e)
{
	int size = 1; /* the kernel takes its own minimum */

	for (unsigned i = 0; i < 2; i++) {
		setsockopt(e->fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(e->fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
}

static bool under_way(enum tls_status status)
{
	return status == TLS_WANT_READ || status == TLS_WANT_WRITE;
}

enum tls_status ends_shake(struct ends *e)
{
	enum tls_status server = TLS_WANT_READ, client = TLS_WANT_READ;

	for (unsigned i = 0; i < ROUNDS && (under_way(server) || under_way(client));
		i++) {
		if (under_way(client))
			client = tls_handshake(e->client);
		if (under_way(server))
			server = tls_handshake(e->server);
	}
	return client == TLS_OK ? server : client;
}

void ends_close(struct ends *e)
{
	tls_free(e->server);
	tls_free(e->client);
	close(e->fds[0]);
	close(e->fds[1]);
}

enum tls_status read_some(struct tls *t, void *to, size_t size, size_t *got)
{
	enum tls_status status = tls_read(t, to, size, got);

	return status == TLS_WANT_READ ? tls_read(t, to, size, got) : status;
}

void exchange(struct tls *from, struct tls *to, const char *text)
{
	char octets[256];
	size_t n;

	assert_int_equal(tls_write(from, text, strlen(text), &n), TLS_OK);
	assert_int_equal(n, strlen(text));
	assert_int_equal(read_some(to, octets, sizeof(octets) - 1, &n), TLS_OK);
	octets[n] = '\0';
	assert_string_equal(octets, text);
}

/* ---- odd peers ---- */

static void odd_start(struct odd *o, unsigned flags,
	gnutls_certificate_credentials_t credentials, const char *priority)
{
	assert_int_equal(
		gnutls_init(&o->session, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL), 0);
	assert_int_equal(gnutls_priority_set_direct(o->session, priority, NULL), 0);
	gnutls_credentials_set(o->session, GNUTLS_CRD_CERTIFICATE, credentials);
	gnutls_transport_set_int(o->session, o->fds[1]);
}

void odd_open(
	struct odd *o, struct world *w, struct tls_server *server, const char *priority)
{
	*o = (struct odd){ .code = GNUTLS_E_AGAIN };
	world_socketpair(o->fds);
	o->tls = tls_accept(server, o->fds[0], &w->pool);
	assert_non_null(o->tls);
	odd_start(o, GNUTLS_CLIENT, w->nobody, priority);
}

void odd_serve(struct odd *o, struct world *w, struct tls_client *client,
	const struct tls_target *target, gnutls_certificate_credentials_t credentials,
	const char *priority)
{
	*o = (struct odd){ .code = GNUTLS_E_AGAIN };
	world_socketpair(o->fds);
	o->tls = tls_connect(client, o->fds[0], target, &w->pool);
	assert_non_null(o->tls);
	odd_start(o, GNUTLS_SERVER, credentials, priority);
}

void odd_open_server(struct odd *o, struct world *w, enum tls_protocols protocols,
	const char *priority)
{
	const struct tls_target target = { .protocols = protocols };

	odd_serve(o, w, w->client, &target, w->rsa, priority);
}

enum tls_status odd_shake(struct odd *o)
{
	enum tls_status status = TLS_WANT_READ;

	for (unsigned i = 0;
		i < ROUNDS && (under_way(status) || o->code == GNUTLS_E_AGAIN); i++) {
		if (o->code == GNUTLS_E_AGAIN)
			o->code = gnutls_handshake(o->session);
		if (under_way(status))
			status = tls_handshake(o->tls);
	}
	return status;
}

void odd_hears(struct odd *o, const char *text)
{
	char octets[256];
	size_t put;
	ssize_t n;

	assert_int_equal(tls_write(o->tls, text, strlen(text), &put), TLS_OK);
	do
		n = gnutls_record_recv(o->session, octets, sizeof(octets) - 1);
	while (n == GNUTLS_E_AGAIN);
	assert_true(n > 0);
	octets[n] = '\0';
	assert_string_equal(octets, text);
}

bool odd_sees(struct odd *o, const char *name, int algorithm)
{
	unsigned count;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(o->session, &count);
	gnutls_x509_crt_t crt;

	assert_non_null(chain);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER), 0);
	bool fits = gnutls_x509_crt_check_hostname(crt, name) &&
		    gnutls_x509_crt_get_pk_algorithm(crt, NULL) == algorithm;
	gnutls_x509_crt_deinit(crt);
	return fits;
}

void odd_close(struct odd *o)
{
	tls_free(o->tls);
	gnutls_deinit(o->session);
	close(o->fds[0]);
	close(o->fds[1]);
}
