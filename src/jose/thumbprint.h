/* SPDX-License-Identifier: Apache-2.0 */
/* Thumbprints of JSON Web Keys (RFC 7638). */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

enum jose_hash { JOSE_S1, JOSE_S224, JOSE_S256, JOSE_S384, JOSE_S512, JOSE_HASHES };

/* Longest thumbprint as text: 64 bytes of SHA-512 in base64url, and the NUL. */
enum { JOSE_THUMBPRINT_MAX = 87 };

/*
 * Writes the base64url thumbprint of `jwk` under `hash` into `out`, NUL-terminated. The key may be private; only the
 * members that RFC 7638 §3.2 names take part (EC, OKP, oct, RSA).
 * Returns 0; -EINVAL with `err` filled when the key type is unknown or a member is missing or not a string; -ENOMEM.
 */
int jose_thumbprint(const json_t *jwk, enum jose_hash hash, char out[static JOSE_THUMBPRINT_MAX],
		    struct error *err);

/*
 * Says whether `text` is the thumbprint of `jwk` under any of the hashes; the one it is goes to `*hash` (may be NULL).
 * S256 is tried first.
 */
bool jose_thumbprint_matches(const json_t *jwk, const char *text, enum jose_hash *hash);
