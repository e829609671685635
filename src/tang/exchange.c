/* SPDX-License-Identifier: Apache-2.0 */
#include "tang/exchange.h"

#include "base/json.h"
#include "jose/jose.h"

#include <errno.h>

int tang_blind(const struct jose_point *c, struct secret *blind, struct jose_point *x,
	       struct error *err)
{
	SECRET_AUTO struct secret e = {0};
	struct jose_point e_point;
	int rc = jose_point_check(c, err);

	if (rc == 0)
		rc = jose_point_generate(jose_curve((int)c->curve), &e, &e_point, err);
	if (rc == 0)
		rc = jose_point_add(c, &e_point, x, err);
	if (rc == 0)
		secret_move(blind, &e);
	return rc;
}

int tang_recover(const struct secret *s, const struct jose_point *x, struct jose_point *y,
		 struct error *err)
{
	return jose_point_multiply(s, x, y, err);
}

int tang_unblind(const struct jose_point *y, const struct secret *blind,
		 const struct jose_point *server_key, struct secret *z, struct error *err)
{
	SECRET_AUTO struct secret place_mask = {0};
	SECRET_AUTO struct secret place_key = {0};
	struct jose_point *mask = NULL;
	struct jose_point *key = NULL;
	int rc = jose_point_secret(&place_mask, &mask, err);

	if (rc == 0)
		rc = jose_point_secret(&place_key, &key, err);
	if (rc == 0)
		rc = jose_point_multiply(blind, server_key, mask, err);
	if (rc == 0)
		rc = jose_point_subtract(y, mask, key, err);
	return rc < 0 ? rc : jose_point_x(key, z, err);
}

json_t *tang_point_to_json(const struct jose_point *point)
{
	JSON_AUTO json_t *jwk = jose_point_to_jwk(point);
	JSON_AUTO json_t *rest = json_pack("{s:s, s:[s]}", "alg", "ECMR", "key_ops", "deriveKey");

	if (!jwk || !rest || json_object_update(jwk, rest) < 0)
		return NULL;
	return json_incref(jwk);
}

int tang_read_answer(const char *text, size_t size, enum jose_curve_id curve, struct jose_point *y,
		     struct error *err)
{
	JSON_AUTO json_t *jwk = NULL;
	struct jose_point read;

	if (json_parse(text, size, "its answer", &jwk, err) < 0)
		return -EBADMSG;
	if (!jose_jwk_fits(jwk, "ECMR"))
		return error_set(err, -EBADMSG, "its answer is not a key for ECMR");
	if (jose_point_from_jwk(jwk, &read, err) < 0) {
		error_prefix(err, "its answer: ");
		return -EBADMSG;
	}
	if (read.curve != curve)
		return error_set(err, -EBADMSG, "its answer is a point on another curve");
	*y = read;
	return 0;
}
