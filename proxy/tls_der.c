/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Certificates and keys as octets, as far as they have to be read before GnuTLS does so
 * or otherwise than it does.
 */

#include "tls_private.h"

enum {
	TAG_SEQUENCE = 0x30, /* DER */
	TAG_VERSION = 0xa0,
	BEFORE_KEY =
		5,   /* of a certificate: serial, signature, issuer, validity, subject */
	SMALL = 256, /* octets of a key that costs nothing, whatever it is */
	ALGORITHM = 128,	 /* ... of its name and parameters */
	MODULUS = 16384 / 8 + 1, /* of RSA, with a zero in front */
	EXPONENT = 4 + 1,
	LENGTH = 3, /* octets of a length in a message of TLS */
};

struct der {
	const unsigned char *at;
	size_t left;
};

/*
 * Takes the next element: all of it, and its contents, which may be the next to take
 * from. False where it does not fit.
 */
static bool take_element(
	struct der *from, unsigned char *tag, struct der *whole, struct der *contents)
{
	size_t length, head = 2;

	if (from->left < head)
		return false;
	length = from->at[1];
	if (length >= 0x80) {
		unsigned octets = (unsigned)length & 0x7f;
		if (octets == 0 || octets > 3 || from->left < head + octets)
			return false;
		length = 0;
		for (unsigned i = 0; i < octets; i++)
			length = length << 8 | from->at[2 + i];
		head += octets;
	}
	if (from->left - head < length)
		return false;
	*tag = from->at[0];
	*whole = (struct der){ from->at, head + length };
	from->at += whole->left;
	from->left -= whole->left;
	*contents = (struct der){ whole->at + head, length };
	return true;
}

static gnutls_datum_t datum_of(const struct der *der)
{
	return (gnutls_datum_t){
		.data = (unsigned char *)(uintptr_t)der->at, /* only read */
		.size = (unsigned)der->left,
	};
}

/* The signed part of a certificate, and what is inside. */
static bool enter(
	const gnutls_datum_t *certificate, struct der *whole, struct der *contents)
{
	struct der from = { certificate->data, certificate->size };
	unsigned char tag;

	return take_element(&from, &tag, whole, &from) && tag == TAG_SEQUENCE &&
	       take_element(&from, &tag, whole, contents) && tag == TAG_SEQUENCE;
}

bool tls_der_signed(const gnutls_datum_t *certificate, gnutls_datum_t *part)
{
	struct der whole, contents;

	if (!enter(certificate, &whole, &contents))
		return false;
	*part = datum_of(&whole);
	return true;
}

/*
 * As it stands in the certificate, RFC 5280 §4.1: GnuTLS would write it anew, and a
 * digest is of octets.
 */
bool tls_der_key(const gnutls_datum_t *certificate, gnutls_datum_t *key)
{
	struct der from, whole, ignored;
	unsigned char tag;

	if (!enter(certificate, &whole, &from))
		return false;
	if (from.left > 0 && from.at[0] == TAG_VERSION &&
		!take_element(&from, &tag, &whole, &ignored))
		return false;
	for (unsigned i = 0; i < BEFORE_KEY; i++)
		if (!take_element(&from, &tag, &whole, &ignored))
			return false;
	if (!take_element(&from, &tag, &whole, &ignored) || tag != TAG_SEQUENCE)
		return false;
	*key = datum_of(&whole);
	return true;
}

/* ---- what it costs to calculate with a key ---- */

/* GnuTLS takes 14 s to verify one signature of 65536 bits with an exponent as long. */
static bool is_bearable_rsa(struct der bits)
{
	struct der numbers, modulus, exponent, whole;
	unsigned char tag;

	return take_element(&bits, &tag, &whole, &numbers) &&
	       take_element(&numbers, &tag, &whole, &modulus) &&
	       take_element(&numbers, &tag, &whole, &exponent) &&
	       modulus.left <= MODULUS && exponent.left <= EXPONENT;
}

/*
 * GnuTLS knows RSA by more names than its own: it is told by its SEQUENCE of two numbers.
 * DSA has its numbers where others have the name of a curve, or nothing.
 */
bool tls_der_is_bearable(const gnutls_datum_t *key)
{
	struct der from = { key->data, key->size }, whole, bits;
	unsigned char tag;

	if (key->size <= SMALL)
		return true;
	if (!take_element(&from, &tag, &whole, &from) ||
		!take_element(&from, &tag, &whole, &bits) || whole.left > ALGORITHM ||
		!take_element(&from, &tag, &whole, &bits) || bits.left < 2)
		return false;
	bits.at++, bits.left--; /* how many bits of the last octet are none */
	return bits.at[0] != TAG_SEQUENCE || is_bearable_rsa(bits);
}

/* Takes what its length stands in front of. */
static bool take_vector(struct der *from, unsigned octets, struct der *vector)
{
	size_t length = 0;

	if (from->left < octets)
		return false;
	for (unsigned i = 0; i < octets; i++)
		length = length << 8 | from->at[i];
	if (from->left - octets < length)
		return false;
	*vector = (struct der){ from->at + octets, length };
	from->at += octets + length;
	from->left -= octets + length;
	return true;
}

bool tls_der_leaf_is_bearable(const gnutls_datum_t *message, bool tls13)
{
	struct der from = { message->data, message->size }, list, leaf;
	gnutls_datum_t der, key;

	if (tls13 && !take_vector(&from, 1, &list)) /* the context of the request */
		return false;
	if (!take_vector(&from, LENGTH, &list) || list.left == 0)
		return true; /* none is shown, or GnuTLS says what is wrong */
	if (!take_vector(&list, LENGTH, &leaf))
		return false;
	der = datum_of(&leaf);
	return tls_der_key(&der, &key) && tls_der_is_bearable(&key);
}
