/* SPDX-License-Identifier: Apache-2.0 */
/* Key files of a Tang server, made for a test. */
#pragma once

#include "unit.h"

#include "base/json.h"
#include "jose/jose.h"

/* A key made from a template (a literal); the caller's. */
static inline json_t *key_generate(const char *text)
{
	json_t *wanted = json_of(text);
	json_t *jwk = NULL;

	assert_int_equal(jose_jwk_generate(wanted, &jwk, NULL), 0);
	json_decref(wanted);
	return jwk;
}

/* Writes a JWK into the folder. */
static inline void key_write(const struct folder *folder, const char *name, const json_t *jwk)
{
	SECRET_AUTO struct secret text = {0};
	SECRET_AUTO struct secret ended = {0};

	assert_int_equal(json_dump_secret(jwk, &text, NULL), 0);
	assert_int_equal(secret_copy(&ended, text.data, text.size, NULL), 0);
	assert_int_equal(secret_resize(&ended, text.size + 1, NULL), 0);
	folder_write(folder, name, (const char *)ended.data);
}

/* Both; the caller's. */
static inline json_t *key_make(const struct folder *folder, const char *name, const char *text)
{
	json_t *jwk = key_generate(text);

	key_write(folder, name, jwk);
	return jwk;
}

static inline const char *key_thumbprint(const json_t *jwk, enum jose_hash hash,
					 char thumbprint[static JOSE_THUMBPRINT_MAX])
{
	assert_int_equal(jose_thumbprint(jwk, hash, thumbprint, NULL), 0);
	return thumbprint;
}
