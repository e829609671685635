/* SPDX-License-Identifier: Apache-2.0 */
/* What net_http() is made of. Private to net/. */
#pragma once

#include "net/net.h"

/* As net_http(), by this process itself and by no other deadline than the one given. */
int http_direct(struct net_session *session, const struct net_request *request,
		struct deadline deadline, struct net_reply *reply, struct error *err);

/*
 * The name of the connection that a request goes over: it says everything that tells it from another: scheme, host, port, proxy, TLS
 * files. Returns 0 with `*name` (malloc'd, the caller's); the codes of net_url_parse() and net_proxy_find(), -ENOMEM.
 */
int http_name(const struct net_request *request, char **name, struct error *err);
