/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Signatures (RFC 7515), JSON serialisations, with every algorithm of the table that signs. */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Signs the `payload` member (base64url) of `jws` with the private or symmetric key `jwk`, with the protected header
 * `header` (may be NULL), to which the key's algorithm is added as `alg` if it names none (jose_alg_to_sign()). The first
 * signature makes a flattened JWS (RFC 7515 §7.2.2), a further one turns it into a general one (§7.2.1).
 * Returns 0; -EINVAL with `err` filled when the key may not sign or the header names an algorithm that is not for it,
 * -ENOMEM, -EIO; on failure `jws` is as before.
 */
int jose_jws_sign(json_t *jws, const json_t *header, const json_t *jwk, struct error *err);

/*
 * The same from a template (may be NULL) of a signature: `protected` (an object, or its base64url) and `header`, the
 * unprotected one, an object; either may name `alg`, and no member may stand in both. Other members of it are not looked at.
 */
int jose_jws_sign_as(json_t *jws, const json_t *signature_template, const json_t *jwk,
		     struct error *err);

/*
 * Verifies that at least one signature of `jws` (flattened or general) is by `jwk`. The algorithm stands in one of the two
 * headers; it must be one that takes keys of that type and curve, and the key's `alg` where it has one; `none` is no
 * algorithm. `crit` is refused: no extension is known. No name may stand in both headers.
 * Returns 0; -EBADMSG with `err` filled when none is; -EINVAL when the key is not fit to verify, -ENOMEM.
 */
int jose_jws_verify(const json_t *jws, const json_t *jwk, struct error *err);

/*
 * Verifies with several keys: any of them must have signed, or, with `all`, every one. No key: -EINVAL.
 * Returns as jose_jws_verify(), with the reason of the last key that failed.
 */
int jose_jws_verify_keys(const json_t *jws, const json_t *const *keys, size_t count, bool all,
			 struct error *err);

/*
 * Parses the payload of a JWS as JSON, without verifying anything. Returns 0 with `*payload` (the caller's);
 * -EBADMSG with `err` filled, -ENOMEM.
 */
int jose_jws_payload_json(const json_t *jws, json_t **payload, struct error *err);

/*
 * Parses the compact serialisation (RFC 7515 §3.1): three parts, nothing after them. A detached payload is an empty one.
 * Returns 0 with `*jws`, flattened (the caller's); -EBADMSG with `err` filled, -ENOMEM.
 */
int jose_jws_parse_compact(const char *text, size_t length, json_t **jws, struct error *err);

/*
 * Writes the compact serialisation: malloc'd, NUL-terminated, the caller's. Without `payload` it is a detached one.
 * Returns 0; -EINVAL with `err` filled when members would be lost (`header`, `signatures`), -EBADMSG, -ENOMEM.
 */
int jose_jws_format_compact(const json_t *jws, char **text, struct error *err);
