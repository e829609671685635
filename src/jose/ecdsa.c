/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/ecdsa.h"

#include "jose/pkey.h"

#include <errno.h>

#include <openssl/ec.h>

static const char *const by_curve[JOSE_CURVES] = {
	[JOSE_P256] = "ES256",
	[JOSE_P384] = "ES384",
	[JOSE_P521] = "ES512",
};

const char *jose_ecdsa_alg(enum jose_curve_id curve)
{
	return by_curve[curve];
}

size_t jose_ecdsa_half(const char *name)
{
	const struct jose_curve *curve = jose_curve_named(name);

	return curve ? curve->coordinate_size : jose_pair_curve_named(name)->size;
}

static void free_signature(ECDSA_SIG **signature)
{
	ECDSA_SIG_free(*signature);
}

#define SIGNATURE_AUTO __attribute__((cleanup(free_signature)))

int jose_ecdsa_from_der(const unsigned char *der, size_t size, size_t half,
			struct secret *signature, struct error *err)
{
	SIGNATURE_AUTO ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &der, (long)size);
	SECRET_AUTO struct secret raw = {0};
	int rc = secret_new(&raw, 2 * half, err);

	if (rc < 0)
		return rc;
	if (!parsed || BN_bn2binpad(ECDSA_SIG_get0_r(parsed), raw.data, (int)half) != (int)half ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(parsed), raw.data + half, (int)half) != (int)half)
		return error_set(err, -EIO, "signing failed");
	secret_move(signature, &raw);
	return 0;
}

int jose_ecdsa_to_der(const struct secret *signature, unsigned char der[static JOSE_ECDSA_DER_MAX],
		      size_t *size, struct error *err)
{
	SIGNATURE_AUTO ECDSA_SIG *joined = ECDSA_SIG_new();
	int half = (int)signature->size / 2;
	BIGNUM *r = BN_bin2bn(signature->data, half, NULL);
	BIGNUM *s = BN_bin2bn(signature->data + half, half, NULL);
	int written;

	if (!joined || !r || !s || ECDSA_SIG_set0(joined, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		return error_nomem(err);
	}
	written = i2d_ECDSA_SIG(joined, &der);
	if (written <= 0)
		return error_nomem(err);
	*size = (size_t)written;
	return 0;
}
