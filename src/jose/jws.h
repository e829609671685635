/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Signatures (RFC 7515), JSON serialisations, with ES256, ES384 and ES512 (RFC 7518 §3.4). */
#pragma once

#include "base/error.h"

#include <jansson.h>

/*
 * Signs the `payload` member (base64url) of `jws` with the private EC key `jwk`, with the protected header
 * `header` (may be NULL), to which the key's algorithm is added as `alg`. The first signature makes a flattened JWS
 * (RFC 7515 §7.2.2), a further one turns it into a general one (§7.2.1).
 * Returns 0; -EINVAL with `err` filled when the key may not sign or the header names another algorithm, -ENOMEM, -EIO;
 * on failure `jws` is as before.
 */
int jose_jws_sign(json_t *jws, const json_t *header, const json_t *jwk, struct error *err);

/*
 * Verifies that at least one signature of `jws` (flattened or general) is by `jwk`. The algorithm stands in the protected
 * header and must be the one of the key's curve and, where it has one, its `alg`. `crit` is refused: no extension is known.
 * Returns 0; -EBADMSG with `err` filled when none is; -EINVAL when the key is not fit to verify, -ENOMEM.
 */
int jose_jws_verify(const json_t *jws, const json_t *jwk, struct error *err);

/*
 * Parses the payload of a JWS as JSON, without verifying anything. Returns 0 with `*payload` (the caller's);
 * -EBADMSG with `err` filled, -ENOMEM.
 */
int jose_jws_payload_json(const json_t *jws, json_t **payload, struct error *err);
