/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, and bytes over them, under a deadline. Private to net/. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "net/url.h"

#include <stddef.h>
#include <sys/types.h>

/* Text of an address and port: `[fd00::1]:1080`. */
enum { NET_PEER_MAX = 80 };

struct net_connection {
	int fd;
	char peer[NET_PEER_MAX];
};

/* How long one address may take to accept. */
enum { NET_CONNECT_MS = 3000 };

/*
 * Connects to the first address of the URL's host that accepts, each within NET_CONNECT_MS and all by the deadline.
 * Returns 0 with `connection` (close its fd); -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH, -ENETUNREACH… with `err` filled, which
 * names the last address tried.
 */
int net_connect(const struct net_url *url, struct deadline deadline,
		struct net_connection *connection, struct error *err);

/* Sends all. Returns 0; -ETIMEDOUT, -ECONNRESET, … with `err` filled. */
int net_send(const struct net_connection *connection, const void *data, size_t size,
	     struct deadline deadline, struct error *err);

/* Receives up to `size` bytes. Returns how many, 0 at the end; -ETIMEDOUT, -ECONNRESET, … with `err` filled. */
ssize_t net_receive(const struct net_connection *connection, void *data, size_t size,
		    struct deadline deadline, struct error *err);
