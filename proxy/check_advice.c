/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * What the machine needs beside Sealpost: rules of the firewall, as text for nft -f, and
 * routes. 0x19 and 25 are free choices. TPROXY wants to know of interfaces, which only
 * the administrator can tell: docs/tproxy.nft.
 */

#include "check_private.h"

#include "address.h"
#include "smtp.h"

/* What some service or other needs. */
struct needs {
	bool inbound_replies, outbound_replies, redirect, tproxy;
};

static bool redirected(const struct config_outbound *outbound)
{
	return outbound->route == ROUTE_INTERCEPT &&
	       outbound->source != SOURCE_TRANSPARENT;
}

static bool borrows(const struct config_outbound *outbound)
{
	return outbound->route != ROUTE_INTERCEPT &&
	       outbound->source == SOURCE_TRANSPARENT;
}

static struct needs needs_of(const struct config *config)
{
	struct needs needs = { .redirect = false };

	for (unsigned i = 0; i < config->inbound_count; i++) {
		if (config->inbound[i].client_address == CLIENT_ADDRESS_TRANSPARENT)
			needs.inbound_replies = true;
	}
	for (unsigned i = 0; i < config->outbound_count; i++) {
		const struct config_outbound *outbound = &config->outbound[i];

		if (redirected(outbound))
			needs.redirect = true;
		else if (borrows(outbound))
			needs.outbound_replies = true;
		else if (outbound->route == ROUTE_INTERCEPT)
			needs.tproxy = true;
	}
	return needs;
}

static const char *nft_family(const struct address *a)
{
	return a->family == AF_INET6 ? "ip6" : "ip";
}

/* ---- replies to a borrowed address must come to us ---- */

static void inbound_replies(const struct config_inbound *inbound)
{
	char text[ADDRESS_TEXT];

	if (inbound->client_address != CLIENT_ADDRESS_TRANSPARENT)
		return;
	for (unsigned i = 0; i < inbound->backend_count; i++) {
		const struct address *a = &inbound->backend[i].address;

		printf("\t\t%s saddr %s tcp sport %u socket transparent 1 "
		       "meta mark set 0x19 accept\n",
			nft_family(a), address_host(a, text), a->port);
	}
}

/* Not by the address that they are for: NAT may still have to put that in. */
static void outbound_replies(const struct config_outbound *outbound)
{
	if (borrows(outbound))
		printf("\t\ttcp sport %u socket transparent 1 meta mark set 0x19 "
		       "accept\n",
			outbound->route == ROUTE_RELAY ? outbound->relay.address.port
						       : SMTP_PORT);
}

static void replies(const struct config *config)
{
	printf("\tchain replies {\n"
	       "\t\ttype filter hook prerouting priority mangle; policy accept;\n");
	for (unsigned i = 0; i < config->inbound_count; i++)
		inbound_replies(&config->inbound[i]);
	for (unsigned i = 0; i < config->outbound_count; i++)
		outbound_replies(&config->outbound[i]);
	printf("\t}\n");
}

/* ---- interception ---- */

/* The port of the first address of that family, 0: there is none. */
static unsigned listen_port(const struct config_outbound *outbound, sa_family_t family)
{
	for (unsigned i = 0; i < outbound->listen_count; i++) {
		if (outbound->listen[i].family == family)
			return outbound->listen[i].port;
	}
	return 0;
}

static void redirect(const struct config_outbound *outbound)
{
	char text[ADDRESS_TEXT];

	if (!redirected(outbound))
		return;
	for (unsigned i = 0; i < outbound->backends_count; i++) {
		const struct network *n = &outbound->backends[i];
		unsigned port = listen_port(outbound, n->base.family);

		if (port > 0)
			printf("\t\t%s saddr %s/%u tcp dport %u redirect to :%u\n",
				nft_family(&n->base), address_host(&n->base, text),
				n->prefix, SMTP_PORT, port);
	}
}

static void guard(const struct config_outbound *outbound)
{
	char text[ADDRESS_TEXT];

	if (!redirected(outbound))
		return;
	for (unsigned i = 0; i < outbound->backends_count; i++) {
		const struct network *n = &outbound->backends[i];

		printf("\t\t%s saddr %s/%u tcp dport %u reject with tcp reset\n",
			nft_family(&n->base), address_host(&n->base, text), n->prefix,
			SMTP_PORT);
	}
}

static void interception(const struct config *config)
{
	printf("\tchain intercept {\n"
	       "\t\ttype nat hook prerouting priority dstnat; policy accept;\n");
	for (unsigned i = 0; i < config->outbound_count; i++)
		redirect(&config->outbound[i]);
	printf("\t}\n"
	       "\tchain guard {\n"
	       "\t\ttype filter hook forward priority filter; policy accept;\n");
	for (unsigned i = 0; i < config->outbound_count; i++)
		guard(&config->outbound[i]);
	printf("\t}\n");
}

/* ---- the whole ---- */

static void routes(void)
{
	printf("* what answers to an address that is not ours is given to us:\n"
	       "\tip rule add fwmark 0x19 lookup 25\n"
	       "\tip route add local default dev lo table 25\n"
	       "\tip -6 rule add fwmark 0x19 lookup 25\n"
	       "\tip -6 route add local default dev lo table 25\n");
}

static void rules(const struct config *config, const struct needs *needs)
{
	printf("* for nft -f:\n"
	       "table inet sealpost_check {\n");
	if (needs->inbound_replies || needs->outbound_replies)
		replies(config);
	if (needs->redirect)
		interception(config);
	printf("}\n");
}

void check_advise(const struct config *config)
{
	struct needs needs = needs_of(config);
	bool borrowed = needs.inbound_replies || needs.outbound_replies || needs.tproxy;

	if (!borrowed && !needs.redirect)
		return;
	printf("This configuration needs, beside Sealpost:\n");
	if (borrowed)
		printf("* CAP_NET_RAW for serve (%s = transparent);\n",
			needs.inbound_replies ? "client-address" : "source");
	if (needs.inbound_replies)
		printf("* the backend's default route leads through this machine;\n");
	if (needs.redirect || needs.tproxy)
		printf("* what the backends send to port 25 comes through this machine, "
		       "and no other way;\n");
	if (borrowed)
		routes();
	if (needs.tproxy)
		printf("* for route = intercept with source = transparent, the rules of "
		       "tproxy.nft\n  beside the documentation;\n");
	if (needs.inbound_replies || needs.outbound_replies || needs.redirect)
		rules(config, &needs);
}
