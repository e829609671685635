/* SPDX-License-Identifier: Apache-2.0 */
/* ECDH-ES in its direct form (RFC 7518 §4.6): the key derivation. Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>

/*
 * Derives the content key of JOSE_GCM_KEY bytes from the shared secret Z by the Concat KDF (§4.6.2), with `enc`, `apu` and
 * `apv` of the header. Returns 0; -EINVAL with `err` filled for a malformed header, -ENOMEM, -EIO.
 */
int jose_ecdh_es_derive(const struct secret *z, const json_t *header, struct secret *key,
			struct error *err);
