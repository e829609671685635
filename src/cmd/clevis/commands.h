/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of clevis. Each lives in the file of its name and gets its own arguments, argv[0] being its whole name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit status of an error in the arguments; a few commands have another (contract of Clevis §§1, 3). */
enum { EXIT_USAGE = 2 };

struct command {
	const char *name;    /* "luks-bind"; the program answers to "clevis-luks-bind" */
	const char *summary; /* NULL: a helper that no list shows */
	int (*main)(int argc, char *argv[]);
	/* Exit statuses of an error in the arguments, and of --summary where there is none; 0: EXIT_USAGE. */
	int usage_status;
	int hidden_status;
};

/* All commands, sorted by name; ends with a NULL name. */
extern const struct command commands[];

/* The command of that name (without `clevis-`), NULL where there is none. */
const struct command *command_find(const char *name);

/* Prints a line for each command there is, those of other programs on PATH included. */
void command_print_all(FILE *out);

int decrypt_main(int argc, char *argv[]);
int decrypt_pin_main(int argc, char *argv[]);
int encrypt_main(int argc, char *argv[]);
int luks_bind_main(int argc, char *argv[]);
int luks_edit_main(int argc, char *argv[]);
int luks_list_main(int argc, char *argv[]);
int luks_pass_main(int argc, char *argv[]);
int luks_regen_main(int argc, char *argv[]);
int luks_report_main(int argc, char *argv[]);
int luks_unbind_main(int argc, char *argv[]);
int luks_unlock_main(int argc, char *argv[]);
