/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines: the moment at which waiting ends. Everything that waits takes one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A moment on CLOCK_BOOTTIME (it goes on while the machine sleeps), in nanoseconds. Pass it by value. */
struct deadline {
	int64_t at;
};

/* The deadline that lies `ms` milliseconds from now; a negative number counts as 0. */
struct deadline deadline_in_ms(int64_t ms);

/* The earlier of two deadlines. */
struct deadline deadline_earlier(struct deadline a, struct deadline b);

/* Milliseconds left, rounded up, at least 0 and at most INT_MAX: what poll(2) takes. */
int deadline_left_ms(struct deadline deadline);

/* Says whether the deadline has passed. */
bool deadline_passed(struct deadline deadline);

/*
 * Reads seconds as a person writes them: digits, and a point at most; from 0.001 to `most_s`. Sets `*ms`, rounded up.
 * Returns 0 or -EINVAL.
 */
int deadline_parse_seconds(const char *text, unsigned most_s, int64_t *ms);
