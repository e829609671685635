/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Encryption (RFC 7516). First what the pins need, flattened, by `dir` and `ECDH-ES` with A256GCM and nothing else;
 * then, at the end, every serialisation with every algorithm.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Encrypts `plain` to `jwk`: an EC key by ECDH-ES (RFC 7518 §4.6; only its public part is used), an oct key of 32 bytes by
 * `dir` (§4.5). `header` (may be NULL) is the protected header, to which `alg`, `enc` and `epk` are added.
 * Returns 0 with `*jwe`, flattened (the caller's); -EINVAL with `err` filled when the key or a named `alg` or `enc` is not
 * one of these; -ENOMEM, -EIO.
 */
int jose_jwe_encrypt(const json_t *header, const json_t *jwk, const struct secret *plain,
		     json_t **jwe, struct error *err);

/*
 * Decrypts a flattened JWE with a private EC or an oct key. `crit` and `zip` are refused: they are not known here.
 * Returns 0 with `plain`; -EBADMSG with `err` filled when the JWE is malformed or does not open, -EINVAL for a key that is
 * not fit, -ENOMEM. Nothing of the plaintext leaves before the tag is checked.
 */
int jose_jwe_decrypt(const json_t *jwe, const json_t *jwk, struct secret *plain, struct error *err);

/*
 * Decrypts an ECDH-ES JWE whose shared secret Z, a coordinate (RFC 7518 §4.6.2), was found by other means: for the
 * McCallum–Relyea exchange, where no party has the private key. Returns as jose_jwe_decrypt().
 */
int jose_jwe_decrypt_shared(const json_t *jwe, const struct secret *z, struct secret *plain,
			    struct error *err);

/*
 * The whole header: protected, `unprotected` and `header` together (RFC 7516 §7.2.1: no member twice).
 * Returns 0 with `*header` (a new object, the caller's); -EBADMSG with `err` filled, -ENOMEM.
 */
int jose_jwe_header(const json_t *jwe, json_t **header, struct error *err);

/*
 * Parses the compact serialisation (RFC 7516 §3.1): five parts, nothing after them. `encrypted_key` is kept, also when empty.
 * Returns 0 with `*jwe`, flattened (the caller's); -EBADMSG with `err` filled, -ENOMEM.
 */
int jose_jwe_parse_compact(const char *text, size_t length, json_t **jwe, struct error *err);

/*
 * Writes the compact serialisation: malloc'd, NUL-terminated, the caller's.
 * Returns 0; -EINVAL with `err` filled when members would be lost (`header`, `unprotected`, `aad`), -EBADMSG, -ENOMEM.
 */
int jose_jwe_format_compact(const json_t *jwe, char **text, struct error *err);

/* Most recipients of a JWE, and most bytes of compressed content (RFC 7516 does not say; a bomb needs few). */
enum { JOSE_RECIPIENTS_MAX = 100, JOSE_COMPRESSED_MAX = 250000 };

/* One of those that a JWE is for: a key, or a password (PBES2; UTF-8, whole). */
struct jose_recipient {
	const json_t *jwk;
	const struct secret *password;
	const json_t *recipient_template; /* {"header": {…}}, or NULL */
};

/*
 * Encrypts `plain` to all `recipients` (1 … JOSE_RECIPIENTS_MAX), by any algorithm of the table. `jwe_template` (may be NULL)
 * has what is wanted: `protected` (an object, or its base64url), `unprotected`, `header` (if there is one recipient), `aad`
 * (base64url); other members are kept. `alg` and `enc` are inferred where no header names them (jose_alg_to_wrap(),
 * jose_alg_to_encrypt(); a recipient that decides the content key decides `enc`). `enc` goes into the protected header; an
 * inferred `alg`, and epk, iv, tag, p2c and p2s, into the recipient's, or with `compact` into the protected one.
 * `zip`:"DEF" in the protected header compresses. The result is flattened for one recipient, general for several.
 * Returns 0 with `*jwe` (the caller's); -EINVAL with `err` filled when a key is not fit, headers contradict each other, `crit` is
 * wanted, or, with `compact`, something has no place there; -EFBIG when the content is too large to be compressed,
 * -ENOMEM, -EIO.
 */
int jose_jwe_seal(const json_t *jwe_template, const struct jose_recipient *recipients, size_t count,
		  bool compact, const struct secret *plain, json_t **jwe, struct error *err);

/* What opening a JWE from a stranger may cost. */
struct jose_jwe_limits {
	json_int_t p2c;	       /* iterations of PBES2 for one recipient */
	json_int_t iterations; /* for all of them together, each time a password or key is tried */
	size_t inflated;       /* bytes of content that was compressed */
};

/* The limits where none are given; to raise one, copy and change it. */
extern const struct jose_jwe_limits jose_jwe_default_limits;

/*
 * Decrypts a flattened or general JWE, by any algorithm of the table: each recipient is tried with each of `keys` (of which
 * `recipient_template` is not looked at) that is fit for its algorithm: by type, curve, `alg`, `use` and `key_ops`. `limits` may
 * be NULL. `crit` is refused, `zip` is taken from the protected header only, and no name may stand in two headers.
 * Returns 0 with `plain`; -EBADMSG with `err` filled when the JWE is malformed, or nothing opens it: then in the same words for
 * a wrong key and a wrong tag; -EFBIG when the content would be larger than the limit; -EINVAL when there is no key, or the last one
 * that was tried is malformed or of a wrong size, -ENOMEM, -EIO. Nothing of the plaintext leaves before the tag is checked.
 */
int jose_jwe_open(const json_t *jwe, const struct jose_recipient *keys, size_t count,
		  const struct jose_jwe_limits *limits, struct secret *plain, struct error *err);
