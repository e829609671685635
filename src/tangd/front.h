/* SPDX-License-Identifier: Apache-2.0 */
/* What the server answers: a request in, an answer out. Holds public data only; how bytes travel is http.c's matter. */
#pragma once

#include "tangd/channels.h"
#include "tangd/counts.h"
#include "tangd/keys.h"

#include <stdbool.h>
#include <stddef.h>

/* Bounds of a request, bytes. */
enum { FRONT_TARGET_MAX = 4095, FRONT_BODY_MAX = 65535 };

struct front {
	const char *endpoint; /* path prefix without slashes around it, "" for none */
	/* The way to the public side of the keys: it is valid until the next call. -EAGAIN: they will be there in a moment. */
	int (*refresh)(void *keys, const struct public_keys **public_keys, struct error *err);
	/* The way to the private keys, where they are in this process; NULL: see front_begin(). */
	void (*exchange)(void *keys, const struct key_request *request, struct key_reply *reply);
	void *keys;
	struct channels
		*channels; /* to where they are, when they are not in this process; may be NULL */
	struct front_counts *counts; /* of its requests; may be NULL */
	int servers;		     /* of this process, which share its descriptors; 0: one */
	/* Whether the keys are changing, so that a request is to wait for http_release(); NULL: it never is. */
	bool (*is_changing)(void *keys);
};

struct answer {
	enum counts_kind kind;	  /* of the request */
	unsigned status;	  /* HTTP status code */
	const char *content_type; /* NULL: no body */
	char *body;		  /* malloc'd, the caller's; NULL: none */
	unsigned retry_after;	  /* seconds after which to ask again; 0: not said */
	size_t vouched_by; /* of an advertisement that was asked for by thumbprint: that key's number and 1; else 0 */
};

/*
 * Begins to answer one request, as front_answer(). Returns true when `answer` is filled; false when `request` is to be sent to the
 * private keys, and what they reply handed to front_finish(). `id` of the request is the caller's.
 */
bool front_begin(const struct front *front, const char *method, const char *target,
		 const char *body, size_t body_size, struct answer *answer,
		 struct key_request *request);

/*
 * The same for a request that went to the private keys and got lost with them: those that are there now may have another number for its key. The
 * body is not needed any more.
 */
bool front_begin_again(const struct front *front, const char *target, struct answer *answer,
		       struct key_request *request);

void front_finish(const struct key_reply *reply, struct answer *answer);

/* The answer when the private keys have more to do than they can, or are not there for the moment. */
void front_shed(struct answer *answer);

/*
 * Answers one request. `target` is the request target as it came (no decoding), `body` may be NULL. Never fails: what goes
 * wrong is a status, and a line in the log where an operator must know.
 */
void front_answer(const struct front *front, const char *method, const char *target,
		  const char *body, size_t body_size, struct answer *answer);
