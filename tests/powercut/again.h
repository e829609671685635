/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the command that is tested. */
#pragma once

#include <stdbool.h>

struct again {
	int status;	  /* its exit status; -1 when it was killed */
	int microseconds; /* how long it took */
	char said[512];	  /* the start of what it wrote to standard error */
};

/* Runs it, killed with SIGKILL after so many microseconds (0: left alone). Ends the process when it cannot be started. */
struct again run_command(char *const command[], int kill_after);
