/* SPDX-License-Identifier: Apache-2.0 */
/* A process that reads the network: it knows public data only. */
#pragma once

#include "tangd/counts.h"
#include "tangd/privileges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRONT_ORDER_VERSION = 2, FRONT_ORDER_FDS = 3 };

/*
 * What the supervisor tells it: there is a new generation of keys, with three descriptors: the public side (see side.h), the channel, and
 * where to count the uses of its keys (struct key_uses). The end of the socket says: finish what was begun, and end.
 */
struct front_order {
	uint32_t version; /* FRONT_ORDER_VERSION */
};

struct front_process {
	const char *endpoint;
	const int *listening; /* sockets; owned */
	int count;	      /* of them */
	int orders;	      /* from the supervisor; owned */
	struct front_counts *counts;
	int watch; /* inotify on the folder of the keys: of it is known only that something happens there; -1: none; owned */
	const struct privileges
		*privileges; /* given up before the first byte is read; NULL: none */
	bool has_tls;	     /* `orders` begins with what tls_send() sent: for connections by TCP */
};

/* Runs until the supervisor is gone or says so. Returns the exit status. */
int front_process_run(const struct front_process *process);
