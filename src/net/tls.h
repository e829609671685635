/* SPDX-License-Identifier: Apache-2.0 */
/*
 * https: the helper program clevis-tls connects, verifies and ciphers; this side starts it and talks to it through a socket
 * of plain bytes, so that no TLS library is in a process that holds secrets. Private to net/ and the helper.
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "net/net.h"
#include "net/stream.h"
#include "net/url.h"

/* The descriptors that the helper is started with: the socket of plain bytes, and the pipe for its reports. */
enum { NET_TLS_SOCKET = 3, NET_TLS_REPORT = 4 };

/*
 * What the helper says: once when the connection is open or could not be opened, and again when it ended badly after that.
 * Smaller than PIPE_BUF, so it arrives whole.
 */
struct net_tls_report {
	int code; /* 0, or a negative errno-style code */
	char peer[NET_PEER_MAX];
	char text[ERROR_TEXT_MAX];
};

/*
 * Starts a helper and lets it connect to the URL's host, through a proxy where the environment names one.
 * Returns 0 with `connection`; with `err` filled: -ENOTSUP when there is no helper, -EKEYREJECTED when a certificate was not
 * trusted, and the codes of net_connect().
 */
int net_tls_open(const struct net_url *url, const struct net_tls *tls, struct deadline deadline,
		 struct net_connection *connection, struct error *err);

/*
 * Looks, without waiting, whether the connection's helper reported why it ended. Returns 0 when there is nothing to report or
 * no helper; else what it reported, with `err` filled.
 */
int net_tls_report(const struct net_connection *connection, struct error *err);

/* For tests: the program that is started as the helper. NULL: the installed one. */
void net_tls_set_helper(const char *path);
