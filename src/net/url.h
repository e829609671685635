/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of key servers: http://HOST[:PORT][/PATH]. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

enum { NET_URL_MAX = 2048, NET_HOST_MAX = 256, NET_PORT_MAX = 6 };

struct net_url {
	char host[NET_HOST_MAX]; /* without the brackets of an IPv6 address */
	char port[NET_PORT_MAX]; /* decimal, "80" when none is given */
	char target
		[NET_URL_MAX]; /* path and query: what follows the method in a request; "/" for none */
	bool host_is_ipv6;
};

/*
 * Parses a URL. White space, control characters, user names and fragments are refused; https is, too, for now.
 * Returns 0; -EINVAL with `err` filled, -ENOTSUP for another scheme.
 */
int net_url_parse(const char *text, struct net_url *url, struct error *err);
