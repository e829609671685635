/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/aead.h"

#include <errno.h>

#include <openssl/rand.h>

void jose_sealed_free(struct jose_sealed *sealed)
{
	secret_free(&sealed->iv);
	secret_free(&sealed->ciphertext);
	secret_free(&sealed->tag);
}

int jose_content_seal(const struct jose_alg *enc, const struct secret *key, struct jose_aad aad,
		      const struct secret *plain, struct jose_sealed *sealed, struct error *err)
{
	bool gcm = enc->family == JOSE_GCM;
	unsigned char tag[JOSE_GCM_TAG];
	int rc;

	if (key->size != enc->key_size)
		return error_set(err, -EINVAL, "%s takes a key of %zu bytes, not of %zu", enc->name,
				 enc->key_size, key->size);
	rc = secret_new(&sealed->iv, gcm ? JOSE_GCM_IV : JOSE_CBC_IV, err);
	if (rc < 0)
		return rc;
	if (RAND_bytes(sealed->iv.data, (int)sealed->iv.size) != 1)
		return error_set(err, -EIO, "no random numbers to be had");
	if (!gcm)
		return jose_cbc_encrypt(enc, key, sealed->iv.data, aad, plain, &sealed->ciphertext,
					&sealed->tag, err);
	rc = jose_gcm_encrypt(key, sealed->iv.data, aad, plain, &sealed->ciphertext, tag, err);
	return rc < 0 ? rc : secret_copy(&sealed->tag, tag, sizeof(tag), err);
}

int jose_content_open(const struct jose_alg *enc, const struct secret *key, struct jose_aad aad,
		      const struct jose_sealed *sealed, struct secret *plain, struct error *err)
{
	if (key->size != enc->key_size)
		return error_set(err, -EBADMSG, "%s takes a key of %zu bytes", enc->name,
				 enc->key_size);
	return enc->family == JOSE_GCM
		       ? jose_gcm_decrypt(key, &sealed->iv, aad, &sealed->ciphertext, &sealed->tag,
					  plain, err)
		       : jose_cbc_decrypt(enc, key, &sealed->iv, aad, &sealed->ciphertext,
					  &sealed->tag, plain, err);
}
