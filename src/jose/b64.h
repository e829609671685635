/* SPDX-License-Identifier: Apache-2.0 */
/* Base64url without padding (RFC 7515 §2, RFC 4648 §5): canonical only, and without branches on the data, as keys pass here. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>
#include <stddef.h>

/* Characters that `size` bytes take as text, no NUL counted. */
#define JOSE_B64_LENGTH(size) (((size)*4 + 2) / 3)

/* Bytes that `length` characters stand for (where the length is possible at all). */
#define JOSE_B64_SIZE(length) ((length) / 4 * 3 + (length) % 4 * 3 / 4)

/* Writes JOSE_B64_LENGTH(size) characters to `text`, no NUL. */
void jose_b64_encode(const void *data, size_t size, char *text);

/*
 * Decodes `length` characters into `data` (JOSE_B64_SIZE(length) bytes).
 * Returns 0; -EINVAL for any character outside the alphabet (padding and white space too), a lone last character, or spare
 * bits that are not zero: then `data` is wiped.
 */
int jose_b64_decode(const char *text, size_t length, void *data);

/* Encodes into a new JSON string, the caller's; NULL when out of memory. */
json_t *jose_b64_json(const void *data, size_t size);

/*
 * Decodes the member `name` of `object` into a new secret (public values too: one way for all).
 * Returns 0; -EINVAL when it is missing, not a string or not base64url, -ENOMEM; `err` names the member.
 */
int jose_b64_member(const json_t *object, const char *name, struct secret *data, struct error *err);
