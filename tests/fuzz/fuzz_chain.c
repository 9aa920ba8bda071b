/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Certificates as peers show them: a list, each behind its length of three octets, as in
 * TLS. Whatever they are, the names are such as a host may have, and the verdict never is
 * one that nobody asked for. The last one is the anchor, so that paths are made.
 */

#include "tls_private.h"

#include <stdlib.h>
#include <string.h>

enum {
	LENGTH = 3,
	CERTIFICATES = FACTS_CHAIN + 2,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static unsigned cut(const uint8_t *data, size_t size, gnutls_datum_t ders[CERTIFICATES])
{
	unsigned count = 0;

	while (count < CERTIFICATES && size >= LENGTH) {
		size_t length = (size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2];
		data += LENGTH;
		size -= LENGTH;
		if (length > size)
			length = size;
		ders[count++] = (gnutls_datum_t){ (unsigned char *)(uintptr_t)data,
			(unsigned)length };
		data += length;
		size -= length;
	}
	return count;
}

static void check_names(const struct chain_facts *facts)
{
	const char *end = facts->names + sizeof(facts->names);

	for (const char *n = facts->names; *n;) {
		for (; *n; n++)
			must(*n > ' ' && *n <= '~' && !(*n >= 'A' && *n <= 'Z'));
		must(++n < end);
	}
}

static void check_dn(const char text[FACTS_DN])
{
	must(memchr(text, '\0', FACTS_DN));
	for (; *text; text++)
		must(*text >= ' ' && *text <= '~');
}

static void check_verdict(const struct tls_chain *chain, const gnutls_datum_t *last)
{
	struct tls_verdict verdict;
	gnutls_datum_t pem;

	if (gnutls_pem_base64_encode2("CERTIFICATE", last, &pem) < 0)
		return;
	struct tls_anchors *anchors = tls_anchors_of_pem(&pem, NULL);
	gnutls_free(pem.data);
	if (!anchors)
		return;
	tls_verify(
		anchors, chain->certificates, chain->count, false, 1800000000, &verdict);
	must(verdict.verdict > CHAIN_NOT_ASKED && verdict.verdict < CHAIN_VERDICTS);
	must((verdict.verdict == CHAIN_VALID) == (verdict.reason[0] == '\0'));
	must(verdict.until > 1800000000);
	for (const char *r = verdict.reason; *r; r++)
		must(*r >= ' ' && *r <= '~');
	tls_anchors_free(anchors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct chain_facts facts;
	gnutls_datum_t ders[CERTIFICATES];
	struct tls_chain chain;
	unsigned count = cut(data, size, ders);
	const gnutls_datum_t message = { (unsigned char *)(uintptr_t)data,
		(unsigned)size };

	tls_der_leaf_is_bearable(&message, false);
	tls_der_leaf_is_bearable(&message, true);
	memset(facts.names, 'X', sizeof(facts.names));
	tls_chain_open(&chain, ders, count, &facts);
	must(facts.count == chain.count && facts.count <= FACTS_CHAIN);
	check_names(&facts);
	for (unsigned i = 0; i < chain.count; i++) {
		struct certificate_names names;
		memset(&names, 'X', sizeof(names));
		tls_chain_names(&ders[i], &names);
		check_dn(names.subject);
		check_dn(names.issuer);
	}
	if (chain.count > 0)
		check_verdict(&chain, &ders[count - 1]);
	tls_chain_close(&chain);
	return 0;
}
