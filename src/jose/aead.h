/* SPDX-License-Identifier: Apache-2.0 */
/* Content encryption: A256GCM (RFC 7518 §5.3). Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

enum { JOSE_GCM_KEY = 32, JOSE_GCM_IV = 12, JOSE_GCM_TAG = 16 }; /* bytes */

/* What is authenticated beside the content: bytes, not owned. */
struct jose_aad {
	const void *data;
	size_t size;
};

/* Encrypts; `ciphertext` (public, but of any size) is as long as `plain`. Returns 0, -ENOMEM or -EIO with `err` filled. */
int jose_gcm_encrypt(const struct secret *key, const unsigned char iv[static JOSE_GCM_IV],
		     struct jose_aad aad, const struct secret *plain, struct secret *ciphertext,
		     unsigned char tag[static JOSE_GCM_TAG], struct error *err);

/* Decrypts and checks the tag before anything is handed out. Returns 0; -EBADMSG when the tag is wrong; -ENOMEM. */
int jose_gcm_decrypt(const struct secret *key, const struct secret *iv, struct jose_aad aad,
		     const struct secret *ciphertext, const struct secret *tag,
		     struct secret *plain, struct error *err);
