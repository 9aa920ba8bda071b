/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef SEALPOST_STATUS_H
#define SEALPOST_STATUS_H

/* What the program exits with, and so what its commands return: see sealpost(1). */

enum status {
	STATUS_FINE,
	STATUS_NO,     /* the answer is no: the configuration has faults */
	STATUS_USAGE,  /* used wrongly */
	STATUS_CANNOT, /* could not do what was asked, and said why */
};

#endif
