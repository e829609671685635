/* SPDX-License-Identifier: Apache-2.0 */
/* Proxies, as the environment names them in the manner of curl. Private to net/ and its helper. */
#pragma once

#include "net/connect.h"
#include "net/url.h"

struct net_proxy {
	char host[NET_HOST_MAX]; /* "" for none */
	char port[NET_PORT_MAX];
};

/*
 * Finds the proxy for a URL: `http_proxy` (never in capitals: a CGI program gets that from whoever asks), `https_proxy` or
 * `HTTPS_PROXY`, else `all_proxy` or `ALL_PROXY`; none for hosts that `no_proxy` or `NO_PROXY` name. An empty variable counts as not set.
 * Returns 0; -ENOTSUP with `err` filled, which names the variable, for what is no `[http://]HOST[:PORT][/]`.
 */
int net_proxy_find(const struct net_url *url, struct net_proxy *proxy, struct error *err);

/* Parses the value of a variable; the port is 1080 when none is given, as with curl. Returns as net_proxy_find(). */
int net_proxy_parse(const char *variable, const char *value, struct net_proxy *proxy,
		    struct error *err);

/*
 * Says whether `list` names `host`: entries between commas or white space, each `*`, a domain (it stands for what is below it
 * too; a dot may lead), an address, or a network (10.0.0.0/8, fd00::/8).
 */
bool net_proxy_excludes(const char *list, const char *host);

/*
 * Asks the proxy at the other end of the connection for a tunnel to host and port (CONNECT, RFC 9110 §9.3.6).
 * Returns 0; -EHOSTUNREACH or -EACCES with `err` filled when it refuses, and the codes of net_send() and net_receive().
 */
int net_proxy_tunnel(const struct net_connection *connection, const char *host, const char *port,
		     struct deadline deadline, struct error *err);
