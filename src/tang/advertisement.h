/* SPDX-License-Identifier: Apache-2.0 */
/* The advertisement: a server's public keys, signed by each of its signing keys. Both ends share this file. */
#pragma once

#include "base/error.h"
#include "jose/thumbprint.h"

#include <jansson.h>
#include <stdbool.h>

/* Longest advertisement that is read from the network or a file, bytes. */
enum { TANG_ADVERTISEMENT_MAX = 256 * 1024 };

/* Most keys, and most signatures, of an advertisement that is verified. */
enum { TANG_KEYS_MAX = 64 };

/* Says whether a key signs advertisements: EC, for sign and verify, and its `alg`, if any, that of its curve. */
bool tang_is_signing_key(const json_t *jwk);

/* Says whether a key, a public one, is there to verify advertisements. */
bool tang_is_verifying_key(const json_t *jwk);

/* Says whether a key is for the exchange: EC, for deriveKey, and its `alg`, if any, ECMR. */
bool tang_is_exchange_key(const json_t *jwk);

/*
 * Builds the advertisement: the public parts of `keys` (an array of JWKs), signed by each of `signers` (an array of private
 * JWKs, at least one), each signature with `alg` and `cty` "jwk-set+json" protected.
 * Returns 0 with `*jws` (the caller's); -EINVAL, -ENOMEM or -EIO with `err` filled.
 */
int tang_advertisement_sign(const json_t *keys, const json_t *signers, json_t **jws,
			    struct error *err);

/*
 * Verifies an advertisement: every key in it that is usable to verify must have signed it, and there must be one.
 * That says nothing about trust: anyone can make one. See tang_advertisement_names().
 * Returns 0 with `*key_set`, the JWKSet {"keys":[…]} (the caller's); -EBADMSG with `err` filled
 * (`Advertisement is malformed`, `Advertisement is missing signatures`), -ENOMEM.
 */
int tang_advertisement_verify(const json_t *jws, json_t **key_set, struct error *err);

/* Says whether a verifying key of a verified set has the thumbprint `thp`, under any hash. */
bool tang_advertisement_names(const json_t *key_set, const char *thp);

/* Calls `visit` with the S256 thumbprint of each verifying key of the set, in order. */
void tang_each_signing_thumbprint(const json_t *key_set,
				  void (*visit)(const char *thumbprint, void *arg), void *arg);

/*
 * Finds an exchange key of the set: the first, or with `kid` the one that has this thumbprint, under `*hash` (may be NULL).
 * Its point is checked. Returns 0 with `*jwk` (a new reference, the caller's); -ENOENT or -EINVAL with `err` filled.
 */
int tang_find_exchange_key(const json_t *key_set, const char *kid, json_t **jwk,
			   enum jose_hash *hash, struct error *err);
