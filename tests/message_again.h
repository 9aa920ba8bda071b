/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#ifndef TESTS_MESSAGE_AGAIN_H
#define TESTS_MESSAGE_AGAIN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads a message, whichever it is, and writes what was understood to `to` of `size`
 * octets: returns how many, or 0 for what cannot be read.
 */
size_t message_again(const uint8_t *at, size_t length, uint8_t *to, size_t size);

#endif
