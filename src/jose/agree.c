/* SPDX-License-Identifier: Apache-2.0 */
/* The agreement of ECDH-ES, on the curves of ec.h and on X25519 and X448. */
#include "jose/ecdh_es.h"

#include "jose/b64.h"
#include "jose/ec.h"
#include "jose/pkey.h"

#include <errno.h>
#include <string.h>

static const struct jose_pair_curve *okp_of(const json_t *jwk)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));
	const char *crv = json_string_value(json_object_get(jwk, "crv"));

	return kty && strcmp(kty, "OKP") == 0 && crv && crv[0] == 'X' ? jose_pair_curve_named(crv)
								      : NULL;
}

/* OpenSSL refuses a Z of zeros, which a point of small order makes (RFC 8037 §3.2.1). */
static int derive(EVP_PKEY *own, EVP_PKEY *peer, struct secret *z, struct error *err)
{
	PKEY_CTX_AUTO EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	SECRET_AUTO struct secret made = {0};
	size_t size = 0;
	int rc;

	if (!ctx || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
	    EVP_PKEY_derive(ctx, NULL, &size) != 1)
		return error_set(err, -EINVAL, "the keys cannot agree");
	rc = secret_new(&made, size, err);
	if (rc < 0)
		return rc;
	if (EVP_PKEY_derive(ctx, made.data, &size) != 1 || size != made.size)
		return error_set(err, -EINVAL, "the public key is not one to agree with");
	secret_move(z, &made);
	return 0;
}

static int okp_as_sender(const struct jose_pair_curve *curve, const json_t *jwk, json_t **epk,
			 struct secret *z, struct error *err)
{
	PKEY_AUTO EVP_PKEY *receiver = NULL;
	PKEY_AUTO EVP_PKEY *drawn = NULL;
	unsigned char x[64];
	size_t size = sizeof(x);
	int rc = jose_pkey_read(jwk, false, &receiver, err);

	if (rc < 0)
		return rc;
	drawn = EVP_PKEY_Q_keygen(NULL, NULL, curve->openssl);
	if (!drawn || EVP_PKEY_get_raw_public_key(drawn, x, &size) != 1)
		return error_set(err, -EIO, "making a key failed");
	rc = derive(drawn, receiver, z, err);
	if (rc < 0)
		return rc;
	*epk = json_pack("{s:s, s:s, s:o}", "kty", "OKP", "crv", curve->name, "x",
			 jose_b64_json(x, size));
	return *epk ? 0 : error_nomem(err);
}

int jose_agree_as_sender(const json_t *jwk, json_t **epk, struct secret *z, struct error *err)
{
	const struct jose_pair_curve *okp = okp_of(jwk);
	SECRET_AUTO struct secret place = {0};
	SECRET_AUTO struct secret ephemeral = {0};
	struct jose_point *shared = NULL;
	struct jose_point receiver;
	struct jose_point point;
	int rc;

	if (okp)
		return okp_as_sender(okp, jwk, epk, z, err);
	rc = jose_point_from_jwk(jwk, &receiver, err);
	if (rc == 0)
		rc = jose_point_generate(jose_curve((int)receiver.curve), &ephemeral, &point, err);
	if (rc == 0)
		rc = jose_point_secret(&place, &shared, err);
	if (rc == 0)
		rc = jose_point_multiply(&ephemeral, &receiver, shared, err);
	if (rc == 0)
		rc = jose_point_x(shared, z, err);
	if (rc < 0)
		return rc;
	*epk = jose_point_to_jwk(&point);
	return *epk ? 0 : error_nomem(err);
}

static int bad_epk(struct error *err)
{
	return error_set(err, -EBADMSG, "the JWE's 'epk': %s", err ? err->text : "");
}

static int okp_as_receiver(const struct jose_pair_curve *curve, const json_t *jwk,
			   const json_t *epk, struct secret *z, struct error *err)
{
	PKEY_AUTO EVP_PKEY *own = NULL;
	PKEY_AUTO EVP_PKEY *sender = NULL;
	int rc = jose_pkey_read(jwk, true, &own, err);

	if (rc < 0)
		return rc;
	if (okp_of(epk) != curve)
		return error_set(err, -EBADMSG, "the JWE is for a key on another curve");
	if (jose_pkey_read(epk, false, &sender, err) < 0 || derive(own, sender, z, err) < 0)
		return bad_epk(err);
	return 0;
}

int jose_agree_as_receiver(const json_t *jwk, const json_t *epk, struct secret *z,
			   struct error *err)
{
	const struct jose_pair_curve *okp = okp_of(jwk);
	SECRET_AUTO struct secret scalar = {0};
	SECRET_AUTO struct secret place = {0};
	struct jose_point *shared = NULL;
	struct jose_point sender;
	struct jose_point own;
	int rc;

	if (okp)
		return okp_as_receiver(okp, jwk, epk, z, err);
	if (jose_point_from_jwk(epk, &sender, err) < 0)
		return bad_epk(err);
	rc = jose_point_from_jwk(jwk, &own, err);
	if (rc == 0 && own.curve != sender.curve)
		rc = error_set(err, -EBADMSG, "the JWE is for a key on another curve");
	if (rc == 0)
		rc = jose_scalar_from_jwk(jwk, jose_curve((int)own.curve), &scalar, err);
	if (rc == 0)
		rc = jose_point_secret(&place, &shared, err);
	if (rc == 0)
		rc = jose_point_multiply(&scalar, &sender, shared, err);
	return rc < 0 ? rc : jose_point_x(shared, z, err);
}
