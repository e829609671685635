/* SPDX-License-Identifier: Apache-2.0 */
/* RSA1_5 and RSA-OAEP (RFC 7518 §4.2, §4.3). */
#include "jose/wrap.h"

#include "jose/pkey.h"

#include <errno.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

/* The hash of OAEP is also that of its mask (RFC 7518 §4.3 for the first two; the others follow). */
static bool set_padding(const struct jose_alg *alg, EVP_PKEY_CTX *ctx)
{
	if (alg->family == JOSE_RSA_1_5)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, alg->hash, NULL) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, alg->hash, NULL) == 1;
}

int jose_rsa_wrap(const struct jose_alg *alg, const json_t *jwk, const struct secret *cek,
		  struct secret *wrapped, struct error *err)
{
	PKEY_AUTO EVP_PKEY *pkey = NULL;
	PKEY_CTX_AUTO EVP_PKEY_CTX *ctx = NULL;
	SECRET_AUTO struct secret out = {0};
	size_t size;
	int rc = jose_pkey_read(jwk, false, &pkey, err);

	if (rc == 0)
		rc = secret_new(&out, (size_t)EVP_PKEY_get_size(pkey), err);
	if (rc < 0)
		return rc;
	size = out.size;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (!ctx || EVP_PKEY_encrypt_init(ctx) != 1 || !set_padding(alg, ctx) ||
	    EVP_PKEY_encrypt(ctx, out.data, &size, cek->data, cek->size) != 1 || size != out.size)
		return error_set(err, -EIO, "wrapping failed");
	secret_move(wrapped, &out);
	return 0;
}

/*
 * RFC 7516 §11.5: whatever is wrong inside, there is a key, and which one it is is chosen without a branch: `good` is 1 or 0.
 * What OpenSSL noted for itself goes, so that nothing tells the two apart.
 */
static void choose(struct secret *cek, const struct secret *decrypted, unsigned good)
{
	unsigned char mask = (unsigned char)(0U - good);

	for (size_t i = 0; i < cek->size; i++)
		cek->data[i] = (unsigned char)((decrypted->data[i] & mask) |
					       (cek->data[i] & (unsigned char)~mask));
	ERR_clear_error();
}

static int decrypt(const struct jose_alg *alg, EVP_PKEY_CTX *ctx, const struct secret *wrapped,
		   size_t size, struct secret *cek, struct error *err)
{
	SECRET_AUTO struct secret out = {0};
	SECRET_AUTO struct secret key = {0};
	size_t n;
	unsigned good;
	int rc = secret_new(&out, wrapped->size, err);

	if (rc == 0)
		rc = secret_new(&key, size, err);
	if (rc < 0)
		return rc;
	if (RAND_priv_bytes(key.data, (int)size) != 1)
		return error_set(err, -EIO, "no random numbers to be had");
	n = out.size;
	good = (unsigned)(EVP_PKEY_decrypt(ctx, out.data, &n, wrapped->data, wrapped->size) == 1);
	good &= (unsigned)(n == size);
	choose(&key, &out, good);
	if (alg->family != JOSE_RSA_1_5 && !good)
		return jose_unwrapping_failed(err);
	secret_move(cek, &key);
	return 0;
}

int jose_rsa_unwrap(const struct jose_alg *alg, const json_t *jwk, const struct secret *wrapped,
		    size_t size, struct secret *cek, struct error *err)
{
	PKEY_AUTO EVP_PKEY *pkey = NULL;
	PKEY_CTX_AUTO EVP_PKEY_CTX *ctx = NULL;
	int rc = jose_pkey_read(jwk, true, &pkey, err);

	if (rc < 0)
		return rc;
	/* OpenSSL would take a shorter one for a number with zeros in front. */
	if (wrapped->size != (size_t)EVP_PKEY_get_size(pkey))
		return jose_unwrapping_failed(err);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (!ctx || EVP_PKEY_decrypt_init(ctx) != 1 || !set_padding(alg, ctx))
		return error_set(err, -EIO, "unwrapping failed");
	return decrypt(alg, ctx, wrapped, size, cek, err);
}
