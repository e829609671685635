/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to whichever address of a name answers first (RFC 8305, Happy Eyeballs). Private to net/ and its helper. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "net/stream.h"

/* How long one address may take to accept, and after how long the next one is tried beside it. */
enum { NET_CONNECT_MS = 3000, NET_NEXT_ATTEMPT_MS = 250 };

/*
 * Connects to the address of `host` that accepts first. The addresses of both families take turns, the resolver's first one
 * leading; each is tried NET_NEXT_ATTEMPT_MS after the one before, or at once when one has failed, each for NET_CONNECT_MS
 * and all by the deadline.
 * Returns 0 with `connection`; -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH, -ENETUNREACH… with `err` filled, which names every
 * address tried and what came of it; the code is the most telling one of theirs.
 */
int net_connect(const char *host, const char *port, struct deadline deadline,
		struct net_connection *connection, struct error *err);

/* Connects to the UNIX socket at `path`. Returns as net_connect(), and -ENOENT, -EACCES, -ENAMETOOLONG. */
int net_connect_unix(const char *path, struct net_connection *connection, struct error *err);
