/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_JUDGE_PRIVATE_H
#define SEALPOST_JUDGE_PRIVATE_H

#include "judge.h"

/* What is judged. */
struct matter {
	const struct peer *peer;
	const struct candidate *candidate; /* or NULL */
	const struct facts *facts;	   /* NULL: nobody was connected to yet */
	bool only_sts;			   /* by MTA-STS alone, whatever its mode */
};

/* The verdict on the chain that the demand goes by. */
enum chain_verdict judge_chain_verdict(const struct matter *matter);

/* The pattern `i` of the names that a certificate may bear, NULL behind the last. */
const char *judge_match(const struct peer *peer, unsigned i);

void judge_explain(
	const struct matter *matter, enum verdict verdict, char reason[REQUIREMENT_TEXT]);

#endif
