/* SPDX-License-Identifier: Apache-2.0 */
/* A process that holds private keys: it reads the folder once, and then does nothing but multiply points. */
#pragma once

#include "tangd/counts.h"
#include "tangd/privileges.h"

#include <stddef.h>
#include <stdint.h>

enum { KEYS_REPORT_VERSION = 1 };

/* What it tells the supervisor when it has read the folder; with a descriptor of side.h if it has signed. */
struct keys_report {
	uint32_t version; /* KEYS_REPORT_VERSION */
	int32_t status;	  /* 0, or the code of keys_load() */
	uint64_t set;	  /* see keys_load() */
};

struct keys_process {
	const char *folder;
	unsigned flags;	     /* of keys_load() */
	const int *channels; /* to the fronts, shared with the other processes of its generation */
	size_t count;	     /* of them */
	int report;	     /* to the supervisor */
	struct key_uses *uses;		     /* shared, as the channels are */
	const struct privileges *privileges; /* given up once the folder is read; NULL: none */
};

/* Runs until all channels are closed. Returns the exit status. */
int keys_process_run(const struct keys_process *process);
