/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_REQUIREMENT_H
#define SEALPOST_REQUIREMENT_H

/*
 * What a peer domain demands, and where it lives: plain data, of fixed size but for the
 * certificates of a peer's own CA. The policy process makes it, the judge and the routes
 * read it. A host name here is lower case, A-labels, without its trailing dot.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	REQUIREMENT_NAME = 256,	   /* octets of a name, its NUL included */
	REQUIREMENT_WHERE = 320,   /* "/etc/sealpost/policy.d/usbank.com.policy:4" */
	REQUIREMENT_TEXT = 400,	   /* a reason for people, one line */
	REQUIREMENT_PATTERNS = 16, /* match, and mx */
	REQUIREMENT_FINGERPRINTS = 8,
	REQUIREMENT_CANDIDATES = 16,
	REQUIREMENT_ADDRESSES = 12, /* of one candidate */
	REQUIREMENT_CA = 64 * 1024, /* octets of a peer's own CA file at most */
	REQUIREMENT_IDENTITY = 64,
	REQUIREMENT_TLSA = 16,		     /* records of one candidate */
	REQUIREMENT_TLSA_OCTETS = 32 * 1024, /* of all records of a peer */
	REQUIREMENT_STS_MX = 32,	     /* patterns of an MTA-STS policy */
};

/* The levels of a policy file, as in Postfix. Predicates below; the order means nothing
 * beyond "the first two do without TLS". */
enum level {
	LEVEL_NONE,
	LEVEL_MAY,
	LEVEL_ENCRYPT,
	LEVEL_DANE,
	LEVEL_DANE_ONLY,
	LEVEL_VERIFY,
	LEVEL_SECURE,
	LEVEL_FINGERPRINT,
	LEVELS
};

const char *level_name(enum level level);
bool level_find(const char *name, enum level *level);

/* `protocols` of a policy file. */
enum protocols {
	PROTOCOLS_TLS_1_2,
	PROTOCOLS_TLS_1_3,
	PROTOCOLS_LEGACY,
	PROTOCOLS_COUNT
};

enum fingerprint_of { FINGERPRINT_CERTIFICATE, FINGERPRINT_SPKI };

struct fingerprint {
	uint8_t of;	/* enum fingerprint_of, of the leaf */
	uint8_t length; /* 32: SHA-256, 64: SHA-512 */
	uint8_t octets[64];
};

/* One section of a policy file, [outbound] or [inbound]; a default where there is none.
 */
struct demand {
	uint8_t level;	   /* enum level */
	uint8_t protocols; /* enum protocols */
	bool bounce;	   /* on-failure = bounce */
	bool dane, mta_sts;
	/*
	 * dane and mta_sts are false as well where [policy] does without.
	 *
	 * Patterns: "mx" (the candidate's name), "domain" (the peer domain or a name
	 * below it), ".example.net" (any name below), "mail.example.net" (that name
	 * alone). In `mx` also "*.example.net" (one label more).
	 */
	uint8_t match_count, mx_count, fingerprint_count;
	char match[REQUIREMENT_PATTERNS][REQUIREMENT_NAME];
	char mx[REQUIREMENT_PATTERNS][REQUIREMENT_NAME];
	struct fingerprint fingerprints[REQUIREMENT_FINGERPRINTS];
	char identity[REQUIREMENT_IDENTITY]; /* a client certificate of ours, or "" */
	size_t ca_length;		     /* 0: the public CAs */
	uint8_t *ca;			     /* PEM, owned by what holds this demand */
};

enum family { FAMILY_NONE, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

struct peer_address {
	uint8_t family;	    /* enum family */
	uint8_t octets[16]; /* the first 4 for IPv4 */
};

/* What is known of a candidate's TLSA records. */
enum dane_state {
	DANE_UNAVAILABLE, /* nobody asked: [policy] dane = no */
	DANE_FAILED,	  /* bogus, SERVFAIL or timeout: the host is unusable */
	DANE_ABSENT,	  /* securely or insecurely none */
	DANE_UNUSABLE,	  /* there are some, none that can be used */
	DANE_USABLE,
};

enum tlsa_usage { TLSA_TA = 2, TLSA_EE = 3 };
enum tlsa_selector { TLSA_CERTIFICATE, TLSA_SPKI };
enum tlsa_matching { TLSA_FULL, TLSA_SHA256, TLSA_SHA512 };

/* A TLSA record that can be used (RFC 7671): usage 2 or 3, lengths that fit. */
struct tlsa {
	uint8_t usage;	  /* enum tlsa_usage */
	uint8_t selector; /* enum tlsa_selector */
	uint8_t matching; /* enum tlsa_matching */
	uint16_t length;
	const uint8_t *octets; /* inside peer.tlsa_octets */
};

struct candidate {
	char name[REQUIREMENT_NAME]; /* an MX host's; "" for an address literal */
	/*
	 * DANE_USABLE: the TLSA base domain (RFC 7672 §2.2.2), which is the SNI and a
	 * name that the certificate may bear, and the records after digest agility (RFC
	 * 7671 §9).
	 */
	char tlsa_base[REQUIREMENT_NAME];
	uint8_t tlsa_count;
	struct tlsa tlsa[REQUIREMENT_TLSA];
	uint16_t preference;
	uint8_t dane; /* enum dane_state */
	uint8_t address_count;
	struct peer_address addresses[REQUIREMENT_ADDRESSES];

	/* for people: no message has it */
	bool tlsa_secure;  /* all that is known of its TLSA records was validated */
	uint32_t tlsa_ttl; /* seconds that this holds */
};

enum direction { DIRECTION_OUTBOUND, DIRECTION_INBOUND, DIRECTION_HOST };

enum peer_status {
	PEER_FINE,
	PEER_UNAVAILABLE, /* the policy process is gone or overloaded: 451 4.3.0 */
	PEER_BROKEN,	  /* its policy file: 451 4.3.5 */
	PEER_DNS_FAILED,  /* SERVFAIL, bogus, timeout: 451 4.4.3 */
	PEER_NO_DOMAIN,	  /* NXDOMAIN, or neither MX nor address: 550 5.1.2 */
	PEER_NULL_MX,	  /* RFC 7505: 556 5.1.10 */
	PEER_INVALID,	  /* no domain at all: 501 5.1.3 */
	PEER_STATUSES
};

/* The MTA-STS policy of a domain (RFC 8461), as far as it applies now. */
enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE, STS_MODES };

/* As the policy says it (RFC 8461 §3.2). */
const char *sts_mode_name(enum sts_mode mode);

struct sts {
	uint8_t mode; /* enum sts_mode; STS_NONE where there is none */
	uint8_t mx_count;
	char mx[REQUIREMENT_STS_MX]
	       [REQUIREMENT_NAME]; /* "mx.example.com", "*.example.com" */
	char id[33];
	int64_t fetched, expires;    /* seconds since 1970 */
	char text[REQUIREMENT_TEXT]; /* why there is none although it was announced, or ""
				      */
};

/*
 * The answer about a peer domain, or (DIRECTION_HOST) a host. The demand is right for
 * PEER_FINE and for the three statuses of DNS: an intercepted destination may do without
 * DNS where nothing that was demanded needs it.
 */
struct peer {
	uint8_t direction; /* enum direction */
	uint8_t status;	   /* enum peer_status */
	char domain[REQUIREMENT_NAME];
	char where[REQUIREMENT_WHERE]; /* file and line that decided, or "default" */
	char text[REQUIREMENT_TEXT];   /* why it is not PEER_FINE; names the domain */
	uint64_t generation;	       /* of the policy files it was made from */
	uint32_t lifetime;	       /* seconds it may be kept, from when it was read */
	struct demand demand;
	struct sts sts;
	uint8_t *tlsa_octets; /* owned; of tlsa_length octets */
	size_t tlsa_length;
	bool secure_mx; /* the MX answer was validated: names from it may be matched */
	uint8_t candidate_count; /* by preference, equal ones in any order */
	struct candidate candidates[REQUIREMENT_CANDIDATES];

	/* private to policy/client */
	unsigned references;
	struct peer **shared; /* where the next one to hold it finds it; NULL: nowhere */
};

/* Frees what it owns, the CA and the TLSA records, not itself. */
void peer_clear(struct peer *peer);

/* Frees it with what it owns. NULL is allowed. Only for a peer that nobody shares. */
void peer_free(struct peer *peer);

#endif
