/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shamir's secret sharing over a prime field, as the pin `sss` stores it (contract of Clevis §2): a polynomial of degree t−1,
 * whose constant term is the key; a share is a point (x, y) on it, written x‖y. Any t points give the key back, t−1 tell
 * nothing. Private to pin/.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <stddef.h>

/* Bytes of a number of the field, big-endian, and of a share. */
enum { SHAMIR_NUMBER = 32, SHAMIR_SHARE = 2 * SHAMIR_NUMBER };

/* Most shares that a key is cut into. */
enum { SHAMIR_SHARES_MAX = 255 };

struct shamir;

/*
 * Draws a safe prime of 256 bits and a uniformly random polynomial of `threshold` coefficients (1 … SHAMIR_SHARES_MAX).
 * Returns 0 with `*shamir` (free it with shamir_free()); -ENOMEM or -EIO with `err` filled.
 */
int shamir_new(size_t threshold, struct shamir **shamir, struct error *err);

/* Wipes and frees; sets the pointer to NULL. NULL is accepted. */
void shamir_free(struct shamir **shamir);

/* Writes the prime, which is public. */
void shamir_prime(const struct shamir *shamir, unsigned char prime[static SHAMIR_NUMBER]);

/* The key: the constant term, SHAMIR_NUMBER bytes. Returns 0 or -ENOMEM. */
int shamir_key(const struct shamir *shamir, struct secret *key, struct error *err);

/*
 * Cuts one more share, SHAMIR_SHARE bytes; its x is random, not zero (which would be the key itself) and no other share's.
 * Returns 0; -EINVAL after SHAMIR_SHARES_MAX shares, -ENOMEM, -EIO, with `err` filled.
 */
int shamir_share(struct shamir *shamir, struct secret *share, struct error *err);

/*
 * Finds the key that `count` shares (the threshold) stand for, by Lagrange's interpolation at 0. `shares` holds them one behind
 * the other. Returns 0 with `key`, SHAMIR_NUMBER bytes, which is the right one when all shares are; -EINVAL with `err` filled
 * when the prime or a share cannot be one, or two are the same; -ENOMEM.
 */
int shamir_recover(const unsigned char prime[static SHAMIR_NUMBER], const struct secret *shares,
		   size_t count, struct secret *key, struct error *err);
