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

const struct jose_jwe_limits jose_jwe_default_limits = {
	.p2c = JOSE_P2C_MAX,
	.iterations = 4 * (json_int_t)JOSE_P2C_MAX,
	.inflated = (size_t)10 * 1024 * 1024,
};

/* A JWE that is being opened. */
struct reading {
	const json_t *jwe;
	json_t *protected_part;
	struct jose_sealed sealed;
	char *authenticated;
	struct jose_iterations iterations;
};

static void reading_free(struct reading *reading)
{
	json_decref(reading->protected_part);
	jose_sealed_free(&reading->sealed);
	free_pointer(&reading->authenticated);
}

#define READING_AUTO __attribute__((cleanup(reading_free)))

/* The header and the encrypted key of one recipient. */
struct envelope {
	json_t *header; /* whole */
	const struct jose_alg *alg;
	const struct jose_alg *enc;
	struct secret wrapped;
};

static void envelope_free(struct envelope *envelope)
{
	json_decref(envelope->header);
	secret_free(&envelope->wrapped);
}

#define ENVELOPE_AUTO __attribute__((cleanup(envelope_free)))

static int malformed(struct error *err)
{
	return error_set(err, -EBADMSG, "malformed JWE: %s", err ? err->text : "");
}

/* Flattened or general, and not both (RFC 7516 §7.2.2). */
static int check_form(const json_t *jwe, struct error *err)
{
	const json_t *recipients = json_object_get(jwe, "recipients");
	size_t count = json_array_size(recipients);

	if (!json_is_object(jwe))
		return error_set(err, -EBADMSG, "a JWE that is not an object");
	if (!recipients)
		return 0;
	if (json_object_get(jwe, "header") || json_object_get(jwe, "encrypted_key"))
		return error_set(err, -EBADMSG, "a JWE both flattened and general");
	if (count == 0 || count > JOSE_RECIPIENTS_MAX)
		return error_set(err, -EBADMSG, "a JWE without recipients, or with more than %d",
				 JOSE_RECIPIENTS_MAX);
	return 0;
}

static int begin(const json_t *jwe, struct reading *reading, struct error *err)
{
	SECRET_AUTO struct secret aad = {0};
	int rc = check_form(jwe, err);

	if (rc < 0)
		return rc;
	reading->jwe = jwe;
	rc = jose_jwe_protected(jwe, &reading->protected_part, err);
	if (rc < 0)
		return rc;
	if (jose_b64_member(jwe, "iv", &reading->sealed.iv, err) < 0 ||
	    jose_b64_member(jwe, "ciphertext", &reading->sealed.ciphertext, err) < 0 ||
	    jose_b64_member(jwe, "tag", &reading->sealed.tag, err) < 0 ||
	    (json_object_get(jwe, "aad") && jose_b64_member(jwe, "aad", &aad, err) < 0))
		return malformed(err);
	reading->authenticated = jose_jwe_authenticated(jwe);
	return reading->authenticated ? 0 : error_nomem(err);
}

/* No extension is known, so whatever is critical is refused; compression is only what the tag covers says. */
static int check_header(const struct reading *reading, const json_t *header, struct error *err)
{
	const json_t *zip = json_object_get(header, "zip");

	if (json_object_get(header, "crit"))
		return error_set(err, -EBADMSG,
				 "a critical header ('crit') that is not known here");
	if (zip && zip != json_object_get(reading->protected_part, "zip"))
		return error_set(err, -EBADMSG, "'zip' outside of the protected header");
	if (zip && !jose_alg_named(json_string_value(zip), JOSE_KIND_COMP))
		return error_set(err, -EBADMSG, "the JWE's 'zip' is not DEF");
	return 0;
}

/* Algorithms that are not known are no error here: another recipient's may be. */
static int read_envelope(const struct reading *reading, const json_t *recipient,
			 struct envelope *envelope, struct error *err)
{
	int rc;

	if (!json_is_object(recipient))
		return error_set(err, -EBADMSG, "a recipient that is not an object");
	rc = jose_jwe_join(reading->protected_part, json_object_get(reading->jwe, "unprotected"),
			   json_object_get(recipient, "header"), &envelope->header, err);
	if (rc == 0)
		rc = check_header(reading, envelope->header, err);
	if (rc < 0)
		return rc;
	if (json_object_get(recipient, "encrypted_key") &&
	    jose_b64_member(recipient, "encrypted_key", &envelope->wrapped, err) < 0)
		return malformed(err);
	envelope->alg = jose_alg_named(json_string_value(json_object_get(envelope->header, "alg")),
				       JOSE_KIND_WRAP);
	envelope->enc = jose_alg_named(json_string_value(json_object_get(envelope->header, "enc")),
				       JOSE_KIND_ENCR);
	return 0;
}

static bool is_fit(const struct envelope *envelope, const struct jose_recipient *key)
{
	const struct jose_alg *alg = envelope->alg;
	bool fits;

	if (key->password)
		return alg->family == JOSE_PBES2;
	fits = jose_jwk_fits(key->jwk, alg->name) ||
	       (alg->family == JOSE_DIRECT && jose_jwk_fits(key->jwk, envelope->enc->name));
	return fits && jose_alg_takes(alg, key->jwk) &&
	       jose_jwk_allows(key->jwk, jose_wrap_operations(alg, true), false);
}

static int open_content(const struct reading *reading, const struct envelope *envelope,
			const struct secret *cek, const struct jose_jwe_limits *limits,
			struct secret *plain, struct error *err)
{
	struct jose_aad aad = {reading->authenticated, strlen(reading->authenticated)};
	SECRET_AUTO struct secret compressed = {0};
	int rc;

	if (!json_object_get(envelope->header, "zip"))
		return jose_content_open(envelope->enc, cek, aad, &reading->sealed, plain, err);
	if (reading->sealed.ciphertext.size > JOSE_COMPRESSED_MAX + JOSE_CBC_IV)
		return error_set(err, -EFBIG, "more than %d bytes of compressed content",
				 JOSE_COMPRESSED_MAX);
	rc = jose_content_open(envelope->enc, cek, aad, &reading->sealed, &compressed, err);
	return rc < 0 ? rc : jose_inflate(&compressed, limits->inflated, plain, err);
}

static int try_key(struct reading *reading, const struct envelope *envelope,
		   const struct jose_recipient *key, const struct jose_jwe_limits *limits,
		   struct secret *plain, struct error *err)
{
	const struct jose_means means = {key->jwk, key->password};
	SECRET_AUTO struct secret cek = {0};
	int rc = jose_unwrap(envelope->alg, envelope->enc, &means, envelope->header,
			     &envelope->wrapped, &reading->iterations, &cek, err);

	return rc < 0 ? rc : open_content(reading, envelope, &cek, limits, plain, err);
}

/* Tries the keys on one recipient. Returns 0, or what the last one that was fit failed with; -ENOKEY: none was. */
static int try_keys(struct reading *reading, const json_t *recipient,
		    const struct jose_recipient *keys, size_t count,
		    const struct jose_jwe_limits *limits, struct secret *plain, struct error *err)
{
	ENVELOPE_AUTO struct envelope envelope = {0};
	int result = -ENOKEY;
	int rc = read_envelope(reading, recipient, &envelope, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; envelope.alg && envelope.enc && i < count; i++) {
		if (!is_fit(&envelope, &keys[i]))
			continue;
		result = try_key(reading, &envelope, &keys[i], limits, plain, err);
		if (result == 0 || result == -EFBIG)
			break;
	}
	return result;
}

/* A header that is malformed refuses the whole, also when it is another recipient's: so all are read before one is tried. */
static int check_recipients(const struct reading *reading, struct error *err)
{
	const json_t *recipients = json_object_get(reading->jwe, "recipients");
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < json_array_size(recipients); i++) {
		ENVELOPE_AUTO struct envelope envelope = {0};

		rc = read_envelope(reading, json_array_get(recipients, i), &envelope, err);
	}
	return rc;
}

int jose_jwe_open(const json_t *jwe, const struct jose_recipient *keys, size_t count,
		  const struct jose_jwe_limits *limits, struct secret *plain, struct error *err)
{
	const json_t *recipients = json_object_get(jwe, "recipients");
	READING_AUTO struct reading reading = {0};
	size_t total = recipients ? json_array_size(recipients) : 1;
	int result = -ENOKEY;
	int rc = begin(jwe, &reading, err);

	limits = limits ? limits : &jose_jwe_default_limits;
	reading.iterations = (struct jose_iterations){limits->p2c, limits->iterations};
	if (rc == 0)
		rc = check_recipients(&reading, err);
	if (rc < 0)
		return rc;
	if (count == 0)
		return error_set(err, -EINVAL, "no key to decrypt with");
	for (size_t i = 0; i < total; i++) {
		rc = try_keys(&reading, recipients ? json_array_get(recipients, i) : jwe, keys,
			      count, limits, plain, err);
		if (rc == 0 || rc == -EFBIG)
			return rc;
		result = rc == -ENOKEY ? result : rc;
	}
	if (result == -ENOKEY)
		return error_set(err, -EBADMSG, "none of the keys is for this JWE");
	return result;
}
