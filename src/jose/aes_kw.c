/* SPDX-License-Identifier: Apache-2.0 */
/* AES key wrap (RFC 3394), with its default initial value. */
#include "jose/wrap.h"

#include <errno.h>
#include <limits.h>

#include <openssl/evp.h>

enum { BLOCK = 8 };

static void free_ctx(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
}

#define CTX_AUTO __attribute__((cleanup(free_ctx)))

static const EVP_CIPHER *cipher_of(const struct secret *key)
{
	switch (key->size) {
	case 16:
		return EVP_aes_128_wrap();
	case 24:
		return EVP_aes_192_wrap();
	case 32:
		return EVP_aes_256_wrap();
	default:
		return NULL;
	}
}

int jose_aes_wrap(const struct secret *key, const struct secret *cek, struct secret *wrapped,
		  struct error *err)
{
	CTX_AUTO EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	SECRET_AUTO struct secret out = {0};
	int n = 0;
	int rc;

	if (!cipher_of(key) || cek->size < (size_t)2 * BLOCK || cek->size % BLOCK != 0 ||
	    cek->size > INT_MAX - BLOCK)
		return error_set(err, -EINVAL, "AES key wrap takes a key of 16, 24 or 32 bytes");
	/* OpenSSL may write a block more than it says. */
	rc = secret_new(&out, cek->size + 2 * (size_t)BLOCK, err);
	if (rc < 0)
		return rc;
	if (!ctx)
		return error_nomem(err);
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_EncryptInit_ex2(ctx, cipher_of(key), key->data, NULL, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, out.data, &n, cek->data, (int)cek->size) != 1 ||
	    (size_t)n != cek->size + BLOCK)
		return error_set(err, -EIO, "wrapping failed");
	rc = secret_resize(&out, (size_t)n, err);
	if (rc == 0)
		secret_move(wrapped, &out);
	return rc;
}

int jose_aes_unwrap(const struct secret *key, const struct secret *wrapped, struct secret *cek,
		    struct error *err)
{
	CTX_AUTO EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	SECRET_AUTO struct secret out = {0};
	int n = 0;
	int rc;

	if (!cipher_of(key) || wrapped->size < (size_t)3 * BLOCK || wrapped->size % BLOCK != 0 ||
	    wrapped->size > INT_MAX)
		return jose_unwrapping_failed(err);
	rc = secret_new(&out, wrapped->size + BLOCK, err);
	if (rc < 0)
		return rc;
	if (!ctx)
		return error_nomem(err);
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_DecryptInit_ex2(ctx, cipher_of(key), key->data, NULL, NULL) != 1 ||
	    EVP_DecryptUpdate(ctx, out.data, &n, wrapped->data, (int)wrapped->size) != 1 ||
	    (size_t)n != wrapped->size - BLOCK)
		return jose_unwrapping_failed(err);
	rc = secret_resize(&out, (size_t)n, err);
	if (rc == 0)
		secret_move(cek, &out);
	return rc;
}
