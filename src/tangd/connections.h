/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of a server: how long each has been at what, and which one goes when there are too many. Somebody who sends or
 * reads a byte a second holds no place for ever.
 */
#pragma once

#include "base/deadline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * How long a request may take from its first line to its answer, and how long a connection may stay without one, milliseconds: absolute,
 * whatever trickles.
 */
enum { CONNECTIONS_REQUEST_MS = 15000, CONNECTIONS_IDLE_MS = 60000 };

struct connections;
struct connection;

/* Makes a table for at most `most` connections; NULL when out of memory. */
struct connections *connections_new(size_t most);
void connections_free(struct connections **connections);

/*
 * Takes in a connection, whose socket stays the caller's. Where the table is full, one gives way: its socket is shut down, which its owner
 * will notice; the one that has been idle longest, of the address that has most; where none is idle, one whose request has been on its way
 * for a second and is not here yet. Returns it; NULL when out of memory.
 */
struct connection *connections_add(struct connections *connections, int fd,
				   const struct sockaddr *address);

/* Takes it out. NULL is accepted. */
void connections_remove(struct connections *connections, struct connection *connection);

/* Tells that a request has begun, is here as a whole, or has its answer. NULL is accepted. */
void connections_begin(struct connections *connections, struct connection *connection);
void connections_whole(struct connection *connection);
void connections_end(struct connections *connections, struct connection *connection);

/* Says whether it came when the table was full and nobody could give way: it is to be told to come again. NULL is none. */
bool connections_is_surplus(const struct connection *connection);

/* How many there are; and how many had to give way so far. */
size_t connections_count(const struct connections *connections);
uint64_t connections_gave_way(const struct connections *connections);

/* Shuts down those whose time is over, or whose peer has ended unnoticed. To be called about once a second. */
void connections_sweep(struct connections *connections);
