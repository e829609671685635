/* SPDX-License-Identifier: Apache-2.0 */
/* The process that tells operators how the server is: over HTTP, on an address of its own. It holds no key and reaches no file. */
#pragma once

#include "tangd/board.h"
#include "tangd/privileges.h"

struct admin_process {
	const int *listening; /* sockets */
	int count;	      /* of them */
	int orders;	      /* from the supervisor: its end says that it is over */
	const struct privileges
		*privileges; /* given up before the first byte is read; NULL: none */
	const struct board *board;
	struct front_counts *const *fronts; /* what each counts; as many as board->report.fronts */
};

/* Runs until the supervisor is gone or says so. Returns the exit status. */
int admin_process_run(const struct admin_process *process);
