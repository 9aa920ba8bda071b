/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

#include "orders.h"

#include "parcel.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* No more of a text is sent than there is. */
enum { TEXT_AT = offsetof(struct order, text) };

/* Which of them carry a descriptor. */
static bool carries(uint32_t type)
{
	return type == ORDER_BOARD || type == ORDER_LISTEN || type == ORDER_SETUP ||
	       type == ORDER_POLICY;
}

bool order_send(int to, enum order_type type, uint32_t number, const char *text, int fd)
{
	struct order order = { .type = type, .number = number };
	snprintf(order.text, sizeof(order.text), "%s", text ? text : "");
	return parcel_send(to, &order, TEXT_AT + strlen(order.text) + 1, fd);
}

static bool makes_sense(const struct order *order, size_t length, int fd)
{
	return length > TEXT_AT && order->type > 0 && order->type < ORDER_TYPES &&
	       strnlen(order->text, length - TEXT_AT) == length - TEXT_AT - 1 &&
	       carries(order->type) == (fd >= 0);
}

enum order_status order_receive(int from, struct order *order, int *fd)
{
	size_t length;
	switch (parcel_receive(from, order, sizeof(*order), &length, fd)) {
	case PARCEL_TAKEN: break;
	case PARCEL_NONE: return ORDER_NONE;
	case PARCEL_HUNG_UP: return ORDER_HUNG_UP;
	default: return ORDER_NONSENSE;
	}
	if (makes_sense(order, length, *fd))
		return ORDER_TAKEN;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return ORDER_NONSENSE;
}
