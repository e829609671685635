/* SPDX-License-Identifier: Apache-2.0 */
/* Many nodes that ask one server, each over a connection of its own, in one process. */
#pragma once

#include "questions.h"
#include "tally.h"

#include <netinet/in.h>

/* Nodes that a swarm may have; and the longest that a node obeys Retry-After, seconds. */
enum { SWARM_NODES_MAX = 60000, SWARM_RETRY_AFTER_MAX = 60 };

enum swarm_goal {
	SWARM_ASK_ON,	/* each asks one question after another */
	SWARM_ONE,	/* each asks until it is answered 200 once, and leaves */
	SWARM_ONE_STAY, /* the same, and stays connected */
};

struct swarm_plan {
	struct sockaddr_in server;
	struct questions *questions; /* asked in turn */
	unsigned nodes; /* on a loopback server each has an address of its own, 127.1.x.y */
	enum swarm_goal goal;
	bool fresh;	  /* a new connection for each question */
	int64_t limit_ms; /* how long new questions are asked; or when those who had no answer give up */
	int64_t attempt_ms; /* how long one attempt may take, the connecting included */
};

struct swarm;

/* Makes the nodes; nothing is sent yet. `plan` must outlive it. Returns 0 with `*swarm`; -EMFILE, -ENOMEM, -errno with `err` filled. */
int swarm_new(const struct swarm_plan *plan, struct swarm **swarm, struct error *err);

/*
 * All nodes set out at once; returns when each has reached its goal or given up. A node that is told Retry-After waits that long, and
 * a random part of as much again; one that fails in another way waits as the boot unlockers do: swarm_wait_ms().
 * Returns 0 with `tally` (to be freed by tally_free()) added to; -errno with `err` filled when this side fails.
 */
int swarm_run(struct swarm *swarm, struct tally *tally, struct error *err);

/* Looks which connections are still open, and returns how many. */
unsigned swarm_open(struct swarm *swarm);

/* Closes all connections and frees it. NULL is accepted. */
void swarm_free(struct swarm **swarm);

/*
 * How long a node waits before the next attempt, milliseconds: `retry_after_s` (at most SWARM_RETRY_AFTER_MAX) and `part` of it
 * once more, if the server said so; else `part` of min(5 s, 0.25 s · 2ⁿ) after n `failures`. `part` is random, 0 ≤ part < 1.
 */
int64_t swarm_wait_ms(unsigned retry_after_s, unsigned failures, double part);
