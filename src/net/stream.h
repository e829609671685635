/* SPDX-License-Identifier: Apache-2.0 */
/* An open connection, and bytes over it under a deadline. Private to net/ and its helper. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

/* Text of an address and port: `[fd00::1]:1080`. */
enum { NET_PEER_MAX = 80 };

/* Made by net_connect() or net_tls_open(); to be ended by net_close(). */
struct net_connection {
	int fd;		/* -1: none */
	pid_t helper;	/* of https: the process behind `fd`; 0: none */
	int report;	/* of https: where the helper says why it ended; valid with `helper` only */
	int allowed_ms; /* how long the peer has for an answer: what messages name */
	char peer[NET_PEER_MAX];
};

/* What an unused one holds. */
#define NET_CONNECTION_NONE ((struct net_connection){.fd = -1, .report = -1})

/* Closes it and ends its helper. None is accepted. */
void net_close(struct net_connection *connection);

/* Waits for poll(2) events on the descriptor. Returns 0; -ETIMEDOUT, or -errno. */
int net_wait(int fd, short events, struct deadline deadline);

/* Longest text of net_print_seconds(). */
enum { NET_SECONDS_MAX = 24 };

/* Writes milliseconds as seconds: `3`, or `0.3` where they are not whole. */
void net_print_seconds(int ms, char text[static NET_SECONDS_MAX]);

/* Records `PEER: REASON` for a code; `ms` is how long was waited, for -ETIMEDOUT. Returns the code. */
int net_explain(int code, const char *peer, int ms, struct error *err);

/* Sends all. Returns 0; -ETIMEDOUT, -ECONNRESET, … with `err` filled. */
int net_send(const struct net_connection *connection, const void *data, size_t size,
	     struct deadline deadline, struct error *err);

/*
 * Receives up to `size` bytes. Returns how many, 0 at the end; -ETIMEDOUT, -ECONNRESET, … with `err` filled, and what a helper
 * of https reported.
 */
ssize_t net_receive(const struct net_connection *connection, void *data, size_t size,
		    struct deadline deadline, struct error *err);
