/* SPDX-License-Identifier: Apache-2.0 */
/* Other programs: found on PATH, and run with bytes in and bytes out, under a deadline. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "base/secret.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Longest path of a program, bytes, the NUL included. */
enum { PROGRAM_PATH_MAX = 4096 };

/* Says whether a program of that name (without slash) is on PATH, and writes its path. */
bool program_find(const char *name, char path[static PROGRAM_PATH_MAX]);

/*
 * In a child process just forked: to die when its parent dies, however that comes about. `parent` is the parent's id, for
 * it may be dead already.
 */
void program_die_with(pid_t parent);

enum program_stderr { PROGRAM_STDERR_OURS, PROGRAM_STDERR_NOWHERE };

/*
 * Runs the program at `path`, with the arguments `argv` (argv[0] its name, NULL-terminated): `input` on its standard input, the
 * whole of its standard output, at most `output_max` bytes, in `output`; standard error is ours, or goes nowhere. It is ended when the
 * deadline passes or we die. Its environment is ours, with CLEVIS_TIMEOUT set to the seconds that are left.
 * Returns 0 with `output` (the caller's); -ETIMEDOUT, -EFBIG, -ECHILD when it exits with another status than 0, -errno,
 * with `err` filled.
 */
int program_run(const char *path, const char *const argv[], enum program_stderr standard_error,
		const struct secret *input, size_t output_max, struct deadline deadline,
		struct secret *output, struct error *err);
