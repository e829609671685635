/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of key servers: http[s]://HOST[:PORT][/PATH], and what a redirect from one says. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { NET_URL_MAX = 2048, NET_HOST_MAX = 256, NET_PORT_MAX = 6 };

/* Longest HOST:PORT as text, the brackets of an IPv6 address and the NUL included. */
enum { NET_ORIGIN_MAX = NET_HOST_MAX + NET_PORT_MAX + 3 };

struct net_url {
	bool secure;		 /* https */
	char host[NET_HOST_MAX]; /* without the brackets of an IPv6 address */
	char port[NET_PORT_MAX]; /* decimal; "80", for https "443", when none is given */
	char target
		[NET_URL_MAX]; /* path and query: what follows the method in a request; "/" for none */
	bool host_is_ipv6;
};

/*
 * Parses a URL; one without a scheme, HOST[:PORT][/PATH], is one of http. White space, control characters, user names and fragments are refused.
 * Returns 0; -EINVAL with `err` filled, -ENOTSUP for another scheme.
 */
int net_url_parse(const char *text, struct net_url *url, struct error *err);

/*
 * Parses `length` bytes of HOST, HOST:PORT, [IPV6] or [IPV6]:PORT into host, port and host_is_ipv6 of `url`; the port is
 * `default_port` when none is given. Returns 0 or -EINVAL.
 */
int net_url_parse_authority(const char *text, size_t length, const char *default_port,
			    struct net_url *url);

/*
 * Finds where a `Location` of a reply from `base` leads (RFC 3986 §5.2): a whole URL, //HOST/…, /PATH, PATH or ?QUERY. A
 * fragment is dropped. Returns 0 with `url`, which must not be `base`; -EINVAL or -ENOTSUP with `err` filled.
 */
int net_url_follow(const struct net_url *base, const char *location, struct net_url *url,
		   struct error *err);

/* Says whether both name the same scheme, host (letters' case does not count) and port. */
bool net_url_same_origin(const struct net_url *a, const struct net_url *b);

/* Writes HOST:PORT, an IPv6 address in brackets. The zone of an address (%eth0) is left out when it leaves the machine. */
void net_print_origin(const char *host, const char *port, char origin[static NET_ORIGIN_MAX]);
