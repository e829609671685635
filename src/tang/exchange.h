/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The McCallum–Relyea exchange. The server has s and publishes S = s·G. At sealing the client draws c, keeps C = c·G, uses
 * K = c·S once and forgets c and K. At recovery it draws e, sends X = C + e·G (uniformly random to whoever sees it),
 * gets Y = s·X, and finds K = Y − e·S. Neither side, nor a listener, can find K alone.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "jose/ec.h"

#include <jansson.h>

/*
 * The client's first step: draws e and blinds C. Returns 0 with `blind` (e) and `x` (X, to be sent);
 * -EINVAL with `err` filled when C is not on its curve, -ENOMEM, -EIO.
 */
int tang_blind(const struct jose_point *c, struct secret *blind, struct jose_point *x,
	       struct error *err);

/*
 * The server's step: Y = s·X. Returns 0; -EINVAL with `err` filled when X is not a point on the key's curve or the result
 * is the identity; -ENOMEM, -EIO.
 */
int tang_recover(const struct secret *s, const struct jose_point *x, struct jose_point *y,
		 struct error *err);

/*
 * The client's last step: K = Y − e·S, of which `z` gets the x coordinate. Returns 0; -EINVAL with `err` filled when a point
 * is not on the curve of the others or the result is the identity; -ENOMEM, -EIO.
 */
int tang_unblind(const struct jose_point *y, const struct secret *blind,
		 const struct jose_point *server_key, struct secret *z, struct error *err);

/*
 * A point as it travels in either direction: {"alg":"ECMR","crv":…,"key_ops":["deriveKey"],"kty":"EC","x":…,"y":…}.
 * A new object, the caller's; NULL when out of memory.
 */
json_t *tang_point_to_json(const struct jose_point *point);

/* Longest answer to a recovery that is read, bytes; a point on P-521 takes some 250. */
enum { TANG_ANSWER_MAX = 16 * 1024 };

/*
 * Reads the server's answer, `size` bytes of JSON: it must be a point for ECMR on `curve`. Returns 0 with `y`; -EBADMSG with
 * `err` filled, -ENOMEM.
 */
int tang_read_answer(const char *text, size_t size, enum jose_curve_id curve, struct jose_point *y,
		     struct error *err);
