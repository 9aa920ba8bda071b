/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* Certificates and keys in PEM files. */

#include "tls.h"
#include "tls_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	DAY = 24 * 60 * 60,
	WARN_DAYS = 14, /* before a certificate expires */
	SELFSIGN_DAYS = 365,
	SERIAL = 16, /* octets of a random serial number */
	KEY_ID = 20, /* octets of GnuTLS's key id (SHA-1) */
};

static_assert((int)TLS_REASON >= (int)BUNDLE_REASON, "a bundle writes to our reason");

static bool complain(char reason[TLS_REASON], const char *file, const char *what)
{
	snprintf(reason, TLS_REASON, "%s: %s", file, what);
	return false;
}

bool tls_pem_read(struct bundle *bundle, const char *file, gnutls_datum_t *octets,
	char reason[TLS_REASON])
{
	struct bundle_octets found;

	if (!bundle_read(bundle, file, &found, reason))
		return false;
	*octets = (gnutls_datum_t){ (unsigned char *)found.at, (unsigned)found.length };
	return true;
}

static bool load_chain(struct bundle *bundle, const char *file, struct tls_loaded *l,
	char reason[TLS_REASON])
{
	gnutls_datum_t pem;
	unsigned length = TLS_CHAIN_MAX;

	if (!tls_pem_read(bundle, file, &pem, reason))
		return false;
	int code = gnutls_x509_crt_list_import(l->chain, &length, &pem,
		GNUTLS_X509_FMT_PEM,
		GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED | GNUTLS_X509_CRT_LIST_SORT);
	if (code == GNUTLS_E_SHORT_MEMORY_BUFFER)
		return complain(reason, file, "too many certificates in one file");
	if (code <= 0)
		return complain(reason, file, "no certificate in PEM format");
	l->length = (unsigned)code;
	return true;
}

static bool load_key(struct bundle *bundle, const char *file, struct tls_loaded *l,
	char reason[TLS_REASON])
{
	gnutls_datum_t pem;

	if (!tls_pem_read(bundle, file, &pem, reason))
		return false;
	int code = gnutls_x509_privkey_init(&l->key);
	if (code >= 0)
		code = gnutls_x509_privkey_import2(
			l->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (code == GNUTLS_E_DECRYPTION_FAILED)
		return complain(reason, file, "the key is protected by a password");
	if (code < 0)
		return complain(reason, file, "no private key in PEM format");
	return true;
}

static bool belong_together(const struct tls_loaded *l)
{
	unsigned char of_key[KEY_ID], of_certificate[KEY_ID];
	size_t key_size = sizeof(of_key), certificate_size = sizeof(of_certificate);

	return gnutls_x509_privkey_get_key_id(l->key, 0, of_key, &key_size) >= 0 &&
	       gnutls_x509_crt_get_key_id(
		       l->chain[0], 0, of_certificate, &certificate_size) >= 0 &&
	       key_size == certificate_size &&
	       memcmp(of_key, of_certificate, key_size) == 0;
}

bool tls_pem_load(struct bundle *bundle, const struct tls_pair *pair,
	struct tls_loaded *l, char reason[TLS_REASON])
{
	*l = (struct tls_loaded){ .length = 0 };
	if (load_chain(bundle, pair->certificate, l, reason) &&
		load_key(bundle, pair->key, l, reason)) {
		if (belong_together(l))
			return true;
		snprintf(reason, TLS_REASON, "%s: the key does not belong to %s",
			pair->key, pair->certificate);
	}
	tls_pem_unload(l);
	return false;
}

void tls_pem_unload(struct tls_loaded *l)
{
	for (unsigned i = 0; i < l->length; i++)
		gnutls_x509_crt_deinit(l->chain[i]);
	if (l->key)
		gnutls_x509_privkey_deinit(l->key);
	*l = (struct tls_loaded){ .length = 0 };
}

/* A warning about the dates, or nothing. */
static void warn_of_dates(
	gnutls_x509_crt_t certificate, const char *file, char reason[TLS_REASON])
{
	time_t now = time(NULL);
	time_t from = gnutls_x509_crt_get_activation_time(certificate);
	time_t until = gnutls_x509_crt_get_expiration_time(certificate);
	const char *what;
	struct tm utc;
	char day[sizeof("2026-01-01")];

	reason[0] = '\0';
	if (until < now)
		what = "expired on";
	else if (from > now)
		what = "not valid before";
	else if (until < now + WARN_DAYS * DAY)
		what = "expires on";
	else
		return;
	time_t when = from > now ? from : until;
	if (!gmtime_r(&when, &utc) || strftime(day, sizeof(day), "%Y-%m-%d", &utc) == 0)
		day[0] = '\0';
	snprintf(reason, TLS_REASON, "%s: %s %s", file, what, day);
}

bool tls_pair_check(
	struct bundle *bundle, const struct tls_pair *pair, char reason[TLS_REASON])
{
	struct tls_loaded loaded;

	if (!tls_pem_load(bundle, pair, &loaded, reason))
		return false;
	warn_of_dates(loaded.chain[0], pair->certificate, reason);
	tls_pem_unload(&loaded);
	return true;
}

/* ---- what people are told ---- */

bool tls_pem_name(gnutls_x509_crt_t crt, unsigned *at, char name[TLS_NAME])
{
	for (;;) {
		size_t size = TLS_NAME;
		int type = gnutls_x509_crt_get_subject_alt_name(
			crt, (*at)++, name, &size, NULL);
		if (type == GNUTLS_SAN_DNSNAME && strlen(name) == size)
			return true;
		if (type < 0 && type != GNUTLS_E_SHORT_MEMORY_BUFFER)
			return false;
	}
}

/* Those that fit, and "..." in the place of the others. */
static void write_names(gnutls_x509_crt_t crt, char names[TLS_NAMES])
{
	char name[TLS_NAME];
	unsigned at = 0;
	size_t used = 0;

	names[0] = '\0';
	while (tls_pem_name(crt, &at, name)) {
		bool fits = used + strlen(name) + sizeof("  ...") <= TLS_NAMES;

		used += (size_t)snprintf(names + used, TLS_NAMES - used, "%s%s",
			used > 0 ? " " : "", fits ? name : "...");
		if (!fits)
			return;
	}
}

bool tls_pair_about(struct bundle *bundle, const struct tls_pair *pair,
	struct tls_about *about, char reason[TLS_REASON])
{
	struct tls_loaded loaded = { .length = 0 };
	size_t size = sizeof(about->names);

	if (!load_chain(bundle, pair->certificate, &loaded, reason))
		return false;
	gnutls_x509_crt_t crt = loaded.chain[0];

	about->from = gnutls_x509_crt_get_activation_time(crt);
	about->until = gnutls_x509_crt_get_expiration_time(crt);
	write_names(crt, about->names);
	if (about->names[0] == '\0' &&
		gnutls_x509_crt_get_dn(crt, about->names, &size) < 0)
		about->names[0] = '\0';
	tls_pem_unload(&loaded);
	return true;
}

/* ---- a certificate of one's own making ---- */

static int set_name(gnutls_x509_crt_t crt, const char *name)
{
	struct in6_addr address;
	gnutls_x509_subject_alt_name_t type = GNUTLS_SAN_DNSNAME;
	const void *value = name;
	unsigned size = (unsigned)strlen(name);

	if (inet_pton(AF_INET, name, &address) == 1)
		size = 4;
	else if (inet_pton(AF_INET6, name, &address) == 1)
		size = 16;
	if (value == name && size != strlen(name)) {
		type = GNUTLS_SAN_IPADDRESS;
		value = &address;
	}
	int code = gnutls_x509_crt_set_subject_alt_name(
		crt, type, value, size, GNUTLS_FSAN_SET);
	if (code < 0)
		return code;
	return gnutls_x509_crt_set_dn_by_oid(
		crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
}

static int fill_in(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *name)
{
	unsigned char serial[SERIAL];
	time_t now = time(NULL);
	int code = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] &= 0x7f; /* positive, RFC 5280 §4.1.2.2 */
	serial[0] |= 0x40;
	if (code >= 0)
		code = gnutls_x509_crt_set_version(crt, 3);
	if (code >= 0)
		code = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (code >= 0)
		code = gnutls_x509_crt_set_activation_time(crt, now - DAY);
	if (code >= 0)
		code = gnutls_x509_crt_set_expiration_time(
			crt, now + SELFSIGN_DAYS * DAY);
	if (code >= 0)
		code = gnutls_x509_crt_set_key(crt, key);
	if (code >= 0)
		code = set_name(crt, name);
	if (code >= 0)
		code = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (code >= 0)
		code = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (code >= 0)
		code = gnutls_x509_crt_set_key_purpose_oid(
			crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	return code;
}

static int make(const char *name, gnutls_datum_t *certificate, gnutls_datum_t *key_out)
{
	gnutls_x509_crt_t crt = NULL;
	gnutls_x509_privkey_t key = NULL;
	int code = gnutls_x509_crt_init(&crt);

	if (code >= 0)
		code = gnutls_x509_privkey_init(&key);
	if (code >= 0)
		code = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (code >= 0)
		code = fill_in(crt, key, name);
	if (code >= 0)
		code = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	if (code >= 0)
		code = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, certificate);
	if (code >= 0)
		code = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, key_out);
	if (key)
		gnutls_x509_privkey_deinit(key);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	return code;
}

static void wipe(gnutls_datum_t *octets)
{
	gnutls_memset(octets->data, 0, octets->size);
	gnutls_free(octets->data);
}

static bool write_all(int fd, const unsigned char *octets, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, octets, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		octets += n;
		size -= (size_t)n;
	}
	return true;
}

static bool new_file(const char *file, mode_t mode, const gnutls_datum_t *octets,
	char reason[TLS_REASON])
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return complain(reason, file, strerror(errno));
	bool written = write_all(fd, octets->data, octets->size);
	int error = errno;
	if (close(fd) < 0 && written) {
		error = errno;
		written = false;
	}
	if (written)
		return true;
	unlink(file);
	return complain(reason, file, strerror(error));
}

bool tls_selfsign(const char *name, const char *certificate, const char *key,
	char reason[TLS_REASON])
{
	gnutls_datum_t crt_pem = { .data = NULL }, key_pem = { .data = NULL };
	int code = make(name, &crt_pem, &key_pem);
	bool done = false;

	if (code < 0)
		complain(reason, certificate, gnutls_strerror(code));
	else if (new_file(key, 0600, &key_pem, reason)) {
		done = new_file(certificate, 0644, &crt_pem, reason);
		if (!done)
			unlink(key);
	}
	wipe(&key_pem);
	gnutls_free(crt_pem.data);
	return done;
}
