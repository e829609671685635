/* SPDX-License-Identifier: Apache-2.0 */
/* The signatures of ECDSA as JOSE writes them, R and S side by side (RFC 7518 §3.4), and as OpenSSL does. Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "jose/ec.h"

/* DER of SEQUENCE { INTEGER r, INTEGER s } on P-521. */
enum { JOSE_ECDSA_DER_MAX = 3 + 2 * (3 + JOSE_COORDINATE_MAX) };

/* The JOSE algorithm of a curve: "ES512" for P-521. */
const char *jose_ecdsa_alg(enum jose_curve_id curve);

/* Bytes of R, and of S, on the curve of that name, which is a curve of ECDSA. */
size_t jose_ecdsa_half(const char *name);

/* DER into R and S of `half` bytes each. Returns 0; -ENOMEM or -EIO with `err` filled. */
int jose_ecdsa_from_der(const unsigned char *der, size_t size, size_t half,
			struct secret *signature, struct error *err);

/* R and S into DER. Returns 0 with `*size`; -ENOMEM. */
int jose_ecdsa_to_der(const struct secret *signature, unsigned char der[static JOSE_ECDSA_DER_MAX],
		      size_t *size, struct error *err);
