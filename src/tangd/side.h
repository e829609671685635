/* SPDX-License-Identifier: Apache-2.0 */
/* The public side of a set of keys on its way from the process that reads the folder to those that read the network. */
#pragma once

#include "tangd/keys.h"

/*
 * Writes it into a sealed memory file. Returns the descriptor, the caller's; -errno with `err` filled.
 */
int side_write(const struct public_keys *side, struct error *err);

/*
 * Reads it from there. Returns 0 with `side` (the caller's, see side_free()); -EBADMSG with `err` filled, -errno, -ENOMEM.
 */
int side_read(int fd, struct public_keys *side, struct error *err);

void side_free(struct public_keys *side);
