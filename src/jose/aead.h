/* SPDX-License-Identifier: Apache-2.0 */
/* Content encryption: AES in GCM, and in CBC with HMAC (RFC 7518 §5). Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "jose/alg.h"

enum { JOSE_GCM_KEY = 32, JOSE_GCM_IV = 12, JOSE_GCM_TAG = 16 }; /* bytes; the key is A256GCM's */
enum { JOSE_CBC_IV = 16 };

/* What is authenticated beside the content: bytes, not owned. */
struct jose_aad {
	const void *data;
	size_t size;
};

/* What comes out of a content encryption. */
struct jose_sealed {
	struct secret iv;
	struct secret ciphertext;
	struct secret tag;
};

#define SEALED_AUTO __attribute__((cleanup(jose_sealed_free)))
void jose_sealed_free(struct jose_sealed *sealed);

/*
 * Encrypts by the algorithm `enc`, under an IV that is drawn here. Returns 0 with `sealed` (to be freed), which must hold
 * nothing; -EINVAL with `err` filled when the key has not the algorithm's size, -ENOMEM, -EIO.
 */
int jose_content_seal(const struct jose_alg *enc, const struct secret *key, struct jose_aad aad,
		      const struct secret *plain, struct jose_sealed *sealed, struct error *err);

/* Decrypts, the tag first. Returns 0; -EBADMSG for a wrong size or tag, without saying which part is wrong; -ENOMEM. */
int jose_content_open(const struct jose_alg *enc, const struct secret *key, struct jose_aad aad,
		      const struct jose_sealed *sealed, struct secret *plain, struct error *err);

/*
 * AES-GCM with a key of 16, 24 or 32 bytes; `ciphertext` (public, but of any size) is as long as `plain`.
 * Returns 0, -EINVAL, -ENOMEM or -EIO with `err` filled.
 */
int jose_gcm_encrypt(const struct secret *key, const unsigned char iv[static JOSE_GCM_IV],
		     struct jose_aad aad, const struct secret *plain, struct secret *ciphertext,
		     unsigned char tag[static JOSE_GCM_TAG], struct error *err);

/* Decrypts and checks the tag before anything is handed out. Returns 0; -EBADMSG when the tag is wrong; -ENOMEM. */
int jose_gcm_decrypt(const struct secret *key, const struct secret *iv, struct jose_aad aad,
		     const struct secret *ciphertext, const struct secret *tag,
		     struct secret *plain, struct error *err);

/*
 * AES-CBC with HMAC (RFC 7518 §5.2) by the algorithm `enc`; the tag has half of the key's size. The tag is compared in
 * constant time, before the padding is looked at. Return as the two above.
 */
int jose_cbc_encrypt(const struct jose_alg *enc, const struct secret *key,
		     const unsigned char iv[static JOSE_CBC_IV], struct jose_aad aad,
		     const struct secret *plain, struct secret *ciphertext, struct secret *tag,
		     struct error *err);
int jose_cbc_decrypt(const struct jose_alg *enc, const struct secret *key, const struct secret *iv,
		     struct jose_aad aad, const struct secret *ciphertext, const struct secret *tag,
		     struct secret *plain, struct error *err);
