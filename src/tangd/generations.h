/* SPDX-License-Identifier: Apache-2.0 */
/* The generations that the fronts have got: the newest one, which serves, and behind it those that it has replaced, as long as they last. */
#pragma once

#include "tangd/generation.h"

#include <stdbool.h>

struct generations {
	struct generation *newest; /* serves; NULL: none yet */
};

/* Takes in the one that the fronts have got now; owned. Those before it are to end soon. */
void generations_add(struct generations *generations, struct generation *generation);

void generations_free(struct generations *generations);

/* How many processes they have, all together. */
int generations_alive(const struct generations *generations);

/* Ends them by SIGKILL. */
void generations_kill(const struct generations *generations);

/* Adds the uses of their keys since the last time to the state. */
void generations_add_uses(const struct generations *generations, struct state *state);

/* Takes note that a process has ended. Returns the generation if it was one of theirs, else NULL. */
struct generation *generations_bury(const struct generations *generations, pid_t pid);

/* Frees those that have ended, but for the newest; their last uses go to the state. */
void generations_drop_ended(struct generations *generations, struct state *state);

/*
 * Ends those that were replaced ten seconds ago and do not end by themselves: a front that does not let go of them would keep removed
 * keys in use. To be called about once a second.
 */
void generations_end_late(const struct generations *generations);

/* Ends the oldest of those that were replaced if that is a while ago, for a new one that finds no room. */
void generations_make_room(const struct generations *generations);
