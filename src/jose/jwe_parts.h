/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a JWE that its makers and readers share. Private to jose/. */
#pragma once

#include "base/error.h"

#include <jansson.h>

/*
 * The protected header, an object; empty where there is none. Returns 0 with `*header` (a new object, the caller's);
 * -EBADMSG with `err` filled, -ENOMEM.
 */
int jose_jwe_protected(const json_t *jwe, json_t **header, struct error *err);

/*
 * The whole header of a recipient: `protected_part`, `unprotected` and `header` (each may be NULL) together; no member may
 * stand in two (RFC 7516 §7.2.1). Returns the same.
 */
int jose_jwe_join(const json_t *protected_part, const json_t *unprotected, const json_t *header,
		  json_t **whole, struct error *err);

/* What the tag covers, RFC 7516 §5.1 step 14: the protected header as text and, after a dot, `aad`. malloc'd; NULL: no memory. */
char *jose_jwe_authenticated(const json_t *jwe);
