/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwe.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/aead.h"
#include "jose/b64.h"
#include "jose/deflate.h"
#include "jose/jwe_parts.h"
#include "jose/jwk.h"
#include "jose/wrap.h"

#include <errno.h>
#include <string.h>

#include <openssl/rand.h>

/* A JWE that is being made. `template_header` is the one recipient's, from the template; not owned. */
struct draft {
	bool compact;
	json_t *jwe;
	json_t *protected_part;
	json_t *recipients; /* of the general form */
	const json_t *template_header;
	const struct jose_alg *enc;
	struct secret cek;
};

static void draft_free(struct draft *draft)
{
	json_decref(draft->jwe);
	json_decref(draft->protected_part);
	json_decref(draft->recipients);
	secret_free(&draft->cek);
}

#define DRAFT_AUTO __attribute__((cleanup(draft_free)))

static const char *text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* What the functions that read say of a JWE is here said of the caller's template. */
static int of_template(struct error *err)
{
	return error_set(err, -EINVAL, "the template: %s", err ? err->text : "");
}

static int check_template(const json_t *jwe, bool compact, size_t count, struct error *err)
{
	static const char *const made[] = {"recipients", "encrypted_key", "iv", "ciphertext",
					   "tag"};
	SECRET_AUTO struct secret aad = {0};

	for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++)
		if (json_object_get(jwe, made[i]))
			return error_set(err, -EINVAL, "the template has '%s' already", made[i]);
	if (json_object_get(jwe, "aad") && jose_b64_member(jwe, "aad", &aad, err) < 0)
		return of_template(err);
	if (compact && (count > 1 || json_object_get(jwe, "unprotected") ||
			json_object_get(jwe, "header") || json_object_get(jwe, "aad")))
		return error_set(err, -EINVAL,
				 "the compact form has no place for several recipients, 'header', "
				 "'unprotected' or 'aad'");
	if (count > 1 && json_object_get(jwe, "header"))
		return error_set(err, -EINVAL, "a 'header' for several recipients");
	return 0;
}

static int begin(const json_t *jwe_template, bool compact, size_t count, struct draft *draft,
		 struct error *err)
{
	const json_t *part = json_object_get(jwe_template, "protected");
	int rc = 0;

	if (count == 0 || count > JOSE_RECIPIENTS_MAX)
		return error_set(err, -EINVAL, "%zu recipients: must be 1 to %d", count,
				 JOSE_RECIPIENTS_MAX);
	if (jwe_template && !json_is_object(jwe_template))
		return error_set(err, -EINVAL, "the template is not an object");
	draft->compact = compact;
	draft->template_header = json_object_get(jwe_template, "header");
	draft->jwe = jwe_template ? json_copy((json_t *)jwe_template) : json_object();
	draft->recipients = json_array();
	if (json_is_object(part))
		draft->protected_part = json_copy((json_t *)part);
	else
		rc = jose_jwe_protected(jwe_template, &draft->protected_part, err);
	if (rc == -EBADMSG)
		return of_template(err);
	if (!draft->jwe || !draft->recipients || !draft->protected_part)
		return error_nomem(err);
	(void)json_object_del(draft->jwe, "protected");
	(void)json_object_del(draft->jwe, "header");
	return check_template(jwe_template, compact, count, err);
}

/* The recipient's own header as the templates have it; NULL where they have none. */
static const json_t *header_of(const struct draft *draft, const struct jose_recipient *recipient)
{
	const json_t *own = json_object_get(recipient->recipient_template, "header");

	return own ? own : draft->template_header;
}

static int whole_header(const struct draft *draft, const struct jose_recipient *recipient,
			json_t **whole, struct error *err)
{
	const json_t *header = header_of(draft, recipient);
	int rc;

	if (draft->template_header && json_object_get(recipient->recipient_template, "header"))
		return error_set(err, -EINVAL, "two templates have a 'header'");
	if (draft->compact && json_object_size(recipient->recipient_template) > 0)
		return error_set(err, -EINVAL, "the compact form has no place for 'header'");
	if (json_object_get(recipient->recipient_template, "encrypted_key"))
		return error_set(err, -EINVAL, "the recipient has an 'encrypted_key' already");
	if (json_object_get(header, "enc") || json_object_get(header, "zip"))
		return error_set(err, -EINVAL, "'enc' and 'zip' are not for one recipient");
	rc = jose_jwe_join(draft->protected_part, json_object_get(draft->jwe, "unprotected"),
			   header, whole, err);
	if (rc == -EBADMSG)
		return of_template(err);
	if (rc == 0 && json_object_get(*whole, "crit"))
		return error_set(err, -EINVAL, "'crit' names what is not known here");
	return rc;
}

/* The algorithm that the header names or the key says; NULL with `err` filled (-EINVAL) where there is none for that key. */
static const struct jose_alg *choose_wrap(const json_t *whole,
					  const struct jose_recipient *recipient, struct error *err)
{
	const json_t *named = json_object_get(whole, "alg");
	const json_t *jwk = recipient->jwk;
	const struct jose_alg *alg;
	bool fits;

	if (named)
		alg = jose_alg_named(json_string_value(named), JOSE_KIND_WRAP);
	else
		alg = recipient->password ? jose_alg_named("PBES2-HS256+A128KW", JOSE_KIND_WRAP)
					  : jose_alg_to_wrap(jwk);
	if (!alg) {
		error_record(err, -EINVAL, "%s",
			     named ? "the header's 'alg' is none that wraps"
				   : "the key is none to wrap with");
		return NULL;
	}
	fits = recipient->password
		       ? alg->family == JOSE_PBES2
		       : jose_alg_takes(alg, jwk) &&
				 jose_jwk_allows(jwk, jose_wrap_operations(alg, false), false) &&
				 (alg->family == JOSE_DIRECT || jose_jwk_fits(jwk, alg->name));
	if (fits)
		return alg;
	error_record(err, -EINVAL, "the %s is not for %s", recipient->password ? "password" : "key",
		     alg->name);
	return NULL;
}

/* A key for a content encryption is for that one; one that says `dir` itself is for any of its size. */
static bool fits_directly(const struct jose_alg *alg, const struct jose_alg *enc, const json_t *jwk)
{
	return alg->family != JOSE_DIRECT || jose_jwk_fits(jwk, enc->name) ||
	       jose_jwk_fits(jwk, "dir");
}

static int choose_enc(struct draft *draft, const json_t *whole, const struct jose_alg *alg,
		      const json_t *jwk, struct error *err)
{
	const json_t *named = json_object_get(whole, "enc");

	draft->enc = named ? jose_alg_named(json_string_value(named), JOSE_KIND_ENCR)
			   : jose_alg_to_encrypt(alg, jwk);
	if (!draft->enc)
		return error_set(err, -EINVAL, "the header's 'enc' is none that encrypts");
	if (!fits_directly(alg, draft->enc, jwk))
		return error_set(err, -EINVAL, "the key is not for %s", draft->enc->name);
	if (!named &&
	    json_object_set_new(draft->protected_part, "enc", json_string(draft->enc->name)) < 0)
		return error_nomem(err);
	return 0;
}

/* Puts what was inferred and made for a recipient where it belongs: protected in the compact form, its own header else. */
static int place(struct draft *draft, const struct jose_recipient *recipient, json_t *params,
		 const struct jose_alg *alg, const struct secret *wrapped, struct error *err)
{
	const json_t *header = header_of(draft, recipient);
	const json_t *members = recipient->recipient_template;
	JSON_AUTO json_t *entry = members ? json_copy((json_t *)members) : json_object();
	JSON_AUTO json_t *own = header ? json_copy((json_t *)header) : json_object();

	if (!entry || !own ||
	    json_object_update(draft->compact ? draft->protected_part : own, params) < 0)
		return error_nomem(err);
	if (json_object_size(own) > 0 && json_object_set(entry, "header", own) < 0)
		return error_nomem(err);
	if (!(alg->family == JOSE_ECDH_ES && alg->key_size == 0) &&
	    json_object_set_new(entry, "encrypted_key",
				jose_b64_json(wrapped->data, wrapped->size)) < 0)
		return error_nomem(err);
	return json_array_append(draft->recipients, entry) < 0 ? error_nomem(err) : 0;
}

/* The recipient, if there is one, whose key decides the content key: it also decides `enc`. */
static int find_direct(struct draft *draft, const struct jose_recipient *recipients, size_t count,
		       size_t *direct, struct error *err)
{
	*direct = count;
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < count; i++) {
			JSON_AUTO json_t *whole = NULL;
			const struct jose_alg *alg;
			int rc = whole_header(draft, &recipients[i], &whole, err);

			if (rc < 0)
				return rc;
			alg = choose_wrap(whole, &recipients[i], err);
			if (!alg)
				return -EINVAL;
			if (pass == 0 && jose_wrap_is_direct(alg) && *direct == count)
				*direct = i;
			if (pass == 1 && (*direct == count ? i == 0 : i == *direct))
				rc = choose_enc(draft, whole, alg, recipients[i].jwk, err);
			if (rc < 0)
				return rc;
		}
	return 0;
}

static int random_key(struct draft *draft, struct error *err)
{
	int rc = secret_new(&draft->cek, draft->enc->key_size, err);

	if (rc == 0 && RAND_priv_bytes(draft->cek.data, (int)draft->cek.size) != 1)
		rc = error_set(err, -EIO, "no random numbers to be had");
	return rc;
}

/* Beside another that decides the content key, a second one can only have the same. */
static int same_direct(const struct draft *draft, const struct jose_alg *alg, const json_t *jwk,
		       const json_t *whole, json_t *params, struct error *err)
{
	SECRET_AUTO struct secret key = {0};
	int rc;

	if (alg->family != JOSE_DIRECT || !fits_directly(alg, draft->enc, jwk))
		return error_set(err, -EINVAL, "%s cannot be for a second recipient", alg->name);
	rc = jose_wrap_direct(alg, draft->enc, jwk, whole, params, &key, err);
	if (rc == 0 && !secret_equal(&key, &draft->cek))
		rc = error_set(err, -EINVAL, "two recipients with content keys of their own");
	return rc;
}

static int add_recipient(struct draft *draft, const struct jose_recipient *recipient, bool decides,
			 struct error *err)
{
	const struct jose_means means = {recipient->jwk, recipient->password};
	SECRET_AUTO struct secret wrapped = {0};
	JSON_AUTO json_t *whole = NULL;
	JSON_AUTO json_t *params = json_object();
	const struct jose_alg *alg;
	int rc = whole_header(draft, recipient, &whole, err);

	if (rc < 0)
		return rc;
	alg = choose_wrap(whole, recipient, err);
	if (!alg)
		return -EINVAL;
	if (!params || (!json_object_get(whole, "alg") &&
			json_object_set_new(params, "alg", json_string(alg->name)) < 0))
		return error_nomem(err);
	if (decides)
		rc = jose_wrap_direct(alg, draft->enc, recipient->jwk, whole, params, &draft->cek,
				      err);
	else if (jose_wrap_is_direct(alg))
		rc = same_direct(draft, alg, recipient->jwk, whole, params, err);
	else
		rc = jose_wrap(alg, &means, whole, params, &draft->cek, &wrapped, err);
	return rc < 0 ? rc : place(draft, recipient, params, alg, &wrapped, err);
}

/* The one that decides goes first, as the others need its key; its place in the list is its own. */
static int add_recipients(struct draft *draft, const struct jose_recipient *recipients,
			  size_t count, struct error *err)
{
	size_t direct = count;
	json_t *first;
	int rc = find_direct(draft, recipients, count, &direct, err);

	if (rc == 0)
		rc = direct < count ? add_recipient(draft, &recipients[direct], true, err)
				    : random_key(draft, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (i != direct)
			rc = add_recipient(draft, &recipients[i], false, err);
	if (rc < 0 || direct == count)
		return rc;
	first = json_incref(json_array_get(draft->recipients, 0));
	(void)json_array_remove(draft->recipients, 0);
	return json_array_insert_new(draft->recipients, direct, first) < 0 ? error_nomem(err) : 0;
}

/* RFC 7516 §4.1.3: compression is asked for in the protected header, and nowhere else. */
static int compress(const struct draft *draft, const struct secret *plain,
		    struct secret *compressed, struct error *err)
{
	const char *zip = text_member(draft->protected_part, "zip");

	if (json_object_get(json_object_get(draft->jwe, "unprotected"), "zip"))
		return error_set(err, -EINVAL, "'zip' belongs into the protected header");
	if (!zip || !jose_alg_named(zip, JOSE_KIND_COMP))
		return error_set(err, -EINVAL, "the header's 'zip' is not DEF");
	if (plain->size > jose_jwe_default_limits.inflated)
		return error_set(err, -EFBIG, "content of more than %zu bytes is not compressed",
				 jose_jwe_default_limits.inflated);
	return jose_deflate(plain, JOSE_COMPRESSED_MAX, compressed, err);
}

static int set_b64(json_t *jwe, const char *name, const struct secret *bytes)
{
	return json_object_set_new(jwe, name, jose_b64_json(bytes->data, bytes->size));
}

static int seal_content(struct draft *draft, const struct secret *plain, struct error *err)
{
	FREE_AUTO char *header = json_dump_public(draft->protected_part);
	FREE_AUTO char *text = NULL;
	SEALED_AUTO struct jose_sealed sealed = {0};
	int rc;

	if (!header || (json_object_size(draft->protected_part) > 0 &&
			json_object_set_new(draft->jwe, "protected",
					    jose_b64_json(header, strlen(header))) < 0))
		return error_nomem(err);
	text = jose_jwe_authenticated(draft->jwe);
	if (!text)
		return error_nomem(err);
	rc = jose_content_seal(draft->enc, &draft->cek, (struct jose_aad){text, strlen(text)},
			       plain, &sealed, err);
	if (rc < 0)
		return rc;
	return set_b64(draft->jwe, "iv", &sealed.iv) < 0 ||
			       set_b64(draft->jwe, "ciphertext", &sealed.ciphertext) < 0 ||
			       set_b64(draft->jwe, "tag", &sealed.tag) < 0
		       ? error_nomem(err)
		       : 0;
}

static int finish(struct draft *draft, size_t count, json_t **jwe, struct error *err)
{
	int failed = count == 1
			     ? json_object_update(draft->jwe, json_array_get(draft->recipients, 0))
			     : json_object_set(draft->jwe, "recipients", draft->recipients);

	if (failed < 0)
		return error_nomem(err);
	*jwe = draft->jwe;
	draft->jwe = NULL;
	return 0;
}

int jose_jwe_seal(const json_t *jwe_template, const struct jose_recipient *recipients, size_t count,
		  bool compact, const struct secret *plain, json_t **jwe, struct error *err)
{
	DRAFT_AUTO struct draft draft = {0};
	SECRET_AUTO struct secret compressed = {0};
	bool zip;
	int rc = begin(jwe_template, compact, count, &draft, err);

	if (rc == 0)
		rc = add_recipients(&draft, recipients, count, err);
	if (rc < 0)
		return rc;
	zip = json_object_get(draft.protected_part, "zip") ||
	      json_object_get(json_object_get(draft.jwe, "unprotected"), "zip");
	if (zip)
		rc = compress(&draft, plain, &compressed, err);
	if (rc == 0)
		rc = seal_content(&draft, zip ? &compressed : plain, err);
	return rc < 0 ? rc : finish(&draft, count, jwe, err);
}
