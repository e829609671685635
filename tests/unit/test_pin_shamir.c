/* SPDX-License-Identifier: Apache-2.0 */
/* pin/shamir.c: any t shares give the key, t−1 do not; the format is the contract's, computed here by other means. */
#include "unit.h"

#include "pin/shamir.h"

#include <errno.h>
#include <openssl/bn.h>
#include <string.h>

enum { MOST = 6 };

static struct error err;

/* A key cut into shares, one behind the other. */
struct cut {
	unsigned char prime[SHAMIR_NUMBER];
	struct secret key;
	struct secret shares;
};

static void cut_free(struct cut *cut)
{
	secret_free(&cut->key);
	secret_free(&cut->shares);
}

#define CUT_AUTO __attribute__((cleanup(cut_free)))

static void cut_make(struct cut *cut, size_t threshold, size_t count)
{
	struct shamir *shamir = NULL;

	assert_int_equal(shamir_new(threshold, &shamir, &err), 0);
	shamir_prime(shamir, cut->prime);
	assert_int_equal(shamir_key(shamir, &cut->key, &err), 0);
	assert_int_equal(secret_new(&cut->shares, count * SHAMIR_SHARE, &err), 0);
	for (size_t i = 0; i < count; i++) {
		SECRET_AUTO struct secret share = {0};

		assert_int_equal(shamir_share(shamir, &share, &err), 0);
		assert_int_equal(share.size, SHAMIR_SHARE);
		memcpy(cut->shares.data + i * SHAMIR_SHARE, share.data, SHAMIR_SHARE);
	}
	shamir_free(&shamir);
	assert_null(shamir);
}

/* Recovers from the shares that the bits of `chosen` name. Returns what shamir_recover() does; whether it was the key. */
static int recover(const struct cut *cut, unsigned chosen, bool *right)
{
	SECRET_AUTO struct secret shares = {0};
	SECRET_AUTO struct secret key = {0};
	size_t count = 0;
	int rc;

	assert_int_equal(
		secret_new(&shares, (size_t)__builtin_popcount(chosen) * SHAMIR_SHARE, &err), 0);
	for (size_t i = 0; i < MOST; i++)
		if (chosen & (1U << i))
			memcpy(shares.data + count++ * SHAMIR_SHARE,
			       cut->shares.data + i * SHAMIR_SHARE, SHAMIR_SHARE);
	rc = shamir_recover(cut->prime, &shares, count, &key, &err);
	*right = rc == 0 && secret_equal(&key, &cut->key);
	assert_true(rc < 0 || key.size == SHAMIR_NUMBER);
	return rc;
}

static void test_any_threshold_of_shares_give_the_key_and_one_less_does_not(void **state)
{
	(void)state;
	for (size_t count = 1; count <= MOST; count++) {
		for (size_t threshold = 1; threshold <= count; threshold++) {
			CUT_AUTO struct cut cut = {0};
			bool right = false;

			cut_make(&cut, threshold, count);
			for (unsigned chosen = 1; chosen < 1U << count; chosen++) {
				size_t chosen_count = (size_t)__builtin_popcount(chosen);

				assert_int_equal(recover(&cut, chosen, &right), 0);
				assert_int_equal(right, chosen_count >= threshold);
			}
		}
	}
}

static BIGNUM *number_at(const unsigned char *bytes)
{
	return BN_bin2bn(bytes, SHAMIR_NUMBER, NULL);
}

/* Two shares of a line: y = k + e·x, so e = (y1 − y0) / (x1 − x0) and k = y0 − e·x0. */
static void test_two_shares_lie_on_a_line_through_the_key(void **state)
{
	CUT_AUTO struct cut cut = {0};
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p;
	BIGNUM *x[2];
	BIGNUM *y[2];
	BIGNUM *slope = BN_new();
	BIGNUM *run = BN_new();
	unsigned char key[SHAMIR_NUMBER];

	(void)state;
	cut_make(&cut, 2, 2);
	p = number_at(cut.prime);
	for (size_t i = 0; i < 2; i++) {
		x[i] = number_at(cut.shares.data + i * SHAMIR_SHARE);
		y[i] = number_at(cut.shares.data + i * SHAMIR_SHARE + SHAMIR_NUMBER);
	}
	assert_true(BN_mod_sub(slope, y[1], y[0], p, ctx) && BN_mod_sub(run, x[1], x[0], p, ctx));
	assert_non_null(BN_mod_inverse(run, run, p, ctx));
	assert_true(BN_mod_mul(slope, slope, run, p, ctx));
	assert_true(BN_mod_mul(slope, slope, x[0], p, ctx) &&
		    BN_mod_sub(slope, y[0], slope, p, ctx));
	assert_int_equal(BN_bn2binpad(slope, key, sizeof(key)), sizeof(key));
	assert_memory_equal(key, cut.key.data, sizeof(key));
	for (size_t i = 0; i < 2; i++) {
		BN_free(x[i]);
		BN_free(y[i]);
	}
	BN_free(p);
	BN_free(slope);
	BN_free(run);
	BN_CTX_free(ctx);
}

static void test_prime_is_safe_and_of_256_bits(void **state)
{
	BN_CTX *ctx = BN_CTX_new();

	(void)state;
	for (int i = 0; i < 4; i++) {
		CUT_AUTO struct cut cut = {0};
		BIGNUM *p;

		cut_make(&cut, 1, 1);
		p = number_at(cut.prime);
		assert_int_equal(BN_num_bits(p), 256);
		assert_int_equal(BN_check_prime(p, ctx, NULL), 1);
		assert_true(BN_rshift1(p, p));
		assert_int_equal(BN_check_prime(p, ctx, NULL), 1);
		BN_free(p);
	}
	BN_CTX_free(ctx);
}

static void test_polynomials_and_shares_are_random(void **state)
{
	CUT_AUTO struct cut one = {0};
	CUT_AUTO struct cut two = {0};

	(void)state;
	cut_make(&one, 2, MOST);
	cut_make(&two, 2, MOST);
	assert_memory_not_equal(one.prime, two.prime, SHAMIR_NUMBER);
	assert_memory_not_equal(one.key.data, two.key.data, SHAMIR_NUMBER);
	for (size_t i = 0; i < MOST; i++) {
		static const unsigned char zero[SHAMIR_NUMBER];
		const unsigned char *share = one.shares.data + i * SHAMIR_SHARE;

		assert_memory_not_equal(share, zero, SHAMIR_NUMBER);
		assert_memory_not_equal(share + SHAMIR_NUMBER, one.key.data, SHAMIR_NUMBER);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(share, one.shares.data + j * SHAMIR_SHARE,
						SHAMIR_NUMBER);
	}
}

/* With t = 1 the polynomial is a constant: every share's y is the key. */
static void test_threshold_of_one_repeats_the_key(void **state)
{
	CUT_AUTO struct cut cut = {0};

	(void)state;
	cut_make(&cut, 1, 2);
	assert_memory_equal(cut.shares.data + SHAMIR_NUMBER, cut.key.data, SHAMIR_NUMBER);
}

static void test_shares_that_cannot_be_one_are_refused(void **state)
{
	CUT_AUTO struct cut cut = {0};
	bool right = false;
	unsigned char kept[SHAMIR_SHARE];

	(void)state;
	cut_make(&cut, 2, 2);
	memcpy(kept, cut.shares.data, sizeof(kept));

	memcpy(cut.shares.data, cut.shares.data + SHAMIR_SHARE, SHAMIR_NUMBER); /* the same x */
	assert_int_equal(recover(&cut, 3, &right), -EINVAL);
	memset(cut.shares.data, 0, SHAMIR_NUMBER); /* x = 0 */
	assert_int_equal(recover(&cut, 3, &right), -EINVAL);
	memcpy(cut.shares.data, cut.prime, SHAMIR_NUMBER); /* x = p */
	assert_int_equal(recover(&cut, 3, &right), -EINVAL);
	memcpy(cut.shares.data, kept, sizeof(kept));
	memset(cut.shares.data + SHAMIR_NUMBER, 0xff, SHAMIR_NUMBER); /* y > p */
	assert_int_equal(recover(&cut, 3, &right), -EINVAL);
	memcpy(cut.shares.data, kept, sizeof(kept));
	assert_int_equal(recover(&cut, 3, &right), 0);
	assert_true(right);
}

static void test_numbers_that_are_no_prime_never_crash(void **state)
{
	static const unsigned char bytes[] = {0, 1, 2, 3, 4, 6, 9, 15, 255};
	CUT_AUTO struct cut cut = {0};
	bool right = false;

	(void)state;
	cut_make(&cut, 2, 2);
	for (size_t i = 0; i < COUNT(bytes); i++) {
		memset(cut.prime, 0, sizeof(cut.prime));
		cut.prime[SHAMIR_NUMBER - 1] = bytes[i];
		assert_int_equal(recover(&cut, 3, &right), -EINVAL);
		memset(cut.prime, bytes[i], sizeof(cut.prime));
		(void)recover(&cut, 3, &right);
		assert_false(right);
	}
}

static void test_thresholds_out_of_range_are_refused(void **state)
{
	static const size_t thresholds[] = {0, SHAMIR_SHARES_MAX + 1, SIZE_MAX};
	SECRET_AUTO struct secret none = {0};
	SECRET_AUTO struct secret key = {0};
	struct shamir *shamir = NULL;
	unsigned char prime[SHAMIR_NUMBER] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(thresholds); i++) {
		assert_int_equal(shamir_new(thresholds[i], &shamir, &err), -EINVAL);
		assert_null(shamir);
		assert_int_equal(shamir_recover(prime, &none, thresholds[i], &key, &err), -EINVAL);
	}
	shamir_free(&shamir);
}

static void test_no_more_than_255_shares_are_cut(void **state)
{
	SECRET_AUTO struct secret one_more = {0};
	struct shamir *shamir = NULL;

	(void)state;
	assert_int_equal(shamir_new(3, &shamir, &err), 0);
	for (size_t i = 0; i < SHAMIR_SHARES_MAX; i++) {
		SECRET_AUTO struct secret share = {0};

		assert_int_equal(shamir_share(shamir, &share, &err), 0);
	}
	assert_int_equal(shamir_share(shamir, &one_more, &err), -EINVAL);
	assert_null(one_more.data);
	shamir_free(&shamir);
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_threshold_of_shares_give_the_key_and_one_less_does_not),
		cmocka_unit_test(test_two_shares_lie_on_a_line_through_the_key),
		cmocka_unit_test(test_prime_is_safe_and_of_256_bits),
		cmocka_unit_test(test_polynomials_and_shares_are_random),
		cmocka_unit_test(test_threshold_of_one_repeats_the_key),
		cmocka_unit_test(test_shares_that_cannot_be_one_are_refused),
		cmocka_unit_test(test_numbers_that_are_no_prime_never_crash),
		cmocka_unit_test(test_thresholds_out_of_range_are_refused),
		cmocka_unit_test(test_no_more_than_255_shares_are_cut),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("pin_shamir", tests, NULL, NULL);
}
