/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses, by the system's resolver, bounded by a deadline. Private to net/. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"

#include <stddef.h>
#include <sys/socket.h>

enum { NET_ADDRESSES_MAX = 16 };

struct net_address {
	struct sockaddr_storage storage;
	socklen_t length;
};

struct net_addresses {
	size_t count;
	struct net_address address[NET_ADDRESSES_MAX];
};

/*
 * Finds the addresses of `host` in the order to be tried. A numeric one needs no resolver; a name is looked up in a child
 * process, since getaddrinfo(3) knows no deadline. Returns 0; -EHOSTUNREACH with `err` filled when the name is not found,
 * -ETIMEDOUT, -ENOMEM.
 */
int net_resolve(const char *host, const char *port, struct deadline deadline,
		struct net_addresses *addresses, struct error *err);
