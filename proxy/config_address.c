/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/* The parsers of values that are, or hold, addresses and names of hosts. */

#include "config_schema.h"
#include "labels.h"
#include "smtp.h"

#include <stdlib.h>
#include <string.h>

static bool port_read(const char *value, uint64_t *port)
{
	return span_number((struct span){ value, strlen(value) }, port);
}

/* "ADDRESS" without a port, brackets or a prefix. */
static bool host_parse(struct address *a, const char *value)
{
	struct network alone;

	if (strchr(value, '/') || !network_parse(&alone, value))
		return false;
	*a = alone.base;
	return true;
}

enum config_value_status config_set_listen(
	const struct config_key *key, void *base, const char *value)
{
	struct address *listen = config_element(key, base, sizeof(*listen));

	if (!listen)
		return VALUE_FULL;
	if (!address_parse(listen, value, SMTP_PORT))
		return VALUE_BAD;
	++*config_count(key, base);
	return VALUE_OK;
}

/* "HOST" or "HOST:PORT", HOST being a name: it is kept in lower case. */
static enum config_value_status endpoint_name(
	struct config_endpoint *endpoint, const char *value, in_port_t default_port)
{
	size_t length = strcspn(value, ":");
	uint64_t port = default_port;

	if (value[length] == ':' && !port_read(value + length + 1, &port))
		return VALUE_BAD;
	if (port > UINT16_MAX)
		return VALUE_BAD;
	char *host = strndup(value, length);

	if (!host)
		return VALUE_NO_MEMORY;
	if (!labels_valid(host, LABELS_ANY)) {
		free(host);
		return VALUE_BAD;
	}
	for (char *c = host; *c != '\0'; c++)
		*c += *c >= 'A' && *c <= 'Z' ? 'a' - 'A' : 0;
	endpoint->address =
		(struct address){ .family = AF_UNSPEC, .port = (in_port_t)port };
	endpoint->host = host;
	return VALUE_OK;
}

/* An address or a name, either with a port or without; port 0 leads nowhere. */
static enum config_value_status endpoint_read(
	struct config_endpoint *endpoint, const char *value, in_port_t default_port)
{
	*endpoint = (struct config_endpoint){ .host = NULL };
	if (!address_parse(&endpoint->address, value, default_port)) {
		enum config_value_status status =
			endpoint_name(endpoint, value, default_port);

		if (status != VALUE_OK)
			return status;
	}
	if (endpoint->address.port == 0) {
		free(endpoint->host);
		endpoint->host = NULL;
		return VALUE_BAD;
	}
	return VALUE_OK;
}

enum config_value_status config_set_backend(
	const struct config_key *key, void *base, const char *value)
{
	struct config_endpoint *backend = config_element(key, base, sizeof(*backend));

	if (!backend)
		return VALUE_FULL;
	enum config_value_status status = endpoint_read(backend, value, SMTP_PORT);

	if (status == VALUE_OK)
		++*config_count(key, base);
	return status;
}

/* What stands in rules of the firewall between quotes, without a meaning of its own. */
enum config_value_status config_set_interface(
	const struct config_key *key, void *base, const char *value)
{
	char *name = config_element(key, base, CONFIG_INTERFACE);
	size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	if (!name)
		return VALUE_FULL;
	if (value[length] != '\0' || length == 0 || length >= CONFIG_INTERFACE)
		return VALUE_BAD;
	memcpy(name, value, length + 1);
	++*config_count(key, base);
	return VALUE_OK;
}

enum config_value_status config_set_network(
	const struct config_key *key, void *base, const char *value)
{
	struct network *network = config_element(key, base, sizeof(*network));

	if (!network)
		return VALUE_FULL;
	if (!network_parse(network, value))
		return VALUE_BAD;
	++*config_count(key, base);
	return VALUE_OK;
}

/* Splits "FIRST SECOND" at blanks; what is behind FIRST, which `first` has room for. */
static const char *first_word(const char *value, char *first, size_t size)
{
	size_t length = strcspn(value, " \t");

	snprintf(first, size, "%.*s", (int)length, value);
	return value + length + strspn(value + length, " \t");
}

/* Whether an endpoint that endpoint_read() took was written with its port. */
static bool has_port(const char *value)
{
	const char *colon = strrchr(value, ':');

	if (!colon)
		return false;
	return *value == '[' ? colon[-1] == ']' : strchr(value, ':') == colon;
}

enum config_value_status config_set_route(
	const struct config_key *key, void *base, const char *value)
{
	struct config_outbound *outbound = base;
	char word[16];
	const char *host = first_word(value, word, sizeof(word));
	int route = config_word_find(config_route_names, word);

	(void)key;
	/* of a faulty one nothing follows for other keys */
	outbound->route = route >= 0 ? (enum config_route)route : ROUTES;
	if (route < 0 || (route == ROUTE_RELAY) != (*host != '\0'))
		return VALUE_BAD;
	if (route != ROUTE_RELAY)
		return VALUE_OK;
	enum config_value_status status =
		endpoint_read(&outbound->relay, host, SMTP_PORT);

	/* config_cross_check() knows what relay-tls stands for */
	if (status == VALUE_OK && !has_port(host))
		outbound->relay.address.port = 0;
	return status;
}

enum config_value_status config_set_source(
	const struct config_key *key, void *base, const char *value)
{
	static const char *const words[] = { "auto", "transparent", NULL };
	struct config_outbound *outbound = base;
	int word = config_word_find(words, value);

	(void)key;
	if (word >= 0) {
		outbound->source = (enum config_source)word;
		return VALUE_OK;
	}
	outbound->source = SOURCE_ADDRESS;
	return host_parse(&outbound->source_address, value) &&
			       !address_is_wildcard(&outbound->source_address)
		       ? VALUE_OK
		       : VALUE_BAD;
}

/* "ADDRESS" or "ADDRESS@PORT", as libunbound takes it. */
static bool server_valid(const char *value)
{
	char host[ADDRESS_TEXT];
	size_t length = strcspn(value, "@");
	struct address address;
	uint64_t port = 1;

	if (length >= sizeof(host))
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)length, value);
	if (value[length] == '@' && !port_read(value + length + 1, &port))
		return false;
	return port >= 1 && port <= UINT16_MAX && host_parse(&address, host);
}

enum config_value_status config_set_resolver(
	const struct config_key *key, void *base, const char *value)
{
	static const char *const words[] = { "system", "recursive", NULL };

	return config_word_find(words, value) >= 0 || server_valid(value)
		       ? config_set_text(key, base, value)
		       : VALUE_BAD;
}

/* A domain with or without the dot at its end, or the root. */
static bool zone_valid(const char *zone)
{
	char name[LABELS_MAX + 1];
	size_t length = strlen(zone);

	if (strcmp(zone, ".") == 0)
		return true;
	if (length > 0 && zone[length - 1] == '.')
		length--;
	if (length > LABELS_MAX)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)length, zone);
	return labels_valid(name, LABELS_ANY);
}

enum config_value_status config_set_stub(
	const struct config_key *key, void *base, const char *value)
{
	struct config_stub *stub = config_element(key, base, sizeof(*stub));
	char zone[LABELS_MAX + 3];
	const char *server = first_word(value, zone, sizeof(zone));

	if (!stub)
		return VALUE_FULL;
	if (!zone_valid(zone) || !server_valid(server))
		return VALUE_BAD;
	stub->zone = strdup(zone);
	stub->server = strdup(server);
	/* counted at once: so config_free() finds them whatever became of it */
	++*config_count(key, base);
	return stub->zone && stub->server ? VALUE_OK : VALUE_NO_MEMORY;
}

/* ---- what they come to ---- */

bool config_serves(const struct config_outbound *outbound, sa_family_t family)
{
	for (unsigned i = 0; i < outbound->backends_count; i++) {
		if (outbound->backends[i].base.family == family)
			return true;
	}
	return false;
}

bool config_reaches(const struct config_inbound *inbound, sa_family_t family)
{
	for (unsigned i = 0; i < inbound->backend_count; i++) {
		if (inbound->backend[i].host ||
			inbound->backend[i].address.family == family)
			return true;
	}
	return false;
}
