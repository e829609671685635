/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing with a key that is at hand: what the pins without a key server have in common. */
#include "base/json.h"
#include "jose/jose.h"
#include "pin/pins.h"

#include <errno.h>

int pin_new_key(json_t **jwk, struct error *err)
{
	JSON_AUTO json_t *template = json_pack("{s:s}", "alg", "A256GCM");

	return template ? jose_jwk_generate(template, jwk, err) : error_nomem(err);
}

static json_t *to_jwk(const struct secret *key)
{
	return json_pack("{s:s, s:o}", "kty", "oct", "k", jose_b64_json(key->data, key->size));
}

int pin_seal_direct(const json_t *header, const struct secret *key, const struct secret *plain,
		    json_t **jwe, struct error *err)
{
	JSON_AUTO json_t *jwk = to_jwk(key);

	return jwk ? jose_jwe_encrypt(header, jwk, plain, jwe, err) : error_nomem(err);
}

int pin_open_direct(const json_t *jwe, const struct secret *key, struct secret *plain,
		    struct error *err)
{
	JSON_AUTO json_t *jwk = to_jwk(key);

	return jwk ? jose_jwe_decrypt(jwe, jwk, plain, err) : error_nomem(err);
}
