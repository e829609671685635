/* SPDX-License-Identifier: Apache-2.0 */
#include "tang/advertisement.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/b64.h"
#include "jose/ec.h"
#include "jose/ecdsa.h"
#include "jose/jwk.h"
#include "jose/jws.h"

#include <errno.h>
#include <string.h>

static const struct jose_curve *curve_of(const json_t *jwk)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));

	if (!kty || strcmp(kty, "EC") != 0)
		return NULL;
	return jose_curve_named(json_string_value(json_object_get(jwk, "crv")));
}

bool tang_is_signing_key(const json_t *jwk)
{
	const struct jose_curve *curve = curve_of(jwk);

	return curve && jose_jwk_fits(jwk, jose_ecdsa_alg(curve->id)) &&
	       jose_jwk_allows(jwk, JOSE_SIGN, false) && jose_jwk_allows(jwk, JOSE_VERIFY, false);
}

bool tang_is_exchange_key(const json_t *jwk)
{
	return curve_of(jwk) && jose_jwk_fits(jwk, "ECMR") &&
	       jose_jwk_allows(jwk, JOSE_DERIVE_KEY, false);
}

/* Public keys keep only `verify` of their operations. Whatever else says that it verifies must have signed. */
bool tang_is_verifying_key(const json_t *jwk)
{
	return jose_jwk_allows(jwk, JOSE_VERIFY, false) &&
	       (!jose_jwk_fits(jwk, "ECMR") || !json_object_get(jwk, "alg"));
}

static int make_payload(const json_t *keys, json_t **jws, struct error *err)
{
	JSON_AUTO json_t *public_keys = json_array();
	JSON_AUTO json_t *set = NULL;
	FREE_AUTO char *text = NULL;
	const json_t *jwk;
	size_t i;

	json_array_foreach(keys, i, jwk) {
		json_t *public_jwk = NULL;
		int rc = jose_jwk_public(jwk, &public_jwk, err);

		if (rc < 0)
			return rc;
		if (json_array_append_new(public_keys, public_jwk) < 0)
			return error_nomem(err);
	}
	set = json_pack("{s:O}", "keys", public_keys);
	text = json_dump_public(set);
	*jws = text ? json_pack("{s:o}", "payload", jose_b64_json(text, strlen(text))) : NULL;
	return *jws ? 0 : error_nomem(err);
}

int tang_advertisement_sign(const json_t *keys, const json_t *signers, json_t **jws,
			    struct error *err)
{
	JSON_AUTO json_t *header = json_pack("{s:s}", "cty", "jwk-set+json");
	JSON_AUTO json_t *made = NULL;
	const json_t *jwk;
	size_t i;
	int rc;

	if (!header)
		return error_nomem(err);
	if (json_array_size(signers) == 0)
		return error_set(err, -EINVAL, "no signing key for the advertisement");
	rc = make_payload(keys, &made, err);
	json_array_foreach(signers, i, jwk) {
		if (rc == 0)
			rc = jose_jws_sign(made, header, jwk, err);
	}
	if (rc < 0)
		return rc;
	*jws = made;
	made = NULL;
	return 0;
}

static int malformed(struct error *err, const char *why)
{
	return error_set(err, -EBADMSG, "Advertisement is malformed: %s", why);
}

static int verify_each(const json_t *jws, const json_t *keys, struct error *err)
{
	struct error why = {0};
	size_t verified = 0;
	const json_t *jwk;
	size_t i;

	json_array_foreach(keys, i, jwk) {
		if (!json_is_object(jwk))
			return malformed(err, "a key that is not an object");
		if (!tang_is_verifying_key(jwk))
			continue;
		if (jose_jws_verify(jws, jwk, &why) < 0)
			return error_set(err, -EBADMSG,
					 "Advertisement is missing signatures: key %zu of %zu: %s",
					 i + 1, json_array_size(keys), why.text);
		verified++;
	}
	if (verified == 0)
		return error_set(err, -EBADMSG,
				 "Advertisement is missing signatures: it names no signing key");
	return 0;
}

int tang_advertisement_verify(const json_t *jws, json_t **key_set, struct error *err)
{
	JSON_AUTO json_t *set = NULL;
	struct error why = {0};
	const json_t *keys;
	int rc;

	if (!json_is_object(jws))
		return malformed(err, "not a JSON object");
	if (jose_jws_payload_json(jws, &set, &why) < 0)
		return malformed(err, why.text);
	keys = json_object_get(set, "keys");
	if (!json_is_array(keys))
		return malformed(err, "its payload is not a JWKSet");
	/* Each key is tried on each signature: anyone may send this, and it must end soon. */
	if (json_array_size(keys) > TANG_KEYS_MAX ||
	    json_array_size(json_object_get(jws, "signatures")) > TANG_KEYS_MAX)
		return malformed(err, "too many keys or signatures");
	rc = verify_each(jws, keys, err);
	if (rc < 0)
		return rc;
	*key_set = set;
	set = NULL;
	return 0;
}

bool tang_advertisement_names(const json_t *key_set, const char *thp)
{
	const json_t *jwk;
	size_t i;

	json_array_foreach(json_object_get(key_set, "keys"), i, jwk) {
		if (tang_is_verifying_key(jwk) && jose_thumbprint_matches(jwk, thp, NULL))
			return true;
	}
	return false;
}

void tang_each_signing_thumbprint(const json_t *key_set,
				  void (*visit)(const char *thumbprint, void *arg), void *arg)
{
	char thumbprint[JOSE_THUMBPRINT_MAX];
	const json_t *jwk;
	size_t i;

	json_array_foreach(json_object_get(key_set, "keys"), i, jwk) {
		if (tang_is_verifying_key(jwk) &&
		    jose_thumbprint(jwk, JOSE_S256, thumbprint, NULL) == 0)
			visit(thumbprint, arg);
	}
}

int tang_find_exchange_key(const json_t *key_set, const char *kid, json_t **jwk,
			   enum jose_hash *hash, struct error *err)
{
	struct jose_point point;
	json_t *candidate;
	size_t i;
	int rc;

	json_array_foreach(json_object_get(key_set, "keys"), i, candidate) {
		if (!tang_is_exchange_key(candidate) ||
		    (kid && !jose_thumbprint_matches(candidate, kid, hash)))
			continue;
		rc = jose_point_from_jwk(candidate, &point, err);
		if (rc < 0) {
			error_prefix(err, "exchange key %zu of the advertisement: ", i + 1);
			return rc;
		}
		*jwk = json_incref(candidate);
		return 0;
	}
	if (kid)
		return error_set(err, -ENOENT, "no exchange key '%s' in the advertisement", kid);
	return error_set(err, -ENOENT, "No exchange keys found in the advertisement");
}
