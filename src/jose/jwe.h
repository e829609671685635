/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Encryption (RFC 7516): compact and flattened, `dir` and `ECDH-ES`, A256GCM. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>

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
