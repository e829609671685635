/* SPDX-License-Identifier: Apache-2.0 */
/* Things that a process which is locked in must not be able to do, each as a function that tries. */
#pragma once

#include "unit.h"

enum { FRONT = 1, KEYS = 2, ADMIN = 4, ALL = FRONT | KEYS | ADMIN };

/* Whom each is forbidden to, and from which ABI on Landlock alone refuses it (0: that is not its matter). */
struct attempt {
	const char *name;
	int (*make)(void); /* returns 0 or -errno */
	int forbidden;
	int landlock;
};

extern const struct attempt attempts[];
extern const size_t attempts_count;

/* Those that other cases use, too. */
int opens_a_file(void);
int looks_at_a_file(void);
int makes_a_socket(void);
int makes_an_unknown_call(void);

/* The set-up and the end of a case: descriptors, a folder with a key, a process to attack. */
int attempts_begin(void **state);
int attempts_end(void **state);

/* Makes that fresh which an earlier attempt may have used up. */
void attempts_refresh(void);
