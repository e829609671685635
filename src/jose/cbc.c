/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/aead.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

enum { BLOCK = 16, MAC_MAX = 64 };

static void free_ctx(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
}

static void free_mac(EVP_MAC_CTX **ctx)
{
	EVP_MAC_CTX_free(*ctx);
}

#define CTX_AUTO __attribute__((cleanup(free_ctx)))
#define MAC_AUTO __attribute__((cleanup(free_mac)))

static const EVP_CIPHER *cipher_of(const struct jose_alg *enc)
{
	switch (enc->key_size / 2) {
	case 16:
		return EVP_aes_128_cbc();
	case 24:
		return EVP_aes_192_cbc();
	default:
		return EVP_aes_256_cbc();
	}
}

/* The size of the additional data in bits, 64 of them (RFC 7518 §5.2.2.1 step 4). */
static void write_length(struct jose_aad aad, unsigned char length[static 8])
{
	unsigned long long bits = (unsigned long long)aad.size * 8;

	for (int i = 0; i < 8; i++)
		length[i] = (unsigned char)(bits >> (56 - 8 * i));
}

/* The first half of the key authenticates, and half of what comes out is the tag. */
static int make_tag(const struct jose_alg *enc, const struct secret *key, struct jose_aad aad,
		    const void *iv, const struct secret *ciphertext, struct secret *tag,
		    struct error *err)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	MAC_AUTO EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)enc->hash, 0),
		OSSL_PARAM_END,
	};
	unsigned char length[8];
	unsigned char full[MAC_MAX];
	size_t size = 0;
	int rc;

	EVP_MAC_free(mac);
	write_length(aad, length);
	if (!ctx || EVP_MAC_init(ctx, key->data, key->size / 2, params) != 1 ||
	    EVP_MAC_update(ctx, aad.data, aad.size) != 1 ||
	    EVP_MAC_update(ctx, iv, JOSE_CBC_IV) != 1 ||
	    EVP_MAC_update(ctx, ciphertext->data, ciphertext->size) != 1 ||
	    EVP_MAC_update(ctx, length, sizeof(length)) != 1 ||
	    EVP_MAC_final(ctx, full, &size, sizeof(full)) != 1 || size < enc->key_size / 2)
		return error_set(err, -EIO, "%s failed", enc->name);
	rc = secret_copy(tag, full, enc->key_size / 2, err);
	secret_wipe(full, sizeof(full));
	return rc;
}

int jose_cbc_encrypt(const struct jose_alg *enc, const struct secret *key,
		     const unsigned char iv[static JOSE_CBC_IV], struct jose_aad aad,
		     const struct secret *plain, struct secret *ciphertext, struct secret *tag,
		     struct error *err)
{
	CTX_AUTO EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	SECRET_AUTO struct secret out = {0};
	int n = 0;
	int last = 0;
	int rc;

	if (key->size != enc->key_size || plain->size > INT_MAX - BLOCK)
		return error_set(err, -EINVAL, "%s takes a key of %zu bytes", enc->name,
				 enc->key_size);
	rc = secret_new(&out, (plain->size / BLOCK + 1) * BLOCK, err);
	if (rc < 0)
		return rc;
	if (!ctx ||
	    EVP_EncryptInit_ex2(ctx, cipher_of(enc), key->data + key->size / 2, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, out.data, &n, plain->data, (int)plain->size) != 1 ||
	    EVP_EncryptFinal_ex(ctx, out.data + n, &last) != 1 ||
	    (size_t)n + (size_t)last != out.size)
		return error_set(err, -EIO, "encryption failed");
	rc = make_tag(enc, key, aad, iv, &out, tag, err);
	if (rc == 0)
		secret_move(ciphertext, &out);
	return rc;
}

/* A padding that is wrong behind a right tag says what a wrong tag says. */
static int wrong(struct error *err)
{
	return error_set(err, -EBADMSG, "decryption failed: wrong key, or data changed");
}

int jose_cbc_decrypt(const struct jose_alg *enc, const struct secret *key, const struct secret *iv,
		     struct jose_aad aad, const struct secret *ciphertext, const struct secret *tag,
		     struct secret *plain, struct error *err)
{
	CTX_AUTO EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	SECRET_AUTO struct secret expected = {0};
	SECRET_AUTO struct secret out = {0};
	int n = 0;
	int last = 0;
	int rc;

	if (key->size != enc->key_size || iv->size != JOSE_CBC_IV ||
	    tag->size != enc->key_size / 2 || ciphertext->size == 0 ||
	    ciphertext->size % BLOCK != 0 || ciphertext->size > INT_MAX - BLOCK)
		return error_set(err, -EBADMSG,
				 "key, 'iv', 'ciphertext' or 'tag' have the wrong size for %s",
				 enc->name);
	rc = make_tag(enc, key, aad, iv->data, ciphertext, &expected, err);
	if (rc < 0)
		return rc;
	if (!secret_equal(&expected, tag))
		return wrong(err);
	rc = secret_new(&out, ciphertext->size, err);
	if (rc < 0)
		return rc;
	if (!ctx ||
	    EVP_DecryptInit_ex2(ctx, cipher_of(enc), key->data + key->size / 2, iv->data, NULL) !=
		    1 ||
	    EVP_DecryptUpdate(ctx, out.data, &n, ciphertext->data, (int)ciphertext->size) != 1 ||
	    EVP_DecryptFinal_ex(ctx, out.data + n, &last) != 1)
		return wrong(err);
	rc = secret_resize(&out, (size_t)n + (size_t)last, err);
	if (rc == 0)
		secret_move(plain, &out);
	return rc;
}
