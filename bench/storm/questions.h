/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a key server, made ahead so that asking costs little, and how to tell a right answer. */
#pragma once

#include "base/error.h"
#include "jose/ec.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct question {
	char *request; /* head and body */
	size_t request_size;
	char *expected[2];	  /* texts that a right answer holds; NULL: none */
	struct jose_point answer; /* of a recovery, the point that `expected` spells */
	bool read_whole;	  /* of a recovery: an answer was parsed and its point compared */
};

/* All of one kind. To be freed by questions_free(). Zero-initialise it. */
struct questions {
	bool recoveries;
	enum jose_curve_id curve; /* of the server's exchange key */
	size_t count;
	struct question *question;
};

/*
 * `count` recoveries with points of their own: X = r·G, so that Y = r·S is known. `key` is the server's exchange key, `url`
 * http://HOST[:PORT][/PATH]. Returns 0; -EINVAL, -EIO, -ENOMEM with `err` filled.
 */
int questions_recoveries(const char *url, const json_t *key, size_t count,
			 struct questions *questions, struct error *err);

/* The one request for the advertisement `jws`. Returns 0; -EINVAL, -ENOMEM with `err` filled. */
int questions_advertisement(const char *url, const json_t *jws, struct questions *questions,
			    struct error *err);

/*
 * Asks the server for its advertisement, verifies it, and makes `count` recoveries, or with 0 the request for the advertisement.
 * Returns 0; the codes of net_http(), -EBADMSG when what it answers is no advertisement, -ENOENT for one without exchange key.
 */
int questions_fetch(const char *url, size_t count, struct questions *questions, struct error *err);

void questions_free(struct questions *questions);

/*
 * Says whether the body (`size` bytes, NUL-terminated) answers the question. Its coordinates, or the advertisement's payload, are
 * always compared; the first answer to each recovery is parsed too.
 */
bool question_accepts(const struct questions *questions, struct question *question,
		      const char *body, size_t size);
