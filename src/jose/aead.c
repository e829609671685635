/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/aead.h"

#include <errno.h>
#include <limits.h>

#include <openssl/evp.h>

static void free_ctx(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
}

#define CTX_AUTO __attribute__((cleanup(free_ctx)))

static const EVP_CIPHER *cipher_of(const struct secret *key)
{
	switch (key->size) {
	case 16:
		return EVP_aes_128_gcm();
	case 24:
		return EVP_aes_192_gcm();
	case JOSE_GCM_KEY:
		return EVP_aes_256_gcm();
	default:
		return NULL;
	}
}

static bool sizes_fit(const struct secret *key, struct jose_aad aad, const struct secret *content)
{
	return cipher_of(key) && aad.size <= INT_MAX && content->size <= INT_MAX;
}

int jose_gcm_encrypt(const struct secret *key, const unsigned char iv[static JOSE_GCM_IV],
		     struct jose_aad aad, const struct secret *plain, struct secret *ciphertext,
		     unsigned char tag[static JOSE_GCM_TAG], struct error *err)
{
	CTX_AUTO EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	SECRET_AUTO struct secret out = {0};
	int n = 0;
	int rc = secret_new(&out, plain->size, err);

	if (rc < 0)
		return rc;
	if (!sizes_fit(key, aad, plain))
		return error_set(err, -EINVAL, "AES-GCM takes a key of 16, 24 or 32 bytes");
	if (!ctx || EVP_EncryptInit_ex2(ctx, cipher_of(key), key->data, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, aad.data, (int)aad.size) != 1 ||
	    EVP_EncryptUpdate(ctx, out.data, &n, plain->data, (int)plain->size) != 1 ||
	    EVP_EncryptFinal_ex(ctx, out.data + n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, JOSE_GCM_TAG, tag) != 1)
		return error_set(err, -EIO, "encryption failed");
	secret_move(ciphertext, &out);
	return 0;
}

int jose_gcm_decrypt(const struct secret *key, const struct secret *iv, struct jose_aad aad,
		     const struct secret *ciphertext, const struct secret *tag,
		     struct secret *plain, struct error *err)
{
	CTX_AUTO EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	SECRET_AUTO struct secret out = {0};
	int n = 0;
	int rc;

	if (iv->size != JOSE_GCM_IV || tag->size != JOSE_GCM_TAG ||
	    !sizes_fit(key, aad, ciphertext))
		return error_set(err, -EBADMSG,
				 "key, 'iv' or 'tag' have the wrong size for AES-GCM");
	rc = secret_new(&out, ciphertext->size, err);
	if (rc < 0)
		return rc;
	if (!ctx || EVP_DecryptInit_ex2(ctx, cipher_of(key), key->data, iv->data, NULL) != 1 ||
	    EVP_DecryptUpdate(ctx, NULL, &n, aad.data, (int)aad.size) != 1 ||
	    EVP_DecryptUpdate(ctx, out.data, &n, ciphertext->data, (int)ciphertext->size) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, JOSE_GCM_TAG, tag->data) != 1 ||
	    EVP_DecryptFinal_ex(ctx, out.data + n, &n) != 1)
		return error_set(err, -EBADMSG, "decryption failed: wrong key, or data changed");
	secret_move(plain, &out);
	return 0;
}
