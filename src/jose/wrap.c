/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/wrap.h"

#include "base/json.h"
#include "jose/aead.h"
#include "jose/b64.h"
#include "jose/ecdh_es.h"
#include "jose/jwk.h"

#include <errno.h>
#include <string.h>

#include <openssl/rand.h>

int jose_unwrapping_failed(struct error *err)
{
	return error_set(err, -EBADMSG, "decryption failed: wrong key, or data changed");
}

bool jose_wrap_is_direct(const struct jose_alg *alg)
{
	return alg->family == JOSE_DIRECT || (alg->family == JOSE_ECDH_ES && alg->key_size == 0);
}

/* What `jwk gen` writes for ECDH-ES are the operations of wrapping; what RFC 7517 has for it are those that derive. */
unsigned jose_wrap_operations(const struct jose_alg *alg, bool unwrap)
{
	unsigned wrapping = unwrap ? JOSE_UNWRAP_KEY : JOSE_WRAP_KEY;

	if (alg->family == JOSE_DIRECT)
		return unwrap ? JOSE_DECRYPT : JOSE_ENCRYPT;
	return alg->family == JOSE_ECDH_ES ? wrapping | JOSE_DERIVE_KEY | JOSE_DERIVE_BITS
					   : wrapping;
}

/* The bytes of an oct key, of `size` if that is not 0. */
static int read_oct(const json_t *jwk, const char *what, size_t size, struct secret *key,
		    struct error *err)
{
	SECRET_AUTO struct secret bytes = {0};
	int rc = jose_b64_member(jwk, "k", &bytes, err);

	if (rc < 0)
		return rc;
	if (bytes.size == 0 || (size > 0 && bytes.size != size))
		return error_set(err, -EINVAL, "a key of %zu bytes: %s takes %zu", bytes.size, what,
				 size);
	secret_move(key, &bytes);
	return 0;
}

/* What an agreed key is for, and its size: the content encryption itself, or the wrapping (§4.6.2, AlgorithmID). */
struct purpose {
	const char *id;
	size_t size;
};

static struct purpose to_encrypt(const struct jose_alg *enc)
{
	return (struct purpose){enc->name, enc->key_size};
}

static struct purpose to_wrap(const struct jose_alg *alg)
{
	return (struct purpose){alg->name, alg->key_size};
}

static int agree(struct purpose purpose, const json_t *jwk, const json_t *header, json_t *params,
		 struct secret *key, struct error *err)
{
	SECRET_AUTO struct secret z = {0};
	json_t *epk = NULL;
	int rc = jose_agree_as_sender(jwk, &epk, &z, err);

	if (rc < 0)
		return rc;
	if (json_object_set_new(params, "epk", epk) < 0)
		return error_nomem(err);
	return jose_ecdh_es_derive_for(&z, header, purpose.id, purpose.size, key, err);
}

/* What is made here must not be in the header already: an IV used twice gives an AES-GCM key away. */
static int check_absent(const json_t *header, struct error *err)
{
	static const char *const made[] = {"epk", "iv", "tag"};

	for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++)
		if (json_object_get(header, made[i]))
			return error_set(err, -EINVAL, "the header's '%s' is not yours to choose",
					 made[i]);
	return 0;
}

int jose_wrap_direct(const struct jose_alg *alg, const struct jose_alg *enc, const json_t *jwk,
		     const json_t *header, json_t *params, struct secret *cek, struct error *err)
{
	int rc = check_absent(header, err);

	if (rc < 0)
		return rc;
	return alg->family == JOSE_DIRECT ? read_oct(jwk, enc->name, enc->key_size, cek, err)
					  : agree(to_encrypt(enc), jwk, header, params, cek, err);
}

static int wrap_by_gcm(const struct secret *key, json_t *params, const struct secret *cek,
		       struct secret *wrapped, struct error *err)
{
	unsigned char iv[JOSE_GCM_IV];
	unsigned char tag[JOSE_GCM_TAG];
	int rc;

	if (RAND_bytes(iv, sizeof(iv)) != 1)
		return error_set(err, -EIO, "no random numbers to be had");
	rc = jose_gcm_encrypt(key, iv, (struct jose_aad){"", 0}, cek, wrapped, tag, err);
	if (rc < 0)
		return rc;
	if (json_object_set_new(params, "iv", jose_b64_json(iv, sizeof(iv))) < 0 ||
	    json_object_set_new(params, "tag", jose_b64_json(tag, sizeof(tag))) < 0)
		return error_nomem(err);
	return 0;
}

/* The password, which may stand as the bytes of an oct key. */
static int read_password(const struct jose_means *means, struct secret *password, struct error *err)
{
	return means->password
		       ? secret_copy(password, means->password->data, means->password->size, err)
		       : read_oct(means->jwk, "PBES2", 0, password, err);
}

static int password_key(const struct jose_alg *alg, const struct jose_means *means,
			const json_t *header, const json_t *params, struct secret *key,
			struct error *err)
{
	SECRET_AUTO struct secret password = {0};
	JSON_AUTO json_t *whole = json_copy((json_t *)header);
	int rc = read_password(means, &password, err);

	if (!whole || (params && json_object_update(whole, (json_t *)params) < 0))
		return error_nomem(err);
	return rc < 0 ? rc : jose_pbes2_derive(alg, &password, whole, key, err);
}

/* The key that wraps. */
static int wrapping_key(const struct jose_alg *alg, const struct jose_means *means,
			const json_t *header, json_t *params, struct secret *key, struct error *err)
{
	int rc;

	switch (alg->family) {
	case JOSE_ECDH_ES:
		return agree(to_wrap(alg), means->jwk, header, params, key, err);
	case JOSE_PBES2:
		rc = jose_pbes2_complete(header, params, err);
		return rc < 0 ? rc : password_key(alg, means, header, params, key, err);
	default:
		return read_oct(means->jwk, alg->name, alg->key_size, key, err);
	}
}

int jose_wrap(const struct jose_alg *alg, const struct jose_means *means, const json_t *header,
	      json_t *params, const struct secret *cek, struct secret *wrapped, struct error *err)
{
	SECRET_AUTO struct secret key = {0};
	int rc = check_absent(header, err);

	if (rc < 0)
		return rc;
	if (alg->family == JOSE_RSA_OAEP || alg->family == JOSE_RSA_1_5)
		return jose_rsa_wrap(alg, means->jwk, cek, wrapped, err);
	rc = wrapping_key(alg, means, header, params, &key, err);
	if (rc < 0)
		return rc;
	return alg->family == JOSE_GCM_KW ? wrap_by_gcm(&key, params, cek, wrapped, err)
					  : jose_aes_wrap(&key, cek, wrapped, err);
}

static int unwrap_by_gcm(const struct secret *key, const json_t *header,
			 const struct secret *wrapped, struct secret *cek, struct error *err)
{
	SECRET_AUTO struct secret iv = {0};
	SECRET_AUTO struct secret tag = {0};

	if (jose_b64_member(header, "iv", &iv, err) < 0 ||
	    jose_b64_member(header, "tag", &tag, err) < 0)
		return -EBADMSG;
	return jose_gcm_decrypt(key, &iv, (struct jose_aad){"", 0}, wrapped, &tag, cek, err);
}

static int agreed_key(struct purpose purpose, const json_t *jwk, const json_t *header,
		      struct secret *key, struct error *err)
{
	SECRET_AUTO struct secret z = {0};
	int rc = jose_agree_as_receiver(jwk, json_object_get(header, "epk"), &z, err);

	return rc < 0 ? rc
		      : jose_ecdh_es_derive_for(&z, header, purpose.id, purpose.size, key, err);
}

/* Each recipient that a password is tried on costs what its sender chose: all together are bounded. */
static int spend(const json_t *header, struct jose_iterations *iterations, struct error *err)
{
	json_int_t p2c = json_integer_value(json_object_get(header, "p2c"));

	if (p2c > iterations->each || p2c > iterations->left)
		return error_set(err, -EBADMSG,
				 "more iterations of PBES2 ('p2c') than are allowed");
	iterations->left -= p2c > 0 ? p2c : 0;
	return 0;
}

static int unwrapping_key(const struct jose_alg *alg, const struct jose_means *means,
			  const json_t *header, struct jose_iterations *iterations,
			  struct secret *key, struct error *err)
{
	int rc;

	switch (alg->family) {
	case JOSE_ECDH_ES:
		return agreed_key(to_wrap(alg), means->jwk, header, key, err);
	case JOSE_PBES2:
		rc = spend(header, iterations, err);
		return rc < 0 ? rc : password_key(alg, means, header, NULL, key, err);
	default:
		return read_oct(means->jwk, alg->name, alg->key_size, key, err);
	}
}

static int unwrap_direct(const struct jose_alg *alg, const struct jose_alg *enc, const json_t *jwk,
			 const json_t *header, const struct secret *wrapped, struct secret *cek,
			 struct error *err)
{
	if (wrapped->size > 0)
		return error_set(err, -EBADMSG, "a JWE by %s cannot have an encrypted key",
				 alg->name);
	return alg->family == JOSE_DIRECT ? read_oct(jwk, enc->name, enc->key_size, cek, err)
					  : agreed_key(to_encrypt(enc), jwk, header, cek, err);
}

int jose_unwrap(const struct jose_alg *alg, const struct jose_alg *enc,
		const struct jose_means *means, const json_t *header, const struct secret *wrapped,
		struct jose_iterations *iterations, struct secret *cek, struct error *err)
{
	SECRET_AUTO struct secret key = {0};
	SECRET_AUTO struct secret found = {0};
	int rc;

	if (jose_wrap_is_direct(alg))
		return unwrap_direct(alg, enc, means->jwk, header, wrapped, cek, err);
	if (alg->family == JOSE_RSA_OAEP || alg->family == JOSE_RSA_1_5)
		return jose_rsa_unwrap(alg, means->jwk, wrapped, enc->key_size, cek, err);
	rc = unwrapping_key(alg, means, header, iterations, &key, err);
	if (rc == 0)
		rc = alg->family == JOSE_GCM_KW ? unwrap_by_gcm(&key, header, wrapped, &found, err)
						: jose_aes_unwrap(&key, wrapped, &found, err);
	if (rc == 0 && found.size != enc->key_size)
		rc = jose_unwrapping_failed(err);
	if (rc == 0)
		secret_move(cek, &found);
	return rc;
}
