/* SPDX-License-Identifier: Apache-2.0 */
/* How a recipient gets the content key (RFC 7518 §4): wrapped, agreed upon, or known already. Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "jose/alg.h"

#include <jansson.h>
#include <stdbool.h>

/* Iterations of PBES2: what is made where the header says nothing, and what it may say. */
enum { JOSE_P2C_MIN = 1000, JOSE_P2C_MAX = 32768, JOSE_P2S_MIN = 8 /* bytes, §4.8.1.1 */ };

/* A recipient's means: a key, or for PBES2 the bytes of a password (UTF-8). One of the two. */
struct jose_means {
	const json_t *jwk;
	const struct secret *password;
};

/* What PBES2 may cost: iterations for one recipient, and what is left for all together. */
struct jose_iterations {
	json_int_t each;
	json_int_t left;
};

/* Whether the algorithm itself says what the content key is: `dir` and ECDH-ES alone. */
bool jose_wrap_is_direct(const struct jose_alg *alg);

/* The operations (jwk.h) of which a key must be allowed one, to wrap or to unwrap by the algorithm. */
unsigned jose_wrap_operations(const struct jose_alg *alg, bool unwrap);

/*
 * For those two: makes the content key for `enc`. `header` is the whole header so far; what it has to have beside (epk) is set
 * in `params`. Returns 0; -EINVAL with `err` filled for a key or header that is not fit, -ENOMEM, -EIO.
 */
int jose_wrap_direct(const struct jose_alg *alg, const struct jose_alg *enc, const json_t *jwk,
		     const json_t *header, json_t *params, struct secret *cek, struct error *err);

/* For the others: wraps `cek`; sets what the header has to have beside (epk, iv, tag, p2c, p2s) in `params`. Returns the same. */
int jose_wrap(const struct jose_alg *alg, const struct jose_means *means, const json_t *header,
	      json_t *params, const struct secret *cek, struct secret *wrapped, struct error *err);

/*
 * Finds the content key for `enc`, from `header` and `wrapped` (empty where there is none). `iterations` is what PBES2 may
 * still cost; it goes down by what it does.
 * Returns 0; -EBADMSG with `err` filled when it does not open or the header is malformed, always in the same words where a key
 * or a password is wrong; -EINVAL for a bad key, -ENOMEM, -EIO. RSA1_5 always has a content key: a random one where the padding
 * is wrong (RFC 7516 §11.5), so that who sends it learns nothing before the tag is checked.
 */
int jose_unwrap(const struct jose_alg *alg, const struct jose_alg *enc,
		const struct jose_means *means, const json_t *header, const struct secret *wrapped,
		struct jose_iterations *iterations, struct secret *cek, struct error *err);

/*
 * The ways of wrapping with a symmetric key: AES key wrap (RFC 3394, aes_kw.c), AES-GCM with `iv` and `tag` in the header.
 * Sizes of keys are theirs to check. Return as above.
 */
int jose_aes_wrap(const struct secret *key, const struct secret *cek, struct secret *wrapped,
		  struct error *err);
int jose_aes_unwrap(const struct secret *key, const struct secret *wrapped, struct secret *cek,
		    struct error *err);

/* RSA (rsa_wrap.c). `size`: bytes that the content key has to have. */
int jose_rsa_wrap(const struct jose_alg *alg, const json_t *jwk, const struct secret *cek,
		  struct secret *wrapped, struct error *err);
int jose_rsa_unwrap(const struct jose_alg *alg, const json_t *jwk, const struct secret *wrapped,
		    size_t size, struct secret *cek, struct error *err);

/* The key that PBES2 makes of a password by `p2s` and `p2c` of the header (pbes2.c), whose values it checks. */
int jose_pbes2_derive(const struct jose_alg *alg, const struct secret *password,
		      const json_t *header, struct secret *key, struct error *err);

/* Sets p2c and p2s in `params` where `header` has none. Returns 0; -EINVAL for a p2c that is not made, -ENOMEM, -EIO. */
int jose_pbes2_complete(const json_t *header, json_t *params, struct error *err);

/* Records that a content key did not come out, in the words that are the same for all reasons, and returns -EBADMSG. */
int jose_unwrapping_failed(struct error *err);
