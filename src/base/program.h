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

/*
 * Has the process group that `pid` leads ended with us when a signal ends us, until program_untrack(); where there are too many
 * already, nothing. A child process starts with none.
 */
void program_track(pid_t pid);
void program_untrack(pid_t pid);

/*
 * In a child process just forked: to lead a group of processes that the programs it runs, and what those start, stay in, also
 * those of its own children; whoever ends it ends them with kill(-pid). Nothing is done where there is a terminal, from which
 * such a group could not read, or where this was done by a parent.
 */
void program_lead_group(void);

/*
 * Forks a child that dies with us and leads a group of its own (program_lead_group()), which is ended too when a signal ends us;
 * to be waited for by program_reap(). Returns as fork(2).
 */
pid_t program_fork(void);

/* Waits for the end of a child of program_fork(), and ends what its programs left. Returns its status as of wait(2); -1: not known. */
int program_reap(pid_t pid);

/* Where the standard error of a program goes. */
enum program_stderr { PROGRAM_STDERR_OURS, PROGRAM_STDERR_NOWHERE };

/*
 * Runs the program at `path`, with the arguments `argv` (argv[0] its name, NULL-terminated): `input` on its standard input, the
 * whole of its standard output, at most `output_max` bytes, in `output`. It is ended when the deadline passes, with what it
 * started unless there is a terminal, or when we die. Its environment is ours, with CLEVIS_TIMEOUT set to the seconds left.
 * Returns 0 with `output` (the caller's); -ETIMEDOUT, -EFBIG, -ECHILD when it exits with another status than 0, -errno,
 * with `err` filled.
 */
int program_run(const char *path, const char *const argv[], enum program_stderr standard_error,
		const struct secret *input, size_t output_max, struct deadline deadline,
		struct secret *output, struct error *err);
