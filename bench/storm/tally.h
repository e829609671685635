/* SPDX-License-Identifier: Apache-2.0 */
/* What came of all the attempts: counts by outcome, and how long the answers took. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { TALLY_STATUSES = 1000 };

/* Ways in which an attempt ends without an HTTP answer that is right. */
enum tally_failure {
	TALLY_REFUSED,	 /* nobody listens */
	TALLY_RESET,	 /* the connection was torn down */
	TALLY_CLOSED,	 /* it was closed before the answer was whole */
	TALLY_TIMED_OUT, /* no answer within the time an attempt has */
	TALLY_MALFORMED, /* not HTTP */
	TALLY_WRONG,	 /* 200, with another answer than the right one */
	TALLY_FAILURES,
};

/* Zero-initialise it; to be freed by tally_free(). */
struct tally {
	unsigned long status[TALLY_STATUSES]; /* answers by HTTP status, wrong ones too */
	unsigned long failure[TALLY_FAILURES];
	unsigned long nodes_told; /* nodes that were told Retry-After, once or more */
	unsigned long unanswered; /* nodes that went without 200 where each was to have one */
	size_t count;		  /* of right answers */
	size_t room;
	uint32_t *took_us; /* how long each right answer took; sorted by tally_percentile() */
	int64_t last_us;   /* when the last right answer came, from the begin of the run */
};

void tally_free(struct tally *tally);

/* Notes a right answer. Returns 0 or -ENOMEM. */
int tally_answer(struct tally *tally, int64_t took_us);

/* The time in µs that `percent` of the right answers took at most (nearest rank); 0 when there are none. */
uint32_t tally_percentile(struct tally *tally, double percent);

/* Prints it all on standard output, a name and a number a line. */
void tally_print(struct tally *tally);
