/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick: what the one multiplication takes that no server can do without. */
#pragma once

#include "base/error.h"
#include "jose/ec.h"

/*
 * Processor time of one EC_POINT_mul of a point on `curve` by a scalar, and of the affine coordinates of the result: the mean of a
 * loop that runs for `ms` milliseconds. Returns 0 with `*us`; -EIO with `err` filled.
 */
int multiply_cost(enum jose_curve_id curve, int ms, double *us, struct error *err);
