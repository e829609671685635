/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwe.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/aead.h"
#include "jose/b64.h"
#include "jose/ecdh_es.h"
#include "jose/jwe_parts.h"
#include "jose/jwk.h"

#include <errno.h>
#include <string.h>

#include <openssl/rand.h>

static const char *text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* Sets a member that is missing; one that is there must say the same. */
static int set_or_match(json_t *header, const char *name, const char *value, struct error *err)
{
	const json_t *there = json_object_get(header, name);

	if (there && !is_text(there, value))
		return error_set(err, -EINVAL, "the header's '%s' is not %s", name, value);
	return json_object_set_new(header, name, json_string(value)) < 0 ? error_nomem(err) : 0;
}

static int content_key_of_oct(const json_t *jwk, struct secret *key, struct error *err)
{
	SECRET_AUTO struct secret bytes = {0};
	int rc;

	if (!jose_jwk_fits(jwk, "A256GCM"))
		return error_set(err, -EINVAL, "the key's 'alg' is not A256GCM");
	rc = jose_b64_member(jwk, "k", &bytes, err);
	if (rc < 0)
		return rc;
	if (bytes.size != JOSE_GCM_KEY)
		return error_set(err, -EINVAL, "A256GCM takes a key of %d bytes", JOSE_GCM_KEY);
	secret_move(key, &bytes);
	return 0;
}

static int agree_with(const json_t *jwk, json_t *header, struct secret *key, struct error *err)
{
	SECRET_AUTO struct secret z = {0};
	json_t *epk = NULL;
	int rc = jose_agree_as_sender(jwk, &epk, &z, err);

	if (rc < 0)
		return rc;
	if (json_object_set_new(header, "epk", epk) < 0)
		return error_nomem(err);
	return jose_ecdh_es_derive(&z, header, key, err);
}

static int make_content_key(const json_t *jwk, json_t *header, struct secret *key,
			    struct error *err)
{
	const char *kty = text_member(jwk, "kty");
	bool direct = kty && strcmp(kty, "oct") == 0;
	int rc = set_or_match(header, "enc", "A256GCM", err);

	if (rc == 0)
		rc = set_or_match(header, "alg", direct ? "dir" : "ECDH-ES", err);
	if (rc < 0)
		return rc;
	if (!direct && !jose_jwk_fits(jwk, "ECDH-ES"))
		return error_set(err, -EINVAL, "the key's 'alg' is not ECDH-ES");
	return direct ? content_key_of_oct(jwk, key, err) : agree_with(jwk, header, key, err);
}

static int seal_content(const json_t *header, const struct secret *key, const struct secret *plain,
			json_t **jwe, struct error *err)
{
	FREE_AUTO char *text = json_dump_public(header);
	JSON_AUTO json_t *protected_b64 = text ? jose_b64_json(text, strlen(text)) : NULL;
	SECRET_AUTO struct secret ciphertext = {0};
	unsigned char iv[JOSE_GCM_IV];
	unsigned char tag[JOSE_GCM_TAG];
	struct jose_aad aad = {json_string_value(protected_b64), json_string_length(protected_b64)};
	int rc;

	if (!protected_b64)
		return error_nomem(err);
	if (RAND_bytes(iv, sizeof(iv)) != 1)
		return error_set(err, -EIO, "no random numbers to be had");
	rc = jose_gcm_encrypt(key, iv, aad, plain, &ciphertext, tag, err);
	if (rc < 0)
		return rc;
	*jwe = json_pack("{s:O, s:o, s:o, s:o}", "protected", protected_b64, "iv",
			 jose_b64_json(iv, sizeof(iv)), "ciphertext",
			 jose_b64_json(ciphertext.data, ciphertext.size), "tag",
			 jose_b64_json(tag, sizeof(tag)));
	return *jwe ? 0 : error_nomem(err);
}

int jose_jwe_encrypt(const json_t *header, const json_t *jwk, const struct secret *plain,
		     json_t **jwe, struct error *err)
{
	JSON_AUTO json_t *complete = header ? json_copy((json_t *)header) : json_object();
	JSON_AUTO json_t *made = NULL;
	SECRET_AUTO struct secret key = {0};
	int rc;

	if (!complete)
		return error_nomem(err);
	if (json_object_get(complete, "zip") || json_object_get(complete, "crit"))
		return error_set(err, -EINVAL, "'zip' and 'crit' are not supported");
	rc = make_content_key(jwk, complete, &key, err);
	if (rc == 0)
		rc = seal_content(complete, &key, plain, &made, err);
	if (rc < 0)
		return rc;
	if (is_text(json_object_get(complete, "alg"), "dir") &&
	    json_object_set_new(made, "encrypted_key", json_string("")) < 0)
		return error_nomem(err);
	*jwe = made;
	made = NULL;
	return 0;
}

static int check_header(const json_t *jwe, const json_t *header, const char *alg, struct error *err)
{
	const json_t *encrypted_key = json_object_get(jwe, "encrypted_key");

	if (json_object_get(header, "crit") || json_object_get(header, "zip"))
		return error_set(err, -EBADMSG, "the JWE uses 'crit' or 'zip': not supported");
	if (!is_text(json_object_get(header, "enc"), "A256GCM"))
		return error_set(err, -EBADMSG, "the JWE's 'enc' is not A256GCM");
	if (!is_text(json_object_get(header, "alg"), alg))
		return error_set(err, -EBADMSG, "the JWE's 'alg' is not %s", alg);
	if (encrypted_key && !is_text(encrypted_key, ""))
		return error_set(err, -EBADMSG, "a JWE by %s cannot have an encrypted key", alg);
	return 0;
}

static int open_content(const json_t *jwe, const struct secret *key, struct secret *plain,
			struct error *err)
{
	FREE_AUTO char *text = jose_jwe_authenticated(jwe);
	SECRET_AUTO struct secret iv = {0};
	SECRET_AUTO struct secret tag = {0};
	SECRET_AUTO struct secret ciphertext = {0};

	if (!text)
		return error_nomem(err);
	if (jose_b64_member(jwe, "iv", &iv, err) < 0 ||
	    jose_b64_member(jwe, "tag", &tag, err) < 0 ||
	    jose_b64_member(jwe, "ciphertext", &ciphertext, err) < 0) {
		error_prefix(err, "malformed JWE: ");
		return -EBADMSG;
	}
	return jose_gcm_decrypt(key, &iv, (struct jose_aad){text, strlen(text)}, &ciphertext, &tag,
				plain, err);
}

int jose_jwe_decrypt_shared(const json_t *jwe, const struct secret *z, struct secret *plain,
			    struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	SECRET_AUTO struct secret key = {0};
	int rc = jose_jwe_header(jwe, &header, err);

	if (rc == 0)
		rc = check_header(jwe, header, "ECDH-ES", err);
	if (rc == 0)
		rc = jose_ecdh_es_derive(z, header, &key, err);
	if (rc == 0)
		rc = open_content(jwe, &key, plain, err);
	return rc;
}

static int agree_as_receiver(const json_t *jwe, const json_t *jwk, struct secret *z,
			     struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	int rc = jose_jwe_header(jwe, &header, err);

	return rc < 0 ? rc : jose_agree_as_receiver(jwk, json_object_get(header, "epk"), z, err);
}

static int decrypt_direct(const json_t *jwe, const json_t *jwk, struct secret *plain,
			  struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	SECRET_AUTO struct secret key = {0};
	int rc = jose_jwe_header(jwe, &header, err);

	if (rc == 0)
		rc = check_header(jwe, header, "dir", err);
	if (rc == 0)
		rc = content_key_of_oct(jwk, &key, err);
	return rc < 0 ? rc : open_content(jwe, &key, plain, err);
}

int jose_jwe_decrypt(const json_t *jwe, const json_t *jwk, struct secret *plain, struct error *err)
{
	SECRET_AUTO struct secret z = {0};
	int rc;

	if (is_text(json_object_get(jwk, "kty"), "oct"))
		return decrypt_direct(jwe, jwk, plain, err);
	if (!jose_jwk_fits(jwk, "ECDH-ES"))
		return error_set(err, -EINVAL, "the key's 'alg' is not ECDH-ES");
	rc = agree_as_receiver(jwe, jwk, &z, err);
	return rc < 0 ? rc : jose_jwe_decrypt_shared(jwe, &z, plain, err);
}
