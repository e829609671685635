/* SPDX-License-Identifier: Apache-2.0 */
/* As whom the server runs when root has started it. Started by anybody else it stays who it is, and nothing here does anything. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Longest name of a user, bytes, the NUL included. */
enum { PRIVILEGES_NAME_MAX = 256 };

/* Zero-initialised: nothing is to be given up. */
struct privileges {
	bool is_root; /* root has started us: what follows counts */
	bool keeps_root; /* the folder is for root to read: only the process that watches and reads it stays so */
	bool is_barred; /* … since its owner cannot get to it; else it is root's */
	uid_t uid;
	gid_t gid;
	char name
		[PRIVILEGES_NAME_MAX]; /* whose groups it gets; "" for a user without a name: none */
};

/*
 * Finds out as whom to serve the keys in `folder`: as `user`; NULL: as the owner of the folder or, where that is root, as the
 * server's user (tang_server_user()), `nobody` where there is none. Whether the owner can get to the folder is tried in a child.
 * Returns 0 with `privileges`; -ENOENT for an unknown user, -EINVAL for root, -EPERM for a user when not root, -errno, with
 * `err` filled.
 */
int privileges_find(const char *user, const char *folder, struct privileges *privileges,
		    struct error *err);

/*
 * Leaves root for good: user, groups, capabilities. What such a change takes away stays in force: the process is not dumpable,
 * and ends with its parent if it was to. Where it is not root (any more), nothing is done; NULL is accepted.
 * Returns 0; a negative code with `err` filled when anything of it fails: then the process must end.
 */
int privileges_drop(const struct privileges *privileges, struct error *err);
