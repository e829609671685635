/* SPDX-License-Identifier: Apache-2.0 */
#include "multiply.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <stdbool.h>
#include <time.h>

enum { BATCH = 32 };

struct sum {
	BN_CTX *ctx;
	EC_GROUP *group;
	BIGNUM *scalar;
	BIGNUM *x;
	BIGNUM *y;
	EC_POINT *point;
	EC_POINT *result;
};

static double cpu_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* A point that has no table of its own, as G has. */
static bool open_sum(struct sum *sum, int nid)
{
	sum->ctx = BN_CTX_new();
	sum->group = EC_GROUP_new_by_curve_name(nid);
	sum->scalar = BN_new();
	sum->x = BN_new();
	sum->y = BN_new();
	sum->point = sum->group ? EC_POINT_new(sum->group) : NULL;
	sum->result = sum->group ? EC_POINT_new(sum->group) : NULL;
	return sum->ctx && sum->scalar && sum->x && sum->y && sum->point && sum->result &&
	       BN_priv_rand_range(sum->scalar, EC_GROUP_get0_order(sum->group)) == 1 &&
	       EC_POINT_mul(sum->group, sum->point, sum->scalar, NULL, NULL, sum->ctx) == 1 &&
	       BN_priv_rand_range(sum->scalar, EC_GROUP_get0_order(sum->group)) == 1;
}

static bool multiply(struct sum *sum)
{
	return EC_POINT_mul(sum->group, sum->result, NULL, sum->point, sum->scalar, sum->ctx) ==
		       1 &&
	       EC_POINT_get_affine_coordinates(sum->group, sum->result, sum->x, sum->y, sum->ctx) ==
		       1;
}

static void close_sum(struct sum *sum)
{
	EC_POINT_free(sum->result);
	EC_POINT_free(sum->point);
	BN_free(sum->y);
	BN_free(sum->x);
	BN_free(sum->scalar);
	EC_GROUP_free(sum->group);
	BN_CTX_free(sum->ctx);
}

int multiply_cost(enum jose_curve_id curve, int ms, double *us, struct error *err)
{
	struct sum sum = {0};
	bool works = open_sum(&sum, jose_curve((int)curve)->nid) && multiply(&sum);
	double begin = cpu_us();
	double end = begin;
	double count = 0;

	while (works && end - begin < ms * 1e3) {
		for (int i = 0; works && i < BATCH; i++)
			works = multiply(&sum);
		count += BATCH;
		end = cpu_us();
	}
	close_sum(&sum);
	if (!works)
		return error_set(err, -EIO, "elliptic curve arithmetic failed");
	*us = (end - begin) / count;
	return 0;
}
