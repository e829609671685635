/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jws.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/b64.h"
#include "jose/ecdsa.h"
#include "jose/jwk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bytes that are signed, RFC 7515 §5.1 step 5: BASE64URL(header) "." payload. malloc'd. */
static char *signing_input(const char *protected_b64, const char *payload_b64)
{
	char *text = NULL;

	return asprintf(&text, "%s.%s", protected_b64, payload_b64) < 0 ? NULL : text;
}

static json_t *encode_header(const json_t *header)
{
	FREE_AUTO char *text = json_dump_public(header);

	return text ? jose_b64_json(text, strlen(text)) : NULL;
}

static const char *alg_of_key(const json_t *jwk)
{
	const struct jose_curve *curve = jose_curve_named(
		json_string_value(json_object_get(jwk, "crv")));

	return curve ? jose_ecdsa_alg(curve->id) : NULL;
}

static int complete_header(const json_t *header, const json_t *jwk, json_t **complete,
			   struct error *err)
{
	const char *alg = alg_of_key(jwk);
	JSON_AUTO json_t *copy = header ? json_copy((json_t *)header) : json_object();
	const json_t *named = json_object_get(copy, "alg");

	if (!copy)
		return error_nomem(err);
	if (!alg || !jose_jwk_fits(jwk, alg) || !jose_jwk_allows(jwk, JOSE_SIGN, false))
		return error_set(err, -EINVAL, "the key is not for signing with %s",
				 alg ? alg : "any algorithm known here");
	if (named && (!json_is_string(named) || strcmp(json_string_value(named), alg) != 0))
		return error_set(err, -EINVAL,
				 "the header names an algorithm that is not the key's");
	if (json_object_set_new(copy, "alg", json_string(alg)) < 0)
		return error_nomem(err);
	*complete = copy;
	copy = NULL;
	return 0;
}

static int make_signature(const json_t *jws, const json_t *header, const json_t *jwk, json_t **made,
			  struct error *err)
{
	JSON_AUTO json_t *protected_b64 = encode_header(header);
	const char *payload = json_string_value(json_object_get(jws, "payload"));
	FREE_AUTO char *input = NULL;
	unsigned char raw[JOSE_ECDSA_MAX];
	size_t size =
		2 *
		jose_curve_named(json_string_value(json_object_get(jwk, "crv")))->coordinate_size;
	int rc;

	if (!payload)
		return error_set(err, -EINVAL, "the JWS has no 'payload'");
	input = protected_b64 ? signing_input(json_string_value(protected_b64), payload) : NULL;
	if (!input)
		return error_nomem(err);
	rc = jose_ecdsa_sign(jwk, input, strlen(input), raw, err);
	if (rc < 0)
		return rc;
	*made = json_pack("{s:O, s:o}", "protected", protected_b64, "signature",
			  jose_b64_json(raw, size));
	return *made ? 0 : error_nomem(err);
}

/* Turns a flattened JWS into a general one that holds the same signature. */
static int make_general(json_t *jws)
{
	static const char *const members[] = {"protected", "header", "signature"};
	json_t *signature = json_object();
	json_t *list = json_pack("[o]", signature);

	if (!list || json_object_set_new(jws, "signatures", list) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		json_t *value = json_object_get(jws, members[i]);

		if (value && json_object_set(signature, members[i], value) < 0)
			return -ENOMEM;
		(void)json_object_del(jws, members[i]);
	}
	return 0;
}

static int add_signature(json_t *jws, json_t *signature)
{
	if (!json_object_get(jws, "signature") && !json_object_get(jws, "signatures"))
		return json_object_update(jws, signature);
	if (!json_object_get(jws, "signatures") && make_general(jws) < 0)
		return -ENOMEM;
	return json_array_append(json_object_get(jws, "signatures"), signature);
}

int jose_jws_sign(json_t *jws, const json_t *header, const json_t *jwk, struct error *err)
{
	JSON_AUTO json_t *complete = NULL;
	JSON_AUTO json_t *signature = NULL;
	JSON_AUTO json_t *copy = json_deep_copy(jws);
	int rc = complete_header(header, jwk, &complete, err);

	if (rc == 0)
		rc = make_signature(jws, complete, jwk, &signature, err);
	if (rc < 0)
		return rc;
	if (!copy || add_signature(copy, signature) < 0 || json_object_clear(jws) < 0 ||
	    json_object_update(jws, copy) < 0)
		return error_nomem(err);
	return 0;
}

static int read_header(const json_t *signature, json_t **header, struct error *err)
{
	SECRET_AUTO struct secret text = {0};

	if (jose_b64_member(signature, "protected", &text, err) < 0)
		return error_set(err, -EBADMSG, "a signature without protected header");
	return json_parse((const char *)text.data, text.size, "protected header", header, err);
}

/* `crit` belongs into the protected header only (RFC 7515 §4.1.11), and there is nothing it could name that is known here. */
static int check_header(const json_t *signature, const json_t *header, const json_t *jwk,
			struct error *err)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const char *own = alg_of_key(jwk);

	if (json_object_get(header, "crit") ||
	    json_object_get(json_object_get(signature, "header"), "crit"))
		return error_set(err, -EBADMSG,
				 "a critical header ('crit') that is not known here");
	if (!alg || !own || strcmp(alg, own) != 0 || !jose_jwk_fits(jwk, alg))
		return error_set(err, -EBADMSG, "signed with %s, which is not the key's algorithm",
				 alg ? alg : "no protected 'alg'");
	return 0;
}

static int verify_one(const json_t *signature, const char *payload, const json_t *jwk,
		      struct error *err)
{
	const char *protected_b64 = json_string_value(json_object_get(signature, "protected"));
	JSON_AUTO json_t *header = NULL;
	SECRET_AUTO struct secret raw = {0};
	FREE_AUTO char *input = NULL;
	int rc = read_header(signature, &header, err);

	if (rc == 0)
		rc = check_header(signature, header, jwk, err);
	if (rc < 0)
		return rc;
	if (jose_b64_member(signature, "signature", &raw, err) < 0)
		return error_set(err, -EBADMSG, "a signature that is missing or not base64url");
	input = signing_input(protected_b64, payload);
	if (!input)
		return error_nomem(err);
	return jose_ecdsa_verify(jwk, input, strlen(input), &raw, err);
}

int jose_jws_verify(const json_t *jws, const json_t *jwk, struct error *err)
{
	const char *payload = json_string_value(json_object_get(jws, "payload"));
	const json_t *list = json_object_get(jws, "signatures");
	const json_t *signature;
	size_t i;
	int rc = error_set(err, -EBADMSG, "no signature");

	if (!payload)
		return error_set(err, -EBADMSG, "the JWS has no 'payload'");
	if (!jose_jwk_allows(jwk, JOSE_VERIFY, false))
		return error_set(err, -EINVAL, "the key is not for verifying");
	if (list && json_object_get(jws, "signature"))
		return error_set(err, -EBADMSG, "a JWS both flattened and general");
	if (!list)
		return verify_one(jws, payload, jwk, err);
	json_array_foreach(list, i, signature) {
		rc = verify_one(signature, payload, jwk, err);
		if (rc == 0)
			break;
	}
	return rc;
}

int jose_jws_payload_json(const json_t *jws, json_t **payload, struct error *err)
{
	SECRET_AUTO struct secret text = {0};

	if (jose_b64_member(jws, "payload", &text, err) < 0)
		return error_set(err, -EBADMSG, "a JWS without payload in base64url");
	return json_parse((const char *)text.data, text.size, "payload", payload, err);
}
