/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server's processes count, in memory that they share. Each place has one sort of writer, and a reader believes no more of it
 * than a number: a front that somebody has taken over can lie about itself, and about nobody else.
 */
#pragma once

#include "base/error.h"
#include "tang/folder.h"
#include "tangd/sandbox.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum counts_kind { COUNTS_ADVERTISEMENT, COUNTS_RECOVERY, COUNTS_OTHER, COUNTS_KINDS };

/* HTTP status codes that are counted each; the last place is for all others. */
enum { COUNTS_STATUSES = 11, COUNTS_STATUS_OTHER = COUNTS_STATUSES - 1 };
extern const unsigned counts_status[COUNTS_STATUS_OTHER];

/* Upper bounds of the latency histogram, microseconds; what took longer is in one more place. */
enum { COUNTS_BUCKETS = 14 };
extern const unsigned counts_bucket_us[COUNTS_BUCKETS];

/* Of one front, whichever process it is: written by it, read by the admin process. Begins as zeros. */
struct front_counts {
	_Atomic uint64_t requests[COUNTS_KINDS][COUNTS_STATUSES];
	_Atomic uint64_t latency[COUNTS_KINDS][COUNTS_BUCKETS + 1];
	_Atomic uint64_t latency_us[COUNTS_KINDS]; /* all together */
	_Atomic uint64_t
		gave_way; /* connections that were closed for others, since there were too many */
	_Atomic uint64_t lost_lines;  /* of the log */
	_Atomic uint32_t connections; /* open now */
	_Atomic uint32_t waiting;     /* requests at the private keys now */
	struct sandbox sandbox;	      /* written before the first request */
};

/* Counts a request that is answered. `counts` may be NULL. */
void counts_request(struct front_counts *counts, enum counts_kind kind, unsigned status,
		    int64_t latency_us);

/* How often each key of a generation was used, by its number there. */
struct key_uses {
	struct key_use {
		_Atomic uint64_t times;
		_Atomic int64_t last; /* seconds since 1970; 0: never */
	} key[TANG_KEY_FILES_MAX];
	struct sandbox sandbox; /* of the process that counts */
};

/* Counts a use, now. `uses` may be NULL; a number that no key has is passed over. */
void counts_use(struct key_uses *uses, size_t key);

/* Memory of `size` bytes, zeros, that child processes share. Returns NULL when there is none. */
void *counts_share(size_t size);
void counts_unshare(void *memory, size_t size);

/*
 * The same behind a descriptor, which can be handed to a process that is there already, and whose size nobody can change. Returns the
 * descriptor (the caller's) with `*memory`; -errno with `err` filled.
 */
int counts_share_file(size_t size, void **memory, struct error *err);

/* Maps what came through such a descriptor, for writing too. Returns NULL when it is of another size. The descriptor stays the caller's. */
void *counts_map(int fd, size_t size);
