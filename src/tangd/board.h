/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor tells of the server, in memory that the admin process reads. The supervisor reads nothing of it. */
#pragma once

#include "tangd/counts.h"
#include "tangd/state.h"

#include <limits.h>
#include <stdbool.h>

struct report {
	char folder[PATH_MAX]; /* of the keys */
	int64_t started;       /* seconds since 1970 */
	int fronts;	       /* how many there are to be … */
	int fronts_alive;      /* … and are */
	int workers; /* keys processes of the generation that serves, and how many of them are there */
	int workers_alive;
	uint64_t generations; /* that were put into service */
	uint64_t fronts_died;
	uint64_t workers_died;
	uint64_t admin_died; /* processes like the one that tells */
	bool serving;	     /* the fronts have keys */
	bool is_missing; /* the folder has no key to advertise any more: the last generation stays in service */
	bool state_kept;   /* there is a state folder … */
	bool state_failed; /* … and it could not be written */
	struct sandbox keys_sandbox;
	size_t keys;
	struct state_key key[TANG_KEY_FILES_MAX];
};

struct board {
	_Atomic uint32_t edition; /* odd while it is written */
	struct report report;
};

/* Writes on it; only as many keys as there are. For one writer. */
void board_write(struct board *board, const struct report *report);

/* Reads it, as it stood at one moment. Returns false when that could not be had. */
bool board_read(const struct board *board, struct report *report);
