/* SPDX-License-Identifier: Apache-2.0 */
/* The stack machine of jose fmt: JSON values on a stack, and what its options do to them. */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * How deep a value may be nested, and how many bytes -c, -Q and -x may copy in all; how large a value may be that is written or compared.
 * A value counts as 32 bytes, an array or object as 128, with its text. Shared parts count each time they are there: a few options can make a
 * value that would fill any disk.
 */
enum { MACHINE_DEPTH_MAX = 2048 };
#define MACHINE_COPIED_MAX ((size_t)256 * 1024 * 1024)
#define MACHINE_WRITTEN_MAX ((size_t)4096 * 1024 * 1024)

/* Values are shared, as with references: what is got out of another and changed is changed there. Zero-initialise it. */
struct machine {
	json_t **items; /* the last one is TOP, the one before it PREV */
	size_t count, room;
	size_t depth;  /* at least that of the deepest value */
	size_t copied; /* bytes, so far */
};

void machine_free(struct machine *machine);

/* What stands behind an option, as far as it has a meaning before it acts. */
struct operand {
	const char *text;
	json_t *value;	  /* of -j and -q */
	long long number; /* of -i, -M and -t; at most what fits */
};

/* An option of fmt. */
struct operation {
	int letter;
	enum { TAKES_NOTHING, TAKES_TEXT, TAKES_NUMBER, TAKES_JSON, TAKES_STRING } takes;
	bool is_assertion; /* -X may stand before it */
	/* Acts. Returns whether it succeeded; `err` is filled only where that needs words: when a file cannot be written. */
	bool (*act)(struct machine *machine, const struct operand *operand, struct error *err);
};

/* The operation of that letter; NULL where there is none, as for -X. */
const struct operation *operation_of(int letter);
