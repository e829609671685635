/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A generation of keys processes, as the supervisor sees it: it is started, reports what it has read, is handed to the fronts, and ends
 * when the last of them has closed its channel.
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "tangd/counts.h"
#include "tangd/keys.h"
#include "tangd/privileges.h"
#include "tangd/state.h"

#include <stdbool.h>
#include <sys/types.h>

/* Most fronts of a server, and most processes of a generation. */
enum { FRONTS_MAX = 16, GENERATION_WORKERS_MAX = 64 };

struct generation_plan {
	const char *folder; /* of the keys */
	unsigned flags;	    /* of keys_load() */
	int fronts;
	int workers;
	const struct privileges *privileges; /* given up once the folder is read; NULL: none */
	/* Called first in each process: it lets go of all that is none of its business. */
	void (*become)(void *arg);
	void *arg;
};

/* Private to generation.c but for `next`. */
struct generation {
	struct generation *next;  /* an older one, for whoever keeps a list */
	struct deadline deadline; /* of its start; once it is replaced, of its end */
	bool dismissed;		  /* replaced, and killed since it did not end */
	int fronts;
	int workers; /* processes that were started */
	int reported;
	int reports; /* where they report; -1: all have */
	uint64_t set;
	int side; /* -1: the one that signs has not reported, or all fronts have it */
	int channels[FRONTS_MAX];	      /* the fronts' ends */
	int uses_fd;			      /* of `by_fronts` */
	pid_t worker[GENERATION_WORKERS_MAX]; /* 0: it has ended */
	struct public_keys keys;
	struct key_uses *by_keys;   /* recoveries */
	struct key_uses *by_fronts; /* advertisements that were asked for by thumbprint */
	uint64_t *added;	    /* of each key, what the state has got already */
};

/*
 * Starts the processes. Returns 0 with `*generation` (to be freed by generation_free(), once it has ended); -errno with `err` filled.
 */
int generation_start(const struct generation_plan *plan, struct generation **generation,
		     struct error *err);

/* Frees it. Processes that are at work go on until their channels are closed. */
void generation_free(struct generation **generation);

/* A descriptor that polls readable when generation_listen() has something to read; -1: none. */
int generation_fd(const struct generation *generation);

enum generation_news {
	GENERATION_READING, /* not all have reported */
	GENERATION_READY,   /* all have read the same: it can be handed over */
	GENERATION_CHANGED, /* the folder changed while it was read */
	GENERATION_KEYLESS, /* the folder has no keys to advertise, and none were to be made */
	GENERATION_FAILED,  /* it cannot be read, or they are late; the log says why */
};

/* Reads what was reported. Nothing but GENERATION_READY is any use: free it then. */
enum generation_news generation_listen(struct generation *generation);

/* Hands it to front number `front`, over its socket of orders. Returns 0, or -errno. */
int generation_hand_to(const struct generation *generation, int front, int orders);

/* All fronts have it: from here on it ends when they let go of it. */
void generation_let_go(struct generation *generation);

/* Takes note that a process has ended. Returns whether it was one of this generation. */
bool generation_bury(struct generation *generation, pid_t pid);

/* How many processes are there. */
int generation_alive(const struct generation *generation);

/* Ends them by SIGKILL. */
void generation_kill(const struct generation *generation);

/* Adds the uses of its keys since the last time to the state. */
void generation_add_uses(struct generation *generation, struct state *state);
