/* SPDX-License-Identifier: Apache-2.0 */
#include "pin/shamir.h"

#include <errno.h>
#include <openssl/bn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* `coefficient[0]` is the key. */
struct shamir {
	size_t threshold;
	size_t shares; /* how many were cut */
	BN_CTX *ctx;
	BIGNUM *prime;
	BIGNUM *coefficient[SHAMIR_SHARES_MAX];
	BIGNUM *x[SHAMIR_SHARES_MAX];
};

static int failed(struct error *err)
{
	return error_set(err, -EIO, "sss: the arithmetic failed");
}

/* A number that is a secret: arithmetic with it takes the same time whatever it is. */
static BIGNUM *secret_number(void)
{
	BIGNUM *number = BN_secure_new();

	if (number)
		BN_set_flags(number, BN_FLG_CONSTTIME);
	return number;
}

static int draw(const struct shamir *shamir, BIGNUM **number)
{
	*number = secret_number();
	return *number && BN_priv_rand_range(*number, shamir->prime) ? 0 : -EIO;
}

static int draw_polynomial(struct shamir *shamir)
{
	shamir->ctx = BN_CTX_secure_new();
	shamir->prime = BN_new();
	if (!shamir->ctx || !shamir->prime ||
	    !BN_generate_prime_ex2(shamir->prime, 8 * SHAMIR_NUMBER, 1, NULL, NULL, NULL,
				   shamir->ctx))
		return -EIO;
	for (size_t i = 0; i < shamir->threshold; i++)
		if (draw(shamir, &shamir->coefficient[i]) < 0)
			return -EIO;
	return 0;
}

int shamir_new(size_t threshold, struct shamir **shamir, struct error *err)
{
	struct shamir *drawn;

	if (threshold < 1 || threshold > SHAMIR_SHARES_MAX)
		return error_set(err, -EINVAL, "sss: a threshold of %zu: 1 to %d are possible",
				 threshold, SHAMIR_SHARES_MAX);
	drawn = calloc(1, sizeof(*drawn));
	if (!drawn)
		return error_nomem(err);
	drawn->threshold = threshold;
	if (draw_polynomial(drawn) < 0) {
		shamir_free(&drawn);
		return failed(err);
	}
	*shamir = drawn;
	return 0;
}

void shamir_free(struct shamir **shamir)
{
	struct shamir *old = *shamir;

	if (!old)
		return;
	for (size_t i = 0; i < SHAMIR_SHARES_MAX; i++) {
		BN_clear_free(old->coefficient[i]);
		BN_clear_free(old->x[i]);
	}
	BN_free(old->prime);
	BN_CTX_free(old->ctx);
	free(old);
	*shamir = NULL;
}

void shamir_prime(const struct shamir *shamir, unsigned char prime[static SHAMIR_NUMBER])
{
	(void)BN_bn2binpad(shamir->prime, prime, SHAMIR_NUMBER);
}

static int to_bytes(const BIGNUM *number, struct secret *bytes, struct error *err)
{
	int rc = secret_new(bytes, SHAMIR_NUMBER, err);

	if (rc == 0 && BN_bn2binpad(number, bytes->data, SHAMIR_NUMBER) < 0) {
		secret_free(bytes);
		return failed(err);
	}
	return rc;
}

int shamir_key(const struct shamir *shamir, struct secret *key, struct error *err)
{
	return to_bytes(shamir->coefficient[0], key, err);
}

static bool is_taken(const struct shamir *shamir, const BIGNUM *x)
{
	for (size_t i = 0; i < shamir->shares; i++)
		if (BN_cmp(shamir->x[i], x) == 0)
			return true;
	return BN_is_zero(x);
}

static int draw_x(struct shamir *shamir, BIGNUM **x)
{
	int rc = draw(shamir, x);

	while (rc == 0 && is_taken(shamir, *x))
		if (!BN_priv_rand_range(*x, shamir->prime))
			rc = -EIO;
	return rc;
}

/* y = Σ e(i)·x^i, from the highest coefficient down (Horner). */
static bool evaluate(const struct shamir *shamir, const BIGNUM *x, BIGNUM *y)
{
	bool done = true;

	BN_zero(y);
	for (size_t i = shamir->threshold; done && i-- > 0;)
		done = BN_mod_mul(y, y, x, shamir->prime, shamir->ctx) &&
		       BN_mod_add(y, y, shamir->coefficient[i], shamir->prime, shamir->ctx);
	return done;
}

int shamir_share(struct shamir *shamir, struct secret *share, struct error *err)
{
	BIGNUM *y = NULL;
	BIGNUM **x = &shamir->x[shamir->shares];
	int rc;

	if (shamir->shares == SHAMIR_SHARES_MAX)
		return error_set(err, -EINVAL, "sss: more than %d shares", SHAMIR_SHARES_MAX);
	rc = secret_new(share, SHAMIR_SHARE, err);
	if (rc < 0)
		return rc;
	y = secret_number();
	if (!y || draw_x(shamir, x) < 0 || !evaluate(shamir, *x, y) ||
	    BN_bn2binpad(*x, share->data, SHAMIR_NUMBER) < 0 ||
	    BN_bn2binpad(y, share->data + SHAMIR_NUMBER, SHAMIR_NUMBER) < 0) {
		rc = failed(err);
		secret_free(share);
		BN_clear_free(*x);
		*x = NULL;
	} else {
		shamir->shares++;
	}
	BN_clear_free(y);
	return rc;
}

/* The points that shares stand for, while the key is found. */
struct points {
	size_t count;
	BN_CTX *ctx;
	BIGNUM *prime;
	BIGNUM *x[SHAMIR_SHARES_MAX];
	BIGNUM *y[SHAMIR_SHARES_MAX];
};

static void points_free(struct points *points)
{
	for (size_t i = 0; i < points->count; i++) {
		BN_clear_free(points->x[i]);
		BN_clear_free(points->y[i]);
	}
	BN_free(points->prime);
	BN_CTX_free(points->ctx);
}

static BIGNUM *read_number(const unsigned char *bytes)
{
	BIGNUM *number = secret_number();

	if (number && !BN_bin2bn(bytes, SHAMIR_NUMBER, number)) {
		BN_clear_free(number);
		return NULL;
	}
	return number;
}

/* A share whose numbers lie outside the field, or whose x is 0 or another's, is none: it would only spoil the key. */
static int check_point(const struct points *points, size_t i, struct error *err)
{
	if (BN_is_zero(points->x[i]) || BN_cmp(points->x[i], points->prime) >= 0 ||
	    BN_cmp(points->y[i], points->prime) >= 0)
		return error_set(err, -EINVAL, "sss: share %zu is not one of this key", i + 1);
	for (size_t j = 0; j < i; j++)
		if (BN_cmp(points->x[i], points->x[j]) == 0)
			return error_set(err, -EINVAL, "sss: shares %zu and %zu are the same",
					 j + 1, i + 1);
	return 0;
}

static int read_points(const unsigned char *prime, const struct secret *shares, size_t count,
		       struct points *points, struct error *err)
{
	points->ctx = BN_CTX_secure_new();
	points->prime = BN_bin2bn(prime, SHAMIR_NUMBER, NULL);
	if (!points->ctx || !points->prime)
		return error_nomem(err);
	if (!BN_is_odd(points->prime) || BN_num_bits(points->prime) < 2)
		return error_set(err, -EINVAL, "sss: 'p' is not a prime");
	for (size_t i = 0; i < count; i++) {
		const unsigned char *share = shares->data + i * SHAMIR_SHARE;
		int rc;

		points->x[i] = read_number(share);
		points->y[i] = read_number(share + SHAMIR_NUMBER);
		points->count++;
		if (!points->x[i] || !points->y[i])
			return error_nomem(err);
		rc = check_point(points, i, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* `term` = y(i) · Π x(j) / (x(j) − x(i)) over all j ≠ i. `scratch` is room for it. */
static bool lagrange_term(const struct points *points, size_t i, BIGNUM *term, BIGNUM *scratch[2])
{
	bool done = BN_copy(term, points->y[i]) && BN_one(scratch[0]);

	for (size_t j = 0; done && j < points->count; j++) {
		if (j == i)
			continue;
		done = BN_mod_mul(term, term, points->x[j], points->prime, points->ctx) &&
		       BN_mod_sub(scratch[1], points->x[j], points->x[i], points->prime,
				  points->ctx) &&
		       BN_mod_mul(scratch[0], scratch[0], scratch[1], points->prime, points->ctx);
	}
	return done && BN_mod_inverse(scratch[0], scratch[0], points->prime, points->ctx) &&
	       BN_mod_mul(term, term, scratch[0], points->prime, points->ctx);
}

static int interpolate(const struct points *points, struct secret *key, struct error *err)
{
	BIGNUM *sum = secret_number();
	BIGNUM *term = secret_number();
	BIGNUM *scratch[2] = {secret_number(), secret_number()};
	bool done = sum && term && scratch[0] && scratch[1];
	int rc;

	if (done)
		BN_zero(sum);
	for (size_t i = 0; done && i < points->count; i++)
		done = lagrange_term(points, i, term, scratch) &&
		       BN_mod_add(sum, sum, term, points->prime, points->ctx);
	rc = done ? to_bytes(sum, key, err)
		  : error_set(err, -EINVAL, "sss: the shares do not fit the prime 'p'");
	BN_clear_free(sum);
	BN_clear_free(term);
	BN_clear_free(scratch[0]);
	BN_clear_free(scratch[1]);
	return rc;
}

int shamir_recover(const unsigned char prime[static SHAMIR_NUMBER], const struct secret *shares,
		   size_t count, struct secret *key, struct error *err)
{
	struct points *points;
	int rc;

	if (count < 1 || count > SHAMIR_SHARES_MAX || shares->size != count * SHAMIR_SHARE)
		return error_set(err, -EINVAL, "sss: not %zu shares of %d bytes", count,
				 SHAMIR_SHARE);
	points = calloc(1, sizeof(*points));
	if (!points)
		return error_nomem(err);
	rc = read_points(prime, shares, count, points, err);
	if (rc == 0)
		rc = interpolate(points, key, err);
	points_free(points);
	free(points);
	return rc;
}
