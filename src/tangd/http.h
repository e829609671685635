/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP on libmicrohttpd: connections and sockets to requests for front, answers back, one line in the log each. */
#pragma once

#include "tangd/front.h"
#include "tangd/tls.h"

#include <stdbool.h>
#include <stdint.h>

struct http_server;

/*
 * Makes a server for `front` (which must outlive it). With `listen_fd` -1 it accepts nothing by itself: see
 * http_server_add(). `log_address` stands for the peer in the log; NULL: the connection's address.
 * The server owns `listen_fd` on success. Returns 0 with `*server`; -EIO with `err` filled, -ENOMEM.
 */
int http_server_new(const struct front *front, int listen_fd, const char *log_address,
		    struct http_server **server, struct error *err);

/* The same over TLS, 1.2 at least. `tls` is of no use to it afterwards: the library has a copy of its own. */
int http_server_new_tls(const struct front *front, int listen_fd, const struct tls *tls,
			struct http_server **server, struct error *err);

void http_server_free(struct http_server **server);

/* Serves one connection that is already there; owns `fd` whatever it returns. Returns 0; -EIO with `err` filled. */
int http_server_add(struct http_server *server, int fd, struct error *err);

/* A descriptor that polls readable when http_server_run() has work. */
int http_server_fd(const struct http_server *server);

/* How long poll may wait, in milliseconds; -1: for ever. */
int http_server_timeout(const struct http_server *server);

/* Does the work that is there, without waiting. */
void http_server_run(struct http_server *server);

/* Accepts no more connections; one that is open ends with its next answer. */
void http_server_stop_accepting(struct http_server *server);

/* The keys have changed, or did not: requests that waited for it go on. */
void http_release(struct http_server *server);

/* For channels_new(): a request of any server here has its answer. */
void http_answered(void *request, const struct key_reply *reply);

/* How many connections were closed for others, since there were too many. */
uint64_t http_server_gave_way(const struct http_server *server);

/* Connections open now. */
unsigned http_server_connections(const struct http_server *server);
