/* SPDX-License-Identifier: Apache-2.0 */
/* The states in which a power cut can leave a disk, of a record of what was written to it. */
#pragma once

#include "image.h"

#include <stdbool.h>

struct epochs_limits {
	size_t enumerated; /* up to so many states an epoch, all are visited */
	size_t sampled;	   /* beyond, so many are drawn at random, besides the regular ones */
	uint64_t seed;
	bool drop_flushes; /* planted fault: as if the command never flushed */
	size_t stop;	   /* behind so many epochs; 0: at the end */
};

struct epochs_counts {
	size_t writes;
	size_t epochs;	/* in which anything changed */
	size_t sampled; /* of them, those too large to visit all states */
	size_t states;	/* visited, no two of them equal */
};

/* Told of each state, which the image file holds then. `epoch` counts from 1. */
typedef void (*epochs_visitor)(void *arg, size_t epoch);

/*
 * Visits the states that the record `path` allows, from the image as it is. Ends with the image as the command left it. Ends the
 * process when the record is damaged.
 */
void epochs_visit(struct image *image, const char *path, const struct epochs_limits *limits,
		  epochs_visitor visit, void *arg, struct epochs_counts *counts);
