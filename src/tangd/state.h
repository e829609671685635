/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server knows beyond its own life: that keys were served, and how often each was used. It is kept in a folder of its own,
 * since that of the keys may be read-only, and holds no secret.
 */
#pragma once

#include "base/error.h"
#include "tangd/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The file in the folder. */
#define STATE_FILE "state.json"

/* A key that is, or was, in the folder of the keys. */
struct state_key {
	char thumbprint[JOSE_THUMBPRINT_MAX]; /* S256 */
	bool is_exchange;		      /* else it signs */
	bool is_advertised;
	bool is_there;	/* in the folder now */
	uint64_t times; /* used: recoveries; advertisements that were asked for by its thumbprint */
	int64_t last;	/* used, seconds since 1970; 0: never */
};

struct state;

/*
 * Reads the state in the folder `path`, and keeps others from it: two servers that count in one folder would each undo the other's. With
 * `path` NULL it lives as long as the process. What is missing begins anew; so does what is damaged, with a warning, but as of a server
 * whose keys were served. Returns 0 with `*state` (the caller's, see state_free()); -EBUSY, -errno with `err` filled.
 */
int state_open(const char *path, struct state **state, struct error *err);

void state_free(struct state **state);

/* Says whether keys were ever served; and notes that they are. */
bool state_served(const struct state *state);
void state_set_served(struct state *state);

/* Notes which keys there are now. Returns 0, -ENOMEM. */
int state_set_keys(struct state *state, const struct public_keys *keys);

/* Adds uses of a key, the last one at `last`. */
void state_add_uses(struct state *state, const char *thumbprint, uint64_t times, int64_t last);

/* The keys, those that are there no more included. */
size_t state_count(const struct state *state);
const struct state_key *state_key(const struct state *state, size_t index);

/*
 * Writes what has changed since the last time, whole or not at all, also after a power cut. Returns 0, also when there is nothing to
 * write or no folder; -ENOSPC and others with `err` filled: it is to be tried again.
 */
int state_write(struct state *state, struct error *err);
