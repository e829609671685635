/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening several JWEs of which some are enough: each in a child process, no more at a time than are needed, and one more
 * whenever one fails or is slow (hedging). Starting all would multiply the load of the day when a whole data centre boots.
 * Private to pin/.
 */
#pragma once

#include "pin/pin.h"

#include <stddef.h>

/* Most JWEs in a race. */
enum { RACE_MAX = 255 };

/* Longest plaintext of one, bytes. */
enum { RACE_PLAIN_MAX = 64 };

/* After how long without an answer one more is started, milliseconds. */
enum { RACE_HEDGE_MS = 300 };

/*
 * Takes a plaintext that was found. Returns 0 when it counts; a negative code with `err` filled when it is as bad as none.
 */
typedef int (*race_taker)(void *arg, const struct secret *plain, struct error *err);

/*
 * Opens `needed` of the `count` JWEs (1 … RACE_MAX), in random order, by the context's deadline; ends the children that are no
 * longer needed. Returns 0 when `take` has taken that many; a negative code with the context's error filled, which tells why
 * each one failed: one of net_is_unreachable()'s when all that failed did for such a reason.
 */
int race_run(struct pin_context *context, const json_t *const jwes[], size_t count, size_t needed,
	     race_taker take, void *arg);

/*
 * Adds a failure to the record that tells of several: the texts one behind the other. The code stays one that says
 * "unreachable" only while all of them do.
 */
void race_add_failure(struct error *all, const struct error *one);
