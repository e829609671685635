/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/ec.h"

#include "jose/b64.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

static const struct jose_curve curves[JOSE_CURVES] = {
	[JOSE_P256] = {JOSE_P256, "P-256", "prime256v1", NID_X9_62_prime256v1, 32},
	[JOSE_P384] = {JOSE_P384, "P-384", "secp384r1", NID_secp384r1, 48},
	[JOSE_P521] = {JOSE_P521, "P-521", "secp521r1", NID_secp521r1, 66},
};

/* What one calculation needs: OpenSSL's names for our operands. */
struct workspace {
	const EC_GROUP *group;
	BN_CTX *ctx;
	EC_POINT *a;
	EC_POINT *b;
	BIGNUM *x;
	BIGNUM *y;
};

const struct jose_curve *jose_curve(int id)
{
	return id >= 0 && id < JOSE_CURVES ? &curves[id] : NULL;
}

const struct jose_curve *jose_curve_named(const char *name)
{
	for (size_t i = 0; name && i < JOSE_CURVES; i++)
		if (strcmp(curves[i].name, name) == 0)
			return &curves[i];
	return NULL;
}

/* Groups are made once: making one costs as much as a multiplication. Our programs have one thread. */
static const EC_GROUP *group_of(const struct jose_curve *curve)
{
	static EC_GROUP *groups[JOSE_CURVES];

	if (!groups[curve->id])
		groups[curve->id] = EC_GROUP_new_by_curve_name(curve->nid);
	return groups[curve->id];
}

static void workspace_free(struct workspace *ws)
{
	EC_POINT_clear_free(ws->a);
	EC_POINT_clear_free(ws->b);
	BN_clear_free(ws->x);
	BN_clear_free(ws->y);
	BN_CTX_free(ws->ctx);
}

static int workspace_open(struct workspace *ws, int curve_id, struct error *err)
{
	const struct jose_curve *curve = jose_curve(curve_id);

	if (!curve)
		return error_set(err, -EINVAL, "no such curve");
	ws->group = group_of(curve);
	if (!ws->group)
		return error_nomem(err);
	ws->ctx = BN_CTX_secure_new();
	ws->a = EC_POINT_new(ws->group);
	ws->b = EC_POINT_new(ws->group);
	ws->x = BN_secure_new();
	ws->y = BN_secure_new();
	if (!ws->ctx || !ws->a || !ws->b || !ws->x || !ws->y)
		return error_nomem(err);
	BN_set_flags(ws->x, BN_FLG_CONSTTIME);
	return 0;
}

#define WORKSPACE_AUTO __attribute__((cleanup(workspace_free)))

/* OpenSSL would take x + p for x: one point must have one spelling. */
static bool in_field(const struct workspace *ws)
{
	const BIGNUM *prime = EC_GROUP_get0_field(ws->group);

	return BN_cmp(ws->x, prime) < 0 && BN_cmp(ws->y, prime) < 0;
}

/* OpenSSL refuses what is not on the curve. */
static int load_point(struct workspace *ws, const struct jose_point *point, EC_POINT *to,
		      struct error *err)
{
	int size = (int)curves[point->curve].coordinate_size;

	if (!BN_bin2bn(point->x, size, ws->x) || !BN_bin2bn(point->y, size, ws->y))
		return error_nomem(err);
	if (!in_field(ws) ||
	    EC_POINT_set_affine_coordinates(ws->group, to, ws->x, ws->y, ws->ctx) != 1)
		return error_set(err, -EINVAL, "the point is not on curve %s",
				 curves[point->curve].name);
	return 0;
}

static int store_point(struct workspace *ws, enum jose_curve_id curve, const EC_POINT *from,
		       struct jose_point *point, struct error *err)
{
	int size = (int)curves[curve].coordinate_size;

	if (EC_POINT_is_at_infinity(ws->group, from))
		return error_set(err, -EINVAL, "the result is the point at infinity");
	if (EC_POINT_get_affine_coordinates(ws->group, from, ws->x, ws->y, ws->ctx) != 1)
		return error_set(err, -EIO, "elliptic curve arithmetic failed");
	memset(point, 0, sizeof(*point));
	point->curve = curve;
	if (BN_bn2binpad(ws->x, point->x, size) != size ||
	    BN_bn2binpad(ws->y, point->y, size) != size)
		return error_set(err, -EIO, "elliptic curve arithmetic failed");
	return 0;
}

int jose_point_check(const struct jose_point *point, struct error *err)
{
	WORKSPACE_AUTO struct workspace ws = {0};
	int rc = workspace_open(&ws, (int)point->curve, err);

	return rc < 0 ? rc : load_point(&ws, point, ws.a, err);
}

static int read_coordinate(const json_t *jwk, const char *name, const struct jose_curve *curve,
			   unsigned char *to, struct error *err)
{
	SECRET_AUTO struct secret bytes = {0};
	int rc = jose_b64_member(jwk, name, &bytes, err);

	if (rc < 0)
		return rc;
	if (bytes.size != curve->coordinate_size)
		return error_set(err, -EINVAL, "'%s' has %zu bytes, a key on %s has %zu", name,
				 bytes.size, curve->name, curve->coordinate_size);
	memcpy(to, bytes.data, bytes.size);
	return 0;
}

static int read_curve(const json_t *jwk, const struct jose_curve **curve, struct error *err)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));
	const char *crv = json_string_value(json_object_get(jwk, "crv"));

	if (!kty || strcmp(kty, "EC") != 0)
		return error_set(err, -EINVAL, "not an EC key ('kty' is %s)",
				 kty ? kty : "missing");
	*curve = jose_curve_named(crv);
	if (!*curve)
		return error_set(err, -EINVAL, "'crv' is %s, not P-256, P-384 or P-521",
				 crv ? crv : "missing");
	return 0;
}

int jose_point_from_jwk(const json_t *jwk, struct jose_point *point, struct error *err)
{
	const struct jose_curve *curve = NULL;
	struct jose_point read = {0};
	int rc = read_curve(jwk, &curve, err);

	if (rc < 0)
		return rc;
	read.curve = curve->id;
	rc = read_coordinate(jwk, "x", curve, read.x, err);
	if (rc == 0)
		rc = read_coordinate(jwk, "y", curve, read.y, err);
	if (rc == 0)
		rc = jose_point_check(&read, err);
	if (rc == 0)
		*point = read;
	return rc;
}

json_t *jose_point_to_jwk(const struct jose_point *point)
{
	const struct jose_curve *curve = &curves[point->curve];

	return json_pack("{s:s, s:s, s:o, s:o}", "kty", "EC", "crv", curve->name, "x",
			 jose_b64_json(point->x, curve->coordinate_size), "y",
			 jose_b64_json(point->y, curve->coordinate_size));
}

static int check_scalar(const struct secret *scalar, const struct jose_curve *curve,
			struct error *err)
{
	WORKSPACE_AUTO struct workspace ws = {0};
	int rc = workspace_open(&ws, (int)curve->id, err);

	if (rc < 0)
		return rc;
	if (!BN_bin2bn(scalar->data, (int)scalar->size, ws.x))
		return error_nomem(err);
	if (BN_is_zero(ws.x) || BN_cmp(ws.x, EC_GROUP_get0_order(ws.group)) >= 0)
		return error_set(err, -EINVAL, "'d' is out of range");
	return 0;
}

int jose_scalar_from_jwk(const json_t *jwk, const struct jose_curve *curve, struct secret *scalar,
			 struct error *err)
{
	SECRET_AUTO struct secret bytes = {0};
	int rc = jose_b64_member(jwk, "d", &bytes, err);

	if (rc < 0)
		return rc;
	if (bytes.size != curve->coordinate_size)
		return error_set(err, -EINVAL, "'d' has not the size of a key on %s", curve->name);
	rc = check_scalar(&bytes, curve, err);
	if (rc == 0)
		secret_move(scalar, &bytes);
	return rc;
}

static int draw_scalar(struct workspace *ws, const struct jose_curve *curve, struct secret *scalar,
		       struct error *err)
{
	int rc = secret_new(scalar, curve->coordinate_size, err);

	if (rc < 0)
		return rc;
	do {
		if (BN_priv_rand_range(ws->x, EC_GROUP_get0_order(ws->group)) != 1)
			return error_set(err, -EIO, "no random numbers to be had");
	} while (BN_is_zero(ws->x));
	if (BN_bn2binpad(ws->x, scalar->data, (int)scalar->size) != (int)scalar->size)
		return error_set(err, -EIO, "elliptic curve arithmetic failed");
	return 0;
}

int jose_point_generate(const struct jose_curve *curve, struct secret *scalar,
			struct jose_point *point, struct error *err)
{
	WORKSPACE_AUTO struct workspace ws = {0};
	SECRET_AUTO struct secret drawn = {0};
	int rc = workspace_open(&ws, (int)curve->id, err);

	if (rc == 0)
		rc = draw_scalar(&ws, curve, &drawn, err);
	if (rc < 0)
		return rc;
	if (EC_POINT_mul(ws.group, ws.a, ws.x, NULL, NULL, ws.ctx) != 1)
		return error_set(err, -EIO, "elliptic curve arithmetic failed");
	rc = store_point(&ws, curve->id, ws.a, point, err);
	if (rc == 0)
		secret_move(scalar, &drawn);
	return rc;
}

int jose_point_multiply(const struct secret *scalar, const struct jose_point *point,
			struct jose_point *result, struct error *err)
{
	WORKSPACE_AUTO struct workspace ws = {0};
	int rc = workspace_open(&ws, (int)point->curve, err);

	if (rc == 0)
		rc = load_point(&ws, point, ws.a, err);
	if (rc < 0)
		return rc;
	if (!BN_bin2bn(scalar->data, (int)scalar->size, ws.x))
		return error_nomem(err);
	if (EC_POINT_mul(ws.group, ws.b, NULL, ws.a, ws.x, ws.ctx) != 1)
		return error_set(err, -EIO, "elliptic curve arithmetic failed");
	return store_point(&ws, point->curve, ws.b, result, err);
}

static int combine(const struct jose_point *a, const struct jose_point *b, bool negate_b,
		   struct jose_point *result, struct error *err)
{
	WORKSPACE_AUTO struct workspace ws = {0};
	int rc = workspace_open(&ws, (int)a->curve, err);

	if (rc < 0)
		return rc;
	if (a->curve != b->curve)
		return error_set(err, -EINVAL, "the points are on different curves");
	rc = load_point(&ws, a, ws.a, err);
	if (rc == 0)
		rc = load_point(&ws, b, ws.b, err);
	if (rc < 0)
		return rc;
	if ((negate_b && EC_POINT_invert(ws.group, ws.b, ws.ctx) != 1) ||
	    EC_POINT_add(ws.group, ws.a, ws.a, ws.b, ws.ctx) != 1)
		return error_set(err, -EIO, "elliptic curve arithmetic failed");
	return store_point(&ws, a->curve, ws.a, result, err);
}

int jose_point_add(const struct jose_point *a, const struct jose_point *b,
		   struct jose_point *result, struct error *err)
{
	return combine(a, b, false, result, err);
}

int jose_point_subtract(const struct jose_point *a, const struct jose_point *b,
			struct jose_point *result, struct error *err)
{
	return combine(a, b, true, result, err);
}

int jose_point_secret(struct secret *place, struct jose_point **point, struct error *err)
{
	int rc = secret_new(place, sizeof(**point), err);

	if (rc == 0)
		*point = (struct jose_point *)(void *)place->data;
	return rc;
}

int jose_point_x(const struct jose_point *point, struct secret *x, struct error *err)
{
	return secret_copy(x, point->x, curves[point->curve].coordinate_size, err);
}
