/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/ecdh_es.h"

#include "jose/aead.h"
#include "jose/b64.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

static void put_length(unsigned char *to, size_t length)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char)(length >> (24 - 8 * i));
}

/* Appends a 32-bit big-endian length and the data, as OtherInfo's parts are written. */
static int append(struct secret *info, const void *data, size_t size, struct error *err)
{
	size_t before = info->size;
	int rc = secret_resize(info, before + 4 + size, err);

	if (rc < 0)
		return rc;
	put_length(info->data + before, size);
	if (size > 0)
		memcpy(info->data + before + 4, data, size);
	return 0;
}

static int append_member(struct secret *info, const json_t *header, const char *name,
			 struct error *err)
{
	SECRET_AUTO struct secret value = {0};

	if (json_object_get(header, name)) {
		int rc = jose_b64_member(header, name, &value, err);

		if (rc < 0)
			return rc;
	}
	return append(info, value.data, value.size, err);
}

static int make_info(const json_t *header, const char *id, size_t size, struct secret *info,
		     struct error *err)
{
	int rc = append(info, id, id ? strlen(id) : 0, err);

	if (rc == 0)
		rc = append_member(info, header, "apu", err);
	if (rc == 0)
		rc = append_member(info, header, "apv", err);
	if (rc == 0)
		rc = secret_resize(info, info->size + 4, err);
	if (rc == 0)
		put_length(info->data + info->size - 4, size * 8);
	return rc;
}

static void free_ctx(EVP_KDF_CTX **ctx)
{
	EVP_KDF_CTX_free(*ctx);
}

static int concat_kdf(const struct secret *z, const struct secret *info, struct secret *key,
		      struct error *err)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_SSKDF, NULL);
	__attribute__((cleanup(free_ctx))) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, z->data, z->size),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info->data, info->size),
		OSSL_PARAM_END,
	};

	EVP_KDF_free(kdf);
	if (!ctx || EVP_KDF_derive(ctx, key->data, key->size, params) != 1)
		return error_set(err, -EIO, "key derivation failed");
	return 0;
}

int jose_ecdh_es_derive_for(const struct secret *z, const json_t *header, const char *id,
			    size_t size, struct secret *key, struct error *err)
{
	SECRET_AUTO struct secret info = {0};
	SECRET_AUTO struct secret derived = {0};
	int rc = make_info(header, id, size, &info, err);

	if (rc == 0)
		rc = secret_new(&derived, size, err);
	if (rc == 0)
		rc = concat_kdf(z, &info, &derived, err);
	if (rc == 0)
		secret_move(key, &derived);
	return rc;
}

int jose_ecdh_es_derive(const struct secret *z, const json_t *header, struct secret *key,
			struct error *err)
{
	return jose_ecdh_es_derive_for(z, header, json_string_value(json_object_get(header, "enc")),
				       JOSE_GCM_KEY, key, err);
}
