/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tangctl: its commands, and the arguments that two of them share. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* What the commands exit with when no server answers: as curl does, which the known command is made of. */
enum { EXIT_NO_SERVER = 7 };

int backup_main(int argc, char *argv[]);
int restore_main(int argc, char *argv[]);
int show_keys_main(int argc, char *argv[]);
int status_main(int argc, char *argv[]);
int keys_main(int argc, char *argv[]);

struct key_options {
	const char *folder; /* of the keys */
	const char *file;   /* the backup */
	bool force;
};

/*
 * Reads `[-d DIR] [-f] [-h] FILE`; `letters` are the options that there are, as for getopt(3). Returns true; false when nothing is
 * left to do but to exit with `*status`, the usage written.
 */
bool options_read(int argc, char *argv[], const char *letters, const char *usage,
		  struct key_options *options, int *status);
