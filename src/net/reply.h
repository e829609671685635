/* SPDX-License-Identifier: Apache-2.0 */
/* Parser of HTTP/1 replies (RFC 9112), fed in pieces; bounded in every direction, since any server may answer. Private to net/. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the head and of all that is no body, the lines between chunks included; and of one line. Bytes. */
enum { REPLY_HEAD_MAX = 16 * 1024, REPLY_LINE_MAX = 4096 };

enum reply_state {
	REPLY_HEAD,	  /* status line and fields, line by line */
	REPLY_LENGTH,	  /* body of a known length */
	REPLY_TO_END,	  /* body until the connection closes */
	REPLY_CHUNK_SIZE, /* chunked: size line */
	REPLY_CHUNK,	  /* chunked: data */
	REPLY_CHUNK_END,  /* chunked: the line end after the data */
	REPLY_TRAILER,	  /* chunked: fields after the last chunk */
	REPLY_DONE,
};

/* Zero-initialise but for `body_max` and `head_only`; free with reply_free(). */
struct reply {
	size_t body_max; /* bytes of the body that are accepted */
	bool head_only;	 /* the reply ends with its head, whatever that says */
	unsigned status; /* HTTP status code, once the head is read */
	char *body;	 /* malloc'd, a NUL behind the end; NULL while empty */
	size_t body_size;
	char *location;		/* the field Location, malloc'd; NULL for none */
	unsigned retry_after_s; /* the field Retry-After; 0 for none */
	bool begun;		/* a first byte has come */
	/* private */
	enum reply_state state;
	char line[REPLY_LINE_MAX];
	size_t line_length;
	size_t head_size;
	size_t left; /* of the body or chunk */
	bool has_length;
	bool chunked;
	bool stays_open; /* as the server said, or its version of HTTP */
	bool closes;	 /* whatever stays_open says */
	bool excess;	 /* there came more than the reply */
	char *retry_after;
	char *date; /* the field Date, read only where it is needed: that looks for the time zone */
};

/* Feeds `size` bytes; looks at `state` for REPLY_DONE afterwards. Returns 0; -EBADMSG, -EFBIG or -ENOMEM with `err` filled. */
int reply_feed(struct reply *reply, const char *data, size_t size, struct error *err);

/* Tells that the connection was closed. Returns 0 when the reply is complete; -EBADMSG with `err` filled. */
int reply_end(struct reply *reply, struct error *err);

/*
 * Says whether another request may follow on the connection (RFC 9112 §9.3): the reply is complete and ended by itself, the server
 * does not close, and nothing came that was not asked for.
 */
bool reply_allows_another(const struct reply *reply);

void reply_free(struct reply *reply);
