/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that wait for the next request. Private to net/; what callers see of it is in net.h. */
#pragma once

#include "net/courier.h"
#include "net/net.h"
#include "net/stream.h"

#include <stdbool.h>

/* How many connections wait; one more sends the one away that has waited longest. */
enum { SESSION_IDLE_MAX = 4 };

/*
 * Takes a waiting connection of that name out. One on which the peer has ended, or said something nobody asked for, is closed
 * and not taken. Returns whether there was one. `session` may be NULL.
 */
bool session_take(struct net_session *session, const char *name, struct net_connection *connection);

/*
 * Lets the session have the connection under that name, which says everything that tells it from another: scheme, host, port, proxy, TLS files. Closed
 * when `session` is NULL or memory is out. The caller's `connection` holds none afterwards.
 */
void session_put(struct net_session *session, const char *name, struct net_connection *connection);

/* The session's way to couriers; none when net_session_share() was not called. */
const struct courier *session_courier(const struct net_session *session);
