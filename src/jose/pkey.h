/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of two parts as OpenSSL holds them, read from a JWK and made: EC, OKP (RFC 8037) and RSA. Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>

#define PKEY_AUTO __attribute__((cleanup(jose_pkey_free)))
#define PKEY_CTX_AUTO __attribute__((cleanup(jose_pkey_ctx_free)))
#define MD_CTX_AUTO __attribute__((cleanup(jose_md_ctx_free)))
void jose_pkey_free(EVP_PKEY **pkey);
void jose_pkey_ctx_free(EVP_PKEY_CTX **ctx);
void jose_md_ctx_free(EVP_MD_CTX **ctx);

/* Moduli that are used: what RFC 7518 §3.3 asks for, and what a multiplication may cost. Bits. */
enum { JOSE_RSA_BITS_MIN = 2048, JOSE_RSA_BITS_MAX = 16384 };

/*
 * The curves that have keys and are not for the exchange of Tang (ec.h has those): secp256k1 (RFC 8812), and of type OKP
 * Ed25519, Ed448, X25519 and X448.
 */
struct jose_pair_curve {
	const char *name;
	const char *kty;
	const char *openssl; /* group or type */
	size_t size;	     /* bytes of a coordinate, a public and a private key */
};

/* The curve of that name, NULL where it is none of these (`name` may be NULL). */
const struct jose_pair_curve *jose_pair_curve_named(const char *name);

/*
 * Reads the public or (`with_private`) the whole key, and checks it: points on the curve, scalars in range, sizes exact, and
 * RSA as jose_rsa_read(). Returns 0 with `*pkey` (the caller's); -EINVAL with `err` filled, -ENOMEM.
 */
int jose_pkey_read(const json_t *jwk, bool with_private, EVP_PKEY **pkey, struct error *err);

/* The same for type RSA (rsa.c): a modulus of JOSE_RSA_BITS_MIN … MAX, an odd exponent from 3 to 64 bits, no `oth`. */
int jose_rsa_read(const json_t *jwk, bool with_private, EVP_PKEY **pkey, struct error *err);

/* Makes a key on one of these curves: sets kty, crv, x, y and d of `jwk`. Returns 0, -ENOMEM or -EIO with `err` filled. */
int jose_pair_generate(const struct jose_pair_curve *curve, json_t *jwk, struct error *err);

/*
 * Makes an RSA key: sets kty and all its members in `jwk`, whose `bits` and `e`, where there, say what is wanted, and uses
 * `bits` up. Returns 0; -EINVAL with `err` filled when they cannot be had, -ENOMEM, -EIO.
 */
int jose_rsa_generate(json_t *jwk, struct error *err);
