/* SPDX-License-Identifier: Apache-2.0 */
/* What a server takes, all its processes together, as /proc tells it; needs no root. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
	unsigned processes; /* that live now */
	int64_t cpu_ms; /* of all that live, and of all children that have ended and were waited for */
	int64_t memory_kb; /* proportional set sizes */
	bool is_resident; /* some were not ours to read: resident set sizes stand for them, shared pages counted in each */
};

/*
 * Adds up the process `root` and all its descendants. Processor time comes in ticks of 10 ms, rounded down for each that lives.
 * Returns 0; -ESRCH when there is no `root`, -errno, with `err` filled.
 */
int usage_of(pid_t root, struct usage *usage, struct error *err);

/*
 * The same once no more processes live than at `before`, so that those of a connection have ended and are counted exactly; but
 * waits two seconds at most.
 */
int usage_settled(pid_t root, const struct usage *before, struct usage *usage, struct error *err);
