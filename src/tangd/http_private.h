/* SPDX-License-Identifier: Apache-2.0 */
/* What http.c (connections and the HTTP library) and http_request.c (requests and their answers) share. Private to these two. */
#pragma once

#include "base/deadline.h"
#include "tangd/connections.h"
#include "tangd/http.h"

#include <microhttpd.h>

struct http_server {
	const struct front *front;
	const char *log_address;
	struct MHD_Daemon *daemon;
	int epoll_fd;
	bool listens;
	bool ends; /* accepts nothing more, and each answer ends its connection */
	struct connections *connections;
	struct deadline sweep;
	size_t requests;      /* that have begun and not ended */
	size_t ended;	      /* requests and connections, since memory was given back */
	size_t bodies;	      /* bytes of them */
	struct request *held; /* those that wait for the keys to change, the last one first */
};

/* Ours of the library's connection; NULL: none. */
struct connection *http_connection_of(struct MHD_Connection *connection);

/* For the library: a request begins with its first line, is handled piece by piece, and ends. `arg` is the server. */
void *http_begin_request(void *arg, const char *target, struct MHD_Connection *connection);
enum MHD_Result http_handle_request(void *arg, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *data,
				    size_t *size, void **context);
void http_end_request(void *arg, struct MHD_Connection *connection, void **context,
		      enum MHD_RequestTerminationCode code);
