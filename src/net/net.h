/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client: a request, one deadline, every address tried; https by a helper program. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* How long one request may take when the deadline leaves more. */
enum { NET_REQUEST_MS = 10000 };

/* What https needs beyond the system's certificates: names of PEM files, NULL for none. */
struct net_tls {
	const char
		*cacert;  /* certificates of the authorities that count in place of the system's */
	const char *cert; /* the client's certificate, intermediate ones behind it */
	const char *key;  /* its private key, when it is not in `cert` */
};

struct net_request {
	const char *method; /* GET or POST */
	const char *url;    /* http:// or https:// */
	struct net_tls tls;
	const char *content_type; /* with a body */
	const void *body;	  /* NULL for none */
	size_t body_size;	  /* bytes */
	size_t reply_max;	  /* bytes of the reply's body that are accepted */
	const char *socket;	  /* path of a UNIX socket, in place of the host; NULL: none */
};

struct net_reply {
	unsigned status;  /* HTTP status code: any; it is for the caller to judge */
	char *body;	  /* malloc'd, NUL-terminated, the caller's; "" for none */
	size_t body_size; /* bytes */
	unsigned
		retry_after_s; /* how long the server asks to wait before the next request (Retry-After); 0: not said */
};

struct net_session;

/*
 * A place for connections that stay open between requests, so that a command that asks a server twice connects once.
 * NULL when out of memory: then each request has a connection of its own.
 */
struct net_session *net_session_new(void);

/* Closes its connections and frees it; sets the pointer to NULL. NULL is accepted. */
void net_session_free(struct net_session **session);

/*
 * For a child process, before it asks anything: closes the descriptors of connections it inherited, which stay the parent's to use.
 * Returns the session to go on with: the same where couriers carry its requests, NULL where there are none. NULL is accepted.
 */
struct net_session *net_session_in_child(struct net_session *session);

/*
 * Starts what lets the processes of one command share connections: from now on each server is asked by one process, its courier,
 * for this process and all that it forks; one request after another, over one connection. Where a courier does not answer, since it is
 * gone or its server is slow, a request goes its own way. To be called before any child is forked; ends with
 * net_session_free(), or with the process. Failure is no error: then each process has connections of its own.
 */
void net_session_share(struct net_session *session);

/*
 * Sends a request and reads the reply, within NET_REQUEST_MS and by the deadline. `session` may be NULL. Redirects are followed, a few
 * of them and never from https to http; `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` of the environment are obeyed.
 * Returns 0 with `reply`; with `err` filled: -EINVAL or -ENOTSUP for the URL, -EBADMSG or -EFBIG for a malformed or too
 * large reply, -EACCES for a socket, -EKEYREJECTED when https finds no trust, and the codes of net_is_unreachable().
 */
int net_http(struct net_session *session, const struct net_request *request,
	     struct deadline deadline, struct net_reply *reply, struct error *err);

/* Says whether the code means that no server answered (refused, timed out, no route, name unknown, reset). */
bool net_is_unreachable(int code);

/*
 * Says whether a URL's host is the machine that we are on: one of its names or addresses, loopback included. False
 * also when the name is not found by the deadline, and for a server that is reached through a proxy.
 */
bool net_is_this_machine(const char *url, struct deadline deadline);
