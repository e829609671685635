/* SPDX-License-Identifier: Apache-2.0 */
/* What a command did to a disk, in the order in which it did it: a file of entries, each with its bytes behind it. */
#pragma once

#include <stdint.h>

enum record_kind {
	RECORD_WRITE = 1, /* `size` bytes at `offset`: the disk may keep them in its cache */
	RECORD_DURABLE =
		2, /* the same, and they are on the disk before anything that follows (O_DSYNC, FUA) */
	RECORD_FLUSH =
		3, /* all that was written before is on the disk before anything that follows */
};

struct record_entry {
	uint32_t kind; /* enum record_kind */
	uint32_t unused;
	uint64_t offset; /* bytes */
	uint64_t size;	 /* bytes that follow; 0 for a flush */
};
