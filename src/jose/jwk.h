/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Keys (RFC 7517) of the types EC, OKP, RSA and oct: making them, their public part, and what they may be used for. */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

/* Longest JWK or JWKSet that is read from a file or the network, bytes. */
enum { JOSE_JWK_MAX = 65535 };

/* Operations of `key_ops` (RFC 7517 §4.3), as a set of bits. */
enum jose_operation {
	JOSE_SIGN = 1 << 0,
	JOSE_VERIFY = 1 << 1,
	JOSE_ENCRYPT = 1 << 2,
	JOSE_DECRYPT = 1 << 3,
	JOSE_WRAP_KEY = 1 << 4,
	JOSE_UNWRAP_KEY = 1 << 5,
	JOSE_DERIVE_KEY = 1 << 6,
	JOSE_DERIVE_BITS = 1 << 7,
};

/*
 * Makes a key. Templates: {"alg":A} with A any algorithm that signs, wraps, encrypts or exchanges, but not `dir`; {"kty":"EC"}
 * (P-256), {"kty":"OKP"} (Ed25519), each with a `crv` if another is wanted; {"kty":"RSA"}, with `bits` (2048 … 16384, 2048)
 * and `e` (odd, 65537 … 64 bits; a number or base64url); {"kty":"oct","bytes":N}, 1 … 1024. `kty`, `crv` and `bytes` beside
 * an `alg` must be what it implies; `crv` is free for ECDH and ECMR, among X25519 and X448 for ECDH-ES, and for EdDSA.
 * Other members are kept, `bytes` and `bits` are used up, and `key_ops` is added as the contract of José says. A private
 * member in the template is refused.
 * Returns 0 with `*jwk` (the caller's); -EINVAL with `err` filled, -ENOMEM.
 */
int jose_jwk_generate(const json_t *jwk_template, json_t **jwk, struct error *err);

/*
 * Checks a key whole: members and sizes, points on their curve, scalars in range, an RSA modulus of 2048 … 16384 bits with an
 * odd exponent from 3 to 64 bits, of exactly two factors. Its private part too, where it has one.
 * Returns 0; -EINVAL with `err` filled, -ENOMEM.
 */
int jose_jwk_check(const json_t *jwk, struct error *err);

/*
 * The public part: a copy without private members and without the operations that need them. oct keys lose `k`.
 * Returns 0 with `*public_jwk` (the caller's); -EINVAL with `err` filled for an unknown key type, -ENOMEM.
 */
int jose_jwk_public(const json_t *jwk, json_t **public_jwk, struct error *err);

/*
 * Says whether `use` or `key_ops` grant one of the `operations`. A key with neither grants all, unless `stated`, which
 * wants it said. `use`: "sig" grants sign and verify, "enc" encrypt, decrypt, wrapKey and unwrapKey (not deriveKey).
 */
bool jose_jwk_allows(const json_t *jwk, unsigned operations, bool stated);

/* Says whether the key's `alg`, if there is one, is `alg`. */
bool jose_jwk_fits(const json_t *jwk, const char *alg);
