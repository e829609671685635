/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that stay while generations come and go: the fronts and the admin process, as the supervisor sees them. */
#pragma once

#include "tangd/board.h"
#include "tangd/generation.h"
#include "tangd/privileges.h"
#include "tangd/tls.h"

#include <stdbool.h>
#include <sys/types.h>

/* A process that we talk to. */
struct crew_member {
	pid_t pid;  /* 0: none */
	int orders; /* our end of its socket: that it closes is the order to end */
};

struct crew {
	const char *folder;   /* of the keys */
	const char *endpoint; /* "" for none */
	const int *listening; /* sockets of the fronts … */
	int listening_count;
	const int *admin_listening; /* … and of the admin process */
	int admin_count;	    /* how many; 0: there is no such process */
	const struct privileges
		*privileges;   /* given up before the first byte is read; NULL: none */
	const struct tls *tls; /* for the fronts' connections by TCP; NULL: none */
	int fronts;	       /* how many there are to be */
	/* Called first in each process: it lets go of what the caller has. */
	void (*become)(void *arg);
	void *arg;
	/* Set by crew_prepare() and crew_start(). */
	struct crew_member front[FRONTS_MAX];
	struct crew_member admin;
	struct front_counts *counts[FRONTS_MAX];
	struct board *board; /* for the admin process */
	uint64_t fronts_died;
	uint64_t admin_died;
};

/* Makes the memory that they share. Returns 0; -ENOMEM with `err` filled. To be ended by crew_release(). */
int crew_prepare(struct crew *crew, struct error *err);
void crew_release(struct crew *crew);

/* For another child process: lets go of all that is theirs, the listening sockets included. */
void crew_let_go(struct crew *crew);

/* Starts those that are not there; that one cannot be started is told in the log. */
void crew_start(struct crew *crew);

/* Gives a generation to all fronts that are there. */
void crew_hand_over(const struct crew *crew, const struct generation *generation);

/* Takes note that a process has ended. Returns its name if it was one of them, else NULL. */
const char *crew_bury(struct crew *crew, pid_t pid);

/* How many fronts are there; and whether anybody is. */
int crew_fronts_alive(const struct crew *crew);
bool crew_is_gone(const struct crew *crew);

/* Has them end: accept nothing more, finish what was begun. And by SIGKILL. */
void crew_dismiss(struct crew *crew);
void crew_kill(const struct crew *crew);
