/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_FACTS_H
#define SEALPOST_FACTS_H

/* What is known of a TLS connection, in plain data: all that any judgement sees of it. */

#include <stdbool.h>
#include <stdint.h>

enum {
	FACTS_CHAIN = 10,	 /* certificates of a chain that are looked at */
	FACTS_NAMES = 16 * 1024, /* octets of the leaf's names, all NULs included */
	FACTS_REASON = 128,
	FACTS_DN = 160, /* octets of a distinguished name, its NUL included */
};

/* TLS versions, by their number on the wire. */
enum protocol {
	PROTOCOL_CLEAR = 0,
	PROTOCOL_TLS_1_0 = 0x0301,
	PROTOCOL_TLS_1_1 = 0x0302,
	PROTOCOL_TLS_1_2 = 0x0303,
	PROTOCOL_TLS_1_3 = 0x0304,
};

/* Whether the peer's chain leads to an anchor: computed by the TLS layer, which can. */
enum chain_verdict {
	CHAIN_NOT_ASKED,
	CHAIN_VALID,
	CHAIN_UNTRUSTED, /* ends in no anchor: self-signed, unknown CA, link missing */
	CHAIN_EXPIRED,
	CHAIN_NOT_YET_VALID,
	CHAIN_WEAK,	   /* a key or a signature that is too weak (SHA-1, RSA-1024) */
	CHAIN_PURPOSE,	   /* not for TLS (extended key usage) */
	CHAIN_CONSTRAINED, /* a CA was not allowed to issue this name */
	CHAIN_BROKEN,	   /* a signature or an encoding is wrong */
	CHAIN_VERDICTS
};

/* What TLSA records make of the chain (RFC 7671), for the candidate connected to. */
enum dane_match {
	DANE_MATCH_NOT_ASKED,
	DANE_MATCH_NONE,
	DANE_MATCH_EE, /* usage 3: names and dates do not count */
	DANE_MATCH_TA, /* usage 2: the chain leads there, and its dates are fine */
};

struct certificate_facts {
	uint8_t certificate_sha256[32], certificate_sha512[64];
	uint8_t spki_sha256[32], spki_sha512[64]; /* of SubjectPublicKeyInfo, DER */
	int64_t not_before, not_after;		  /* seconds since 1970 */
};

/*
 * Whom a certificate is for and who gave it, for people alone: RFC 4514 in printable
 * ASCII, where any other octet is its backslash and HH. One that is too long ends in
 * "..."; "" is none, or one that cannot be read.
 */
struct certificate_names {
	char subject[FACTS_DN], issuer[FACTS_DN];
};

/* The peer's certificates; the leaf stands first. */
struct chain_facts {
	unsigned count; /* 0: it showed none */
	struct certificate_facts certificates[FACTS_CHAIN];
	uint8_t public_chain;	   /* enum chain_verdict: to [policy] ca */
	uint8_t own_chain;	   /* likewise: to the `ca` of the peer's policy file */
	uint8_t dane;		   /* enum dane_match */
	uint8_t dane_record;	   /* which of the records asked about matched */
	bool common_name;	   /* the one name is a CN: there is no DNS name */
	char reason[FACTS_REASON]; /* a detail for people, or "" */
	char dane_reason[FACTS_REASON]; /* likewise: why a trust anchor did not do */
	/*
	 * The DNS names of the leaf, lower case, A-labels, each with its NUL; an empty
	 * one ends them. The subject's CN where there is no DNS name at all. A name that
	 * holds a NUL or an octet beyond ASCII is left out.
	 */
	char names[FACTS_NAMES];
};

struct facts {
	char version[12]; /* "TLS1.3"; empty in clear */
	char cipher[48];  /* IANA's name, "TLS_AES_256_GCM_SHA384" */
	char name[256];	  /* the SNI: what the client asked for; empty where it did not */
	bool resumed;
	uint16_t protocol;		 /* enum protocol */
	const struct chain_facts *chain; /* NULL: in clear, or nobody asked for it */
};

#endif
