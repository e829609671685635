/* SPDX-License-Identifier: Apache-2.0 */
/* The algorithms that sign (RFC 7518 §3, RFC 8037 §3.1, RFC 8812), on bytes. Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "jose/alg.h"

#include <jansson.h>

/*
 * Signs `size` bytes with the private or symmetric key `jwk`, which the algorithm takes (jose_alg_takes()).
 * Returns 0 with `signature`; -EINVAL with `err` filled for a key that is malformed or too small, -ENOMEM, -EIO.
 */
int jose_sign(const struct jose_alg *alg, const json_t *jwk, const void *data, size_t size,
	      struct secret *signature, struct error *err);

/* Verifies. Returns 0; -EBADMSG when it is not the key's signature; -EINVAL for a bad key, -ENOMEM. */
int jose_verify(const struct jose_alg *alg, const json_t *jwk, const void *data, size_t size,
		const struct secret *signature, struct error *err);
