/* SPDX-License-Identifier: Apache-2.0 */
/* ECDH-ES (RFC 7518 §4.6, RFC 8037 §3.2): the agreement and the key derivation. Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>
#include <stddef.h>

/*
 * Derives the content key of JOSE_GCM_KEY bytes from the shared secret Z by the Concat KDF (§4.6.2), with `enc`, `apu` and
 * `apv` of the header. Returns 0; -EINVAL with `err` filled for a malformed header, -ENOMEM, -EIO.
 */
int jose_ecdh_es_derive(const struct secret *z, const json_t *header, struct secret *key,
			struct error *err);

/* The same for a key of `size` bytes for the algorithm `id`: `enc`, or `alg` where a key wraps the content key. */
int jose_ecdh_es_derive_for(const struct secret *z, const json_t *header, const char *id,
			    size_t size, struct secret *key, struct error *err);

/*
 * The sender's half: draws a key on the curve of `jwk` and makes Z with it. Returns 0 with `*epk` (its public JWK, the
 * caller's); -EINVAL with `err` filled when the key is not for an agreement, -ENOMEM, -EIO.
 */
int jose_agree_as_sender(const json_t *jwk, json_t **epk, struct secret *z, struct error *err);

/*
 * The receiver's half, with the private key `jwk`. Returns 0; -EBADMSG with `err` filled when `epk` is malformed, on another
 * curve or not on it, or Z is the point at infinity or zero; -EINVAL for a bad key, -ENOMEM.
 */
int jose_agree_as_receiver(const json_t *jwk, const json_t *epk, struct secret *z,
			   struct error *err);
