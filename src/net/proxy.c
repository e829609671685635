/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy.h"

#include "base/file.h"
#include "net/reply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ENTRY_MAX = NET_HOST_MAX + 8, HTTP_PROXY_AUTHENTICATION = 407, HTTP_FORBIDDEN = 403 };

static const char separators[] = ", \t\n";

/* An IP address, either family. */
struct address {
	int family;
	unsigned char bytes[16];
};

static bool read_address(const char *text, struct address *address)
{
	address->family = AF_INET;
	if (inet_pton(AF_INET, text, address->bytes) == 1)
		return true;
	address->family = AF_INET6;
	return inet_pton(AF_INET6, text, address->bytes) == 1;
}

static bool same_bits(const struct address *a, const struct address *b, unsigned bits)
{
	unsigned char mask = (unsigned char)(0xff00U >> (bits % 8));

	if (a->family != b->family || memcmp(a->bytes, b->bytes, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) & mask) == 0;
}

/* Takes ADDRESS, [ADDRESS] or ADDRESS/BITS apart. */
static bool read_network(char *entry, struct address *network, unsigned *bits)
{
	char *slash = strchr(entry, '/');
	char *end = NULL;
	unsigned long given = 0;
	size_t length;

	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		given = strtoul(slash + 1, &end, 10);
		if (*end)
			return false;
		*slash = '\0';
	}
	length = strlen(entry);
	if (length > 2 && *entry == '[' && entry[length - 1] == ']') {
		entry[length - 1] = '\0';
		entry++;
	}
	if (!read_address(entry, network))
		return false;
	*bits = network->family == AF_INET ? 32 : 128;
	if (slash && given > *bits)
		return false;
	*bits = slash ? (unsigned)given : *bits;
	return true;
}

/* The length of a name without the dot that may end it. */
static size_t name_length(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && name[length - 1] == '.' ? length - 1 : length;
}

static bool is_in_domain(const char *host, const char *domain)
{
	size_t host_length = name_length(host);
	size_t length;

	if (*domain == '.')
		domain++;
	length = name_length(domain);
	if (length == 0 || length > host_length ||
	    strncasecmp(host + host_length - length, domain, length) != 0)
		return false;
	return length == host_length || host[host_length - length - 1] == '.';
}

static bool entry_names(char *entry, const char *host)
{
	struct address wanted;
	struct address network;
	unsigned bits = 0;

	if (strcmp(entry, "*") == 0)
		return true;
	if (!read_address(host, &wanted))
		return is_in_domain(host, entry);
	return read_network(entry, &network, &bits) && same_bits(&wanted, &network, bits);
}

bool net_proxy_excludes(const char *list, const char *host)
{
	char name[NET_HOST_MAX];

	/* The zone of an IPv6 address says how to get there, not who it is. */
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, "%"), host);
	for (;;) {
		char entry[ENTRY_MAX];
		size_t length;

		list += strspn(list, separators);
		length = strcspn(list, separators);
		if (length == 0)
			return false;
		if (length < sizeof(entry)) {
			memcpy(entry, list, length);
			entry[length] = '\0';
			if (entry_names(entry, name))
				return true;
		}
		list += length;
	}
}

int net_proxy_parse(const char *variable, const char *value, struct net_proxy *proxy,
		    struct error *err)
{
	size_t scheme = strncasecmp(value, "http://", 7) == 0 ? strlen("http://") : 0;
	const char *authority = value + scheme;
	size_t length = (size_t)(strchrnul(authority, '/') - authority);
	struct net_url url = {0};

	/* The value may hold a password: it is not repeated. */
	if (strchr(value, '@'))
		return error_set(err, -ENOTSUP, "%s: user names for proxies are not supported",
				 variable);
	if (strcmp(authority + length, "/") != 0 && authority[length] != '\0')
		return error_set(err, -ENOTSUP, "%s: only proxies http://HOST:PORT are supported",
				 variable);
	for (size_t i = 0; i < length; i++)
		if (authority[i] <= 0x20 || authority[i] >= 0x7f || strchr("?#%", authority[i]))
			length = 0;
	if (net_url_parse_authority(authority, length, "1080", &url) < 0)
		return error_set(err, -ENOTSUP, "%s: not a proxy of the form http://HOST:PORT",
				 variable);
	(void)snprintf(proxy->host, sizeof(proxy->host), "%s", url.host);
	(void)snprintf(proxy->port, sizeof(proxy->port), "%s", url.port);
	return 0;
}

/* The value of the first variable that is set and not empty; NULL for none. */
static const char *first_set(const char *const names[], const char **name)
{
	for (; *names; names++) {
		const char *value = secure_getenv(*names);

		*name = *names;
		if (value && *value)
			return value;
	}
	return NULL;
}

int net_proxy_find(const struct net_url *url, struct net_proxy *proxy, struct error *err)
{
	static const char *const for_http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
	static const char *const for_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
						"ALL_PROXY", NULL};
	static const char *const for_none[] = {"no_proxy", "NO_PROXY", NULL};
	const char *name = NULL;
	const char *none = first_set(for_none, &name);
	const char *value = first_set(url->secure ? for_https : for_http, &name);

	*proxy = (struct net_proxy){0};
	if (!value || (none && net_proxy_excludes(none, url->host)))
		return 0;
	return net_proxy_parse(name, value, proxy, err);
}

/* Reads the head of the answer, byte by byte: what follows belongs to whoever speaks through the tunnel. */
static int receive_head(const struct net_connection *connection, struct deadline deadline,
			struct reply *reply, struct error *err)
{
	int rc = 0;

	while (rc == 0 && reply->state != REPLY_DONE) {
		char byte = 0;
		ssize_t got = net_receive(connection, &byte, 1, deadline, err);

		if (got < 0)
			return (int)got;
		rc = got > 0 ? reply_feed(reply, &byte, 1, err) : reply_end(reply, err);
		if (rc < 0)
			error_prefix(err, "%s: ", connection->peer);
	}
	return rc;
}

int net_proxy_tunnel(const struct net_connection *connection, const char *host, const char *port,
		     struct deadline deadline, struct error *err)
{
	__attribute__((cleanup(reply_free))) struct reply reply = {.head_only = true};
	FREE_AUTO char *head = NULL;
	char origin[NET_ORIGIN_MAX];
	int rc;

	net_print_origin(host, port, origin);
	if (asprintf(&head,
		     "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: nbde/" NBDE_VERSION "\r\n\r\n",
		     origin, origin) < 0) {
		head = NULL;
		return error_nomem(err);
	}
	rc = net_send(connection, head, strlen(head), deadline, err);
	if (rc == 0)
		rc = receive_head(connection, deadline, &reply, err);
	if (rc < 0)
		return rc;
	if (reply.status >= 200 && reply.status < 300)
		return 0;
	return error_set(err,
			 reply.status == HTTP_FORBIDDEN || reply.status == HTTP_PROXY_AUTHENTICATION
				 ? -EACCES
				 : -EHOSTUNREACH,
			 "the proxy %s does not open a way to %s: it answered %u", connection->peer,
			 origin, reply.status);
}
