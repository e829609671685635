/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of jose name: JSON on the command line, a file, or "-", standard input, which several options share. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The largest key or JWKSet, and the largest other JSON, that is read; bytes. */
enum { INPUT_KEY_MAX = 1024 * 1024, INPUT_JSON_MAX = 64 * 1024 * 1024 };

/*
 * Standard input: what was read of it and is nobody's yet. Each option takes one JSON value from its front and not a byte more;
 * binary input takes what is left. Zero-initialise it.
 */
struct input {
	struct secret buffer;
	size_t start, end; /* what is left, in `buffer` */
	bool at_end;	   /* there is no more to be read */
};

void input_free(struct input *input);

/* What an option takes. */
enum input_kind {
	INPUT_KEY,	/* a file or "-"; strict */
	INPUT_TEMPLATE, /* JSON, a file or "-"; strict */
	INPUT_ANY, /* the same, of any type; of a member that is there twice the last counts, and what follows a value is ignored */
};

/*
 * Reads the JSON that an option's `value` names: JSON first, where it may be. Strict: an object, no member twice, nothing but white space
 * behind it, or on standard input the next value.
 * Returns 0 with `*json` (the caller's); -EBADMSG, -EFBIG, -errno with `err` filled, in which no byte of JSON stands.
 */
int input_json(struct input *input, const char *value, enum input_kind kind, json_t **json,
	       struct error *err);

/* Where binary input comes from: a file, or what is left of standard input. To be closed by source_close(). */
struct source {
	const char *name;
	struct input *input; /* NULL: a file */
	int fd;
};

/* Opens a file, or standard input for "-". Returns 0, or -errno with `err` filled. */
int source_open(struct input *input, const char *value, struct source *source, struct error *err);

/* Reads 1 to `size` bytes. Returns how many; 0 at the end; -errno with `err` filled. */
ssize_t source_read(struct source *source, void *data, size_t size, struct error *err);
void source_close(struct source *source);
