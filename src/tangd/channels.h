/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front's ways to the private keys: a channel for each generation of keys processes. New requests go to the newest; what an older one
 * still owes is waited for, and then its channel is closed, which ends its processes.
 */
#pragma once

#include "base/error.h"
#include "tangd/keys.h"

#include <poll.h>
#include <stddef.h>

/* Most requests that wait for an answer; and generations, of which all but one are about to end. */
enum { CHANNELS_WAITING_MAX = 8192, CHANNELS_MAX = 8 };

struct channels;

/* Told of the answer to a request; `reply` is NULL when there is none to be had. */
typedef void (*channels_answered)(void *request, const struct key_reply *reply);

/* Makes them; NULL when out of memory. */
struct channels *channels_new(channels_answered answered);

/* Frees them; requests that wait are answered with NULL before. */
void channels_free(struct channels **channels);

/*
 * Takes a new generation: its public side, from the descriptor `side`, its channel, and where to count the uses of its keys, `uses`; owns
 * all three. Returns 0, -errno with `err` filled.
 */
int channels_add(struct channels *channels, int side, int channel, int uses, struct error *err);

/* The public side of the newest generation, NULL while there is none. Valid until the next channels_add() or channels_run(). */
const struct public_keys *channels_side(const struct channels *channels);

/* Counts a use of a key of channels_side() that is not sent anywhere: an advertisement that was asked for by its thumbprint. */
void channels_count_use(struct channels *channels, size_t key);

/*
 * Sends a request to the newest generation, whose key it names; its `id` is set here, and it must stay until `answered` is called, for it may
 * be sent again. Returns 0: that will be, from channels_run() or channels_free(); -EBUSY when too many wait, -ENOENT while there are no keys.
 */
int channels_send(struct channels *channels, struct key_request *message, void *request);

/* How many requests wait. */
size_t channels_waiting(const struct channels *channels);

/* What to poll: fills up to CHANNELS_MAX entries and returns how many; and for how long at most, milliseconds, -1: for ever. */
size_t channels_poll(const struct channels *channels, struct pollfd polled[static CHANNELS_MAX]);
int channels_timeout(const struct channels *channels);

/* Does the work that is there, without waiting. */
void channels_run(struct channels *channels);
