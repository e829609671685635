/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/ecdsa.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>

static const struct {
	const char *alg;
	const char *hash;
} by_curve[JOSE_CURVES] = {
	[JOSE_P256] = {"ES256", "SHA256"},
	[JOSE_P384] = {"ES384", "SHA384"},
	[JOSE_P521] = {"ES512", "SHA512"},
};

/* DER of SEQUENCE { INTEGER r, INTEGER s } on P-521. */
enum { DER_MAX = 3 + 2 * (3 + JOSE_COORDINATE_MAX) };

const char *jose_ecdsa_alg(enum jose_curve_id curve)
{
	return by_curve[curve].alg;
}

static void free_pkey(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

static void free_pkey_ctx(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

static void free_md_ctx(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static void free_signature(ECDSA_SIG **signature)
{
	ECDSA_SIG_free(*signature);
}

#define PKEY_AUTO __attribute__((cleanup(free_pkey)))
#define PKEY_CTX_AUTO __attribute__((cleanup(free_pkey_ctx)))
#define MD_CTX_AUTO __attribute__((cleanup(free_md_ctx)))
#define SIGNATURE_AUTO __attribute__((cleanup(free_signature)))

/* OSSL_PARAM wants integers in the machine's byte order, ours stand big-endian. */
static int native_order(const struct secret *big_endian, struct secret *native, struct error *err)
{
	int rc = secret_copy(native, big_endian->data, big_endian->size, err);

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	for (size_t i = 0; rc == 0 && i < native->size; i++)
		native->data[i] = big_endian->data[native->size - 1 - i];
#endif
	return rc;
}

static int make_pkey(const struct jose_point *point, const struct secret *scalar, EVP_PKEY **pkey,
		     struct error *err)
{
	const struct jose_curve *curve = jose_curve((int)point->curve);
	PKEY_CTX_AUTO EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	SECRET_AUTO struct secret native = {0};
	unsigned char encoded[1 + 2 * JOSE_COORDINATE_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
	size_t size = curve->coordinate_size;
	OSSL_PARAM params[4] = {OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END};

	memcpy(encoded + 1, point->x, size);
	memcpy(encoded + 1 + size, point->y, size);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
						     (char *)curve->group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, encoded,
						      1 + 2 * size);
	if (scalar->size > 0) {
		int rc = native_order(scalar, &native, err);

		if (rc < 0)
			return rc;
		params[2] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native.data,
						    native.size);
	}
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, pkey, scalar->size > 0 ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
			      params) != 1)
		return error_set(err, -EINVAL, "not a valid EC key");
	return 0;
}

static int load_key(const json_t *jwk, bool with_private, struct jose_point *point, EVP_PKEY **pkey,
		    struct error *err)
{
	SECRET_AUTO struct secret scalar = {0};
	int rc = jose_point_from_jwk(jwk, point, err);

	if (rc == 0 && with_private)
		rc = jose_scalar_from_jwk(jwk, jose_curve((int)point->curve), &scalar, err);
	return rc < 0 ? rc : make_pkey(point, &scalar, pkey, err);
}

static int split_der(const unsigned char *der, size_t size, size_t half, unsigned char *raw,
		     struct error *err)
{
	SIGNATURE_AUTO ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &der, (long)size);

	if (!parsed || BN_bn2binpad(ECDSA_SIG_get0_r(parsed), raw, (int)half) != (int)half ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(parsed), raw + half, (int)half) != (int)half)
		return error_set(err, -EIO, "signing failed");
	return 0;
}

int jose_ecdsa_sign(const json_t *jwk, const void *data, size_t size,
		    unsigned char signature[static JOSE_ECDSA_MAX], struct error *err)
{
	PKEY_AUTO EVP_PKEY *pkey = NULL;
	MD_CTX_AUTO EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct jose_point point;
	unsigned char der[DER_MAX];
	size_t der_size = sizeof(der);
	int rc = load_key(jwk, true, &point, &pkey, err);

	if (rc < 0)
		return rc;
	if (!ctx ||
	    EVP_DigestSignInit_ex(ctx, NULL, by_curve[point.curve].hash, NULL, NULL, pkey, NULL) !=
		    1 ||
	    EVP_DigestSign(ctx, der, &der_size, data, size) != 1)
		return error_set(err, -EIO, "signing failed");
	return split_der(der, der_size, jose_curve((int)point.curve)->coordinate_size, signature,
			 err);
}

static int join_der(const struct secret *raw, unsigned char der[static DER_MAX], int *size,
		    struct error *err)
{
	SIGNATURE_AUTO ECDSA_SIG *joined = ECDSA_SIG_new();
	int half = (int)raw->size / 2;
	BIGNUM *r = BN_bin2bn(raw->data, half, NULL);
	BIGNUM *s = BN_bin2bn(raw->data + half, half, NULL);
	unsigned char *end = der;

	if (!joined || !r || !s || ECDSA_SIG_set0(joined, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		return error_nomem(err);
	}
	*size = i2d_ECDSA_SIG(joined, &end);
	return *size > 0 ? 0 : error_nomem(err);
}

int jose_ecdsa_verify(const json_t *jwk, const void *data, size_t size,
		      const struct secret *signature, struct error *err)
{
	PKEY_AUTO EVP_PKEY *pkey = NULL;
	MD_CTX_AUTO EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct jose_point point;
	unsigned char der[DER_MAX];
	int der_size = 0;
	int rc = load_key(jwk, false, &point, &pkey, err);

	if (rc < 0)
		return rc;
	if (signature->size != 2 * jose_curve((int)point.curve)->coordinate_size)
		return error_set(err, -EBADMSG, "the signature has not the size of %s",
				 by_curve[point.curve].alg);
	rc = join_der(signature, der, &der_size, err);
	if (rc < 0)
		return rc;
	if (!ctx || EVP_DigestVerifyInit_ex(ctx, NULL, by_curve[point.curve].hash, NULL, NULL, pkey,
					    NULL) != 1)
		return error_nomem(err);
	if (EVP_DigestVerify(ctx, der, (size_t)der_size, data, size) != 1)
		return error_set(err, -EBADMSG, "the signature is not by this key");
	return 0;
}
