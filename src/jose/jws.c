/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jws.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/b64.h"
#include "jose/jwk.h"
#include "jose/sign.h"

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

static int read_header(const json_t *signature, json_t **header, struct error *err)
{
	SECRET_AUTO struct secret text = {0};

	if (jose_b64_member(signature, "protected", &text, err) < 0)
		return error_set(err, -EBADMSG, "a protected header that is not base64url");
	return json_parse((const char *)text.data, text.size, "protected header", header, err);
}

/* The protected header of a template, an object or its base64url; NULL where there is none. The caller's. */
static int protected_of_template(const json_t *signature_template, json_t **header,
				 struct error *err)
{
	const json_t *part = json_object_get(signature_template, "protected");
	JSON_AUTO json_t *read = NULL;
	int rc = 0;

	if (json_is_string(part))
		rc = read_header(signature_template, &read, err);
	else
		read = part ? json_copy((json_t *)part) : json_object();
	if (rc < 0)
		return -EINVAL;
	if (!read)
		return error_nomem(err);
	if (!json_is_object(read))
		return error_set(err, -EINVAL, "the template's 'protected' is not an object");
	*header = read;
	read = NULL;
	return 0;
}

/* The two headers as one; no member may stand in both (RFC 7515 §7.2.1). */
static int join_headers(const json_t *protected_part, const json_t *header, json_t **whole,
			int code, struct error *err)
{
	JSON_AUTO json_t *joined = protected_part ? json_copy((json_t *)protected_part)
						  : json_object();
	const char *name;
	json_t *value;

	if (!joined)
		return error_nomem(err);
	if (header && !json_is_object(header))
		return error_set(err, code, "'header' is not an object");
	json_object_foreach((json_t *)header, name, value) {
		if (json_object_get(joined, name))
			return error_set(err, code, "both headers have '%s'", name);
		if (json_object_set(joined, name, value) < 0)
			return error_nomem(err);
	}
	*whole = joined;
	joined = NULL;
	return 0;
}

static int choose_algorithm(const json_t *whole, const json_t *jwk, const struct jose_alg **alg,
			    struct error *err)
{
	const json_t *named = json_object_get(whole, "alg");

	*alg = named ? jose_alg_named(json_string_value(named), JOSE_KIND_SIGN)
		     : jose_alg_to_sign(jwk);
	if (!*alg || !jose_alg_takes(*alg, jwk) || !jose_jwk_fits(jwk, (*alg)->name) ||
	    !jose_jwk_allows(jwk, JOSE_SIGN, false))
		return error_set(err, -EINVAL, "the key is not for signing with %s",
				 *alg	 ? (*alg)->name
				 : named ? "what the header names"
					 : "any algorithm known here");
	return 0;
}

static int make_signature(const json_t *jws, const json_t *protected_part, const json_t *header,
			  const struct jose_alg *alg, const json_t *jwk, json_t **made,
			  struct error *err)
{
	bool has_protected = json_object_size(protected_part) > 0;
	JSON_AUTO json_t *encoded = has_protected ? encode_header(protected_part) : json_string("");
	JSON_AUTO json_t *result = json_object();
	const char *payload = json_string_value(json_object_get(jws, "payload"));
	SECRET_AUTO struct secret raw = {0};
	FREE_AUTO char *input = NULL;
	int rc;

	if (!payload)
		return error_set(err, -EINVAL, "the JWS has no 'payload'");
	input = encoded ? signing_input(json_string_value(encoded), payload) : NULL;
	if (!input)
		return error_nomem(err);
	rc = jose_sign(alg, jwk, input, strlen(input), &raw, err);
	if (rc < 0)
		return rc;
	if ((has_protected && json_object_set(result, "protected", encoded) < 0) ||
	    (header && json_object_set(result, "header", (json_t *)header) < 0) ||
	    json_object_set_new(result, "signature", jose_b64_json(raw.data, raw.size)) < 0)
		return error_nomem(err);
	*made = result;
	result = NULL;
	return 0;
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

static int sign(json_t *jws, json_t *protected_part, const json_t *header, const json_t *jwk,
		struct error *err)
{
	JSON_AUTO json_t *whole = NULL;
	JSON_AUTO json_t *signature = NULL;
	JSON_AUTO json_t *copy = json_deep_copy(jws);
	const struct jose_alg *alg = NULL;
	int rc = join_headers(protected_part, header, &whole, -EINVAL, err);

	if (rc == 0)
		rc = choose_algorithm(whole, jwk, &alg, err);
	if (rc == 0 && !json_object_get(whole, "alg") &&
	    json_object_set_new(protected_part, "alg", json_string(alg->name)) < 0)
		rc = error_nomem(err);
	if (rc == 0)
		rc = make_signature(jws, protected_part, header, alg, jwk, &signature, err);
	if (rc < 0)
		return rc;
	if (!copy || add_signature(copy, signature) < 0 || json_object_clear(jws) < 0 ||
	    json_object_update(jws, copy) < 0)
		return error_nomem(err);
	return 0;
}

int jose_jws_sign(json_t *jws, const json_t *header, const json_t *jwk, struct error *err)
{
	JSON_AUTO json_t *protected_part = header ? json_copy((json_t *)header) : json_object();

	return protected_part ? sign(jws, protected_part, NULL, jwk, err) : error_nomem(err);
}

int jose_jws_sign_as(json_t *jws, const json_t *signature_template, const json_t *jwk,
		     struct error *err)
{
	JSON_AUTO json_t *protected_part = NULL;
	int rc = protected_of_template(signature_template, &protected_part, err);

	return rc < 0 ? rc
		      : sign(jws, protected_part, json_object_get(signature_template, "header"),
			     jwk, err);
}

/* `crit` belongs into the protected header only (RFC 7515 §4.1.11), and there is nothing it could name that is known here. */
static int check_header(const json_t *header, const json_t *jwk, const struct jose_alg **alg,
			struct error *err)
{
	const char *name = json_string_value(json_object_get(header, "alg"));

	if (json_object_get(header, "crit"))
		return error_set(err, -EBADMSG,
				 "a critical header ('crit') that is not known here");
	*alg = jose_alg_named(name, JOSE_KIND_SIGN);
	if (!*alg || !jose_alg_takes(*alg, jwk) || !jose_jwk_fits(jwk, name))
		return error_set(err, -EBADMSG, "signed with %s, which is not the key's algorithm",
				 name ? name : "no 'alg'");
	return 0;
}

/* What the signature covers is the protected header as it was written. */
static int read_headers(const json_t *signature, json_t **whole, struct error *err)
{
	JSON_AUTO json_t *protected_part = NULL;
	int rc = 0;

	if (!json_is_object(signature))
		return error_set(err, -EBADMSG, "a signature that is not an object");
	if (json_object_get(signature, "protected"))
		rc = read_header(signature, &protected_part, err);
	if (rc == 0 && protected_part && !json_is_object(protected_part))
		rc = error_set(err, -EBADMSG, "a protected header that is not an object");
	return rc < 0 ? rc
		      : join_headers(protected_part, json_object_get(signature, "header"), whole,
				     -EBADMSG, err);
}

static int verify_one(const json_t *signature, const char *payload, const json_t *jwk,
		      struct error *err)
{
	const char *protected_b64 = json_string_value(json_object_get(signature, "protected"));
	const struct jose_alg *alg = NULL;
	JSON_AUTO json_t *header = NULL;
	SECRET_AUTO struct secret raw = {0};
	FREE_AUTO char *input = NULL;
	int rc = read_headers(signature, &header, err);

	if (rc == 0)
		rc = check_header(header, jwk, &alg, err);
	if (rc < 0)
		return rc;
	if (jose_b64_member(signature, "signature", &raw, err) < 0)
		return error_set(err, -EBADMSG, "a signature that is missing or not base64url");
	input = signing_input(protected_b64 ? protected_b64 : "", payload);
	if (!input)
		return error_nomem(err);
	return jose_verify(alg, jwk, input, strlen(input), &raw, err);
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

int jose_jws_verify_keys(const json_t *jws, const json_t *const *keys, size_t count, bool all,
			 struct error *err)
{
	struct error why = {0};
	size_t verified = 0;

	for (size_t i = 0; i < count; i++)
		if (jose_jws_verify(jws, keys[i], &why) == 0)
			verified++;
	if (count == 0)
		return error_set(err, -EINVAL, "no key to verify with");
	if (all ? verified == count : verified > 0)
		return 0;
	return error_set(err, why.code, "%s", why.text);
}

int jose_jws_payload_json(const json_t *jws, json_t **payload, struct error *err)
{
	SECRET_AUTO struct secret text = {0};

	if (jose_b64_member(jws, "payload", &text, err) < 0)
		return error_set(err, -EBADMSG, "a JWS without payload in base64url");
	return json_parse((const char *)text.data, text.size, "payload", payload, err);
}
