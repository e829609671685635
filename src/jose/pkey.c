/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/pkey.h"

#include "jose/b64.h"
#include "jose/ec.h"

#include <errno.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>

static const struct jose_pair_curve pair_curves[] = {
	{"secp256k1", "EC", "secp256k1", 32}, {"Ed25519", "OKP", "ED25519", 32},
	{"Ed448", "OKP", "ED448", 57},	      {"X25519", "OKP", "X25519", 32},
	{"X448", "OKP", "X448", 56},
};

void jose_pkey_free(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

void jose_pkey_ctx_free(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

void jose_md_ctx_free(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

const struct jose_pair_curve *jose_pair_curve_named(const char *name)
{
	for (size_t i = 0; name && i < sizeof(pair_curves) / sizeof(*pair_curves); i++)
		if (strcmp(pair_curves[i].name, name) == 0)
			return &pair_curves[i];
	return NULL;
}

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

/* `encoded`: the point, uncompressed. OpenSSL refuses one that is not on the curve, and coordinates beyond the field. */
static int make_ec(const char *group, unsigned char *encoded, size_t size,
		   const struct secret *scalar, EVP_PKEY **pkey, struct error *err)
{
	PKEY_CTX_AUTO EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	SECRET_AUTO struct secret native = {0};
	OSSL_PARAM params[4] = {OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END};

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, encoded, size);
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

static int read_ec(const json_t *jwk, bool with_private, EVP_PKEY **pkey, struct error *err)
{
	SECRET_AUTO struct secret scalar = {0};
	unsigned char encoded[1 + 2 * JOSE_COORDINATE_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
	const struct jose_curve *curve = NULL;
	struct jose_point point;
	int rc = jose_point_from_jwk(jwk, &point, err);

	if (rc < 0)
		return rc;
	curve = jose_curve((int)point.curve);
	if (with_private)
		rc = jose_scalar_from_jwk(jwk, curve, &scalar, err);
	if (rc < 0)
		return rc;
	memcpy(encoded + 1, point.x, curve->coordinate_size);
	memcpy(encoded + 1 + curve->coordinate_size, point.y, curve->coordinate_size);
	return make_ec(curve->group, encoded, 1 + 2 * curve->coordinate_size, &scalar, pkey, err);
}

static int read_exactly(const json_t *jwk, const char *name, const struct jose_pair_curve *curve,
			struct secret *bytes, struct error *err)
{
	SECRET_AUTO struct secret read = {0};
	int rc = jose_b64_member(jwk, name, &read, err);

	if (rc < 0)
		return rc;
	if (read.size != curve->size)
		return error_set(err, -EINVAL, "'%s' has %zu bytes, a key on %s has %zu", name,
				 read.size, curve->name, curve->size);
	secret_move(bytes, &read);
	return 0;
}

/* Whether 0 < d < the order of the group. */
static int check_private(EVP_PKEY *pkey, struct error *err)
{
	PKEY_CTX_AUTO EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

	if (!ctx || EVP_PKEY_private_check(ctx) != 1)
		return error_set(err, -EINVAL, "'d' is out of range");
	return 0;
}

static int read_secp256k1(const json_t *jwk, const struct jose_pair_curve *curve, bool with_private,
			  EVP_PKEY **pkey, struct error *err)
{
	SECRET_AUTO struct secret x = {0};
	SECRET_AUTO struct secret y = {0};
	SECRET_AUTO struct secret d = {0};
	unsigned char encoded[1 + 2 * 32] = {POINT_CONVERSION_UNCOMPRESSED};
	PKEY_AUTO EVP_PKEY *made = NULL;
	int rc = read_exactly(jwk, "x", curve, &x, err);

	if (rc == 0)
		rc = read_exactly(jwk, "y", curve, &y, err);
	if (rc == 0 && with_private)
		rc = read_exactly(jwk, "d", curve, &d, err);
	if (rc < 0)
		return rc;
	memcpy(encoded + 1, x.data, x.size);
	memcpy(encoded + 1 + x.size, y.data, y.size);
	rc = make_ec(curve->openssl, encoded, sizeof(encoded), &d, &made, err);
	if (rc == 0 && with_private)
		rc = check_private(made, err);
	if (rc < 0)
		return rc;
	*pkey = made;
	made = NULL;
	return 0;
}

/* The private key makes the public one here, and must make the one that the JWK names. */
static int read_okp_private(const json_t *jwk, const struct jose_pair_curve *curve,
			    const struct secret *x, EVP_PKEY **pkey, struct error *err)
{
	SECRET_AUTO struct secret d = {0};
	PKEY_AUTO EVP_PKEY *made = NULL;
	unsigned char own[64];
	size_t size = sizeof(own);
	int rc = read_exactly(jwk, "d", curve, &d, err);

	if (rc < 0)
		return rc;
	made = EVP_PKEY_new_raw_private_key_ex(NULL, curve->openssl, NULL, d.data, d.size);
	if (!made || EVP_PKEY_get_raw_public_key(made, own, &size) != 1)
		return error_set(err, -EINVAL, "not a valid %s key", curve->name);
	if (size != x->size || memcmp(own, x->data, size) != 0)
		return error_set(err, -EINVAL, "'x' is not the public part of 'd'");
	*pkey = made;
	made = NULL;
	return 0;
}

static int read_okp(const json_t *jwk, const struct jose_pair_curve *curve, bool with_private,
		    EVP_PKEY **pkey, struct error *err)
{
	SECRET_AUTO struct secret x = {0};
	int rc = read_exactly(jwk, "x", curve, &x, err);

	if (rc < 0)
		return rc;
	if (with_private)
		return read_okp_private(jwk, curve, &x, pkey, err);
	*pkey = EVP_PKEY_new_raw_public_key_ex(NULL, curve->openssl, NULL, x.data, x.size);
	return *pkey ? 0 : error_set(err, -EINVAL, "not a valid %s key", curve->name);
}

int jose_pkey_read(const json_t *jwk, bool with_private, EVP_PKEY **pkey, struct error *err)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));
	const char *crv = json_string_value(json_object_get(jwk, "crv"));
	const struct jose_pair_curve *curve = jose_pair_curve_named(crv);

	if (kty && strcmp(kty, "RSA") == 0)
		return jose_rsa_read(jwk, with_private, pkey, err);
	if (kty && curve && strcmp(kty, curve->kty) == 0)
		return strcmp(kty, "OKP") == 0
			       ? read_okp(jwk, curve, with_private, pkey, err)
			       : read_secp256k1(jwk, curve, with_private, pkey, err);
	if (kty && strcmp(kty, "OKP") == 0)
		return error_set(err, -EINVAL, "'crv' is %s, not Ed25519, Ed448, X25519 or X448",
				 crv ? crv : "missing");
	return read_ec(jwk, with_private, pkey, err);
}

static int store_okp(EVP_PKEY *pkey, const struct jose_pair_curve *curve, json_t *jwk,
		     struct error *err)
{
	SECRET_AUTO struct secret d = {0};
	unsigned char x[64];
	size_t x_size = sizeof(x);
	size_t d_size = curve->size;
	int rc = secret_new(&d, curve->size, err);

	if (rc < 0)
		return rc;
	if (EVP_PKEY_get_raw_public_key(pkey, x, &x_size) != 1 ||
	    EVP_PKEY_get_raw_private_key(pkey, d.data, &d_size) != 1)
		return error_set(err, -EIO, "making a key failed");
	return json_object_set_new(jwk, "x", jose_b64_json(x, x_size)) < 0 ||
			       json_object_set_new(jwk, "d", jose_b64_json(d.data, d_size)) < 0
		       ? error_nomem(err)
		       : 0;
}

static int store_number(EVP_PKEY *pkey, const char *param, const char *name, size_t size,
			json_t *jwk, struct error *err)
{
	SECRET_AUTO struct secret bytes = {0};
	BIGNUM *number = NULL;
	int rc = secret_new(&bytes, size, err);

	if (rc < 0)
		return rc;
	if (EVP_PKEY_get_bn_param(pkey, param, &number) != 1 ||
	    BN_bn2binpad(number, bytes.data, (int)size) != (int)size)
		rc = error_set(err, -EIO, "making a key failed");
	BN_clear_free(number);
	if (rc == 0 && json_object_set_new(jwk, name, jose_b64_json(bytes.data, size)) < 0)
		rc = error_nomem(err);
	return rc;
}

static int store_ec(EVP_PKEY *pkey, const struct jose_pair_curve *curve, json_t *jwk,
		    struct error *err)
{
	int rc = store_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, "x", curve->size, jwk, err);

	if (rc == 0)
		rc = store_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, "y", curve->size, jwk, err);
	if (rc == 0)
		rc = store_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, "d", curve->size, jwk, err);
	return rc;
}

int jose_pair_generate(const struct jose_pair_curve *curve, json_t *jwk, struct error *err)
{
	bool is_ec = strcmp(curve->kty, "EC") == 0;
	PKEY_AUTO EVP_PKEY *pkey = is_ec ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve->openssl)
					 : EVP_PKEY_Q_keygen(NULL, NULL, curve->openssl);

	if (!pkey)
		return error_set(err, -EIO, "making a key failed");
	if (json_object_set_new(jwk, "kty", json_string(curve->kty)) < 0 ||
	    json_object_set_new(jwk, "crv", json_string(curve->name)) < 0)
		return error_nomem(err);
	return is_ec ? store_ec(pkey, curve, jwk, err) : store_okp(pkey, curve, jwk, err);
}
