/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside: bounded before it is parsed, and wiped after use. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>

/* How deep values may be nested: an sss of sss has some 10 levels. */
enum { JSON_DEPTH_MAX = 64 };

/* Drops a reference at the end of its scope. */
#define JSON_AUTO __attribute__((cleanup(json_drop)))
void json_drop(json_t **json);

/*
 * Makes Jansson wipe each block it frees, since keys pass through it. For our own main() functions only, before the first
 * JSON value: never in code that a foreign process loads.
 */
void json_wipe_on_free(void);

/*
 * Parses `size` bytes of text: one value, white space around it and nothing else, no member twice, at most
 * JSON_DEPTH_MAX levels, any type at the top. `what` names the source in messages.
 * Returns 0 with `*json` (a new reference, the caller's); -EBADMSG or -ENOMEM with `err` filled.
 */
int json_parse(const char *text, size_t size, const char *what, json_t **json, struct error *err);

/*
 * Dumps compactly, members sorted, into a secret (no NUL behind it): the form that is signed, hashed and sealed.
 * Returns 0 or -ENOMEM with `err` filled.
 */
int json_dump_secret(const json_t *json, struct secret *text, struct error *err);

/* The same for public values: malloc'd, NUL-terminated, the caller's; NULL when out of memory. */
char *json_dump_public(const json_t *json);

/* The same, members in the order in which they were set: for people who read it. */
char *json_dump_in_order(const json_t *json);
