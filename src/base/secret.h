/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: keys, passphrases and plaintexts, in memory that is locked, kept out of core dumps and wiped. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A secret owns `size` bytes at `data`. A child process finds zeros in their place. They come from one page-aligned arena that is locked once (a large secret has pages
 * of its own), so that freeing one never unlocks its neighbour. Zero-initialise it (`struct secret s = {0}`).
 */
struct secret {
	unsigned char *data;
	size_t size;
};

/* Frees the secret at the end of its scope. */
#define SECRET_AUTO __attribute__((cleanup(secret_free)))

/*
 * Allocates a secret of `size` bytes, zeroed (0 is legal: an empty plaintext). `secret` must hold nothing.
 * Returns 0 or -ENOMEM with `err` filled. A lock that the limit (RLIMIT_MEMLOCK) refuses is no error: secret_is_locked().
 */
int secret_new(struct secret *secret, size_t size, struct error *err);

/* Allocates a secret and copies `size` bytes of `data` into it. Returns as secret_new(). */
int secret_copy(struct secret *secret, const void *data, size_t size, struct error *err);

/*
 * Changes the size to `size` bytes, keeping what fits: new bytes are zero, dropped ones and a left place are wiped.
 * Returns 0, or -ENOMEM with `err` filled and the secret as it was.
 */
int secret_resize(struct secret *secret, size_t size, struct error *err);

/* Wipes and frees; sets `data` to NULL and `size` to 0. An empty secret and NULL are accepted. */
void secret_free(struct secret *secret);

/* Moves the content of `from` into `to` (which must hold nothing); `from` is left empty. */
void secret_move(struct secret *to, struct secret *from);

/* Compares two byte strings in a time that depends on the sizes only. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* Says whether every page that secrets were cut from so far could be locked into memory. */
bool secret_is_locked(void);

/*
 * In a child process just forked: locks the arena again, which no child inherits. What the parent had in it reads as zeros.
 */
void secret_after_fork(void);

/* Overwrites `size` bytes at `data` with zeros in a way that the compiler does not remove. */
void secret_wipe(void *data, size_t size);

/*
 * Makes the process unfit for spying: no core dump, no ptrace by the same user. To be called first in main().
 * Returns 0 or -errno with `err` filled.
 */
int secret_harden_process(struct error *err);
