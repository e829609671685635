/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of clevis. Each lives in the file of its name and gets its own arguments, argv[0] being its whole name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct command {
	const char *name;    /* "luks-bind"; the program answers to "clevis-luks-bind" */
	const char *summary; /* NULL: a helper that no list shows */
	int (*main)(int argc, char *argv[]);
};

/* All commands, sorted by name; ends with a NULL name. */
extern const struct command commands[];

/* The command of that name (without `clevis-`), NULL where there is none. */
const struct command *command_find(const char *name);

int decrypt_main(int argc, char *argv[]);
int decrypt_tang_main(int argc, char *argv[]);
int encrypt_tang_main(int argc, char *argv[]);
int luks_bind_main(int argc, char *argv[]);
int luks_list_main(int argc, char *argv[]);
int luks_pass_main(int argc, char *argv[]);
int luks_unbind_main(int argc, char *argv[]);
int luks_unlock_main(int argc, char *argv[]);
