/* SPDX-License-Identifier: Apache-2.0 */
/* ECDSA with the signatures of JOSE, R and S side by side (RFC 7518 §3.4). Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "jose/ec.h"

#include <jansson.h>

/* Bytes of the largest signature, on P-521. */
enum { JOSE_ECDSA_MAX = 2 * JOSE_COORDINATE_MAX };

/* The JOSE algorithm of a curve: "ES512" for P-521. */
const char *jose_ecdsa_alg(enum jose_curve_id curve);

/* Signs `size` bytes; `signature` takes 2 · coordinate_size bytes. Returns 0; -EINVAL, -ENOMEM or -EIO with `err` filled. */
int jose_ecdsa_sign(const json_t *jwk, const void *data, size_t size,
		    unsigned char signature[static JOSE_ECDSA_MAX], struct error *err);

/* Verifies. Returns 0; -EBADMSG when it is not the key's signature; -EINVAL for a bad key, -ENOMEM. */
int jose_ecdsa_verify(const json_t *jwk, const void *data, size_t size,
		      const struct secret *signature, struct error *err);
