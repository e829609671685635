/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/sign.h"

#include "jose/b64.h"
#include "jose/ecdsa.h"
#include "jose/pkey.h"

#include <errno.h>

#include <openssl/rsa.h>

static int make_hmac(const struct jose_alg *alg, const json_t *jwk, const void *data, size_t size,
		     struct secret *mac, struct error *err)
{
	SECRET_AUTO struct secret key = {0};
	SECRET_AUTO struct secret made = {0};
	size_t written = 0;
	int rc = jose_b64_member(jwk, "k", &key, err);

	if (rc < 0)
		return rc;
	/* RFC 7518 §3.2: at least as long as the hash, which is the table's size. */
	if (key.size < alg->key_size)
		return error_set(err, -EINVAL, "a key of %zu bytes: %s wants %zu at least",
				 key.size, alg->name, alg->key_size);
	rc = secret_new(&made, alg->key_size, err);
	if (rc < 0)
		return rc;
	if (!EVP_Q_mac(NULL, "HMAC", NULL, alg->hash, NULL, key.data, key.size, data, size,
		       made.data, made.size, &written) ||
	    written != made.size)
		return error_set(err, -EIO, "signing failed");
	secret_move(mac, &made);
	return 0;
}

/* PSS: a salt as long as the hash, both ways (RFC 7518 §3.5). */
static bool set_padding(const struct jose_alg *alg, EVP_PKEY_CTX *ctx)
{
	if (alg->family == JOSE_RSA_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
	return alg->family != JOSE_RSA_PSS ||
	       (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static const char *curve_of(const json_t *jwk)
{
	return json_string_value(json_object_get(jwk, "crv"));
}

int jose_sign(const struct jose_alg *alg, const json_t *jwk, const void *data, size_t size,
	      struct secret *signature, struct error *err)
{
	PKEY_AUTO EVP_PKEY *pkey = NULL;
	MD_CTX_AUTO EVP_MD_CTX *ctx = NULL;
	EVP_PKEY_CTX *pkey_ctx = NULL; /* part of ctx */
	SECRET_AUTO struct secret made = {0};
	size_t written;
	int rc;

	if (alg->family == JOSE_HMAC)
		return make_hmac(alg, jwk, data, size, signature, err);
	rc = jose_pkey_read(jwk, true, &pkey, err);
	if (rc == 0)
		rc = secret_new(&made, (size_t)EVP_PKEY_get_size(pkey), err);
	if (rc < 0)
		return rc;
	written = made.size;
	ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestSignInit_ex(ctx, &pkey_ctx, alg->hash, NULL, NULL, pkey, NULL) != 1 ||
	    !set_padding(alg, pkey_ctx) ||
	    EVP_DigestSign(ctx, made.data, &written, data, size) != 1)
		return error_set(err, -EIO, "signing failed");
	if (alg->family == JOSE_ECDSA)
		return jose_ecdsa_from_der(made.data, written, jose_ecdsa_half(curve_of(jwk)),
					   signature, err);
	secret_move(signature, &made);
	return 0;
}

static int not_by_this_key(struct error *err)
{
	return error_set(err, -EBADMSG, "the signature is not by this key");
}

static int verify_hmac(const struct jose_alg *alg, const json_t *jwk, const void *data, size_t size,
		       const struct secret *signature, struct error *err)
{
	SECRET_AUTO struct secret mac = {0};
	int rc = make_hmac(alg, jwk, data, size, &mac, err);

	if (rc < 0)
		return rc;
	return secret_equal(&mac, signature) ? 0 : not_by_this_key(err);
}

/* What a signature has to be, bytes: OpenSSL would take a shorter one of RSA-PSS for a number with zeros in front. */
static size_t size_of_signature(const struct jose_alg *alg, const json_t *jwk, EVP_PKEY *pkey)
{
	return alg->family == JOSE_ECDSA ? 2 * jose_ecdsa_half(curve_of(jwk))
					 : (size_t)EVP_PKEY_get_size(pkey);
}

int jose_verify(const struct jose_alg *alg, const json_t *jwk, const void *data, size_t size,
		const struct secret *signature, struct error *err)
{
	PKEY_AUTO EVP_PKEY *pkey = NULL;
	MD_CTX_AUTO EVP_MD_CTX *ctx = NULL;
	EVP_PKEY_CTX *pkey_ctx = NULL; /* part of ctx */
	unsigned char der[JOSE_ECDSA_DER_MAX];
	const unsigned char *bytes = signature->data;
	size_t count = signature->size;
	int rc;

	if (alg->family == JOSE_HMAC)
		return verify_hmac(alg, jwk, data, size, signature, err);
	rc = jose_pkey_read(jwk, false, &pkey, err);
	if (rc < 0)
		return rc;
	if (signature->size != size_of_signature(alg, jwk, pkey))
		return error_set(err, -EBADMSG, "the signature has not the size of %s", alg->name);
	if (alg->family == JOSE_ECDSA) {
		bytes = der;
		rc = jose_ecdsa_to_der(signature, der, &count, err);
		if (rc < 0)
			return rc;
	}
	ctx = EVP_MD_CTX_new();
	if (!ctx ||
	    EVP_DigestVerifyInit_ex(ctx, &pkey_ctx, alg->hash, NULL, NULL, pkey, NULL) != 1 ||
	    !set_padding(alg, pkey_ctx))
		return error_nomem(err);
	if (EVP_DigestVerify(ctx, bytes, count, data, size) != 1)
		return not_by_this_key(err);
	return 0;
}
