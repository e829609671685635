/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client: one request, one deadline. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* How long one request may take when the deadline leaves more. */
enum { NET_REQUEST_MS = 10000 };

struct net_request {
	const char *method; /* GET or POST */
	const char *url;
	const char *content_type; /* with a body */
	const void *body;	  /* NULL for none */
	size_t body_size;	  /* bytes */
	size_t reply_max;	  /* bytes of the reply's body that are accepted */
};

struct net_reply {
	unsigned status; /* HTTP status code: any; it is for the caller to judge */
	char *body;	 /* malloc'd, NUL-terminated, the caller's; "" for none */
	size_t body_size;
};

/*
 * Sends a request and reads the reply, within NET_REQUEST_MS and by the deadline.
 * Returns 0 with `reply`; with `err` filled: -EINVAL or -ENOTSUP for the URL, -EBADMSG or -EFBIG for a malformed or too
 * large reply, and the codes of net_is_unreachable().
 */
int net_http(const struct net_request *request, struct deadline deadline, struct net_reply *reply,
	     struct error *err);

/* Says whether the code means that no server answered (refused, timed out, no route, name unknown, reset). */
bool net_is_unreachable(int code);
