/* SPDX-License-Identifier: Apache-2.0 */
/* RSA keys (RFC 7518 §6.3): read, checked and made. */
#include "jose/pkey.h"

#include "jose/b64.h"

#include <errno.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

/* In the order of the table below. */
enum { N, E, D, P, Q, DP, DQ, QI, NUMBERS };

static const struct {
	const char *member;
	const char *param;
} names[NUMBERS] = {
	[N] = {"n", OSSL_PKEY_PARAM_RSA_N},
	[E] = {"e", OSSL_PKEY_PARAM_RSA_E},
	[D] = {"d", OSSL_PKEY_PARAM_RSA_D},
	[P] = {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
	[Q] = {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
	[DP] = {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
	[DQ] = {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
	[QI] = {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
};

struct numbers {
	BIGNUM *of[NUMBERS];
};

static void numbers_free(struct numbers *numbers)
{
	for (size_t i = 0; i < NUMBERS; i++)
		BN_clear_free(numbers->of[i]);
}

#define NUMBERS_AUTO __attribute__((cleanup(numbers_free)))

/* Without a zero in front (RFC 7518 §2): one key must have one spelling, and so one thumbprint. */
static int read_number(const json_t *jwk, size_t which, BIGNUM **number, struct error *err)
{
	SECRET_AUTO struct secret bytes = {0};
	int rc = jose_b64_member(jwk, names[which].member, &bytes, err);

	if (rc < 0)
		return rc;
	if (bytes.size == 0 || bytes.size > JOSE_RSA_BITS_MAX / 8 || bytes.data[0] == 0)
		return error_set(err, -EINVAL, "'%s' is empty, too large, or begins with zeros",
				 names[which].member);
	*number = which < D ? BN_new() : BN_secure_new();
	if (!*number || !BN_bin2bn(bytes.data, (int)bytes.size, *number))
		return error_nomem(err);
	return 0;
}

/*
 * An exponent of 3 is accepted from others: RFC 8017 allows it and what makes it weak, signatures and paddings that are not
 * checked whole, is not done here. 64 bits bound the work that a stranger's key can cause.
 */
static int check_public(const struct numbers *numbers, struct error *err)
{
	int bits = BN_num_bits(numbers->of[N]);

	if (bits < JOSE_RSA_BITS_MIN || bits > JOSE_RSA_BITS_MAX)
		return error_set(err, -EINVAL, "an RSA key of %d bits: must be %d to %d", bits,
				 JOSE_RSA_BITS_MIN, JOSE_RSA_BITS_MAX);
	if (!BN_is_odd(numbers->of[N]))
		return error_set(err, -EINVAL, "'n' is even");
	if (!BN_is_odd(numbers->of[E]) || BN_is_one(numbers->of[E]) ||
	    BN_num_bits(numbers->of[E]) > 64)
		return error_set(err, -EINVAL,
				 "'e' must be odd, at least 3 and no longer than 64 bits");
	return 0;
}

static int check_factors(const struct numbers *numbers, struct error *err)
{
	BN_CTX *ctx = BN_CTX_secure_new();
	BIGNUM *product = BN_secure_new();
	int rc = 0;

	if (!ctx || !product || BN_mul(product, numbers->of[P], numbers->of[Q], ctx) != 1)
		rc = error_nomem(err);
	else if (BN_cmp(product, numbers->of[N]) != 0 || BN_is_one(numbers->of[P]) ||
		 BN_is_one(numbers->of[Q]))
		rc = error_set(err, -EINVAL, "'n' is not 'p' times 'q'");
	BN_clear_free(product);
	BN_CTX_free(ctx);
	return rc;
}

/* `d` alone, or with all the others (RFC 7518 §6.3.2). */
static int read_private(const json_t *jwk, struct numbers *numbers, struct error *err)
{
	int rc = read_number(jwk, D, &numbers->of[D], err);
	bool all = false;

	if (json_object_get(jwk, "oth"))
		return error_set(err, -EINVAL,
				 "RSA keys of more than two primes are not supported");
	for (size_t i = P; i < NUMBERS; i++)
		all = all || json_object_get(jwk, names[i].member);
	for (size_t i = P; rc == 0 && all && i < NUMBERS; i++)
		rc = read_number(jwk, i, &numbers->of[i], err);
	if (rc == 0 && (!BN_is_odd(numbers->of[D]) || BN_cmp(numbers->of[D], numbers->of[N]) >= 0))
		return error_set(err, -EINVAL, "'d' is out of range");
	return rc == 0 && all ? check_factors(numbers, err) : rc;
}

static int make_pkey(const struct numbers *numbers, bool with_private, EVP_PKEY **pkey,
		     struct error *err)
{
	PKEY_CTX_AUTO EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	bool pushed = builder != NULL;
	int rc = 0;

	for (size_t i = 0; pushed && i < NUMBERS; i++)
		if (numbers->of[i])
			pushed = OSSL_PARAM_BLD_push_BN(builder, names[i].param, numbers->of[i]) ==
				 1;
	params = pushed ? OSSL_PARAM_BLD_to_param(builder) : NULL;
	if (!ctx || !params)
		rc = error_nomem(err);
	else if (EVP_PKEY_fromdata_init(ctx) != 1 ||
		 EVP_PKEY_fromdata(ctx, pkey, with_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
				   params) != 1)
		rc = error_set(err, -EINVAL, "not a valid RSA key");
	OSSL_PARAM_free(params); /* wipes what came from secure numbers */
	OSSL_PARAM_BLD_free(builder);
	return rc;
}

int jose_rsa_read(const json_t *jwk, bool with_private, EVP_PKEY **pkey, struct error *err)
{
	NUMBERS_AUTO struct numbers numbers = {{NULL}};
	int rc = read_number(jwk, N, &numbers.of[N], err);

	if (rc == 0)
		rc = read_number(jwk, E, &numbers.of[E], err);
	if (rc == 0)
		rc = check_public(&numbers, err);
	if (rc == 0 && with_private)
		rc = read_private(jwk, &numbers, err);
	return rc < 0 ? rc : make_pkey(&numbers, with_private, pkey, err);
}

/* Where the template says `e`, a number or base64url; else 65537. Not less, which no standard for new keys allows. */
static int wanted_exponent(const json_t *jwk, BIGNUM **exponent, struct error *err)
{
	const json_t *e = json_object_get(jwk, "e");
	json_int_t number = e ? json_integer_value(e) : RSA_F4;
	int rc = 0;

	if (json_is_string(e)) {
		rc = read_number(jwk, E, exponent, err);
	} else if (number > 0) {
		*exponent = BN_new();
		if (!*exponent || BN_set_word(*exponent, (BN_ULONG)number) != 1)
			rc = error_nomem(err);
	}
	if (rc == 0 && (!*exponent || !BN_is_odd(*exponent) || BN_num_bits(*exponent) < 17 ||
			BN_num_bits(*exponent) > 64))
		rc = error_set(err, -EINVAL,
			       "JWK generation failed: 'e' must be odd, 65537 to 64 bits");
	return rc;
}

static int make_pair(int bits, BIGNUM *exponent, EVP_PKEY **pkey, struct error *err)
{
	PKEY_CTX_AUTO EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);

	if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) != 1 ||
	    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent) != 1 ||
	    EVP_PKEY_generate(ctx, pkey) != 1)
		return error_set(err, -EIO, "making an RSA key failed");
	return 0;
}

static int store(EVP_PKEY *pkey, json_t *jwk, struct error *err)
{
	NUMBERS_AUTO struct numbers numbers = {{NULL}};

	for (size_t i = 0; i < NUMBERS; i++) {
		SECRET_AUTO struct secret bytes = {0};
		int rc;

		if (EVP_PKEY_get_bn_param(pkey, names[i].param, &numbers.of[i]) != 1)
			return error_set(err, -EIO, "making an RSA key failed");
		rc = secret_new(&bytes, (size_t)BN_num_bytes(numbers.of[i]), err);
		if (rc < 0)
			return rc;
		(void)BN_bn2bin(numbers.of[i], bytes.data);
		if (json_object_set_new(jwk, names[i].member,
					jose_b64_json(bytes.data, bytes.size)) < 0)
			return error_nomem(err);
	}
	return 0;
}

int jose_rsa_generate(json_t *jwk, struct error *err)
{
	const json_t *bits = json_object_get(jwk, "bits");
	json_int_t wanted = bits ? json_integer_value(bits) : JOSE_RSA_BITS_MIN;
	NUMBERS_AUTO struct numbers numbers = {{NULL}};
	PKEY_AUTO EVP_PKEY *pkey = NULL;
	int rc = wanted_exponent(jwk, &numbers.of[E], err);

	if (rc < 0)
		return rc;
	if (wanted < JOSE_RSA_BITS_MIN || wanted > JOSE_RSA_BITS_MAX)
		return error_set(err, -EINVAL, "JWK generation failed: 'bits' must be %d to %d",
				 JOSE_RSA_BITS_MIN, JOSE_RSA_BITS_MAX);
	rc = make_pair((int)wanted, numbers.of[E], &pkey, err);
	if (rc < 0)
		return rc;
	(void)json_object_del(jwk, "bits");
	if (json_object_set_new(jwk, "kty", json_string("RSA")) < 0)
		return error_nomem(err);
	return store(pkey, jwk, err);
}
