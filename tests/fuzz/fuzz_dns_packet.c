/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * Answers of the DNS: strangers wrote them. What is taken of one lies inside it, and is
 * the name or address of a host that mail may go to.
 */

#include "dns_data.h"
#include "dns_packet.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static void read_mx(const struct dns_packet *packet, const struct dns_record *record)
{
	char name[REQUIREMENT_NAME];
	uint16_t preference;
	enum dns_mx kind = dns_packet_mx(packet, record, &preference, name);

	must((kind == DNS_MX_HOST) == (name[0] != '\0'));
	if (kind == DNS_MX_HOST)
		must(dns_is_host(name));
}

static void read_address(const struct dns_packet *packet, const struct dns_record *record)
{
	struct peer_address address;

	if (dns_packet_address(packet, record, &address))
		must(dns_is_somebodys(&address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_packet packet;
	struct dns_record record;
	bool answer = true;

	if (!dns_packet_open(&packet, data, size))
		return 0;
	unsigned left = packet.answers + packet.authority;
	while (dns_packet_next(&packet, &record)) {
		must(left-- > 0);
		must(record.at <= size && record.length <= size - record.at);
		must(answer || !record.answer); /* the answer section stands first */
		answer = record.answer;
		read_mx(&packet, &record);
		read_address(&packet, &record);
	}
	must(!dns_packet_next(&packet, &record));
	return 0;
}
