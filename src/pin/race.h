/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening several JWEs of which some are enough: each in a child process, no more at a time than are needed, and one more
 * whenever one fails or is slow (hedging). Starting all would multiply the load of the day when a whole data centre boots.
 * Private to pin/.
 */
#pragma once

#include "pin/pin.h"

#include <stdbool.h>
#include <stddef.h>

/* Most JWEs in a race. */
enum { RACE_MAX = 255 };

/* Longest plaintext of one, bytes: a share, or a passphrase. */
enum { RACE_PLAIN_MAX = 2048 };

/* After how long without an answer one more is started, milliseconds. */
enum { RACE_HEDGE_MS = 300 };

struct race_rules {
	size_t needed; /* how many are to be taken */
	bool in_order; /* as they stand; else in random order */
	/* Takes the plaintext of number `which`. Returns 0 when it counts; a negative code with `err` filled when it is as bad as none. */
	int (*take)(void *arg, size_t which, const struct secret *plain, struct error *err);
	/* Told why number `which` failed; NULL: nobody is. */
	void (*fail)(void *arg, size_t which, const struct error *why);
	void *arg;
};

/*
 * Opens JWEs of the `count` (1 … RACE_MAX) until as many are taken as the rules say, by the context's deadline; ends the children that
 * are no longer needed. Returns 0 then; a negative code with the context's error filled, which tells why each one failed: one of
 * net_is_unreachable()'s when all that failed did for such a reason.
 */
int race_run(struct pin_context *context, const json_t *const jwes[], size_t count,
	     const struct race_rules *rules);

/*
 * Adds a failure to the record that tells of several: the texts one behind the other. The code stays one that says
 * "unreachable" only while all of them do.
 */
void race_add_failure(struct error *all, const struct error *one);
