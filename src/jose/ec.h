/* SPDX-License-Identifier: Apache-2.0 */
/* Points on the NIST curves (RFC 7518 §6.2.1.1) and their arithmetic: what ECDH and the McCallum–Relyea exchange are made of. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>
#include <stddef.h>

enum jose_curve_id { JOSE_P256, JOSE_P384, JOSE_P521, JOSE_CURVES };

/* Bytes of a coordinate or scalar on the largest curve, P-521. */
enum { JOSE_COORDINATE_MAX = 66 };

struct jose_curve {
	enum jose_curve_id id;
	const char *name;	/* in JOSE: "P-521" */
	const char *group;	/* in OpenSSL */
	int nid;		/* in OpenSSL */
	size_t coordinate_size; /* bytes */
};

/* The curve of that id; NULL where the number is none. */
const struct jose_curve *jose_curve(int id);

/* The curve of that JOSE name, NULL where it is none of ours (`name` may be NULL). */
const struct jose_curve *jose_curve_named(const char *name);

/*
 * A point in affine coordinates, big-endian, each in the first `coordinate_size` bytes; the rest is zero. Of fixed size, so
 * that it can stand in a message. The identity cannot be written so. A point that is secret stands in a struct secret.
 */
struct jose_point {
	enum jose_curve_id curve;
	unsigned char x[JOSE_COORDINATE_MAX];
	unsigned char y[JOSE_COORDINATE_MAX];
};

/*
 * Reads the public point of an EC JWK: kty, crv, x, y, each coordinate of exactly the curve's size (RFC 7518 §6.2.1.2).
 * Returns 0; -EINVAL with `err` filled when a member is missing or wrong or the point is not on the curve.
 */
int jose_point_from_jwk(const json_t *jwk, struct jose_point *point, struct error *err);

/* The EC JWK {crv, kty, x, y} of a point: a new object, the caller's; NULL when out of memory. */
json_t *jose_point_to_jwk(const struct jose_point *point);

/* Says with 0 or -EINVAL (and `err`) whether the point is on its curve, coordinates in range. */
int jose_point_check(const struct jose_point *point, struct error *err);

/*
 * Reads the scalar `d` of a private EC JWK on `curve` (RFC 7518 §6.2.2.1): coordinate_size bytes, 0 < d < the group's order.
 * Returns 0; -EINVAL with `err` filled.
 */
int jose_scalar_from_jwk(const json_t *jwk, const struct jose_curve *curve, struct secret *scalar,
			 struct error *err);

/* Draws a key pair: a uniformly random scalar 0 < d < order, and the point d·G. Returns 0, -ENOMEM or -EIO. */
int jose_point_generate(const struct jose_curve *curve, struct secret *scalar,
			struct jose_point *point, struct error *err);

/*
 * `result` = scalar · point, a + b, a − b. Operands are checked to be on their curve, and to be on the same one.
 * Time does not depend on the scalar. `result` may be an operand.
 * Return 0; -EINVAL with `err` filled for bad operands or when the result is the identity; -ENOMEM.
 */
int jose_point_multiply(const struct secret *scalar, const struct jose_point *point,
			struct jose_point *result, struct error *err);
int jose_point_add(const struct jose_point *a, const struct jose_point *b,
		   struct jose_point *result, struct error *err);
int jose_point_subtract(const struct jose_point *a, const struct jose_point *b,
			struct jose_point *result, struct error *err);

/* A place for a secret point: sets `point` to the content of `place` (to be freed by the caller). Returns 0 or -ENOMEM. */
int jose_point_secret(struct secret *place, struct jose_point **point, struct error *err);

/* Copies a point's x, coordinate_size bytes: the shared secret Z of ECDH (RFC 7518 §4.6.2). Returns 0 or -ENOMEM. */
int jose_point_x(const struct jose_point *point, struct secret *x, struct error *err);
